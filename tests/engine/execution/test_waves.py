"""Plans with more legs than a venue's rate lets leave together: in waves, in time, or not at all."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from engine.execution.config import ExecutionConfig, LegOrder
from engine.execution.executor import Executor
from engine.execution.plan import Leg
from engine.execution.waves import fits_at_once, last_leg_ns, next_wave
from engine.ids import IdSource
from engine.ledger.journal import Journal
from engine.reasons import Reason
from engine.records import PLAN_LEG, DecisionStage, TimeInForce, Venue
from engine.risk.limits import TOKEN_ONE
from engine.units import INT64_MAX
from tests.engine.execution.floor import BUY, YES, Floor, last_decision
from tests.engine.execution.test_ports import generous, real_gate
from tests.engine.sim.world import KALSHI, MS, ONE, S

BURST = 10
PER_SECOND = 10
EVERY_NS = S // PER_SECOND


class Bucket:
    """Rates by venue: (tokens now, burst, tokens a second)."""

    def __init__(self, **rates: tuple[int, int, int]) -> None:
        self.rates = {Venue[name.upper()]: rate for name, rate in rates.items()}

    def orders_at_once(self, venue: int) -> int:
        return self.rates[Venue(venue)][1]

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        tokens, _, per_second = self.rates[Venue(venue)]
        return now_ns + max(orders - tokens, 0) * S // per_second


def legs(*venues: Venue) -> list[Leg]:
    made = []
    for index, venue in enumerate(venues):
        record: np.void = np.zeros(1, PLAN_LEG)[0]
        record["venue"] = venue
        made.append(Leg(record, index, 5_000, ONE))
    return made


P, K = Venue.POLYMARKET, Venue.KALSHI


@pytest.mark.parametrize(
    ("venues", "fits"),
    [((K, K), True), ((K, K, K), False), ((K, P, K, P, P), True), ((P, P, P, P, K), False), ((), True)],
)
def test_legs_fit_when_no_venue_has_more_than_its_burst(venues: tuple[Venue, ...], fits: bool) -> None:
    assert fits_at_once(Bucket(kalshi=(0, 2, 1), polymarket=(0, 3, 1)), legs(*venues)) is fits


def test_the_slowest_venue_says_when_the_last_leg_leaves() -> None:
    rate = Bucket(kalshi=(1, 2, 10), polymarket=(2, 3, 4))
    assert last_leg_ns(rate, legs(K, P, P), 7) == 7
    assert last_leg_ns(rate, legs(K, K, K, P, P), 7) == 7 + S // 5
    assert last_leg_ns(rate, legs(K, K, K, P, P, P), 7) == 7 + S // 4
    assert last_leg_ns(rate, [], 7) == 7


def test_a_wave_takes_what_each_venue_has_room_for_in_order() -> None:
    rate = Bucket(kalshi=(1, 2, 10), polymarket=(2, 3, 4))
    made = legs(K, P, K, P, P, K)
    wave = next_wave(rate, made, 7)
    assert [leg.index for leg in wave.legs] == [0, 1, 3]
    assert wave.next_ns == 7 + S // 10
    assert next_wave(rate, made[:2], 7) == (made[:2], INT64_MAX)
    assert next_wave(Bucket(kalshi=(0, 2, 10)), made[:1], 7) == ([], 7 + S // 10)


def partition(n_legs: int, config: ExecutionConfig | None = None, **limits: int) -> Floor:
    """As many Kalshi markets, all YES for sale, behind the real gate with Kalshi's own rate."""
    floor = Floor(*(replace(KALSHI, symbol=f"K{number}") for number in range(n_legs)))
    for slot in range(n_legs):
        floor.show(slot, bids=[(400, 500 * ONE)], asks=[(500, (100 - slot) * ONE)])
    floor.rows["recv_ns"] = S
    allowed = generous()
    allowed["orders_burst"][K], allowed["orders_per_second"][K] = BURST, PER_SECOND
    for name, value in limits.items():
        allowed[name][K] = value
    gate = real_gate(floor, allowed)
    journal = Journal(io.BytesIO(), lambda: None)
    floor.executor = Executor(
        floor.catalog, gate, journal, IdSource(1), config or ExecutionConfig(), floor.rows
    )
    return floor


def begin(floor: Floor, within_ns: int = 500 * MS) -> list[tuple[int, int]]:
    """Hand over a plan to buy one of each and let it end; what was sent."""
    wanted = [(slot, BUY, YES, 500) for slot in range(len(floor.specs))]
    floor.plan(wanted, 50 * ONE, tif=TimeInForce.FOK, deadline_ns=floor.now_ns + within_ns)
    floor.run(10 * S)
    return bought(floor)


def bought(floor: Floor) -> list[tuple[int, int]]:
    """(time, slot) of the legs that were sent; what is unwound is sold, or bought of the other outcome."""
    sent = [
        order for order in floor.orders() if (int(order["direction"]), int(order["outcome"])) == (BUY, YES)
    ]
    return [(int(order["request_ns"]) - S, int(order["slot"])) for order in sent]


@pytest.mark.parametrize("n_legs", [2, BURST])
def test_what_fits_leaves_together(n_legs: int) -> None:
    floor = partition(n_legs)
    assert begin(floor) == [(0, slot) for slot in range(n_legs)]
    assert floor.result().reason is Reason.NONE


@pytest.mark.parametrize("n_legs", [BURST + 1, BURST + 2, BURST + 4])
def test_more_legs_than_the_burst_leave_as_the_rate_allows_the_hardest_first(n_legs: int) -> None:
    floor = partition(n_legs)
    hardest_first = list(reversed(range(n_legs)))
    times = [0] * BURST + [EVERY_NS * (1 + number) for number in range(n_legs - BURST)]
    assert begin(floor) == list(zip(times, hardest_first, strict=True))
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.NONE, 50 * ONE)


@pytest.mark.parametrize(("within_ns", "begun"), [(2 * EVERY_NS, True), (2 * EVERY_NS - 1, False)])
def test_a_plan_that_cannot_all_leave_in_time_is_not_begun(within_ns: int, begun: bool) -> None:
    floor = partition(BURST + 2)
    assert len(begin(floor, within_ns)) == (BURST + 2) * begun
    assert floor.result().reason is (Reason.NONE if begun else Reason.ORDER_RATE)
    assert floor.executor.open_plans == 0


def test_a_wave_that_missed_a_leg_is_the_last() -> None:
    floor = partition(BURST + 2)
    floor.show(BURST + 1)  # the hardest: nothing is for sale any more
    assert [slot for _, slot in begin(floor)] == list(range(BURST + 1, 1, -1))
    assert floor.result().reason in (Reason.UNWOUND, Reason.LEG_MISSED)
    assert floor.result().surplus == ()


def test_a_plan_waits_no_longer_than_its_deadline() -> None:
    """Somebody else takes the room that it counted on."""
    floor = partition(BURST + 1)
    gate = floor.executor._gate
    floor.plan(
        [(slot, BUY, YES, 500) for slot in range(BURST + 1)],
        50 * ONE,
        tif=TimeInForce.FOK,
        deadline_ns=floor.now_ns + 150 * MS,
    )
    gate.state["tokens"][K] = -TOKEN_ONE  # type: ignore[attr-defined]
    floor.run(10 * S)
    assert len(bought(floor)) == BURST
    assert (floor.result().reason, floor.result().surplus) == (Reason.UNWOUND, ())
    assert floor.executor.open_plans == 0


def test_what_a_plan_in_waves_has_yet_to_send_is_not_taken_from_it() -> None:
    floor = partition(BURST + 2)
    floor.plan(
        [(slot, BUY, YES, 500) for slot in range(BURST + 2)],
        50 * ONE,
        tif=TimeInForce.FOK,
        deadline_ns=floor.now_ns + 500 * MS,
    )
    floor.run(2 * MS)
    assert len(bought(floor)) == BURST
    floor.plan([(0, BUY, YES, 500), (1, BUY, YES, 500)], ONE, tif=TimeInForce.FOK)
    assert last_decision(floor)[:2] == (DecisionStage.EXECUTION, Reason.ORDER_RATE)
    floor.run(10 * S)
    assert (len(bought(floor)), floor.results[-1].reason) == (BURST + 2, Reason.NONE)


def test_one_by_one_keeps_to_the_rate_too() -> None:
    one_by_one = ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST)
    floor = partition(3, one_by_one, orders_burst=1)
    assert begin(floor) == [(0, 2), (EVERY_NS, 1), (2 * EVERY_NS, 0)]
    assert floor.result().reason is Reason.NONE
