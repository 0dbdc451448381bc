"""Ladders: the sizes of one side of a book, over the ticks of its grid (memory: ``engine.book.pool``).

Ladder 2 * book is the bid side of a book and 2 * book + 1 its ask side: bids are best at the highest tick.
A level of unknown size is occupied and has size 0, so that nothing can be taken from it.
A ladder counts its writes since a reader last looked, and remembers the best tick among them, so that only
what changed is read again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.bits import NO_BIT, bit_mask, has_bit, highest_bit, highest_to, lowest_bit, lowest_from, ones
from engine.book.pool import (
    BEST,
    CHANGED,
    CHANGES,
    FIRST_LINE,
    LINE_LEVELS,
    NO_TICK,
    SIDE_COLUMNS,
    SUMMARY,
    SUMMARY_WORDS,
    TOTAL,
    UNKNOWN,
    Ladders,
    release,
    room,
    shrink,
    size_cell,
)
from engine.jit import inlined, kernel
from engine.units import LEVEL_SIZE_MAX_E6, SIDE_SIZE_MAX_E6


class Status(IntEnum):
    """What became of a write; everything but OK leaves the ladder as it was, unless said otherwise."""

    OK = 0
    NEGATIVE_LEVEL = 1  # an addition would have gone below 0: the level is removed
    LEVEL_BOUND = 2  # a size beyond LEVEL_SIZE_MAX_E6, or a side beyond SIDE_SIZE_MAX_E6
    POOL_EXHAUSTED = 3  # no line or page is left
    OFF_GRID = 4  # said by whoever maps prices to ticks


class Write(IntEnum):
    """What an amount does to a level."""

    SET = 0  # absolute size, 0 removes
    ADD = 1  # signed change
    UNKNOWN = 2  # the level stands, its size is not known


ALL_CHANGED: Final = 2**31  # changes of a side that was cleared: more than anyone counts one by one

_OK, _NEGATIVE, _BOUND, _EXHAUSTED = (
    int(Status.OK),
    int(Status.NEGATIVE_LEVEL),
    int(Status.LEVEL_BOUND),
    int(Status.POOL_EXHAUSTED),
)
_WRITE_SET, _WRITE_ADD, _WRITE_UNKNOWN = int(Write.SET), int(Write.ADD), int(Write.UNKNOWN)


@inlined
def has_level(ladders: Ladders, ladder: int, tick: int) -> bool:
    """Whether a level stands at ``tick`` of the grid, of known size or not."""
    offset = int(ladders.dirs[ladder, tick >> 6])
    return offset != 0 and has_bit(int(ladders.cells[offset]), tick & 63)


@inlined
def level_size(ladders: Ladders, ladder: int, tick: int) -> int:
    """Size in 1e-6 contracts at ``tick``; 0 where no level stands, or one of unknown size."""
    offset = int(ladders.dirs[ladder, tick >> 6])
    if offset == 0:
        return 0
    occupied = int(ladders.cells[offset])
    if not has_bit(occupied, tick & 63):
        return 0
    return int(ladders.cells[size_cell(ladders, offset, occupied, tick & 63)])


@kernel
def _last_word(ladders: Ladders, ladder: int, word: int) -> int:
    """Highest word with a level that is ``word`` or below, NO_TICK without one; -1 is below all."""
    if word < 0:
        return NO_TICK
    part = word >> 6
    bit = highest_to(int(ladders.sides[ladder, SUMMARY + part]), word & 63)
    while bit == NO_BIT and part > 0:
        part -= 1
        bit = highest_to(int(ladders.sides[ladder, SUMMARY + part]), 63)
    return NO_TICK if bit == NO_BIT else (part << 6) + bit


@kernel
def _first_word(ladders: Ladders, ladder: int, word: int) -> int:
    """Lowest word with a level that is ``word`` or above, NO_TICK without one; WORDS_MAX is above all."""
    part = word >> 6
    bit = lowest_from(int(ladders.sides[ladder, SUMMARY + part]), word & 63)
    while bit == NO_BIT and part < SUMMARY_WORDS - 1:
        part += 1
        bit = lowest_bit(int(ladders.sides[ladder, SUMMARY + part]))
    return NO_TICK if bit == NO_BIT else (part << 6) + bit


@kernel
def _last_of_words(ladders: Ladders, ladder: int, word: int) -> int:
    """Highest tick with a level in ``word`` or below, NO_TICK without one."""
    word = _last_word(ladders, ladder, word)
    if word == NO_TICK:
        return NO_TICK
    return (word << 6) + highest_bit(int(ladders.cells[int(ladders.dirs[ladder, word])]))


@kernel
def _first_of_words(ladders: Ladders, ladder: int, word: int) -> int:
    """Lowest tick with a level in ``word`` or above, NO_TICK without one."""
    word = _first_word(ladders, ladder, word)
    if word == NO_TICK:
        return NO_TICK
    return (word << 6) + lowest_bit(int(ladders.cells[int(ladders.dirs[ladder, word])]))


@inlined
def at_or_below(ladders: Ladders, ladder: int, tick: int) -> int:
    """Highest tick with a level that is ``tick`` (-1 at least) or below, NO_TICK without one."""
    if tick < 0:
        return NO_TICK
    word = tick >> 6
    bit = highest_to(int(ladders.cells[int(ladders.dirs[ladder, word])]), tick & 63)
    return (word << 6) + bit if bit != NO_BIT else _last_of_words(ladders, ladder, word - 1)


@inlined
def at_or_above(ladders: Ladders, ladder: int, tick: int) -> int:
    """Lowest tick with a level that is ``tick`` (at most TICKS_MAX) or above, NO_TICK without one."""
    word = tick >> 6
    bit = lowest_from(int(ladders.cells[int(ladders.dirs[ladder, word])]), tick & 63)
    return (word << 6) + bit if bit != NO_BIT else _first_of_words(ladders, ladder, word + 1)


@kernel
def at_or_worse(ladders: Ladders, ladder: int, tick: int) -> int:
    """Best level that is not better than ``tick`` for this side, NO_TICK without one."""
    if ladder & 1 == 0:
        return at_or_below(ladders, ladder, tick)
    return at_or_above(ladders, ladder, tick)


@inlined
def step_worse(ladders: Ladders, ladder: int, tick: int) -> int:
    """``next_worse`` for loops that cannot spare the call."""
    if ladder & 1 == 0:
        return at_or_below(ladders, ladder, tick - 1)
    return at_or_above(ladders, ladder, tick + 1)


@kernel
def next_worse(ladders: Ladders, ladder: int, tick: int) -> int:
    """Next level away from the best, NO_TICK after the last."""
    return step_worse(ladders, ladder, tick)


@inlined
def next_better(ladders: Ladders, ladder: int, tick: int) -> int:
    """Next level towards the best, NO_TICK after it."""
    if ladder & 1 == 0:
        return at_or_above(ladders, ladder, tick + 1)
    return at_or_below(ladders, ladder, tick - 1)


@inlined
def is_better(ladder: int, tick: int, other: int) -> bool:
    """Whether ``tick`` is a strictly better price than ``other`` for this side."""
    return tick > other if ladder & 1 == 0 else tick < other


@inlined
def _note_change(ladders: Ladders, ladder: int, tick: int) -> None:
    changes = int(ladders.sides[ladder, CHANGES])
    if changes == 0 or is_better(ladder, tick, int(ladders.sides[ladder, CHANGED])):
        ladders.sides[ladder, CHANGED] = tick
    ladders.sides[ladder, CHANGES] = changes + 1


@kernel
def _insert(ladders: Ladders, ladder: int, tick: int, size_e6: int) -> int:
    """Let a level stand where none stood. Status."""
    offset = room(ladders, ladder, tick >> 6)
    if offset == 0:
        return _EXHAUSTED
    bit = tick & 63
    occupied = int(ladders.cells[offset])
    cell = size_cell(ladders, offset, occupied, bit)
    if offset >= int(ladders.pool[FIRST_LINE]):
        for later in range(offset + ones(occupied), cell - 1, -1):
            ladders.cells[later + 1] = int(ladders.cells[later])
    ladders.cells[offset] = occupied | bit_mask(bit)
    ladders.cells[cell] = size_e6
    best = int(ladders.sides[ladder, BEST])
    if best == NO_TICK or is_better(ladder, tick, best):
        ladders.sides[ladder, BEST] = tick
    return _OK


@kernel
def _remove(ladders: Ladders, ladder: int, tick: int, offset: int, cell: int) -> None:
    """Take away the level at ``tick``, whose size is at ``cell`` of the line or page at ``offset``."""
    word = tick >> 6
    occupied = int(ladders.cells[offset])
    left = occupied & ~bit_mask(tick & 63)
    ladders.cells[offset] = left
    if left == 0:
        release(ladders, offset)
        ladders.dirs[ladder, word] = 0
        ladders.sides[ladder, SUMMARY + (word >> 6)] &= ~bit_mask(word & 63)
    elif offset >= int(ladders.pool[FIRST_LINE]):
        for later in range(cell, offset + ones(left) + 1):
            ladders.cells[later] = int(ladders.cells[later + 1])
    elif ones(left) == LINE_LEVELS:
        shrink(ladders, ladder, word, offset)
    if tick == int(ladders.sides[ladder, BEST]):
        ladders.sides[ladder, BEST] = next_worse(ladders, ladder, tick)


@inlined
def write_level(ladders: Ladders, ladder: int, tick: int, amount_e6: int, how: int) -> int:
    """Write one level as ``how`` (Write) says. Status.

    An addition to a level of unknown size changes nothing; one that ends below 0 removes the level.
    """
    offset = int(ladders.dirs[ladder, tick >> 6])
    occupied = int(ladders.cells[offset])  # cell 0 is always 0: no level
    cell = 0
    old = 0
    if has_bit(occupied, tick & 63):
        cell = size_cell(ladders, offset, occupied, tick & 63)
        old = int(ladders.cells[cell])
    size = 0 if how == _WRITE_UNKNOWN else amount_e6
    if how == _WRITE_ADD:
        if cell != 0 and old == 0:
            return _OK
        size = old + amount_e6 if amount_e6 <= LEVEL_SIZE_MAX_E6 else amount_e6
    status = _OK
    if size < 0:
        status = _NEGATIVE
        if how == _WRITE_SET:
            return status
        size = 0
    total = int(ladders.sides[ladder, TOTAL]) - old + size
    if size > LEVEL_SIZE_MAX_E6 or total > SIDE_SIZE_MAX_E6:
        return _BOUND
    stands = size > 0 or how == _WRITE_UNKNOWN
    if cell == 0:
        if not stands:
            return status
        if _insert(ladders, ladder, tick, size) != _OK:
            return _EXHAUSTED
    elif stands:
        ladders.cells[cell] = size
    else:
        _remove(ladders, ladder, tick, offset, cell)
    ladders.sides[ladder, TOTAL] = total
    if how == _WRITE_UNKNOWN:
        ladders.sides[ladder, UNKNOWN] += 1
    if cell != 0 and old == 0:
        ladders.sides[ladder, UNKNOWN] -= 1
    _note_change(ladders, ladder, tick)
    return status


@kernel
def set_level(ladders: Ladders, ladder: int, tick: int, size_e6: int) -> int:
    """Let the level at ``tick`` have this absolute size; 0 removes it. Status; below 0 is NEGATIVE_LEVEL."""
    return write_level(ladders, ladder, tick, size_e6, _WRITE_SET)


@kernel
def set_unknown(ladders: Ladders, ladder: int, tick: int) -> int:
    """Let a level of unknown size stand at ``tick``. Status."""
    return write_level(ladders, ladder, tick, 0, _WRITE_UNKNOWN)


@inlined
def add_level(ladders: Ladders, ladder: int, tick: int, delta_e6: int) -> int:
    """Change the level at ``tick`` by a signed amount. Status."""
    return write_level(ladders, ladder, tick, delta_e6, _WRITE_ADD)


@kernel
def clear(ladders: Ladders, ladder: int) -> None:
    """Remove every level and return its memory; readers take the whole side for changed."""
    word = _first_word(ladders, ladder, 0)
    while word != NO_TICK:
        release(ladders, int(ladders.dirs[ladder, word]))
        ladders.dirs[ladder, word] = 0
        word = _first_word(ladders, ladder, word + 1)
    for column in range(SIDE_COLUMNS):
        ladders.sides[ladder, column] = 0
    ladders.sides[ladder, BEST] = NO_TICK
    ladders.sides[ladder, CHANGES] = ALL_CHANGED


@kernel
def copy_levels(
    ladders: Ladders, ladder: int, ticks: npt.NDArray[np.int32], sizes_e6: npt.NDArray[np.int64]
) -> int:
    """Write every level, best first, into arrays of TICKS_MAX; how many there are. Unknown sizes are 0."""
    count = 0
    tick = int(ladders.sides[ladder, BEST])
    while tick != NO_TICK:
        ticks[count] = tick
        sizes_e6[count] = level_size(ladders, ladder, tick)
        count += 1
        tick = next_worse(ladders, ladder, tick)
    return count
