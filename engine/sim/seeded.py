"""Randomness as a function: the same seed and words give the same bits, in any order of asking.

Nothing is drawn from a stream, so one more order in a run leaves the luck of all others as it was, and a
run at another latency scale meets the same fate order by order.
"""

from __future__ import annotations

from typing import Final

from engine.units import PPM

_MASK64: Final = 2**64 - 1
_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15


def mix(value: int) -> int:
    """Scatter 64 bits (the finaliser of splitmix64); a bijection on 0..2**64-1."""
    value = (value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9 & _MASK64
    value = (value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB & _MASK64
    return value ^ (value >> 31)


def draw(seed: int, *words: int) -> int:
    """64 bits for these words, evenly spread."""
    state = mix(seed & _MASK64)
    for word in words:
        state = mix((state + _GOLDEN + (word & _MASK64)) & _MASK64)
    return state


def below(bits: int, bound: int) -> int:
    """Integer in 0..bound-1 from 64 drawn bits; bound at least 1."""
    return bits * bound >> 64


def chance(bits: int, ppm: int) -> bool:
    """Whether an event of this probability happens."""
    return below(bits, PPM) < ppm


def between(bits: int, low: int, high: int) -> int:
    """Integer in low..high, both included."""
    return low + below(bits, high - low + 1)
