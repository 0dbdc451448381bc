"""What a venue calls a market -> the market and outcome it means, by a hash table that kernels can search.

Open addressing over a power of two of rows, at most half full: a 64-bit hash, then a full compare of the
bytes. The index of a row is stable while its symbol stays, so per-symbol state elsewhere can be kept under
it. One thread owns a table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.jit import inlined, kernel
from engine.records import Outcome
from engine.venues.scan import chunk
from engine.venues.unaligned import BLOCK_BYTES, differing
from engine.venues.workspace import NONE, RECENT_AT, RECENT_MAX, Words

SYMBOL_BYTES_MAX: Final = 96  # a Polymarket token id has up to 78 digits, a Kalshi combo ticker up to some 80
CAPACITY_MAX: Final = 1 << 20

LENGTH: Final = 0  # columns of a row: bytes of the symbol, or one of
HASH: Final = 1
SLOT: Final = 2
GENERATION: Final = 3
TRAITS: Final = 4
KEY: Final = 5
KEY_WORDS: Final = SYMBOL_BYTES_MAX // 8
SYMBOL_WORDS: Final = KEY + KEY_WORDS

EMPTY: Final = 0  # the row was never used
REMOVED: Final = -1  # the row was used: a search goes on behind it

TRAIT_NO: Final = 1  # the symbol is the NO outcome: prices are turned into YES terms
TRAIT_MIRRORED: Final = 2  # the market's two symbols share one book
TRAITS_SIBLING: Final = TRAIT_NO | TRAIT_MIRRORED  # verified against the book, not applied

_MASK32: Final = 0xFFFFFFFF
_LOW_FACTOR: Final = 0x2545F491
_HIGH_FACTOR: Final = 0x4F6CDD1D


class Symbol(NamedTuple):
    """What a symbol means; ``row`` is its index in the table."""

    row: int
    slot: int
    generation: int
    outcome: Outcome
    mirrored: bool


@kernel
def symbol_hash(words: Words, start: int, length: int) -> int:
    """63-bit hash of a plain string: two 32-bit lanes, so that no product passes 2**63."""
    low = length
    high = length
    for at in range(0, length, 8):
        part = chunk(words, start + at, length - at)
        low = ((low ^ (part & _MASK32)) * _LOW_FACTOR) & 0x7FFFFFFFFFFFFFFF
        high = ((high ^ (part >> 32)) * _HIGH_FACTOR) & 0x7FFFFFFFFFFFFFFF
        low = (low ^ (low >> 29)) & _MASK32
        high = (high ^ (high >> 31)) & _MASK32
    return ((high & 0x7FFFFFFF) << 32) | low


@inlined
def _same(table: Words, row: int, words: Words, start: int, length: int) -> bool:
    key = row * SYMBOL_WORDS + KEY
    for at in range(0, length, BLOCK_BYTES):
        others = differing(words, start + at, table, key + (at >> 3))
        if others & ((1 << min(length - at, BLOCK_BYTES)) - 1) != 0:
            return False
    return True


@kernel
def symbol_row(table: Words, words: Words, start: int, length: int) -> int:
    """Row of the symbol of ``length`` bytes at ``start``; NONE when nobody registered it."""
    if length <= 0 or length > SYMBOL_BYTES_MAX:
        return NONE
    wanted = symbol_hash(words, start, length)
    rows = int(table.shape[0])
    row = wanted & (rows - 1)
    for _ in range(rows):
        used = int(table[row, LENGTH])
        if used == EMPTY:
            return NONE
        if used == length and int(table[row, HASH]) == wanted and _same(table, row, words, start, length):
            return row
        row = (row + 1) & (rows - 1)
    return NONE


@inlined
def _recent_place(words: Words, start: int, length: int) -> int:
    """Where the row of a symbol is remembered, by its first and last eight bytes."""
    tail = min(length, 8)
    ends = chunk(words, start, tail) ^ (chunk(words, start + length - tail, tail) >> 1)
    folded = (ends ^ (ends >> 32)) & _MASK32
    return RECENT_AT + (((folded * _LOW_FACTOR) >> 22) & (RECENT_MAX - 1))


@inlined
def recent_row(table: Words, words: Words, start: int, length: int) -> int:
    """As ``symbol_row`` in a codec's memory: first looks where a symbol with the same ends was found last.

    What is remembered is compared in full, so that it may be out of date; it saves the hash, which takes
    longer than the comparison.
    """
    if length <= 0 or length > SYMBOL_BYTES_MAX:
        return NONE
    place = _recent_place(words, start, length)
    row = int(words[place])
    if row < table.shape[0] and int(table[row, LENGTH]) == length and _same(table, row, words, start, length):
        return row
    row = symbol_row(table, words, start, length)
    if row != NONE:
        words[place] = row
    return row


def _plain(symbol: bytes) -> bool:
    """Whether a frame can carry the symbol without escapes."""
    return 0 < len(symbol) <= SYMBOL_BYTES_MAX and all(
        0x20 <= byte < 0x7F and byte not in b'"\\' for byte in symbol
    )


def _key(symbol: bytes) -> Words:
    return np.frombuffer(symbol.ljust(SYMBOL_BYTES_MAX, b"\0"), "<i8")


class SymbolTable:
    """Symbols of one venue, at most ``capacity`` at a time; more are refused and counted in ``refused``.

    ``table`` is the int64 array of shape (rows, SYMBOL_WORDS) that kernels take.
    """

    def __init__(self, capacity: int) -> None:
        if not 0 < capacity <= CAPACITY_MAX:
            raise ValueError(f"capacity {capacity} is not between 1 and {CAPACITY_MAX}")
        rows = 1
        while rows < 2 * capacity:
            rows *= 2
        self.table: Words = np.zeros((rows, SYMBOL_WORDS), np.int64)
        self.capacity = capacity
        self._rows = rows
        self.refused = 0
        self._used = 0
        self._words: Words = np.zeros(KEY_WORDS + 1, np.int64)  # the symbol at hand, and room to look past it

    def __len__(self) -> int:
        return self._used

    def add(
        self,
        symbol: bytes,
        slot: int,
        generation: int,
        outcome: Outcome = Outcome.YES,
        mirrored: bool = False,
    ) -> bool:
        """Register a symbol, or say anew what it means; False, counted, when it is full or not plain text.

        A NO symbol's prices are turned into YES terms; with ``mirrored`` its records are marked as siblings.
        A token whose other token is unknown has a book of its own, in its own terms: register it as YES.
        """
        row = self._row_to_write(symbol) if _plain(symbol) else NONE
        if row == NONE:
            self.refused += 1
            return False
        traits = (TRAIT_NO if outcome is Outcome.NO else 0) | (TRAIT_MIRRORED if mirrored else 0)
        self.table[row, SLOT : TRAITS + 1] = slot, generation, traits
        return True

    def remove(self, symbol: bytes) -> bool:
        """Forget a symbol; False when it was not there."""
        row = self._find_row(symbol)
        if row == NONE:
            return False
        self.table[row] = 0
        self.table[row, LENGTH] = REMOVED
        self._used -= 1
        self._clear_removed(row)
        return True

    def find(self, symbol: bytes) -> Symbol | None:
        """What ``symbol`` means; None when nobody registered it."""
        row = self._find_row(symbol)
        return None if row == NONE else self.at(row)

    def at(self, row: int) -> Symbol:
        """What the symbol of a row in use means."""
        slot, generation, traits = (int(value) for value in self.table[row, SLOT : TRAITS + 1])
        outcome = Outcome.NO if traits & TRAIT_NO else Outcome.YES
        return Symbol(row, slot, generation, outcome, bool(traits & TRAIT_MIRRORED))

    def _find_row(self, symbol: bytes) -> int:
        if not _plain(symbol):
            return NONE
        self._words[:KEY_WORDS] = _key(symbol)
        return symbol_row(self.table, self._words, 0, len(symbol))

    def _row_to_write(self, symbol: bytes) -> int:
        found = self._find_row(symbol)
        if found != NONE or self._used >= self.capacity:
            return found
        wanted = symbol_hash(self._words, 0, len(symbol))
        mask = self._rows - 1
        row = wanted & mask
        while self.table[row, LENGTH] > 0:
            row = (row + 1) & mask
        self.table[row, LENGTH] = len(symbol)
        self.table[row, HASH] = wanted
        self.table[row, KEY:] = _key(symbol)
        self._used += 1
        return row

    def _clear_removed(self, row: int) -> None:
        """Turn removed rows at the end of a probe chain into empty ones, so that searches stay short."""
        mask = self._rows - 1
        if self.table[(row + 1) & mask, LENGTH] != EMPTY:
            return
        while self.table[row, LENGTH] == REMOVED:
            self.table[row, LENGTH] = EMPTY
            row = (row - 1) & mask
