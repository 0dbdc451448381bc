from __future__ import annotations

from dataclasses import asdict

import pytest

from engine import typed_tree
from engine.errors import ConfigError
from engine.sim.faults import NO_FAULTS, Fault, FaultPlan, FaultRates
from engine.units import NS_PER_S, PPM

HOUR_NS = 3_600 * NS_PER_S
RATES = [name for name in asdict(FaultRates()) if name.endswith("_ppm")]
TIMES = ["delay_max_ns", "silence_ns"]


def test_nothing_goes_wrong_unless_it_is_asked_for() -> None:
    assert asdict(FaultRates()) == dict.fromkeys(RATES, 0) | dict.fromkeys(TIMES, 5 * NS_PER_S)


@pytest.mark.parametrize(
    ("name", "least", "most"), [*((name, 0, PPM) for name in RATES), *((name, 1, HOUR_NS) for name in TIMES)]
)
def test_rates_and_times_are_bounded(name: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(typed_tree.build(FaultRates, {name: value}, "faults"), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ConfigError, match=name):
            typed_tree.build(FaultRates, {name: value}, "faults")


def test_no_rates_no_faults() -> None:
    for number in range(100):
        assert NO_FAULTS.of_request(number) == Fault.NONE
        assert NO_FAULTS.of_report(number, number) == Fault.NONE
        assert not NO_FAULTS.fails_trade(number, number)


def test_rates_are_met_and_repeatable() -> None:
    rates = FaultRates(
        reject_ppm=100_000, lose_request_ppm=500_000, duplicate_ppm=250_000, fail_trade_ppm=50_000
    )
    plan = FaultPlan(3, rates)
    drawn = [plan.of_request(number) for number in range(4_000)]
    assert drawn == [FaultPlan(3, rates).of_request(number) for number in range(4_000)]
    assert drawn != [FaultPlan(4, rates).of_request(number) for number in range(4_000)]
    assert 320 < sum(Fault.REJECT in fault for fault in drawn) < 480
    assert 1_850 < sum(Fault.LOSE_REQUEST in fault for fault in drawn) < 2_150
    assert not any(fault & (Fault.PARTIAL | Fault.LOSE_REPORT | Fault.FAIL_CONVERT) for fault in drawn)
    said = [plan.of_report(0, number) for number in range(4_000)]
    assert set(said) == {Fault.NONE, Fault.DUPLICATE}
    assert 900 < said.count(Fault.DUPLICATE) < 1_100
    assert 150 < sum(plan.fails_trade(0, trade) for trade in range(4_000)) < 250


def test_a_script_wins_over_the_rates() -> None:
    sure = FaultRates(reject_ppm=1_000_000, delay_ppm=1_000_000, fail_trade_ppm=1_000_000)
    plan = FaultPlan(1, sure, {2: Fault.NONE, 3: Fault.REORDER | Fault.FAIL_TRADE | Fault.PARTIAL})
    assert plan.of_request(1) == Fault.REJECT
    assert plan.of_request(2) == plan.of_report(2, 9) == Fault.NONE
    assert not plan.fails_trade(2, 1)
    assert plan.of_report(3, 9) == Fault.REORDER
    assert plan.fails_trade(3, 1)
    assert plan.of_report(1, 9) == Fault.DELAY


def test_delays_and_shares_stay_within_their_bounds() -> None:
    plan = FaultPlan(5, FaultRates(delay_max_ns=10))
    assert {plan.delay_ns(number) for number in range(300)} == set(range(1, 11))
    assert {plan.partial_e6(number, 4) for number in range(300)} == {0, 1, 2, 3}
    assert plan.partial_e6(1, 0) == 0
