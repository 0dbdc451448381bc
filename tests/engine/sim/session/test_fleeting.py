from __future__ import annotations

import pytest

from engine.records import Direction, Outcome, Side, SignalKind, Venue
from engine.sim.latency import STRATA, Lognormal
from engine.sim.session.build import FRAME_STEP_NS, build_session
from engine.sim.session.fleeting import ASK_E4, LASTS_NS, OUTCOMES, fleeting_scenarios, partition
from engine.sim.session.planted import TIERS
from procs.config_files import load_config

DEEP = TIERS[-1]
CLOSE_NS = 10**18
CONTRACT = 1_000_000


def test_there_is_one_of_each_size_and_all_that_is_planted_is_worth_taking() -> None:
    scenarios = fleeting_scenarios(CLOSE_NS)
    sizes = []
    for scenario in scenarios:
        assert scenario.expected.kinds == (SignalKind.PARTITION_BUY_YES,)
        assert scenario.lasts_ns == LASTS_NS
        assert scenario.expected.optimum is not None
        sizes.append(scenario.expected.optimum.size_e6 // CONTRACT)
        assert len(scenario.markets) == len(scenario.expected.round_trips) == OUTCOMES
    assert sizes == [sum(sizes) for _, sizes in TIERS]


def test_the_slowest_order_at_todays_latency_is_in_time_and_many_at_five_times_it_are_not() -> None:
    latency = load_config().venues.polymarket.latency
    way = Lognormal(latency.order_median_ns, latency.order_p99_ns)
    times = [way.at(stratum << 64 - STRATA.bit_length() + 1) for stratum in range(STRATA)]
    assert times == sorted(times)
    assert times[-1] < LASTS_NS
    late = sum(5 * time_ns > LASTS_NS for time_ns in times)
    assert late * 10 > STRATA


def test_a_round_trip_buys_what_was_planted_and_sells_it_to_the_quiet_bid() -> None:
    """Small: 20 at 10 cents and back at 6, with 4 % of p(1-p) each way."""
    first, *_, last = partition(TIERS[0], CLOSE_NS).expected.round_trips
    fees = 20 * 36 * 100 + 20 * 2_256
    assert first == last == (20 * 40_000 + fees, fees)
    deep, *_, flat = partition(DEEP, CLOSE_NS).expected.round_trips
    paid = 60 * 100_000 + 90 * 110_000 + 150 * 120_000
    assert deep.loss_micros - deep.fees_micros == paid - 300 * 60_000
    assert flat.loss_micros - flat.fees_micros == 300 * 40_000


@pytest.mark.long_plain
def test_the_levels_are_gone_in_time_and_the_window_goes_on_for_what_must_be_sold() -> None:
    session = build_session(3)
    fleeting = [planting for planting in session.plantings if planting.gone_ns]
    assert len(fleeting) == len(TIERS)
    for planting in fleeting:
        first_ns = planting.at_ns + LASTS_NS + FRAME_STEP_NS
        assert planting.gone_ns == tuple(first_ns + index * FRAME_STEP_NS for index in range(OUTCOMES))
        assert planting.until_ns > planting.gone_ns[-1] + 15 * 10**9
        said = {frame.recv_ns for frame in session.frames}
        assert {planting.at_ns, *planting.gone_ns} <= said
        assert {venue for venue, _ in planting.markets} == {Venue.POLYMARKET}


def test_the_first_leg_has_the_levels_of_its_size_and_the_others_are_one() -> None:
    scenario = partition(DEEP, CLOSE_NS)
    planted = [(name, level) for name, level in scenario.changes]
    assert [level.price_e4 for name, level in planted if name == "f-deep-0"] == [1_000, 1_100, 1_200]
    assert all(level.side is Side.ASK for _, level in planted)
    assert {level.price_e4 for name, level in planted if name != "f-deep-0"} == {ASK_E4}
    assert (Direction.BUY, Outcome.YES) == (0, 0)
