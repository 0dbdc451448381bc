"""Tables: aligned, at most 100 columns, plain in a pipe."""

from __future__ import annotations

import io
import re

import pytest
from rich.text import Text

from procs.cli.render_table import (
    WIDTH_MAX,
    WRAPPED_MIN,
    Column,
    console_of,
    pairs,
    paragraph,
    right,
    section,
    show,
    table,
    title,
    verdict,
    wrapping,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _shown(*parts: object, stream: io.StringIO | None = None) -> list[str]:
    stream = stream or io.StringIO()
    show(parts, stream)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_numbers_stand_on_the_right_and_words_on_the_left() -> None:
    lines = _shown(
        table((Column("venue"), right("cash")), [("kalshi", "$1.00"), ("polymarket", "$1,000.00")])
    )
    assert lines[0] == "  venue            cash"
    assert set(lines[1].strip()) == {"─"}
    assert lines[2:] == ["  kalshi          $1.00", "  polymarket  $1,000.00"]


def test_sentences_wrap_and_nothing_else_does() -> None:
    lines = _shown(table((Column("code"), wrapping("in words")), [("a_code", "word " * 40)]))
    assert len(lines) > 4
    assert all(len(line) <= WIDTH_MAX for line in lines)
    assert [line for line in lines if "a_code" in line] == [lines[2]]
    assert sum(line.count("word") for line in lines[2:]) == 40


def test_no_line_ends_in_blanks_and_nothing_is_taken_for_markup() -> None:
    lines = _shown(pairs([("a", "[bold]x[/bold]"), ("bb", "")]), paragraph(":smile: [1]"))
    assert lines == ["  a   [bold]x[/bold]", "  bb", "  :smile: [1]"]


def test_sections_are_parted_by_an_empty_line() -> None:
    assert _shown(section("Head", paragraph("text"))) == ["", "Head", "  text"]


def test_a_title_goes_across_the_page() -> None:
    (line,) = _shown(title("sample"))
    assert line.startswith("sample ═")
    assert len(line) == WIDTH_MAX


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert _shown(verdict("WRONG", good=False)) == ["WRONG"]
    assert "\x1b[" in _shown(verdict("WRONG", good=False), stream=Terminal())[0]


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("240", WIDTH_MAX)])
def test_a_terminal_is_used_as_far_as_it_is_wide(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    assert console_of(Terminal()).width == width
    assert console_of(io.StringIO()).width == WIDTH_MAX


def _on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, *parts: object) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    lines = _shown(*parts, stream=Terminal())
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]


FIGURES = table(
    (Column("venue"), right("at start"), right("at end"), wrapping("in words")),
    [("kalshi", "$10,000.000000", "$9,999.999999", "word " * 8), ("polymarket", "$1.00", "$2.00", "")],
)
FIGURES_WIDTH = 2 + len("polymarket") + 2 + len("$10,000.000000") + 2 + len("$9,999.999999") + 2 + WRAPPED_MIN


def test_a_figure_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in range(len("  in words  $10,000.000000"), WIDTH_MAX + 1):
        lines = _on_terminal(monkeypatch, columns, FIGURES)
        assert max(map(len, lines)) <= columns
        words = " ".join(lines).split()
        assert {"$10,000.000000", "$9,999.999999", "$1.00", "$2.00", "kalshi", "polymarket"} <= set(words)
        assert words.count("word") == 8


def test_rows_stand_below_each_other_where_the_table_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = _on_terminal(monkeypatch, FIGURES_WIDTH, FIGURES)
    assert sum("at start" in line for line in wide) == 1
    narrow = _on_terminal(monkeypatch, FIGURES_WIDTH - 1, FIGURES)
    assert narrow[:4] == [
        "  venue     kalshi",
        "  at start  $10,000.000000",
        "  at end    $9,999.999999",
        "  in words  " + "word " * 7 + "word",
    ]
    assert narrow[4:7] == ["", "  venue     polymarket", "  at start  $1.00"]


def test_a_stream_that_cannot_write_lines_of_boxes_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show([title("sample"), table((Column("a"),), [(Text("b"),)])], stream)
    stream.flush()
    assert raw.getvalue().decode("ascii").startswith("sample ")
