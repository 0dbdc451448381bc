"""Bits of a 64-bit word held in an int64, for occupancy bitmaps.

Bit 63 is the sign, so every step below keeps its intermediate inside int64: the same lines give the same
answer as plain Python integers and compiled. Words are searched by halves of 32 bits, with a de Bruijn
product.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.jit import inlined, kernel

WORD_BITS: Final = 64
NO_BIT: Final = -1

_MASK32: Final = 0xFFFF_FFFF
_SIGN: Final = -(2**63)
_LOW_PRODUCT: Final = 0x077C_B531
_HIGH_PRODUCT: Final = 0x07C4_ACDD


def _table(product: int, smeared: bool) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Position of a bit by the top five bits of ``product`` times that bit (or that bit and all below it)."""
    table = np.zeros(32, dtype=np.int64)
    for bit in range(32):
        word = (2 << bit) - 1 if smeared else 1 << bit
        table[((word * product) & _MASK32) >> 27] = bit
    return table


_LOW: Final = _table(_LOW_PRODUCT, smeared=False)
_HIGH: Final = _table(_HIGH_PRODUCT, smeared=True)


@inlined
def bit_mask(bit: int) -> int:
    """Word with only ``bit`` (0..63) set."""
    return _SIGN if bit == 63 else 1 << bit


@inlined
def has_bit(word: int, bit: int) -> bool:
    """Whether ``bit`` (0..63) of ``word`` is set."""
    return (word >> bit) & 1 != 0


@kernel
def lowest_bit(word: int) -> int:
    """Position of the lowest set bit (count of trailing zeros); NO_BIT for 0."""
    if word == 0:
        return NO_BIT
    half = word & _MASK32
    base = 0
    if half == 0:
        half = (word >> 32) & _MASK32
        base = 32
    return base + int(_LOW[(((half & -half) * _LOW_PRODUCT) & _MASK32) >> 27])


@kernel
def highest_bit(word: int) -> int:
    """Position of the highest set bit (63 - count of leading zeros); NO_BIT for 0."""
    if word == 0:
        return NO_BIT
    half = (word >> 32) & _MASK32
    base = 32
    if half == 0:
        half = word & _MASK32
        base = 0
    half |= half >> 1
    half |= half >> 2
    half |= half >> 4
    half |= half >> 8
    half |= half >> 16
    return base + int(_HIGH[((half * _HIGH_PRODUCT) & _MASK32) >> 27])


@inlined
def lowest_from(word: int, bit: int) -> int:
    """Lowest set position that is ``bit`` (0..63) or above; NO_BIT when there is none."""
    return lowest_bit(word & (-1 << bit))


@inlined
def highest_to(word: int, bit: int) -> int:
    """Highest set position that is ``bit`` (0..63) or below; NO_BIT when there is none."""
    return highest_bit(word if bit == 63 else word & ~(-1 << (bit + 1)))


@inlined
def _ones32(half: int) -> int:
    half = half - ((half >> 1) & 0x5555_5555)
    half = (half & 0x3333_3333) + ((half >> 2) & 0x3333_3333)
    half = (half + (half >> 4)) & 0x0F0F_0F0F
    return ((half * 0x0101_0101) & _MASK32) >> 24


@kernel
def ones(word: int) -> int:
    """How many bits are set."""
    return _ones32(word & _MASK32) + _ones32((word >> 32) & _MASK32)


@inlined
def ones_below(word: int, bit: int) -> int:
    """How many bits below ``bit`` (0..63) are set: the rank of that bit."""
    return ones(word & ~(-1 << bit))
