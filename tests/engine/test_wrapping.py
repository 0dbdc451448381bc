"""Sums and products that wrap around, compiled and plain, where the code around them invites an error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.jit import kernel
from engine.wrapping import wrapped_product, wrapped_sum
from tests.plain_twin import PlainTwin

INT64 = st.integers(-(2**63), 2**63 - 1)
MASK = 2**63 - 1
FACTOR = 0x5851_F42D_4C95_7F2D


def wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


@kernel
def both(one: int, other: int) -> tuple[int, int]:
    return wrapped_sum(one, other), wrapped_product(one, other)


@kernel
def masked(value: int) -> int:
    """With ``*`` the second mask is dropped: LLVM infers that factors without a sign have such a product."""
    return wrapped_product(value & MASK, FACTOR) & MASK


@kernel
def has_top_bit(value: int) -> bool:
    return wrapped_sum(value & MASK, MASK) < 0


@given(INT64, INT64)
def test_what_passes_63_bits_wraps(one: int, other: int) -> None:
    assert both(one, other) == (wrapped(one + other), wrapped(one * other))


@given(INT64)
def test_no_mask_is_dropped_behind_a_product(value: int) -> None:
    assert masked(value) == (value & MASK) * FACTOR & MASK


@given(INT64)
def test_a_sum_without_sign_may_get_one(value: int) -> None:
    assert has_top_bit(value) == ((value & MASK) > 0)


def test_plain_is_the_same(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.wrapping")
    for one, other in ((2**62, 2), (-(2**63), -1), (FACTOR, FACTOR), (3, -5)):
        assert (plain.wrapped_sum(one, other), plain.wrapped_product(one, other)) == (
            wrapped(one + other),
            wrapped(one * other),
        )
