from __future__ import annotations

import pytest

from engine.sim.latency import STRATA, LatencyModel, Lognormal, Route
from engine.units import NS_PER_MS as MS


def test_the_table_has_the_median_and_the_99th_percentile_asked_for() -> None:
    slow = Lognormal(40 * MS, 200 * MS)
    times = sorted(slow.at(index * 2**64 // STRATA) for index in range(STRATA))
    assert times == [slow.at(index * 2**64 // STRATA) for index in range(STRATA)]
    assert abs(times[STRATA // 2] - 40 * MS) < MS // 2
    over = sum(time > 200 * MS for time in times)
    assert over in (STRATA // 100, STRATA // 100 + 1)
    assert times[-1] > 200 * MS


def test_equal_percentiles_are_a_constant_and_nonsense_is_refused() -> None:
    assert Lognormal(5, 5).at(2**64 - 1) == 5
    for bad in ((2, 1), (-1, 3), (0, 5)):
        with pytest.raises(ValueError, match="latency"):
            Lognormal(*bad)
    with pytest.raises(ValueError, match="scale"):
        LatencyModel(1, Route(Lognormal(1, 1), Lognormal(1, 1)), scale=0)


def test_markets_override_the_venue_and_scale_multiplies_the_same_luck() -> None:
    route = Route(Lognormal(10 * MS, 90 * MS), Lognormal(5 * MS, 20 * MS))
    own = {3: Route(Lognormal(MS, MS), Lognormal(2, 2))}
    once, twice = LatencyModel(9, route, own), LatencyModel(9, route, own, scale=2)
    assert (once.request_ns(3, 1), once.report_ns(3, 1)) == (MS, 2)
    drawn = [once.request_ns(0, number) for number in range(50)]
    assert [twice.request_ns(0, number) for number in range(50)] == [2 * time for time in drawn]
    assert len(set(drawn)) > 30
    assert [LatencyModel(8, route).request_ns(0, number) for number in range(50)] != drawn
    assert once.report_ns(0, 4) != once.request_ns(0, 4)


def test_the_table_is_the_same_everywhere() -> None:
    assert Lognormal(40 * MS, 200 * MS).at(0) == 4_693_107
    assert Lognormal(40 * MS, 200 * MS).at(2**64 - 1) == 340_925_508
