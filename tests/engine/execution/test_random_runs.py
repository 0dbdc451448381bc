"""Hundreds of bad days from seeds: whatever venues do, our view of position and cash is theirs in the end.

Every run builds a market, sends plans of all shapes into it, moves the books, loses, delays, doubles and
reorders messages, voids trades, refuses conversions and settles markets; then it waits until everything
is known. A run that fails is repeated by its number.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.execution.config import ExecutionConfig, LegOrder
from engine.ledger.journal import EntryKind
from engine.ledger.ledger import Ledger
from engine.reasons import Reason
from engine.records import Direction, Outcome, RequestKind, TimeInForce, Venue
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import FaultPlan, FaultRates
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.seeded import below, chance, draw
from tests.engine.execution.floor import BUY, NO, SELL, YES, Floor, LegSpec
from tests.engine.execution.mortal_floor import MortalFloor
from tests.engine.sim.world import KALSHI, MS, ONE, POLY, Levels, S, neg_risk
from tests.plain_twin import kernels_are_plain

RUNS = 60 if kernels_are_plain() else 100
TURNS = 10
TIFS = (TimeInForce.FAK, TimeInForce.FAK, TimeInForce.FOK, TimeInForce.GTC)


class Luck:
    """Numbers of one run, in order of asking."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked = 0

    def below(self, bound: int) -> int:
        self._asked += 1
        return below(draw(self._seed, self._asked), bound)

    def chance(self, percent: int) -> bool:
        self._asked += 1
        return chance(draw(self._seed, self._asked), percent * 10_000)


def bad_day(luck: Luck) -> FaultRates:
    def rate(most: int) -> int:
        return luck.below(most) if luck.chance(50) else 0

    return FaultRates(
        reject_ppm=rate(200_000),
        lose_request_ppm=rate(200_000),
        lose_report_ppm=rate(200_000),
        duplicate_ppm=rate(400_000),
        delay_ppm=rate(300_000),
        reorder_ppm=rate(400_000),
        partial_ppm=rate(400_000),
        fail_trade_ppm=rate(200_000),
        fail_convert_ppm=rate(400_000),
        delay_max_ns=(1 + luck.below(40)) * S,
        silence_ns=(1 + luck.below(8)) * S,
    )


def side(luck: Luck, best: int, step: int) -> Levels:
    return [
        (best + step * depth * 100, (1 + luck.below(12_000)) * 10_000)
        for depth in range(luck.below(4))
        if 0 < best + step * depth * 100 < 10_000
    ]


def move_market(floor: Floor, luck: Luck) -> None:
    slot = luck.below(len(floor.specs))
    bid = (10 + luck.below(70)) * 100
    floor.show(slot, side(luck, bid, -1), side(luck, bid + (1 + luck.below(6)) * 100, 1))


def price(floor: Floor, luck: Luck, leg: tuple[int, int, int]) -> int:
    """A limit near the market, mostly good enough."""
    slot, direction, outcome = leg
    row = floor.rows[slot]
    takes_bids = (direction == SELL) == (outcome == YES)
    name = "bid" if takes_bids else "ask"
    best = int(row[f"{name}_e4"][0]) if int(row[f"n_{name}s"]) else 5_000
    best += (luck.below(4) - 1) * (-100 if takes_bids else 100)
    best = min(max(best, 100), 9_900)
    return 10_000 - best if outcome == NO else best


def with_prices(floor: Floor, luck: Luck, legs: list[tuple[int, int, int]]) -> list[LegSpec]:
    return [(s, Direction(d), Outcome(o), price(floor, luck, (s, d, o))) for s, d, o in legs]


def send_plan(floor: Floor, luck: Luck) -> None:
    size = (5 + luck.below(60)) * ONE
    tif = TIFS[luck.below(len(TIFS))]
    shape = luck.below(5)
    deadline_ns = floor.now_ns + luck.below(6) * S
    legs: list[tuple[int, int, int]]
    if shape == 0:
        legs = [(0, BUY, YES), (4, BUY, NO)]
    elif shape == 1:
        legs = [(slot, BUY, YES) for slot in (1, 2, 3)]
    elif shape == 2:
        legs = [(slot, BUY, NO) for slot in (1, 2)]
        priced = with_prices(floor, luck, legs)
        sale = price(floor, luck, (3, SELL, YES))
        floor.plan(priced, size, sales=[(3, sale)], converts=True, deadline_ns=deadline_ns)
        return
    elif shape == 3:
        legs = [(4, BUY, YES), (5, BUY, NO), (0, BUY, NO)]
    else:
        legs = sellable(floor, luck)
    priced = with_prices(floor, luck, legs)
    floor.plan(priced, size, tif=tif, deadline_ns=deadline_ns)


def sellable(floor: Floor, luck: Luck) -> list[tuple[int, int, int]]:
    """Something held, sold against a purchase elsewhere."""
    held = [(slot, o) for slot in range(4) for o in (YES, NO) if floor.position(slot)[o] >= 70 * ONE]
    if not held:
        return [(0, BUY, YES)]
    slot, outcome = held[luck.below(len(held))]
    return [(slot, SELL, outcome), (5, BUY, YES)]


def no_naked_sales(floor: Floor) -> None:
    """The gate's rule that this floor needs: nothing is sold at Polymarket that is not held and free."""

    def answer(request: object) -> Reason:
        slot, outcome = int(request["slot"]), int(request["outcome"])  # type: ignore[index]
        if int(request["direction"]) == BUY:  # type: ignore[index]
            return Reason.NONE
        promised = sum(
            floor.gate.open.get(int(r["order_id"]), 0)
            for r in floor.journal.of(EntryKind.INTENT)
            if (int(r["slot"]), int(r["outcome"]), int(r["direction"])) == (slot, outcome, SELL)
        )
        free = floor.position(slot)[outcome] - promised
        return Reason.NONE if int(request["size_e6"]) <= free else Reason.NAKED_SALE  # type: ignore[index]

    floor.gate.answer = answer


def build(seed: int, kind: type[Floor] = Floor) -> tuple[Floor, Luck]:
    luck = Luck(seed)
    config = ExecutionConfig(
        leg_order=LegOrder(luck.below(2)),
        late_window_ns=(45 + luck.below(10)) * S,  # longer than any message is late
        unwind_attempts_max=luck.below(5),
    )
    jitter = Route(Lognormal(20 * MS, 300 * MS), Lognormal(10 * MS, 200 * MS))
    floor = kind(
        POLY,
        *(neg_risk(name) for name in "abc"),
        KALSHI,
        replace(KALSHI, symbol="K2"),
        config=config,
        latency=LatencyModel(seed, jitter, scale=(1, 2, 5)[luck.below(3)]),
        faults={venue: FaultPlan(seed + venue, bad_day(luck)) for venue in Venue},
        times=SettlementTimes(luck.below(3) * S, (3 + luck.below(4)) * S),
        seed=seed,
    )
    no_naked_sales(floor)
    return floor, luck


def play(seed: int, *, settles: bool, deaths: list[int] | None = None, kind: type[Floor] = Floor) -> Floor:
    """A whole run; with ``deaths`` on a MortalFloor."""
    floor, luck = build(seed, kind if deaths is None else MortalFloor)
    if isinstance(floor, MortalFloor):
        floor.mortal(deaths or [])
    for slot in range(len(floor.specs)):
        floor.show(slot, side(luck, 4_800, -1), side(luck, 5_000, 1))
    for _ in range(TURNS):
        move_market(floor, luck)
        if luck.chance(60):
            send_plan(floor, luck)
        floor.run(luck.below(3 * S))
    if settles:
        slot = luck.below(4)
        floor.venues[Venue.POLYMARKET].settle(slot, luck.below(10_001), floor.now_ns + luck.below(20 * S))
    floor.run(7_200 * S)
    return floor


@pytest.mark.parametrize("seed", range(RUNS))
def test_our_view_is_the_venues_after_any_day(seed: int) -> None:
    play(seed, settles=False).assert_done()


@pytest.mark.parametrize("seed", range(RUNS, RUNS + 60))
def test_settlement_at_any_moment_keeps_the_books_equal(seed: int) -> None:
    floor = play(seed, settles=True)
    assert floor.executor.open_plans == 0
    assert floor.gate.open == {}
    floor.assert_books_agree()


def test_a_run_is_repeated_by_its_seed() -> None:
    for seed in (3, 11):
        first, again = play(seed, settles=True), play(seed, settles=True)
        assert [r.tobytes() for r in first.requests] == [r.tobytes() for r in again.requests]
        assert [e.tobytes() for e in first.events] == [e.tobytes() for e in again.events]
        assert [d.tobytes() for d in first.decisions] == [d.tobytes() for d in again.decisions]


@pytest.mark.long_plain
def test_the_days_were_bad_enough() -> None:
    """What the runs are for does happen in them."""
    floors = [play(seed, settles=False) for seed in range(40)]
    counts = [floor.executor.counts for floor in floors]
    assert sum(count.unknown for count in counts) > 20
    assert sum(count.repeated_reports for count in counts) > 20
    assert sum(count.questions for count in counts) > 20
    ends = {result.reason for floor in floors for result in floor.results}
    assert {
        Reason.NONE,
        Reason.UNWOUND,
        Reason.UNWIND_FAILED,
        Reason.LEG_MISSED,
        Reason.PARTLY_FILLED,
    } <= ends
    assert any(floor.orders(RequestKind.CONVERT) for floor in floors)


def test_the_journal_alone_gives_the_same_books() -> None:
    floor = play(5, settles=True)
    again = Ledger()
    again.replay(floor.journal.entries)
    for key, position in floor.journal.ledger.positions.items():
        assert again.position(*key) == position
    assert again.accounts == floor.journal.ledger.accounts
