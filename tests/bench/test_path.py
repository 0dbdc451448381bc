"""The benches of the way and of the scan, small: what is planted is found, every frame has its plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import _orders, _scene, _trade_side, path, scan
from bench._plain_path import PlainCore, PlainPath
from engine.config import Role
from engine.execution.recovery import recover
from engine.reasons import Reason
from engine.records import OrderStatus, Venue
from procs.journal_file import read_entries

pytestmark = pytest.mark.compiled_only

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "PAIRS", 3)
    monkeypatch.setattr(path, "CHANGES", 20)
    monkeypatch.setattr(path, "SIGNAL_ROUNDS", 8)
    monkeypatch.chdir(Path(__file__).resolve().parents[2])


def test_the_scan_finds_what_is_planted_and_nothing_else() -> None:
    market = scan.Market(20, 5)
    assert market.scan(50)["p50_ns"] > 0
    assert market.turns(50)["p50_ns"] > 0
    assert market.strategy.tops == 100, "those for the compiled calls alone, and its own"
    assert market.find(23)["per_s"] > 0
    assert market.strategy.signals == 23
    assert market.scan(50)["p50_ns"] > 0, "and it is gone again"
    assert market.scan_at_once(50)["ns"] > 0


def test_a_scan_of_more_than_a_batch_leaves_room_for_what_follows() -> None:
    market = scan.Market(20, 5)
    assert market.scan_at_once(40 * scan.BATCH)["ns"] > 0, "more decisions than their ring has cells"
    assert market.turns(10)["p50_ns"] > 0
    assert market.find(20)["per_s"] > 0


def test_an_opportunity_in_a_quiet_scan_is_an_error() -> None:
    market = scan.Market(20, 5)
    market.rows["ask_e4"][:, 0] = scan.CHEAP_E4
    market._show(np.arange(20))
    with pytest.raises(RuntimeError, match="1 signals: nothing is on offer"):
        market.scan(50)


def test_every_opportunity_becomes_one_plan_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tmp_path / "wires"
    folder.mkdir(0o700)
    market, trade = path.Market(folder), _trade_side.Trade(folder, path.PAIRS)
    market.open()
    trade.begin()
    for _ in range(2):
        for frame in market.rounds(1, path.PAIRS):  # cheap
            market.on_frame(frame)
            trade.stages()
            [age_ns] = trade.take(1)
            stages = trade.stages()
            assert tuple(stages) == _trade_side.STAGES
            assert all(took_ns > 0 for took_ns in stages.values())
            assert sum(stages.values()) == age_ns
        for frame in market.rounds(1, path.PAIRS):  # and gone
            market.on_frame(frame)
        trade.begin()
        assert trade.poll() == []


def test_every_opportunity_is_a_signal_when_its_frame_is_through(tmp_path: Path) -> None:
    folder = tmp_path / "wires"
    folder.mkdir(0o700)
    market = path.Market(folder, (*path.MARKET_DATA, Role.STRATEGY))
    signals = _trade_side.Signals(folder)
    market.open()
    run = path.to_signal(market, signals)
    assert 0 < run["p50_ns"] <= run["p99_ns"]
    assert market.strategy is not None
    assert market.strategy.signals == path.SIGNAL_ROUNDS // 2 * path.PAIRS
    assert market.feeds[Venue.POLYMARKET].frames == path.SIGNAL_ROUNDS * path.PAIRS + 2 * path.PAIRS
    market.sinks[Venue.POLYMARKET] = Deaf()
    with pytest.raises(RuntimeError, match="0 signals of"):
        path.to_signal(market, signals)


def test_a_signal_is_heard_once_by_a_compiled_reader(tmp_path: Path) -> None:
    folder = tmp_path / "wires"
    folder.mkdir(0o700)
    market = path.Market(folder, (*path.MARKET_DATA, Role.STRATEGY))
    signals = _trade_side.Signals(folder)
    market.open()
    signals.begin()
    assert signals.hear() == []
    heard = []
    for frame in market.rounds(2, 3):  # three become cheap, and are gone
        began_ns = _trade_side.engine_ns()
        market.on_frame(frame)
        found = signals.hear()
        assert all(began_ns < one.recv_ns < one.now_ns < _trade_side.engine_ns() for one in found)
        heard.append(len(found))
    assert heard == [1, 1, 1, 0, 0, 0]
    for frame in market.rounds(1, 2):
        market.on_frame(frame)
        [age_ns] = signals.take(1)
        assert age_ns > 0


class Deaf:
    """A sink that takes nothing in."""

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Lost."""

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """Lost."""


def test_every_plan_becomes_the_orders_of_its_legs_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "PLANS", 7)
    monkeypatch.setattr(path, "IDLE_TURNS", 5)
    folder = tmp_path / "wires"
    folder.mkdir(0o700)
    market, desk = path.Market(folder), _orders.Desk(folder, tmp_path, path.PAIRS)
    market.open()
    orders = path.Orders(market, desk, _orders.Flush(tmp_path))
    run = orders.run()
    assert 0 < run["p50_ns"] <= run["p99_ns"] <= run["max_ns"]
    assert orders.flush()["p50_ns"] > 0
    assert all(figures["p50_ns"] > 0 for [figures] in orders.beside.values())
    past = recover(read_entries(desk.journal.path)[0])
    assert (len(past.plans), past.open_plans, len(past.sent)) == (7, [], 14)
    assert {order.status for _, order in past.orders.values()} == {OrderStatus.FILLED}
    assert past.ledger.positions.keys() == {(Venue.POLYMARKET, slot, 1) for slot in range(2 * path.PAIRS)}
    assert desk.plan_bytes > 0
    desk.executor.desk.gate.halt(Reason.HALTED)
    with pytest.raises(RuntimeError, match="0 requests of 2"):
        desk.one(0)


@pytest.mark.parametrize("way", ["plan", "order"])
def test_nothing_is_read_of_the_kernel_cache_after_the_start(way: str, tmp_path: Path) -> None:
    """What is takes an opportunity some 10 ms for each kernel, the first time."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.late_kernels", way, str(tmp_path / "run")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout) == []


@pytest.mark.soak
def test_signals_come_to_the_other_end() -> None:
    with path.engine("signals", CORE, (*path.MARKET_DATA, Role.STRATEGY)) as (market, far):
        run = path.to_intent(market, far)
        assert run["p50_ns"] > 0
        assert run["missed_share"] < 1 - path.SEEN_MIN


def test_a_reader_sees_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "SEEN_MIN", 0.0)  # the last change is seen, whoever else wants the core
    with path.engine("watch", CORE) as (market, far):
        run = path.to_book(market, far)
        assert run["p50_ns"] > 0
        assert 0 <= run["missed_share"] < 1


def test_the_plain_way_answers_what_is_cheap() -> None:
    pair_of = {_scene.yes_token(number): _scene.yes_token(number ^ 1) for number in range(4)}
    plain = PlainPath(list(_scene.opening(4)), pair_of, CORE)
    try:
        for way in (plain, PlainCore(list(_scene.opening(4)), pair_of)):
            cheap, gone = (way.on_frame(_scene.change(2, is_cheap=is_cheap)) for is_cheap in (True, False))
            assert cheap is not None
            assert cheap > 0
            assert gone is None
    finally:
        plain.close()
