from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.reasons import Reason
from engine.records import DECISION, VENUE_REPORT, Direction, ReportKind, SignalKind, Venue
from engine.sim.session.build import Planting
from engine.sim.session.optimum import Optimum
from engine.sim.session.scenario import Expected, RoundTrip, market
from procs.session_watch import SessionWatch

AT, UNTIL = 1_000, 2_000
CONTRACT = 1_000_000
OPTIMUM = Optimum(20 * CONTRACT, 1_464_000, 536_000, (10_000_000, 8_000_000))
PLANTED = Expected((SignalKind.CROSS_VENUE,), OPTIMUM, payoff_micros=CONTRACT)
MISS = Expected((SignalKind.CROSS_VENUE,), reasons=(Reason.EDGE_EATEN_BY_FEES,))
TRIPS = (RoundTrip(1_200_000, 500_000), RoundTrip(700_000, 300_000))
FLEETING = Expected((SignalKind.CROSS_VENUE,), OPTIMUM, payoff_micros=CONTRACT, round_trips=TRIPS)
GONE = (1_250, 1_260)
TRAP = Expected((SignalKind.CROSS_VENUE,))


class Stage:
    """One planting over a Polymarket and a Kalshi market."""

    def __init__(self, expected: Expected, gone_ns: tuple[int, ...] = ()) -> None:
        self.catalog = Catalog(4)
        specs = [market("p", Venue.POLYMARKET, 10**18), market("k", Venue.KALSHI, 10**18)]
        self.slots = [self.catalog.add_market(spec).slot for spec in specs]
        markets = tuple((spec.venue, spec.symbol) for spec in specs)
        self.watch = SessionWatch([Planting("x", AT, UNTIL, markets, expected, gone_ns)], self.catalog)

    def trade(self, leg: int, contracts: int, cash: int, fee: int, at_ns: int = AT, **changes: int) -> None:
        report: np.void = np.zeros(1, VENUE_REPORT)[0]
        report["kind"], report["slot"], report["venue_ns"] = ReportKind.FILLED, self.slots[leg], at_ns
        report["fill_size_e6"], report["cash_micros"], report["fee_micros"] = contracts * CONTRACT, cash, fee
        report["direction"] = Direction.BUY
        for name, value in changes.items():
            report[name] = value
        self.watch.on_report(report)

    def miss(self, leg: int, at_ns: int, reason: Reason = Reason.FOK_UNFILLED) -> None:
        self.trade(leg, 0, 0, 0, at_ns, kind=int(ReportKind.REJECTED), reason=int(reason))

    def sell(self, leg: int, contracts: int, cash: int, fee: int, at_ns: int = UNTIL) -> None:
        self.trade(leg, contracts, cash, fee, at_ns, direction=int(Direction.SELL))

    def decide(self, reason: Reason, at_ns: int = AT, kind: SignalKind = SignalKind.CROSS_VENUE) -> None:
        decision: np.void = np.zeros(1, DECISION)[0]
        decision["slot"], decision["decided_ns"], decision["reason"] = self.slots[0], at_ns, reason
        decision["kind"] = kind
        self.watch.on_decision(decision)

    def both_legs(self, contracts: int = 20, cash: int = 10_000_000) -> None:
        self.trade(0, contracts, cash, 200_000)
        self.trade(1, contracts, 8_000_000, 336_000)


def test_the_optimum_to_the_micro_dollar_is_as_expected() -> None:
    stage = Stage(PLANTED)
    stage.both_legs()
    (outcome,) = stage.watch.outcomes()
    assert (outcome.traded_size_e6, outcome.profit_micros, outcome.fees_micros) == (
        20 * CONTRACT,
        1_464_000,
        536_000,
    )
    assert outcome.as_expected


@pytest.mark.parametrize(
    ("contracts", "cash"), [(19, 10_000_000), (21, 10_000_000), (20, 10_000_001), (20, 9_999_999)]
)
def test_another_size_or_another_micro_dollar_is_not(contracts: int, cash: int) -> None:
    stage = Stage(PLANTED)
    stage.both_legs(contracts, cash)
    assert not stage.watch.outcomes()[0].as_expected


def test_a_leg_that_is_missing_or_uneven_is_not() -> None:
    stage = Stage(PLANTED)
    stage.trade(0, 20, 10_000_000, 200_000)
    (outcome,) = stage.watch.outcomes()
    assert outcome.traded_size_e6 == 20 * CONTRACT
    assert not outcome.as_expected


@pytest.mark.parametrize("at_ns", [AT - 1, UNTIL + 1])
def test_what_happens_outside_the_window_belongs_to_nobody(at_ns: int) -> None:
    stage = Stage(PLANTED)
    stage.trade(0, 20, 10_000_000, 200_000, at_ns)
    stage.decide(Reason.NO_EDGE, at_ns)
    (outcome,) = stage.watch.outcomes()
    assert (outcome.traded_size_e6, outcome.reasons) == (0, ())


def test_conversions_are_not_trades_and_sales_bring_cash() -> None:
    stage = Stage(PLANTED)
    stage.trade(0, 20, 10_000_000, 0, kind=int(ReportKind.CONVERTED))
    assert stage.watch.outcomes()[0].traded_size_e6 == 0
    stage.trade(0, 20, 10_000_000, 0, direction=int(Direction.SELL))
    stage.trade(1, 20, 5_000_000, 0)
    assert stage.watch.outcomes()[0].profit_micros == 20 * CONTRACT + 5_000_000


def test_a_near_miss_has_to_be_refused_for_its_reason() -> None:
    stage = Stage(MISS)
    stage.decide(Reason.NO_EDGE)
    assert not stage.watch.outcomes()[0].as_expected
    stage.decide(Reason.EDGE_EATEN_BY_FEES)
    (outcome,) = stage.watch.outcomes()
    assert outcome.as_expected
    assert outcome.reasons == ("no_edge", "edge_eaten_by_fees")
    stage.trade(0, 1, 500_000, 0)
    assert not stage.watch.outcomes()[0].as_expected


def test_a_trap_must_not_even_be_looked_at() -> None:
    stage = Stage(TRAP)
    stage.decide(Reason.MIRROR_BOOK, kind=SignalKind.COMPLEMENT_BUY)
    assert stage.watch.outcomes()[0].as_expected
    stage.decide(Reason.NO_EDGE)
    assert not stage.watch.outcomes()[0].as_expected


def test_what_passed_is_not_a_reason() -> None:
    stage = Stage(MISS)
    stage.decide(Reason.NONE)
    assert stage.watch.outcomes()[0].reasons == ()


def test_a_fleeting_opportunity_that_every_order_reached_is_worth_its_optimum() -> None:
    stage = Stage(FLEETING, GONE)
    stage.trade(0, 20, 10_000_000, 200_000, 1_249)
    stage.trade(1, 20, 8_000_000, 336_000, 1_259)
    (outcome,) = stage.watch.outcomes()
    assert outcome.as_expected
    assert (outcome.late_legs, outcome.profit_micros) == (0, 1_464_000)


@pytest.mark.parametrize(("leg", "at_ns"), [(0, 1_250), (1, 1_260)])
def test_an_order_that_filled_when_the_levels_were_gone_is_wrong(leg: int, at_ns: int) -> None:
    stage = Stage(FLEETING, GONE)
    times = {0: 1_249, 1: 1_259} | {leg: at_ns}
    stage.trade(0, 20, 10_000_000, 200_000, times[0])
    stage.trade(1, 20, 8_000_000, 336_000, times[1])
    assert not stage.watch.outcomes()[0].as_expected


def test_a_leg_that_came_too_late_leaves_the_round_trip_of_the_other() -> None:
    stage = Stage(FLEETING, GONE)
    stage.trade(0, 20, 10_000_000, 200_000, 1_100)
    stage.miss(1, 1_260)
    assert not stage.watch.outcomes()[0].as_expected  # still held
    stage.sell(0, 20, 9_300_000, 300_000)
    (outcome,) = stage.watch.outcomes()
    assert outcome.as_expected
    assert (outcome.late_legs, outcome.traded_size_e6) == (1, 0)
    assert outcome.profit_micros == outcome.expected_profit_micros == -1_200_000
    assert outcome.fees_micros == outcome.expected_fees_micros == 500_000


@pytest.mark.parametrize(("contracts", "cash", "fee"), [(19, 9_300_000, 300_000), (20, 9_300_001, 300_000)])
def test_a_round_trip_is_exact(contracts: int, cash: int, fee: int) -> None:
    stage = Stage(FLEETING, GONE)
    stage.trade(0, 20, 10_000_000, 200_000, 1_100)
    stage.miss(1, 1_260)
    stage.sell(0, contracts, cash, fee)
    assert not stage.watch.outcomes()[0].as_expected


def test_all_legs_too_late_is_nothing_at_all() -> None:
    stage = Stage(FLEETING, GONE)
    stage.miss(0, 1_250)
    assert not stage.watch.outcomes()[0].as_expected  # and the other?
    stage.miss(1, 1_999)
    (outcome,) = stage.watch.outcomes()
    assert outcome.as_expected
    assert (outcome.late_legs, outcome.profit_micros, outcome.fees_micros) == (2, 0, 0)


def test_an_order_refused_while_the_levels_stood_is_wrong() -> None:
    stage = Stage(FLEETING, GONE)
    stage.miss(0, 1_249)
    stage.miss(1, 1_260)
    assert not stage.watch.outcomes()[0].as_expected
    other = Stage(FLEETING, GONE)
    other.miss(0, 1_250, Reason.VENUE_REJECTED)
    other.miss(1, 1_260)
    assert not other.watch.outcomes()[0].as_expected


def test_what_stays_is_never_too_late() -> None:
    stage = Stage(PLANTED)
    stage.both_legs()
    stage.miss(0, AT)
    assert not stage.watch.outcomes()[0].as_expected
