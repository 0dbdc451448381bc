from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from engine.config import Config
from engine.errors import ConfigError, RecordingFormat
from engine.records import Venue
from engine.sim.session.build import build_session
from engine.units import NS_PER_S, SIZE_ONE_E6
from procs import paper
from procs.config_files import load_config
from procs.inline_engine import InlineEngine
from procs.paper import PaperOptions, run_recordings, run_session
from procs.paper_result import PaperResult
from procs.parts import Scene
from procs.progress import Progress
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from tests.data import recordings as made

pytestmark = pytest.mark.compiled_only

SEED = 20_260_428


def in_one_process(*assignments: str) -> Config:
    return load_config(assignments=["engine.topology=inline", *assignments])


def session(seed: int = SEED, scales: tuple[int, ...] = (1,)) -> tuple[PaperResult, bytes, list[Progress]]:
    decisions = io.BytesIO()
    progress: list[Progress] = []
    options = PaperOptions(config=in_one_process(), decisions=decisions, latency_scales=scales)
    return run_session(seed, options, progress.append), decisions.getvalue(), progress


@pytest.fixture(scope="module")
def seeded() -> tuple[PaperResult, bytes, list[Progress]]:
    return session()


@pytest.fixture(scope="module")
def slower() -> PaperResult:
    """The same session, and again at five times the latency."""
    result, _, progress = session(scales=(1, 5))
    assert {step.phase for step in progress if step.frames == result.data.frames} == {
        "1x latency",
        "5x latency",
    }
    return result


def test_every_planting_comes_out_to_the_micro_dollar(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    result = seeded[0]
    assert [planted.name for planted in result.planted if not planted.as_expected] == []
    assert sum(1 for planted in result.planted if planted.expected_size_e6) == 30
    assert sum(1 for planted in result.planted if not planted.expected_size_e6) == 12


def test_cash_ends_at_the_sum_of_all_known_optima(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    """After every market has settled nothing is held, and all cash there is comes from the plantings."""
    outcome = seeded[0].outcomes[0]
    expected = sum(
        planting.expected.optimum.profit_micros
        for planting in build_session(SEED).plantings
        if planting.expected.optimum
    )
    gained = sum(account.closing_micros - account.opening_micros for account in outcome.accounts.values())
    assert gained == expected == outcome.realised_micros
    assert outcome.cost_held_micros == outcome.marked_micros == 0
    assert all(a.closing_micros == a.venue_says_micros for a in outcome.accounts.values())


@pytest.mark.soak
def test_five_times_the_latency_is_reported_beside_it(slower: PaperResult) -> None:
    assert [outcome.latency_scale for outcome in slower.outcomes] == [1, 5]
    slow = slower.outcomes[1]
    assert all(a.closing_micros == a.venue_says_micros for a in slow.accounts.values())


@pytest.mark.soak
def test_latency_costs_what_the_orders_that_came_too_late_cost(slower: PaperResult) -> None:
    """To the micro-dollar at 5x, too: what was missed, and the round trips of the legs that were not."""
    fast, slow = slower.outcomes
    assert (fast.late_legs, fast.plantings_wrong) == (0, ())
    assert slow.late_legs > 0
    assert slow.plantings_wrong == ()
    assert slow.realised_micros < fast.realised_micros
    assert slow.cost_held_micros == 0


@pytest.mark.soak  # by the command in each run: tests/procs/cli/test_paper_runs.py
def test_the_same_seed_gives_the_same_decision_log_byte_for_byte(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    again, decisions, _ = session()
    assert decisions == seeded[1]
    assert again.funnel.counts == seeded[0].funnel.counts
    assert len(decisions.splitlines()) == again.decisions + 1


def test_every_line_of_the_log_says_market_epoch_edges_and_reason(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    lines = [orjson.loads(line) for line in seeded[1].splitlines()[1:]]
    for line in lines:
        assert {"at_ns", "stage", "kind", "market", "epoch", "reason"} <= set(line)
        assert line["market"].startswith(("kalshi:", "polymarket:")), line
        assert {"edge_gross", "edge_net"} <= set(line) or line["stage"] == "execution"
        assert isinstance(line["relation"], str | None)
    approved = {relation.name for relation in build_session(SEED).relations if relation.approved_by}
    assert {line["relation"] for line in lines} - {None} <= approved
    assert {line["relation"] is None for line in lines if line["kind"] == "cross_venue"} == {False}
    assert {line["kind"] for line in lines if line["stage"] == "execution"} == {
        kind for planted in seeded[0].planted if planted.expected_size_e6 for kind in planted.kinds
    }


def test_a_signal_can_be_followed_through_the_log_to_the_end_of_its_plan(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    lines = [orjson.loads(line) for line in seeded[1].splitlines()[1:]]
    signals = {line["signal"]: line for line in lines if line["stage"] == "strategy" and "signal" in line}
    planned = {line["signal"]: line for line in lines if line["stage"] == "optimizer"}
    ended = {line["signal"]: line for line in lines if line["stage"] == "execution"}
    assert signals.keys() == planned.keys() == ended.keys()
    for number, signal in signals.items():
        plan, end = planned[number], ended[number]
        assert plan["plan"] == end["plan"]
        same = ("kind", "relation", "market", "epoch", "size")
        assert [plan[name] for name in same] == [signal[name] for name in same]
        assert [plan[name] for name in same] == [end[name] for name in same]
        assert (plan["edge_gross"], plan["edge_net"]) == (signal["edge_gross"], signal["edge_net"])
        assert signal["at_ns"] <= plan["at_ns"] < end["at_ns"]


def test_the_counts_of_each_kind_are_those_of_the_log(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    lines = [orjson.loads(line) for line in seeded[1].splitlines()[1:]]
    for kind, count in seeded[0].kinds.items():
        looked_at = [line for line in lines if (line["kind"], line["stage"]) == (kind, "strategy")]
        passed = Counter(line["stage"] for line in lines if (line["kind"], line["reason"]) == (kind, "none"))
        assert count.candidates == len(looked_at)
        assert (count.signals, count.plans, count.complete) == (
            passed["strategy"],
            passed["optimizer"],
            passed["execution"],
        )
        assert count.edge_gross == sum(Decimal(line["edge_gross"]) > 0 for line in looked_at)
        assert count.edge_net == sum(Decimal(line["edge_net"]) > 0 for line in looked_at)
        sizes = Counter(
            sum(Decimal(line["size"]) >= limit for limit in (10, 100, 1_000))
            for line in looked_at
            if line["reason"] == "none"
        )
        assert list(count.signals_by_size.values()) == [sizes[number] for number in range(4)]


def test_progress_is_told_and_ends_with_the_last_frame(
    seeded: tuple[PaperResult, bytes, list[Progress]],
) -> None:
    progress = seeded[2]
    ends = [step for step in progress if step.frames == seeded[0].data.frames]
    assert {step.phase for step in ends} == {"1x latency"}
    assert progress[-1].frames_total == seeded[0].data.frames


def recorded(path: Path, frames: int) -> Path:
    """The beginning of the session as a recording, without its relations."""
    made = build_session(SEED)
    header = RecordingHeader(
        venue="both",
        kind="stream",
        start_ns=made.frames[0].recv_ns,
        markets=tuple(made.markets),
        provenance=Provenance("session", "own", "2026-11-01"),
        synthetic=True,
    )
    with path.open("wb") as file, RecordingWriter(file, header) as writer:
        for frame in made.frames[:frames]:
            writer.write(frame.recv_ns, frame.venue, frame.conn, frame.raw)
    return path


def test_a_recording_is_run_without_the_relations_of_its_session(tmp_path: Path) -> None:
    session = build_session(SEED)
    path = recorded(tmp_path / "a.ndjson.zst", 3_000)
    options = PaperOptions(config=in_one_process(), files=(path,), latency_scales=(1,))
    result = run_recordings("one", options, lambda progress: None)
    assert result.data.frames == 3_000
    assert result.data.markets == len(session.markets)
    seen = {kind for kind, count in result.kinds.items() if count.candidates}
    assert seen.isdisjoint({"complement_sell", "cross_venue", "implication"})  # these need a relation
    assert "partition_buy_yes" in seen  # groups come with the markets
    assert result.planted == ()
    assert result.damage is None
    assert result.as_expected


def test_without_an_order_the_other_latencies_are_spared(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.ndjson.zst", 20)
    steps: list[Progress] = []
    result = run_recordings("quiet", PaperOptions(config=in_one_process(), files=(path,)), steps.append)
    assert {step.phase for step in steps} == {"1x latency"}
    assert [outcome.latency_scale for outcome in result.outcomes] == [1, 2, 5]
    assert all(replace(outcome, latency_scale=1) == result.outcomes[0] for outcome in result.outcomes)


def test_two_recordings_are_merged_and_can_be_aligned(tmp_path: Path) -> None:
    first = recorded(tmp_path / "a.ndjson.zst", 200)
    second = recorded(tmp_path / "b.ndjson.zst", 100)
    options = PaperOptions(
        config=in_one_process(), files=(first, second), align_start=True, latency_scales=(1,)
    )
    result = run_recordings("two", options, lambda progress: None)
    assert result.data.frames == 300
    assert result.data.aligned


def test_each_recording_pays_the_fees_of_its_own_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crypto at Polymarket paid 0.072 in April and 0.07 in September 2026."""
    scenes: list[Scene] = []

    class Noted(InlineEngine):
        def __init__(self, config: Config, scene: Scene, **options: object) -> None:
            scenes.append(scene)
            super().__init__(config, scene, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(paper, "InlineEngine", Noted)
    files = []
    for number, month in enumerate((4, 9)):
        spec = replace(made.polymarket_spec(f"{number}1", f"{number}2", f"0x{number}"), category="crypto")
        start_ns = int(datetime(2026, month, 28, tzinfo=UTC).timestamp()) * NS_PER_S
        head = made.header("polymarket", markets=(spec,), start_ns=start_ns)
        files.append(made.write(tmp_path / f"{number}.ndjson.zst", head, []))
    for align_start in (False, True):
        options = PaperOptions(
            config=in_one_process(), files=tuple(files), align_start=align_start, latency_scales=(1,)
        )
        run_recordings("two", options, lambda progress: None)
        rates = [spec.fee.rate_ppm for spec in scenes.pop().markets if spec.fee is not None]
        assert rates == [72_000, 70_000]


def test_more_markets_than_slots_are_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    files = [recorded(tmp_path / f"{name}.ndjson.zst", 1) for name in "ab"]  # the same markets twice
    count = len(build_session(SEED).markets)
    options = PaperOptions(config=in_one_process(f"engine.market_slots={count - 1}"), files=tuple(files))
    with pytest.raises(ConfigError, match=f"engine.market_slots: {count} markets, room for {count - 1}"):
        run_recordings("crowd", options, lambda progress: None)
    with pytest.raises(ConfigError, match=f"engine.market_slots: {count} markets, room for {count - 1}"):
        run_session(SEED, options, lambda progress: None)
    enough = replace(options, config=in_one_process(f"engine.market_slots={count}"))
    assert run_recordings("room", enough, lambda progress: None).data.markets == count


def test_a_recording_that_breaks_off_is_run_as_far_as_it_is_whole(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.ndjson.zst", 400)
    path.write_bytes(path.read_bytes()[:-100])
    options = PaperOptions(config=in_one_process(), files=(path,), latency_scales=(1,))
    result = run_recordings("torn", options, lambda progress: None)
    assert result.damage is not None
    assert str(path) in result.damage


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("nothing of ours\n")
    options = PaperOptions(config=in_one_process(), files=(path,))
    with pytest.raises(RecordingFormat, match=r"a\.txt"):
        run_recordings("bad", options, lambda progress: None)


def test_sizes_of_plantings_are_contracts() -> None:
    sizes = {
        planting.expected.optimum.size_e6 // SIZE_ONE_E6
        for planting in build_session(SEED).plantings
        if planting.expected.optimum
    }
    assert sizes == {20, 110, 300}
    assert {venue for planting in build_session(SEED).plantings for venue, _ in planting.markets} == set(
        Venue
    )
