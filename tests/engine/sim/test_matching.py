"""The walk, and the whole exchange against a matcher that keeps every single contract in a list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.records import Direction, Outcome, ReportKind, Side, TimeInForce
from engine.sim.matching import Level, reaches, total_e6, walk, worse_than
from tests.engine.sim.world import DOLLAR, KALSHI, Desk, level

LOT = 10_000
PRICES = (4700, 4800, 4900, 5000, 5100)


def test_a_walk_stops_at_the_limit_and_at_the_size() -> None:
    asks = [Level(5000, 3), Level(5100, 0), Level(5200, 4), Level(5300, 9)]
    assert walk(asks, 5200, 100, takes_bids=False) == [(5000, 3), (5200, 4)]
    assert walk(asks, 5300, 5, takes_bids=False) == [(5000, 3), (5200, 2)]
    assert walk(asks, 4999, 5, takes_bids=False) == []
    assert walk([Level(5000, 1)], 5000, 1, takes_bids=False) == [(5000, 1)]
    bids = [Level(4800, 3), Level(4700, 4)]
    assert walk(bids, 4700, 5, takes_bids=True) == [(4800, 3), (4700, 2)]
    assert walk(bids, 4800, 5, takes_bids=True) == [(4800, 3)]
    assert total_e6(walk(bids, 4700, 5, takes_bids=True)) == 5


def test_reach_and_rank_are_inclusive_and_strict() -> None:
    assert reaches(5000, 5000, takes_bids=False)
    assert reaches(5000, 5000, takes_bids=True)
    assert not reaches(5000, 5001, takes_bids=False)
    assert not reaches(5000, 4999, takes_bids=True)
    assert worse_than(4800, 4700, on_bids=True)
    assert not worse_than(4800, 4800, on_bids=True)
    assert worse_than(5000, 5100, on_bids=False)
    assert not worse_than(5000, 5000, on_bids=False)


class ContractList:
    """Every contract of every level on its own: False is free, True is ours."""

    def __init__(self) -> None:
        self.levels: dict[tuple[Side, int], list[bool]] = {}

    def show(self, side: Side, price: int, count: int) -> None:
        held = self.levels.setdefault((side, price), [])
        while len(held) < count:
            held.append(False)
        while len(held) > count:  # what others had goes first
            held.remove(False) if False in held else held.pop()

    def take(self, side: Side, limit: int, want: int) -> list[tuple[int, int]]:
        fills: dict[int, int] = {}
        order = sorted(PRICES, reverse=side == Side.BID)
        for price in [p for p in order if (p >= limit if side == Side.BID else p <= limit)]:
            held = self.levels.get((side, price), [])
            for index in range(len(held)):
                if want and not held[index]:
                    held[index] = True
                    fills[price] = fills.get(price, 0) + 1
                    want -= 1
        return list(fills.items())

    def free(self, side: Side, limit: int) -> int:
        return sum(
            held.count(False)
            for (of, price), held in self.levels.items()
            if of == side and (price >= limit if side == Side.BID else price <= limit)
        )


actions = st.one_of(
    st.tuples(st.just("show"), st.sampled_from(Side), st.sampled_from(PRICES), st.integers(0, 6)),
    st.tuples(
        st.sampled_from([TimeInForce.FAK, TimeInForce.FOK]),
        st.sampled_from([(d, o) for d in Direction for o in Outcome]),
        st.sampled_from(PRICES),
        st.integers(1, 9),
    ),
)


@settings(max_examples=150)
@given(st.lists(actions, max_size=30))
@pytest.mark.long_plain
def test_takers_fill_exactly_as_in_a_list_of_single_contracts(script: list[tuple[object, ...]]) -> None:
    desk, listed = Desk(KALSHI, cash_micros=1_000_000 * DOLLAR), ContractList()
    for what, which, price, count in script:
        assert isinstance(price, int)
        assert isinstance(count, int)
        if what == "show":
            assert isinstance(which, Side)
            listed.show(which, price, count)
            desk.show(level(0, which, price, count * LOT))
            continue
        assert isinstance(which, tuple)
        assert isinstance(what, TimeInForce)
        direction, outcome = which
        bids = (direction == Direction.SELL) == (outcome == Outcome.YES)
        side = Side.BID if bids else Side.ASK
        yes = price if outcome == Outcome.YES else 10_000 - price
        reports = desk.send(desk.request(direction, outcome, yes, count * LOT, what))
        kills = what == TimeInForce.FOK and listed.free(side, price) < count
        expected = [] if kills else listed.take(side, price, count)
        got = [
            (
                int(r["price_e4"]) if outcome == Outcome.YES else 10_000 - int(r["price_e4"]),
                int(r["fill_size_e6"]),
            )
            for r in reports
            if int(r["kind"]) == ReportKind.FILLED
        ]
        assert got == [(p, n * LOT) for p, n in expected]
