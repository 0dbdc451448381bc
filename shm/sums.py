"""Checksums of messages: what a ring writes beside its cells when a garbled payload must not be believed.

The sequence of a cell says that its message was published, not that it is still what was published. A checked
ring has a word for every cell behind its cells; that of a message's first cell holds the sum over its
position, its tags and its payloads. Who reads sums up what it has copied, so that nothing can change between
the check and the use.

Two lanes, words of a record turn by turn, each ``(lane ^ word') * odd`` modulo 2**63, so that it is the same
compiled and as Python's unbounded integers. ``word'`` has the upper half folded into the lower: the top bit
alone would be cut off. So every change of one word changes the sum, but that of bits 31 and 63 together, and
anything larger all but once in 2**63. It finds accidents, not an adversary: who may write here may write the
sum as well.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from shm.atomics import address_of, load_relaxed, store_relaxed, wrapped_product
from shm.jit import kernel
from shm.layout import WORD_BYTES

EVEN: Final = 0x5851_F42D_4C95_7F2D  # odd 63-bit multipliers of the two lanes
ODD: Final = 0x2545_F491_4F6C_DD1D
SUM_MASK: Final = (1 << 63) - 1
FOLD: Final = 32
HALF_MASK: Final = (1 << FOLD) - 1


@kernel
def copy_summed(into: int, source: int, n_words: int, even: int, odd: int) -> tuple[int, int]:
    """Copy an even number of words, each whole, in no promised order; answers both lanes behind them."""
    for at in range(0, n_words * WORD_BYTES, 2 * WORD_BYTES):
        first = load_relaxed(source + at)
        second = load_relaxed(source + at + WORD_BYTES)
        store_relaxed(into + at, first)
        store_relaxed(into + at + WORD_BYTES, second)
        even = wrapped_product(even ^ first ^ ((first >> FOLD) & HALF_MASK), EVEN)
        odd = wrapped_product(odd ^ second ^ ((second >> FOLD) & HALF_MASK), ODD)
    return even & SUM_MASK, odd & SUM_MASK


@kernel
def sum_of(even: int, odd: int) -> int:
    """The sum that two lanes come to."""
    return (even ^ wrapped_product(odd, EVEN)) & SUM_MASK


def warm() -> None:
    """Compile the kernels of this module."""
    words = np.zeros(4, np.int64)
    sum_of(*copy_summed(address_of(words), address_of(words[2:]), 2, 0, 0))
