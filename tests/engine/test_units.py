"""muldiv against Python's integers, compiled and plain; decimals both ways; the maxima of every unit."""

from __future__ import annotations

from decimal import Decimal
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import units
from tests.plain_twin import PlainTwin

DIVISOR_MAX = 2**62 - 1

operands = st.one_of(st.integers(0, units.INT64_MAX), st.integers(0, 62).map(lambda bit: (1 << bit) + 1))
divisors = st.one_of(
    st.integers(1, DIVISOR_MAX), st.integers(1, 64), st.integers(0, 61).map(lambda bit: 1 << bit)
)


def python_floor(a: int, b: int, divisor: int) -> int:
    quotient = a * b // divisor
    return quotient if quotient <= units.INT64_MAX else units.MULDIV_OVERFLOW


def python_ceil(a: int, b: int, divisor: int) -> int:
    quotient = -(-a * b // divisor)
    return quotient if quotient <= units.INT64_MAX else units.MULDIV_OVERFLOW


@pytest.fixture(scope="session", params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, plain_twin: PlainTwin) -> ModuleType:
    return units if request.param == "compiled" else plain_twin("engine.units")


@given(operands, operands, divisors)
@example(units.INT64_MAX, units.INT64_MAX, DIVISOR_MAX)
@example(units.INT64_MAX, units.INT64_MAX, 1)
@example(units.INT64_MAX, 1, 1)
@example(units.INT64_MAX, 3, 3)  # high word 1 of divisor 3: fits, though the high word is half of the divisor
@example(3, 2**62, 2)
@example(2**62, 4, 2)  # exactly 2**63
@example(2**62, 4 * 3, 6)
@example(0, units.INT64_MAX, 7)
@example(units.SIDE_SIZE_MAX_E6, 25 * 10**15, 10**17)
def test_muldiv_is_python_arithmetic(either: ModuleType, a: int, b: int, divisor: int) -> None:
    assert either.muldiv_floor(a, b, divisor) == python_floor(a, b, divisor)
    assert either.muldiv_ceil(a, b, divisor) == python_ceil(a, b, divisor)


@given(st.integers(2**32, units.INT64_MAX), divisors, st.integers(-3, 3))
def test_muldiv_next_to_the_largest_quotient(either: ModuleType, a: int, divisor: int, step: int) -> None:
    """Products within three steps of 2**63 x divisor, where fitting and not fitting meet."""
    b = units.INT64_MAX * divisor // a + step
    if 0 <= b <= units.INT64_MAX:
        assert either.muldiv_floor(a, b, divisor) == python_floor(a, b, divisor)
        assert either.muldiv_ceil(a, b, divisor) == python_ceil(a, b, divisor)


@given(st.integers(0, 2**50), st.integers(1, 2**62), st.integers(-2, 2), st.data())
@example(2**50, 2**13 - 1, -1, None)
@example(2**50 - 1, 2**13, 1, None)
@example(1, 2**62, 0, None)
@example(0, 2**62, 1, None)
def test_a_division_by_floats_is_exact(
    either: ModuleType, quotient: int, divisor: int, step: int, data: st.DataObject | None
) -> None:
    """Next to multiples of the divisor, where it matters, and anywhere."""
    anywhere = 0 if data is None else data.draw(st.integers(0, divisor - 1))
    for dividend in (quotient * divisor + step, quotient * divisor + anywhere):
        if 0 <= dividend <= min(units.INT64_MAX, 2**50 * divisor):
            assert either.divided(dividend, divisor) == divmod(dividend, divisor)


@given(operands, operands, st.integers(0, 20), st.integers(-2, 2))
def test_muldiv_is_exact_where_one_way_ends_and_the_other_begins(
    either: ModuleType, a: int, b: int, bits: int, step: int
) -> None:
    """Products around 2**63, and quotients around 2**50."""
    small = max(a >> 31, 1)
    other = max(min(units.INT64_MAX // small + step, units.INT64_MAX), 0)
    divisor = max((small * other >> 50) + step, 1)
    for one, two, three in ((small, other, divisor), (small, b >> bits, max(small * (b >> bits) >> 50, 1))):
        assert either.muldiv_floor(one, two, three) == python_floor(one, two, three)
        assert either.muldiv_ceil(one, two, three) == python_ceil(one, two, three)


def test_ceiling_of_the_largest_quotient_does_not_wrap(either: ModuleType) -> None:
    third = (2**64 - 1) // 3  # 3 x third over 2 is 2**63 - 1 and a half
    assert either.muldiv_floor(third, 3, 2) == units.INT64_MAX
    assert either.muldiv_ceil(third, 3, 2) == units.MULDIV_OVERFLOW
    assert either.muldiv_ceil(units.INT64_MAX, 1, 1) == units.INT64_MAX


def test_an_intermediate_of_128_bits_is_needed_and_present(either: ModuleType) -> None:
    """The largest side at the dearest price: the product passes 2**63, the notional does not."""
    assert units.SIDE_SIZE_MAX_E6 * units.PRICE_ONE_E4 * 10**6 > units.INT64_MAX
    notional = either.muldiv_ceil(units.SIDE_SIZE_MAX_E6, 9_999 * 10**6, units.PRICE_ONE_E4 * 10**6)
    assert notional == units.SIDE_SIZE_MAX_E6 * 9_999 // units.PRICE_ONE_E4


def test_maxima_leave_room_for_each_other() -> None:
    assert units.LEVEL_SIZE_MAX_E6 < units.SIDE_SIZE_MAX_E6
    assert units.SIDE_SIZE_MAX_E6 * units.MICROS_PER_PRICE * units.PRICE_ONE_E4 <= 10**21
    assert units.CASH_MAX_MICROS + units.CASH_MAX_MICROS < units.INT64_MAX
    assert units.SIDE_SIZE_MAX_E6 * units.PRICE_ONE_E4 > units.INT64_MAX  # why notionals go through muldiv
    assert units.SIZE_ONE_E6 * units.PRICE_ONE_E4 * units.MICROS_PER_PRICE == (
        units.CASH_ONE_MICROS * units.SIZE_ONE_E6
    )


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        ("0.48", 4, 4_800),
        (".48", 4, 4_800),
        ("-50.00", 6, -50_000_000),
        ("100.5", 6, 100_500_000),
        ("1", 4, 10_000),
        ("1.", 4, 10_000),
        ("0.0010", 4, 10),
        ("0.48000000", 4, 4_800),  # more digits than the unit holds, all of them zero
        ("-0", 4, 0),
        ("007", 0, 7),
        ("12.000", 0, 12),
        ("99999999999999.999999", 6, 99_999_999_999_999_999_999),
    ],
)
def test_decimal_texts_are_read_exactly(text: str, decimals: int, expected: int) -> None:
    assert units.decimal_to_units(text, decimals) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "-.",
        "1e3",
        "+1",
        " 1",
        "1 ",
        "0x1",
        "1,000",
        "1.2.3",
        "--1",
        "nan",
        "\u0661",
        "\u00bd",
        "0.12345",
    ],
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a decimal|more than 4 decimals"):
        units.decimal_to_units(text, 4)


@given(st.integers(-(10**18), 10**18), st.integers(0, 9))
def test_decimals_survive_the_way_out_and_back(value: int, decimals: int) -> None:
    text = units.units_to_decimal(value, decimals)
    assert units.decimal_to_units(text, decimals) == value
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    assert "." not in text or not text.endswith(("0", "."))


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (4_800, 4, "0.48"),
        (-50_000_000, 6, "-50"),
        (0, 4, "0"),
        (10_000, 4, "1"),
        (1, 6, "0.000001"),
        (120, 0, "120"),
    ],
)
def test_decimal_texts_have_no_trailing_zeros(value: int, decimals: int, text: str) -> None:
    assert units.units_to_decimal(value, decimals) == text
