"""Walks against exact fractions: averages, sizes, cash and worst prices, rounded against us."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book.grid import FINEST_GRID, Grids
from engine.book.ladder import set_level, set_unknown
from engine.book.pool import NO_TICK, Ladders, make_ladders
from engine.book.vwap import (
    WALK_CASH_MAX_MICROS,
    WALK_SIZE_MAX_E6,
    Impact,
    Walk,
    standard_vwaps,
    walk_notional,
    walk_size,
)
from engine.records import NO_PRICE, VWAP_NOTIONALS_MICROS
from engine.units import LEVEL_SIZE_MAX_E6
from tests.engine.book.plain_books import average_e6

UNIT = 10**6
TABLE = Grids().table
BUY, SELL = 1, 0  # the ladder that is walked

# prices are ticks of the finest grid; price 0 is on it, and costs nothing
LEVELS = st.dictionaries(
    st.one_of(st.integers(0, 10_000), st.integers(0, 3), st.integers(9_990, 10_000)),
    st.one_of(st.integers(1, 5_000 * UNIT), st.just(10**14), st.integers(1, 50)),
    max_size=12,
)


def book(levels: dict[int, int], ladder: int) -> tuple[Ladders, list[tuple[int, int]]]:
    ladders = make_ladders(2, 40)
    for price, size in levels.items():
        set_level(ladders, ladder, price, size)
    held = {price: size for price, size in levels.items() if size}
    return ladders, sorted(held.items(), reverse=ladder == SELL)


def against_us(value: Fraction, ladder: int) -> int:
    return ceil(value) if ladder == BUY else floor(value)


def plain_walk_size(ranked: list[tuple[int, int]], want: int, ladder: int) -> tuple[int, int, int, int, int]:
    """(Walk, size, cash, average, worst) in fractions."""
    need, dollars, worst = want, Fraction(0), NO_TICK
    for price, size in ranked:
        part = min(size, need)
        if part:
            dollars += Fraction(part * price, 10**10)
            worst = price
        need -= part
    got = want - need
    average = against_us(dollars * 10**12 / got, ladder) if got else NO_PRICE
    return (Walk.FILLED if need == 0 else Walk.SHORT), got, against_us(dollars * UNIT, ladder), average, worst


@settings(max_examples=150)
@given(LEVELS, st.sampled_from([BUY, SELL]))
def test_standard_averages(levels: dict[int, int], ladder: int) -> None:
    ladders, ranked = book(levels, ladder)
    first, second, third, reach = standard_vwaps(ladders, ladder, TABLE, FINEST_GRID)
    wanted = [average_e6(ranked, notional, buys=ladder == BUY) for notional in VWAP_NOTIONALS_MICROS]
    held = sum(size for price, size in ranked if price == 0)
    if held <= WALK_SIZE_MAX_E6:
        assert [first, second, third] == wanted
    if third == NO_PRICE:
        assert reach == NO_TICK
        return
    within = [
        (price, size) for price, size in ranked if (price <= reach if ladder == BUY else price >= reach)
    ]
    assert average_e6(within, VWAP_NOTIONALS_MICROS[2], buys=ladder == BUY) == third
    assert average_e6(within[:-1], VWAP_NOTIONALS_MICROS[2], buys=ladder == BUY) == NO_PRICE


@settings(max_examples=150)
@given(
    LEVELS,
    st.sampled_from([BUY, SELL]),
    st.one_of(st.integers(1, 10**10), st.integers(1, 5), st.just(WALK_CASH_MAX_MICROS)),
)
def test_any_notional(levels: dict[int, int], ladder: int, notional: int) -> None:
    ladders, ranked = book(levels, ladder)
    ended, size, cash, average, worst = walk_notional(ladders, ladder, TABLE, FINEST_GRID, notional)
    if ended == Walk.BOUND:
        assert sum(size for _, size in ranked) > WALK_SIZE_MAX_E6
        assert (size, cash, average, worst) == (0, 0, NO_PRICE, NO_TICK)
        return
    value = sum(price * size for price, size in ranked)
    if value < notional * 10_000:
        every = sum(size for _, size in ranked)
        assert ended == Walk.SHORT
        assert size == every
        assert cash == against_us(Fraction(value, 10_000), ladder)
        assert average == (against_us(Fraction(value * 100, every), ladder) if every else NO_PRICE)
        assert worst == (ranked[-1][0] if ranked else NO_TICK)
        return
    assert (ended, cash) == (Walk.FILLED, notional)
    assert average == average_e6(ranked, notional, buys=ladder == BUY)
    before = [(price, held) for price, held in ranked if (price < worst if ladder == BUY else price > worst)]
    rest = notional * 10_000 - sum(price * held for price, held in before)
    last = Fraction(rest, worst)
    assert 0 < rest <= worst * dict(ranked)[worst]
    assert size == sum(held for _, held in before) + (floor(last) if ladder == BUY else ceil(last))


@settings(max_examples=150)
@given(LEVELS, st.sampled_from([BUY, SELL]), st.one_of(st.integers(1, 10**11), st.just(WALK_SIZE_MAX_E6)))
def test_any_size(levels: dict[int, int], ladder: int, want: int) -> None:
    ladders, ranked = book(levels, ladder)
    answer = walk_size(ladders, ladder, TABLE, FINEST_GRID, want)
    assert tuple(answer) == plain_walk_size(ranked, want, ladder)


def test_one_deep_level_costs_its_price() -> None:
    for ladder in (BUY, SELL):
        ladders, _ = book({4_800: 10**12}, ladder)
        assert standard_vwaps(ladders, ladder, TABLE, FINEST_GRID) == (480_000, 480_000, 480_000, 4_800)


def test_rounding_is_against_us_by_hand() -> None:
    """$100 over 100 at 0.30 and the rest at 0.70: 100 + 70/0.7 = 200 contracts, $0.50 each."""
    ladders, _ = book({3_000: 100 * UNIT, 7_000: 1_000 * UNIT}, BUY)
    assert walk_notional(ladders, BUY, TABLE, FINEST_GRID, 100 * UNIT)[:4] == (
        0,
        200 * UNIT,
        100 * UNIT,
        500_000,
    )
    thirds = {3_000: 100 * UNIT, 6_000: 1_000 * UNIT}  # 100 + 70/0.6 = 216.666... contracts, $0.461538...
    ladders, _ = book(thirds, BUY)
    assert walk_notional(ladders, BUY, TABLE, FINEST_GRID, 100 * UNIT)[1:4] == (
        216_666_666,
        100 * UNIT,
        461_539,
    )
    ladders, _ = book({7_000: 100 * UNIT, 6_000: 1_000 * UNIT}, SELL)  # 100 + 30/0.6 = 150, $0.6666...
    assert walk_notional(ladders, SELL, TABLE, FINEST_GRID, 100 * UNIT)[1:4] == (
        150 * UNIT,
        100 * UNIT,
        666_666,
    )
    assert walk_size(ladders, SELL, TABLE, FINEST_GRID, 150 * UNIT + 1)[1:4] == (
        150 * UNIT + 1,
        100 * UNIT,
        666_666,
    )


def test_an_unknown_size_gives_nothing() -> None:
    ladders = make_ladders(2, 4)
    set_unknown(ladders, BUY, 1_000)
    assert standard_vwaps(ladders, BUY, TABLE, FINEST_GRID) == (NO_PRICE, NO_PRICE, NO_PRICE, NO_TICK)
    assert walk_size(ladders, BUY, TABLE, FINEST_GRID, 5) == (Walk.SHORT, 0, 0, NO_PRICE, NO_TICK)
    assert walk_notional(ladders, BUY, TABLE, FINEST_GRID, 5) == (Walk.SHORT, 0, 0, NO_PRICE, NO_TICK)
    set_level(ladders, BUY, 2_000, 10**10)
    assert standard_vwaps(ladders, BUY, TABLE, FINEST_GRID)[:3] == (200_000, 200_000, 200_000)


@pytest.mark.parametrize("amount", [0, -1, 2**62])
def test_amounts_out_of_bounds_get_no_answer(amount: int) -> None:
    ladders, _ = book({4_800: 10**12}, BUY)
    refused = (Walk.BOUND, 0, 0, NO_PRICE, NO_TICK)
    assert walk_notional(ladders, BUY, TABLE, FINEST_GRID, amount) == refused
    assert walk_size(ladders, BUY, TABLE, FINEST_GRID, amount) == refused


def test_a_walk_beyond_what_can_be_counted_gets_no_answer() -> None:
    ladders, _ = book(dict.fromkeys(range(1, 6), LEVEL_SIZE_MAX_E6), BUY)
    walked = walk_notional(ladders, BUY, TABLE, FINEST_GRID, WALK_CASH_MAX_MICROS)
    assert walked == (Walk.BOUND, 0, 0, NO_PRICE, NO_TICK)


def test_slippage() -> None:
    bought = Impact(Walk.FILLED, 5, 1, vwap_e6=481_000, best_e4=4_800, worst_e4=4_900)
    assert bought.slippage_e6 == 1_000
    assert bought._replace(vwap_e6=479_000).slippage_e6 == 1_000  # sold below the best bid
    assert bought._replace(vwap_e6=NO_PRICE).slippage_e6 == 0
