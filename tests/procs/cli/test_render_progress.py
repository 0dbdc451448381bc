"""Progress: a bar on a terminal, lines in a log, nothing for machines."""

from __future__ import annotations

import io

import pytest

from procs.cli.render_progress import progress_line, shown_on
from procs.progress import Progress
from tests.procs.cli.paper_samples import START_NS

HALF = Progress("1x latency", 5_000, 10_000, START_NS, 2, 3, 1_234_500)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_says_what_how_far_and_what_came_of_it() -> None:
    assert progress_line("sample", HALF) == (
        "sample, 1x latency: 5,000 frames (50.0 %) to 2026-04-28 12:00:00 UTC; "
        "2 plans, 3 fills, realised +$1.2345"
    )


def test_a_line_without_a_total_or_a_time() -> None:
    assert progress_line("sample", Progress("1x latency", 1, None, 0, 0, 1, -5)) == (
        "sample, 1x latency: 1 frame; 0 plans, 1 fill, realised -$0.000005"
    )


def test_a_log_gets_one_plain_line_a_phase_and_not_every_report() -> None:
    stream = io.StringIO()
    with shown_on(stream, "sample") as on_progress:
        for phase in ("1x latency", "2x latency"):
            for frames in range(1, 50):
                on_progress(Progress(phase, frames, None, START_NS, 0, 0, 0))
    lines = stream.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines][:1] == ["sample, 1x latency"]
    assert sum("2x latency: 1 frame " in line for line in lines) == 1
    assert len(lines) < 20
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    with shown_on(stream, "sample") as on_progress:
        on_progress(Progress("1x latency", 1, None, START_NS, 0, 0, 0))
        on_progress(Progress("2x latency", 10_000, 10_000, START_NS, 2, 3, 1_234_500))
    said = stream.getvalue()
    assert "sample, 2x latency" in said
    assert "10,000 frames, 2 plans, 3 fills, realised +$1.2345" in said
    assert "\x1b[?25h" in said  # the cursor is back


def test_nobody_looks_when_there_is_no_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on(None, "sample") as on_progress:
        on_progress(HALF)
    assert capsys.readouterr() == ("", "")
