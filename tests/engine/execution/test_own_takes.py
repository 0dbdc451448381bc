from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution import own_takes
from engine.execution.own_takes import OwnTakes, Rows, subtract_takes, taken_side
from engine.records import BOOK_ROW, ORDER_EVENT, TOP_LEVELS, Direction, Outcome, Side
from engine.sim.consumed import ConsumedLiquidity
from tests.plain_twin import PlainTwin

SLOT, GENERATION = 4, 2
Levels = list[tuple[int, int]]


def row(bids: Levels, asks: Levels, generation: int = GENERATION) -> Rows:
    """Rows of as many markets as it takes."""
    records: Rows = np.zeros(SLOT + 1, BOOK_ROW)
    record = records[SLOT]
    record["slot"], record["generation"] = SLOT, generation
    record["n_bids"], record["n_asks"] = len(bids), len(asks)
    for name, levels in (("bid", bids), ("ask", asks)):
        for index, (price, size) in enumerate(levels):
            record[f"{name}_e4"][index], record[f"{name}_size_e6"][index] = price, size
    return records


def shown(records: Rows) -> tuple[Levels, Levels]:
    record = records[SLOT]
    return tuple(  # type: ignore[return-value]
        [
            (int(record[f"{name}_e4"][index]), int(record[f"{name}_size_e6"][index]))
            for index in range(int(record[f"n_{name}s"]))
        ]
        for name in ("bid", "ask")
    )


@pytest.mark.parametrize(
    ("direction", "outcome", "side"),
    [
        (Direction.BUY, Outcome.YES, Side.ASK),
        (Direction.SELL, Outcome.YES, Side.BID),
        (Direction.BUY, Outcome.NO, Side.BID),
        (Direction.SELL, Outcome.NO, Side.ASK),
    ],
)
def test_an_order_takes_from_the_other_side_of_the_yes_book(
    direction: Direction, outcome: Outcome, side: Side
) -> None:
    assert taken_side(direction, outcome) is side


def test_a_fill_is_found_on_the_level_it_came_from() -> None:
    takes = OwnTakes()
    event = np.zeros(1, ORDER_EVENT)[0]
    event["slot"], event["generation"], event["outcome"] = SLOT, GENERATION, Outcome.NO
    # NO at 0.40 is the bid of YES at 0.60
    event["fill_size_e6"], event["price_e4"] = 30_000_000, 4_000
    takes.on_fill(event)
    record = row([(6_000, 50_000_000), (5_900, 5)], [(6_100, 7)])
    takes.subtract(record, SLOT)
    assert shown(record) == ([(6_000, 20_000_000), (5_900, 5)], [(6_100, 7)])


@pytest.mark.parametrize(
    ("field", "value"), [("maker", 1), ("fill_size_e6", 0), ("fill_size_e6", -10), ("price_e4", 0)]
)
def test_only_what_was_taken_counts(field: str, value: int) -> None:
    takes = OwnTakes()
    event = np.zeros(1, ORDER_EVENT)[0]
    event["fill_size_e6"], event["price_e4"] = 10, 4_000
    event[field] = value
    takes.on_fill(event)
    assert len(takes) == 0


def test_an_emptied_level_leaves_the_row_and_the_next_one_is_best() -> None:
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 10)
    record = row([], [(5_000, 10), (5_100, 20)])
    takes.subtract(record, SLOT)
    assert shown(record) == ([], [(5_100, 20)])


def test_another_generation_of_the_slot_is_another_market() -> None:
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 10)
    record = row([], [(5_000, 10)], generation=GENERATION + 1)
    takes.subtract(record, SLOT)
    assert shown(record) == ([], [(5_000, 10)])


def test_a_level_behind_a_full_row_is_remembered() -> None:
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 9_000, 10)
    takes.take(SLOT, GENERATION, Side.BID, 10, 10)
    full = [(5_000 + 10 * index, 1) for index in range(TOP_LEVELS)]
    takes.subtract(row([(100 - price, 1) for price in range(TOP_LEVELS)], full), SLOT)
    record = row([(10, 30)], [(9_000, 30)])
    takes.subtract(record, SLOT)
    assert shown(record) == ([(10, 20)], [(9_000, 20)])


def test_beyond_the_bound_a_take_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_takes, "TAKES_MAX", 1)
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 10)
    takes.take(SLOT, GENERATION, Side.ASK, 5_100, 10)
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 1)
    assert (len(takes), takes.refused) == (1, 1)


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 60)),
    max_size=30,
)


@given(STEPS)
def test_the_view_is_what_the_simulated_venue_has_left(steps: list[tuple[bool, int, int]]) -> None:
    """Takes and level changes at random on one side: both programs leave the same liquidity."""
    takes, venue = OwnTakes(), ConsumedLiquidity()
    recorded = {5_000: 50, 5_100: 50, 5_200: 50}
    for is_take, level, amount in steps:
        price = 5_000 + 100 * level
        if is_take:
            left = venue.available_e6(SLOT, Side.ASK, price, recorded.get(price, 0))
            size = min(amount, left)
            if size:
                venue.take(SLOT, Side.ASK, price, size)
                takes.take(SLOT, GENERATION, Side.ASK, price, size)
        else:
            recorded[price] = amount
            recorded = {price: size for price, size in recorded.items() if size}
        venue.on_book(SLOT, Side.ASK, recorded)
        record = row([], sorted(recorded.items()))
        takes.subtract(record, SLOT)
        expected = [
            (price, venue.available_e6(SLOT, Side.ASK, price, size))
            for price, size in sorted(recorded.items())
        ]
        assert shown(record)[1] == [(price, size) for price, size in expected if size]
        assert len(takes) == len(venue)


@pytest.mark.parametrize("first", [(5_000, 7), (4_900, 7)])
def test_a_level_that_disappears_is_forgotten(first: tuple[int, int]) -> None:
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 10)
    takes.take(SLOT, GENERATION, Side.BID, 4_000, 10)
    takes.subtract(row([(4_000, 30)], [(5_100, 20)]), SLOT)
    assert len(takes) == 1
    record = row([(4_000, 30)], [first, (5_100, 20)])
    takes.subtract(record, SLOT)
    assert shown(record) == ([(4_000, 20)], [first, (5_100, 20)])
    takes.subtract(row([], []), SLOT)
    assert len(takes) == 0
    takes.take(SLOT, GENERATION, Side.ASK, 5_100, 1)
    takes.subtract(record, SLOT)
    assert shown(record)[1] == [first, (5_100, 19)]


def test_a_yes_order_takes_its_own_price() -> None:
    takes = OwnTakes()
    event = np.zeros(1, ORDER_EVENT)[0]
    event["slot"], event["generation"], event["outcome"] = SLOT, GENERATION, Outcome.YES
    event["fill_size_e6"], event["price_e4"] = 3, 6_100
    takes.on_fill(event)
    record = row([(3_900, 7)], [(6_100, 7)])
    takes.subtract(record, SLOT)
    assert shown(record) == ([(3_900, 7)], [(6_100, 4)])


@pytest.mark.parametrize("count", [-1, TOP_LEVELS + 1])
def test_from_a_side_that_is_garbage_nothing_is_taken(count: int) -> None:
    takes = OwnTakes()
    takes.take(SLOT, GENERATION, Side.ASK, 5_000, 10)
    takes.take(SLOT, GENERATION, Side.BID, 4_000, 10)
    record = row([(4_000, 30)], [(5_000, 30)])
    record["n_asks"] = count
    before = record["ask_size_e6"].tolist()
    assert takes.subtract(record, SLOT)
    assert record["ask_size_e6"].tolist() == before
    assert int(record[SLOT]["bid_size_e6"][0]) == 20
    assert len(takes) == 2


def test_many_levels_of_a_market_are_remembered() -> None:
    takes = OwnTakes()
    levels = [(5_000 + 100 * index, 30) for index in range(12)]
    for price, _ in levels:
        takes.take(SLOT, GENERATION, Side.ASK, price, 10)
        takes.take(SLOT, GENERATION, Side.ASK, price, 5)
    record = row([], levels)
    assert takes.subtract(record, SLOT)
    assert shown(record)[1] == [(price, 15) for price, _ in levels]
    assert len(takes) == 12
    assert len(takes._markets[SLOT, GENERATION].takes) == 16, "memory grows with what is in it"
    assert not takes.subtract(row([], []), SLOT)
    assert not takes.holds(SLOT, GENERATION)


@pytest.mark.compiled_only
@given(st.data())
def test_compiled_equals_plain(plain_twin: PlainTwin, data: st.DataObject) -> None:
    plain = plain_twin("engine.execution.own_takes").subtract_takes
    prices = st.integers(4_990, 5_010)
    sides = [
        sorted(data.draw(st.dictionaries(prices, st.integers(-3, 40), max_size=TOP_LEVELS)).items())
        for _ in range(2)
    ]
    ours = data.draw(st.lists(st.tuples(st.integers(0, 1), prices, st.integers(1, 40)), max_size=6))
    takes = np.array([*ours, (0, 0, 0)], np.int64)
    theirs, rows, others = takes.copy(), row(sides[0][::-1], sides[1]), row(sides[0][::-1], sides[1])
    left = subtract_takes(rows, SLOT, takes, len(ours))
    assert plain(others, SLOT, theirs, len(ours)) == left
    assert rows.tobytes() == others.tobytes()
    assert (takes[:left] == theirs[:left]).all()
