"""What a process tells of its stages: after a session it is what the stages themselves say."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.records import Venue
from engine.sim.session.planted import complement_buy, partition_buy_yes
from engine.venues.counts import Count
from procs.feed_counters import FeedCounters
from procs.metric_names import metric_name
from procs.telemetry import Telemetry
from shm.counters import Counters
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of

pytestmark = pytest.mark.compiled_only


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


def test_counters_are_what_the_stages_counted(folder: Path) -> None:
    session = session_of(
        partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET),
        complement_buy(("medium", (110,)), CLOSE_NS),
    )
    engine = engine_for(session)
    stages = engine.stages
    telemetry = Telemetry("all", stages, engine.parts.stores, folder, 1)
    told = Counters.attach("counters.all", folder)
    assert told["executor_ready_now"] == 1
    assert told["cash_micros_now,venue=kalshi"] == 10_000_000_000
    engine.run(frames_of(session))
    assert told["executor_orders"] == 0, "nothing is told before it is copied"
    telemetry.sockets = {Venue.KALSHI: FeedCounters(connects=3, live=2)}
    telemetry.tell()
    assert stages.executor is not None
    assert stages.strategy is not None
    assert stages.optimizer is not None
    assert stages.decisions is not None
    feed = stages.feeds[Venue.POLYMARKET]
    desk = engine.findings().desk
    assert desk is not None
    assert told["feed_frames,venue=polymarket"] == int(feed.codec.counts[Count.FRAMES]) > 0
    assert told["feed_updates,venue=polymarket"] >= told["book_updates,venue=polymarket"] > 0
    assert told["strategy_tops"] == stages.strategy.tops > 0
    assert told["strategy_signals"] == told["optimizer_signals"] == stages.strategy.signals > 0
    assert told["optimizer_plans"] == told["executor_plans"] == stages.optimizer.plans > 0
    assert told["executor_orders"] == stages.executor.orders == desk.orders > 0
    assert told["executor_fills"] == stages.executor.desk.ledger.fills > 0
    assert told["decisions"] == stages.decisions.log.lines > 0
    assert sum(told[label] for label in told.labels if label.startswith("refusals,")) > 0
    trusts = [told[label] for label in told.labels if label.startswith("books_now,venue=polymarket,")]
    assert sum(trusts) == len([spec for spec in session.markets if spec.venue is Venue.POLYMARKET])
    assert (told["sockets_live_now,venue=kalshi"], told["socket_connects,venue=kalshi"]) == (2, 3)


def test_every_label_is_a_metric_of_its_own(folder: Path) -> None:
    session = session_of(complement_buy(("medium", (110,)), CLOSE_NS))
    engine = engine_for(session)
    Telemetry("all", engine.stages, engine.parts.stores, folder, 1)
    names = [metric_name(label) for label in Counters.attach("counters.all", folder).labels]
    series = {(name.family, name.is_gauge, *sorted(name.labels.items())) for name in names}
    assert len(series) == len(names)
    assert {name.family for name in names} >= {"pr3dict_feed_frames", "pr3dict_books", "pr3dict_cash_dollars"}
