"""``pr3dict paper`` from its arguments to its exit code; the runs behind it are stood in for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from procs import places
from procs.cli import main as cli
from procs.cli import paper
from procs.paper import PaperOptions
from procs.paper_result import PaperResult
from procs.progress import OnProgress, Progress
from tests.procs.cli.paper_samples import MISSED, RECORDED, SESSION, START_NS, accounts

HEADER = b'{"pr3dict_decisions":1}\n'


class Runs:
    """Stands in for ``run_recordings`` and ``run_session``: notes what was asked, answers what it is told."""

    def __init__(self) -> None:
        self.recordings: PaperResult = RECORDED
        self.session: PaperResult = SESSION
        self.interrupted = False
        self.asked: list[tuple[str | int, PaperOptions]] = []

    def run_recordings(self, name: str, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
        return self._run(name, options, on_progress, self.recordings)

    def run_session(self, seed: int, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
        return self._run(seed, options, on_progress, self.session)

    def _run(
        self, what: str | int, options: PaperOptions, on_progress: OnProgress, result: PaperResult
    ) -> PaperResult:
        self.asked.append((what, options))
        on_progress(Progress("1x latency", 10, 10, START_NS, 0, 0, 0))
        if options.decisions is not None:
            options.decisions.write(HEADER + str(what).encode())
        if self.interrupted:
            raise KeyboardInterrupt
        return result


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The stand-in, installed."""
    found = Runs()
    monkeypatch.setattr(paper, "run_recordings", found.run_recordings)
    monkeypatch.setattr(paper, "run_session", found.run_session)
    return found


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """Two files that are there."""
    names = [tmp_path / "a.ndjson.zst", tmp_path / "b.ndjson.zst"]
    for name in names:
        name.write_bytes(b"x")
    return list(map(str, names))


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a packaged sample of one file."""
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / "sample.ndjson.zst").write_bytes(b"x")
    (folder / "README.md").write_text("not a recording")
    monkeypatch.setattr(places, "samples_dir", lambda: folder)
    return folder


Say = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Say:
    """Callable that answers what stdout and stderr have got since it was last called."""

    def _said() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return _said


def test_recordings_that_are_named_are_the_only_input(runs: Runs, recordings: list[str], said: Say) -> None:
    assert cli.main(["paper", "--replay", *recordings]) == 0
    ((name, options),) = runs.asked
    assert name == paper.REPLAY_NAME
    assert options.files == tuple(map(Path, recordings))
    assert (options.align_start, options.speed, options.decisions) == (False, None, None)
    assert options.latency_scales == (1, 2, 5)
    out, err = said()
    assert "1,234,567 (0 rejected" in out
    assert "No trades" in out
    assert out.rstrip().endswith("ok  0 fills, $0.0000 after fees")
    assert err == (
        "replay, 1x latency: 10 frames (100.0 %) to 2026-04-28 12:00:00 UTC; "
        "0 plans, 0 fills, realised $0.0000\n"
    )


def test_without_recordings_the_sample_and_the_session_run_apart(runs: Runs, sample: Path, said: Say) -> None:
    assert cli.main(["paper", "--seed", "77"]) == 0
    (first, recorded), (seed, session) = runs.asked
    assert (first, seed) == (paper.SAMPLE_NAME, 77)
    assert recorded.files == (sample / "sample.ndjson.zst",)
    assert session.files == ()
    assert recorded.config.engine.seed == session.config.engine.seed == 77
    out, _ = said()
    assert out.index("real recorded market data") < out.index("SYNTHETIC") < out.index("In short")


def test_options_reach_the_run(runs: Runs, recordings: list[str], tmp_path: Path) -> None:
    layer = tmp_path / "mine.toml"
    layer.write_text("[risk]\nopen_orders_max = 7\n")
    argv = ["--replay", recordings[0], "--replay", recordings[1], "--align", "start", "--speed", "2.5"]
    argv += ["--topology", "inline", "--config", str(layer), "--set", "engine.seed=3", "optimizer.slots=9"]
    assert cli.main(["paper", *argv, "--set", "engine.market_slots=64"]) == 0
    ((_, options),) = runs.asked
    assert options.files == tuple(map(Path, recordings))
    assert (options.align_start, options.speed) == (True, 2.5)
    config = options.config
    assert (config.risk.open_orders_max, config.engine.seed) == (7, 3)
    assert (config.optimizer.slots, config.engine.market_slots) == (9, 64)


def test_as_fast_as_possible_can_be_said(runs: Runs, recordings: list[str]) -> None:
    assert cli.main(["paper", "--replay", *recordings, "--speed", "max"]) == 0
    assert runs.asked[0][1].speed is None


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast"])
def test_a_speed_that_is_none_is_usage(runs: Runs, recordings: list[str], said: Say, speed: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["paper", "--replay", *recordings, f"--speed={speed}"])
    assert ended.value.code == 2
    out, err = said()
    assert (out, err.count("\n")) == ("", 1)
    assert "expected a number above 0, or max" in err


def test_json_is_one_document_on_stdout_and_nothing_else_anywhere(
    runs: Runs, sample: Path, said: Say
) -> None:
    assert cli.main(["paper", "--json"]) == 0
    out, err = said()
    assert err == ""
    document = json.loads(out)
    assert [one["name"] for one in document["inputs"]] == [RECORDED.name, SESSION.name]
    assert document["config_hash"] == runs.asked[0][1].config.fingerprint()
    assert document["ok"] is True


def test_each_input_has_a_decision_log_of_its_own(
    runs: Runs, sample: Path, tmp_path: Path, said: Say
) -> None:
    log = tmp_path / "decisions.ndjson"
    assert cli.main(["paper", "--seed", "5", "--decisions", str(log)]) == 0
    assert log.read_bytes() == HEADER + b"packaged sample"
    beside = tmp_path / "decisions.synthetic.ndjson"
    assert beside.read_bytes() == HEADER + b"5"
    out, _ = said()
    assert f"{log}\n" in out
    assert f"{beside}\n" in out


def test_one_input_has_one_decision_log(runs: Runs, recordings: list[str], tmp_path: Path) -> None:
    log = tmp_path / "out" / "decisions.ndjson"
    log.parent.mkdir()
    assert cli.main(["paper", "--replay", *recordings, "--decisions", str(log)]) == 0
    assert [path.name for path in log.parent.iterdir()] == ["decisions.ndjson"]


def test_ctrl_c_leaves_an_older_decision_log_as_it_was(
    runs: Runs, recordings: list[str], tmp_path: Path, said: Say
) -> None:
    runs.interrupted = True
    log = tmp_path / "log.ndjson"
    for before in (None, b"an older log"):
        if before is not None:
            log.write_bytes(before)
        assert cli.main(["paper", "--replay", *recordings, "--decisions", str(log)]) == 130
        out, err = said()
        assert (out, err.splitlines()[-1]) == ("", "pr3dict: interrupted")
        assert (log.read_bytes() if log.exists() else None) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ndjson.zst", "b.ndjson.zst", "log.ndjson"]


def test_a_recording_is_never_overwritten_by_a_decision_log(
    runs: Runs, recordings: list[str], said: Say
) -> None:
    assert cli.main(["paper", "--replay", *recordings, "--decisions", recordings[1]]) == 2
    assert "decision log would overwrite" in said()[1]
    assert Path(recordings[1]).read_bytes() == b"x"
    assert runs.asked == []


def test_a_recording_that_is_not_there_costs_nobody_an_older_log(
    runs: Runs, recordings: list[str], tmp_path: Path, said: Say
) -> None:
    log = tmp_path / "older.ndjson"
    log.write_text("older")
    argv = ["paper", "--replay", recordings[0], str(tmp_path / "no.zst"), "--decisions", str(log)]
    assert cli.main(argv) == 2
    assert said() == ("", f"pr3dict: {tmp_path / 'no.zst'}: No such file or directory\n")
    assert log.read_text() == "older"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--set", "risk.open_order_max=1"], "open_order_max"),
        (["--set", "risk.open_orders_max=many"], "risk.open_orders_max"),
        (["--set", "engine.topology=five"], "five"),
        (["--set", "nonsense"], "expected key.path=value"),
        (["--config", "no-such.toml"], "no-such.toml"),
        (["--seed", "-1"], "engine.seed"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line_and_exit_2(
    runs: Runs, recordings: list[str], said: Say, argv: list[str], line: str
) -> None:
    assert cli.main(["paper", "--replay", *recordings, *argv]) == 2
    out, err = said()
    assert (out, err.count("\n")) == ("", 1)
    assert line in err
    assert runs.asked == []


def test_a_topology_that_leaves_stages_out_is_refused(
    runs: Runs, recordings: list[str], tmp_path: Path, said: Say
) -> None:
    layer = tmp_path / "five.toml"
    layer.write_text(
        '[engine]\ntopology = "five"\n[[topologies.five.processes]]\nname = "a"\nroles = ["feed"]\n'
    )
    assert cli.main(["paper", "--replay", *recordings, "--config", str(layer)]) == 2
    missing = "book, strategy, optimizer, executor, venue_sim, ledger"
    expected = f"engine.topology: paper needs every role, five has none for {missing}"
    assert said()[1] == f"pr3dict: {expected}\n"
    assert runs.asked == []


def test_several_processes_are_the_default_and_keep_a_speed_too(runs: Runs, recordings: list[str]) -> None:
    assert cli.main(["paper", "--replay", *recordings, "--speed", "10"]) == 0
    ((_, options),) = runs.asked
    assert (options.config.engine.topology, options.speed) == ("two", 10.0)


def test_without_a_sample_somebody_has_to_name_recordings(runs: Runs, sample: Path, said: Say) -> None:
    (sample / "sample.ndjson.zst").unlink()
    assert cli.main(["paper"]) == 2
    assert "no packaged recording (*.ndjson.zst); name some with --replay" in said()[1]


def test_a_damaged_recording_is_summarised_as_far_as_it_is_whole(
    runs: Runs, recordings: list[str], said: Say
) -> None:
    torn = "a.zst line 12: torn; the 10 frames before it are whole"
    runs.recordings = replace(RECORDED, damage=torn)
    assert cli.main(["paper", "--replay", *recordings]) == 1
    out, err = said()
    assert "Opportunities" in out
    assert err.splitlines()[-1] == f"pr3dict: {torn}"
    assert cli.main(["paper", "--replay", *recordings, "--json"]) == 1
    out, err = said()
    assert json.loads(out)["faults"] == [torn]
    assert err == f"pr3dict: {torn}\n"


def test_a_planting_or_a_venue_that_disagrees_is_a_failure(runs: Runs, sample: Path, said: Say) -> None:
    runs.session = replace(SESSION, planted=(MISSED,))
    assert cli.main(["paper", "--json"]) == 1
    assert said()[1] == f"pr3dict: seeded session 7: 1 of 1 planting not as expected: {MISSED.name}\n"
    runs.session = SESSION
    runs.recordings = replace(RECORDED, outcomes=(replace(SESSION.outcomes[0], accounts=accounts(-3)),))
    assert cli.main(["paper", "--json"]) == 1
    assert "kalshi at 1x latency: our cash less the venue's is -$0.000003" in said()[1]
