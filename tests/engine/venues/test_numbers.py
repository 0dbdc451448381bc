"""Values of decoded JSON as exact integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import NO_PRICE
from engine.units import LEVEL_SIZE_MAX_E6
from engine.venues import numbers
from engine.venues.numbers import FrameError


@pytest.mark.parametrize(
    ("value", "price_e4"),
    [("0.48", 4_800), (".48", 4_800), (0.48, 4_800), ("0.4800000", 4_800), (1, 10_000), ("0", 0),
     ("1.", 10_000), ("0.0001", 1), (1e-4, 1), ("-0", 0), (-0.0, 0)],
)  # fmt: skip
def test_prices(value: object, price_e4: int) -> None:
    assert numbers.price(value, "p") == price_e4


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "1.0001",
        "-0.1",
        "0.00001",
        1e-5,
        2,
        True,
        None,
        [],
        "1e-1",
        "0x1",
        "\u0660",
        " 0.5",
        "+0.5",
        float("1e300"),
    ],
)
def test_prices_that_are_none(value: object) -> None:
    with pytest.raises(FrameError, match=r"^somewhere: .{1,160}$"):
        numbers.price(value, "somewhere")


@pytest.mark.parametrize(
    ("value", "price_e4"), [("", NO_PRICE), ("0", NO_PRICE), ("1", NO_PRICE), (0, NO_PRICE), ("0.5", 5_000)]
)
def test_best_prices_say_when_a_side_is_empty(value: object, price_e4: int) -> None:
    assert numbers.best_price(value, "p") == price_e4


@pytest.mark.parametrize(
    ("value", "size_e6", "cut"),
    [("200", 200_000_000, False), ("219.217767", 219_217_767, False), (5.5, 5_500_000, False),
     ("0", 0, False),
     ("1.23456789", 1_234_567, True), ("1.230000000", 1_230_000, False),
     (78.67999999999999, 78_679_999, True), ("100000000", LEVEL_SIZE_MAX_E6, False)],
)  # fmt: skip
def test_sizes_are_cut_to_six_decimals_and_never_up(value: object, size_e6: int, cut: bool) -> None:
    assert numbers.size(value, "s") == (size_e6, cut)


@pytest.mark.parametrize("value", ["-1", "", "100000000.000001", "1.2.3", "1.23456x89", None, "9" * 5_000])
def test_sizes_that_are_none(value: object) -> None:
    with pytest.raises(FrameError, match=r"^s: "):
        numbers.size(value, "s")


def test_changes_are_signed_and_never_cut() -> None:
    assert numbers.change("-54.00", "d") == -54_000_000
    assert numbers.change(-0.5, "d") == -500_000
    for value in ("0.0000001", "-100000000.1"):
        with pytest.raises(FrameError, match=r"^d: "):
            numbers.change(value, "d")


@pytest.mark.parametrize(
    ("value", "number"), [(0, 0), ("007", 7), (10**15 - 1, 10**15 - 1), ("9" * 15, 10**15 - 1)]
)
def test_whole_numbers(value: object, number: int) -> None:
    assert numbers.whole_number(value, "n") == number


@pytest.mark.parametrize("value", [-1, 10**15, "1" * 16, "", "-1", "1.0", 1.0, True, None, "\u0663"])
def test_whole_numbers_that_are_none(value: object) -> None:
    with pytest.raises(FrameError, match=r"^n: "):
        numbers.whole_number(value, "n")


@pytest.mark.parametrize(
    ("value", "time_ns"),
    [
        ("1757908892351", 1_757_908_892_351_000_000),
        (0, 0),
        (None, 0),
        ("soon", 0),
        (9 * 10**12, 9 * 10**18),
        (9 * 10**12 + 1, 0),
    ],
)
def test_times(value: object, time_ns: int) -> None:
    assert numbers.time_ns(value) == time_ns


def test_texts() -> None:
    assert numbers.text("", "t") == ""
    with pytest.raises(FrameError, match="t: not a string: 5"):
        numbers.text(5, "t")


@given(st.integers(0, 10_000))
def test_every_price_survives_a_float(price_e4: int) -> None:
    assert numbers.price(price_e4 / 10_000, "p") == price_e4


def test_an_unknown_size_is_the_least_that_is_not_nothing() -> None:
    assert numbers.UNKNOWN_SIZE_E6 == 1
