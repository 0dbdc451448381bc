"""Published rows: after any writes they show what a full rewrite would show."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book.pool import CHANGES
from engine.records import NO_PRICE, TOP_LEVELS, Side, UpdateFlag, UpdateKind
from tests.engine.book.one_market import OneMarket
from tests.engine.book.plain_books import average_e6
from tests.engine.book.streams import UNIT, snapshot, update

VWAP = {Side.BID: "vwap_sell_e6", Side.ASK: "vwap_buy_e6"}
NAMES = {Side.BID: "bid", Side.ASK: "ask"}


def compare(market: OneMarket, side: Side) -> None:
    """The row against the full depth of the same book."""
    row, name = market.store.rows[0], NAMES[side]
    assert market.store.state.ladders.sides[side, CHANGES] == 0, "what is published is no change any more"
    held = list(market.levels(side).items())
    best = held[:TOP_LEVELS]
    assert row[f"n_{name}s"] == len(best)
    blank = TOP_LEVELS - len(best)
    assert row[f"{name}_e4"].tolist() == [price for price, _ in best] + [NO_PRICE] * blank
    assert row[f"{name}_size_e6"].tolist() == [size for _, size in best] + [0] * blank
    for place, notional in enumerate((100 * UNIT, 500 * UNIT, 1_000 * UNIT)):
        assert row[VWAP[side]][place] == average_e6(held, notional, buys=side is Side.ASK)


def deep(market: OneMarket, levels: int, size: int) -> None:
    bids = {100 * (levels - at): size for at in range(levels)}
    asks = {10_000 - 100 * (levels - at): size for at in range(levels)}
    market.send(snapshot(bids, asks))


@pytest.mark.parametrize("levels", [TOP_LEVELS - 1, TOP_LEVELS, TOP_LEVELS + 1, 30])
@pytest.mark.parametrize("side", list(Side))
def test_one_change_anywhere(levels: int, side: Side) -> None:
    """Every level in turn: resized, removed, put back; also beyond the published depth."""
    market = OneMarket()
    deep(market, levels, 40 * UNIT)
    for price in market.levels(side):
        for size in (7 * UNIT, 0, 0, 40 * UNIT):
            market.send(market.level(price, size, side=side))
            compare(market, side)


@pytest.mark.parametrize("seed", range(3))
def test_random_frames_of_one_to_four_changes(seed: int) -> None:
    chance = Random(seed)
    market = OneMarket()
    deep(market, 20, 30 * UNIT)
    for _ in range(250):
        writes = []
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            side = chance.choice(list(Side))
            price = 100 * chance.randrange(1, 45) if side is Side.BID else 100 * chance.randrange(55, 100)
            size = chance.choice((0, 0, 1, 20, chance.randrange(2_000))) * UNIT
            writes.append(market.level(price, size, side=side))
        if chance.random() < 0.02:
            deep(market, chance.randrange(1, 40), 50 * UNIT)
        market.send(*writes)
        compare(market, Side.BID)
        compare(market, Side.ASK)


WRITES = st.tuples(st.integers(1, 40), st.sampled_from([0, 1, 300, 5_000]))


@settings(max_examples=40)
@given(st.lists(st.lists(WRITES, min_size=1, max_size=3), max_size=25))
def test_any_frames(frames: list[list[tuple[int, int]]]) -> None:
    market = OneMarket()
    deep(market, 18, 60 * UNIT)
    for writes in frames:
        market.send(*(market.level(100 * at, size * UNIT) for at, size in writes))
        compare(market, Side.BID)


def test_an_unknown_size_is_shown_as_nothing() -> None:
    market = OneMarket()
    deep(market, 2, 10**10)
    market.send(market.level(500, 0, flags=UpdateFlag.SIZE_UNKNOWN))
    assert market.store.rows[0]["bid_e4"][:2].tolist() == [500, 200]
    assert market.store.rows[0]["bid_size_e6"][:2].tolist() == [0, 10**10]
    compare(market, Side.BID)


def test_the_head_of_the_row() -> None:
    market = OneMarket()
    market.open_live(recv_ns=55)
    update_count = int(market.store.rows[0]["update_count"])
    sent = update(UpdateKind.LEVEL_SET, price_e4=100, size_e6=1, venue_ns=44)
    top = market.send(sent, recv_ns=66, now_ns=77)
    row = market.store.rows[0]
    shared = ("epoch", "update_count", "recv_ns", "venue_ns", "slot", "generation", "trust", "venue", "flags")
    assert [row[name] for name in shared] == [top[name] for name in shared]
    assert (row["recv_ns"], row["venue_ns"], row["generation"]) == (66, 44, 1)
    assert row["update_count"] == update_count + 1
    assert top["book_ns"] == 77
