"""Loads from any byte of an array, compiled and plain, against the bytes themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jit import kernel
from engine.venues.unaligned import BLOCK_BYTES, byte, differing, eight, lowest, specials
from engine.venues.workspace import Words

N_WORDS = 16
texts = st.binary(min_size=8 * N_WORDS, max_size=8 * N_WORDS)
INT64 = st.integers(-(2**63), 2**63 - 1).filter(bool)


@kernel
def loaded(words: Words, at: int) -> tuple[int, int, int]:
    return byte(words, at), eight(words, at), specials(words, at)


@kernel
def differing_of(words: Words, at: int, others: Words, index: int) -> int:
    return differing(words, at, others, index)


@kernel
def lowest_of(bits: int) -> int:
    return lowest(bits)


@given(texts, st.integers(0, 8 * N_WORDS - BLOCK_BYTES))
def test_what_is_loaded_are_the_bytes_from_there_on(text: bytes, at: int) -> None:
    block = text[at : at + BLOCK_BYTES]
    special = sum((one < 0x20 or one in b'"\\') << place for place, one in enumerate(block))
    found = loaded(np.frombuffer(text, np.int64), at)
    assert found == (text[at], int.from_bytes(text[at : at + 8], "little", signed=True), special)


@pytest.mark.parametrize("special", [0, 0x1F, 0x22, 0x5C])
@pytest.mark.parametrize("plain", [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xFF])
def test_a_bit_for_each_byte_that_no_plain_string_has(special: int, plain: int) -> None:
    text = bytearray([plain] * 8 * N_WORDS)
    for place in (0, 7, 8, 30, 31):
        text[3 + place] = special
    words = np.frombuffer(bytes(text), np.int64)
    assert loaded(words, 3)[2] == 1 << 0 | 1 << 7 | 1 << 8 | 1 << 30 | 1 << 31


@given(
    texts, st.integers(0, 8 * N_WORDS - BLOCK_BYTES), st.integers(0, N_WORDS - BLOCK_BYTES // 8), st.data()
)
def test_a_bit_for_each_byte_that_differs(text: bytes, at: int, other: int, data: st.DataObject) -> None:
    changed = bytearray(text)
    changed[at : at + BLOCK_BYTES] = text[8 * other : 8 * other + BLOCK_BYTES]
    for place in data.draw(st.sets(st.integers(0, BLOCK_BYTES - 1))):
        changed[at + place] ^= 1
    one, two = changed[at : at + BLOCK_BYTES], changed[8 * other : 8 * other + BLOCK_BYTES]
    expected = sum(
        (first != second) << place for place, (first, second) in enumerate(zip(one, two, strict=True))
    )
    words = np.frombuffer(bytes(changed), np.int64)
    assert differing_of(words, at, words, other) == expected
    assert differing_of(words, at, words.reshape(4, -1), other) == expected


@given(INT64)
def test_the_lowest_bit(bits: int) -> None:
    assert lowest_of(bits) == next(place for place in range(64) if bits >> place & 1)
