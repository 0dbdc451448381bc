"""Bits of 64-bit words against Python's own integers, at the edges and at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.book import bits

WORDS = st.integers(-(2**63), 2**63 - 1)
POSITIONS = st.integers(0, 63)
EDGES = [0, 1, -1, 2**31, 2**32, 2**32 - 1, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1, 0x5555_5555_5555_5555]


def set_bits(word: int) -> list[int]:
    return [bit for bit in range(64) if (word >> bit) & 1]


@pytest.mark.parametrize("bit", range(64))
def test_a_single_bit(bit: int) -> None:
    word = bits.bit_mask(bit)
    assert set_bits(word) == [bit]
    assert -(2**63) <= word < 2**63
    assert bits.lowest_bit(word) == bits.highest_bit(word) == bit
    assert bits.ones(word) == 1
    assert bits.has_bit(word, bit)
    assert not bits.has_bit(~word, bit)


@pytest.mark.parametrize("word", EDGES)
def test_edges(word: int) -> None:
    there = set_bits(word)
    assert bits.lowest_bit(word) == min(there, default=bits.NO_BIT)
    assert bits.highest_bit(word) == max(there, default=bits.NO_BIT)
    assert bits.ones(word) == len(there)


@given(WORDS, POSITIONS)
def test_any_word(word: int, bit: int) -> None:
    there = set_bits(word)
    assert bits.lowest_bit(word) == min(there, default=bits.NO_BIT)
    assert bits.highest_bit(word) == max(there, default=bits.NO_BIT)
    assert bits.lowest_from(word, bit) == min((at for at in there if at >= bit), default=bits.NO_BIT)
    assert bits.highest_to(word, bit) == max((at for at in there if at <= bit), default=bits.NO_BIT)
    assert bits.ones(word) == len(there)
    assert bits.ones_below(word, bit) == len([at for at in there if at < bit])
    assert bits.has_bit(word, bit) == (bit in there)
