"""The kernels' readings of a field against those of ``engine.venues.numbers``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.venues import keys, numbers, scan, values
from engine.venues.numbers import FrameError
from engine.venues.scan import BAD
from engine.venues.workspace import FIELDS_SEEN, NONE, Workspace

SPACE = Workspace(1, keys.name_tables([{b"x": 1, b"y": 2}]))
ABSENT = object()

spelled = (
    st.sampled_from(
        [
            "",
            "0",
            "1",
            ".5",
            "0.5",
            "-0.5",
            "1.00001",
            "0.4800000",
            "100000000",
            "100000000.1",
            "1757908892351",
        ]
    )
    | st.decimals(-2, 2, places=5).map(str)
    | st.integers(0, 10**13).map(str)
)
anything = (
    spelled | st.none() | st.booleans() | st.integers(-5, 10**13) | st.decimals(0, 1, places=4).map(float)
)


def field(value: object) -> int:
    """Lay out an object whose field 1 has a value, and walk over it; -> field 1."""
    text = json.dumps({"y": 1} if value is ABSENT else {"x": value}).encode()
    SPACE.memory[: len(text)] = text
    scan.seal(SPACE.words, len(text))
    SPACE.words[FIELDS_SEEN] = 0
    assert keys.fields(SPACE.words, 1, keys.names_at(0), 0) == (len(text), keys.END)
    return 1


def or_bad(read: Callable[[object, str], int], value: object) -> int:
    """What the general reader says; BAD for what it refuses."""
    try:
        return read(value, "")
    except FrameError:
        return BAD


@given(anything)
@example("")
@example("1")
@example(ABSENT)
def test_prices(value: object) -> None:
    at = field(value)
    assert values.price_field(SPACE.words, at) == or_bad(numbers.price, value)
    assert values.best_price_field(SPACE.words, at) == or_bad(numbers.best_price, value)


@given(anything)
@example("100000000")
@example("-100000000")
@example(ABSENT)
def test_sizes(value: object) -> None:
    at = field(value)
    change = or_bad(numbers.change, value)
    assert values.change_field(SPACE.words, at) == change
    assert values.size_field(SPACE.words, at) == (change if change >= 0 else BAD)


@given(anything)
@example(ABSENT)
@example(9 * 10**12)
@example(9 * 10**12 + 1)
def test_numbers_and_times(value: object) -> None:
    at = field(value)
    number = NONE if value is ABSENT else or_bad(numbers.whole_number, value)
    assert values.number_field(SPACE.words, at) == number
    sure = number not in (BAD, NONE) and number <= numbers.TIME_MAX_MS
    unsure = 0 if number == NONE else BAD
    assert values.time_field(SPACE.words, at) == (number * 1_000_000 if sure else unsure)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("BUY", keys.name_word(b"BUY")),
        ("", 0),
        ("ninebytes", 0),
        (5, 0),
        (None, 0),
        ("eightlet", keys.name_word(b"eightlet")),
    ],
)
def test_short_texts(value: object, word: int) -> None:
    assert values.short_field(SPACE.words, field(value)) == word


def test_the_first_field_that_is_there() -> None:
    field("v")
    assert values.first_of(SPACE.words, 1, 2) == 1
    assert values.first_of(SPACE.words, 2, 1) == 1
