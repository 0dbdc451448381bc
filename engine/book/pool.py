"""The memory of all ladders, taken at the start: a row and a directory for each, and a pool shared by all.

Ticks are grouped in words of 64. A word without levels costs nothing but its directory entry; up to
LINE_LEVELS levels lie packed in a *line* of 64 bytes, in tick order; from the next one on the word has a
*page* with a cell for each of its 64 ticks. Free lines and free pages are linked through their first cells.

::

    sides[ladder]  best | changed | changes | total | unknown | summary of words (3 x 64 bits)
    dirs[ladder]   word 0 .. word 156: offset in cells of the word's line or page, 0 for none
    cells          0 | page: occupancy, 64 sizes | page | ... | line: occupancy, 7 sizes, by rank | line | ...

Forty levels cost at most forty lines, or five pages of eight: under 4 KB with rows and directories.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.book.bits import NO_BIT, WORD_BITS, bit_mask, lowest_bit, lowest_from, ones, ones_below
from engine.book.grid import TICKS_MAX
from engine.jit import inlined, kernel

WORDS_MAX: Final = TICKS_MAX // WORD_BITS + 1  # a search may begin one tick after the last
SUMMARY_WORDS: Final = -(-WORDS_MAX // WORD_BITS)
NO_TICK: Final = -1

LINE_LEVELS: Final = 7
LINE_CELLS: Final = 1 + LINE_LEVELS
PAGE_CELLS: Final = 1 + WORD_BITS
LINES_PER_PAGE: Final = 8  # how the pool is divided: 520 bytes of page for 512 bytes of lines
CELL_BYTES: Final = 8
CELLS_MAX: Final = 2**31 - 1  # directory entries are int32 offsets

BEST, CHANGED, CHANGES, TOTAL, UNKNOWN, SUMMARY = range(6)
SIDE_COLUMNS: Final = SUMMARY + SUMMARY_WORDS

FREE_LINE, FREE_PAGE, FIRST_LINE, LINES_LEFT, PAGES_LEFT = range(5)


class Ladders(NamedTuple):
    """The memory of all ladders, as kernels take it.

    ``sides`` int64 (ladders, SIDE_COLUMNS); ``dirs`` int32 (ladders, WORDS_MAX); ``cells`` int64 (n,);
    ``pool`` int64, its columns above.
    """

    sides: npt.NDArray[np.int64]
    dirs: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int64]
    pool: npt.NDArray[np.int64]


def make_ladders(ladders: int, pages: int) -> Ladders:
    """Empty ladders over a pool of ``pages`` pages and LINES_PER_PAGE lines for each.

    Raises ValueError without any, and beyond CELLS_MAX.
    """
    first_line = 1 + pages * PAGE_CELLS
    total = first_line + pages * LINES_PER_PAGE * LINE_CELLS
    if ladders < 1 or pages < 1 or total > CELLS_MAX:
        raise ValueError(f"{ladders} ladders, {pages} pages: one each at least, {CELLS_MAX} cells at most")
    sides = np.zeros((ladders, SIDE_COLUMNS), dtype=np.int64)
    sides[:, BEST] = NO_TICK
    cells = np.zeros(total, dtype=np.int64)
    _chain(cells, 1, PAGE_CELLS, pages)
    _chain(cells, first_line, LINE_CELLS, pages * LINES_PER_PAGE)
    pool = np.array([first_line, 1, first_line, pages * LINES_PER_PAGE, pages], dtype=np.int64)
    return Ladders(sides, np.zeros((ladders, WORDS_MAX), dtype=np.int32), cells, pool)


def _chain(cells: npt.NDArray[np.int64], first: int, stride: int, count: int) -> None:
    """Link ``count`` free pieces: the first cell of each holds the offset of the next, 0 ends."""
    offsets = first + stride * np.arange(count, dtype=np.int64)
    cells[offsets[:-1]] = offsets[1:]


@inlined
def _take(ladders: Ladders, head: int, left: int) -> int:
    """Offset of a free line or page, 0 when none is left."""
    offset = int(ladders.pool[head])
    if offset != 0:
        ladders.pool[head] = int(ladders.cells[offset])
        ladders.pool[left] -= 1
    return offset


@inlined
def _give(ladders: Ladders, head: int, left: int, offset: int) -> None:
    ladders.cells[offset] = int(ladders.pool[head])
    ladders.pool[head] = offset
    ladders.pool[left] += 1


@kernel
def release(ladders: Ladders, offset: int) -> None:
    """Return the line or page at ``offset``."""
    if offset < int(ladders.pool[FIRST_LINE]):
        _give(ladders, FREE_PAGE, PAGES_LEFT, offset)
    else:
        _give(ladders, FREE_LINE, LINES_LEFT, offset)


@inlined
def size_cell(ladders: Ladders, offset: int, occupied: int, bit: int) -> int:
    """Offset of the size of an occupied tick: by position in a page, by rank in a line."""
    if offset < int(ladders.pool[FIRST_LINE]):
        return offset + 1 + bit
    return offset + 1 + ones_below(occupied, bit)


@kernel
def _grow(ladders: Ladders, ladder: int, word: int, line: int) -> int:
    """Move a full line into a page, whose offset is returned; 0 when no page is left."""
    page = _take(ladders, FREE_PAGE, PAGES_LEFT)
    if page == 0:
        return 0
    occupied = int(ladders.cells[line])
    ladders.cells[page] = occupied
    bit = lowest_bit(occupied)
    for rank in range(LINE_LEVELS):
        ladders.cells[page + 1 + bit] = int(ladders.cells[line + 1 + rank])
        bit = lowest_from(occupied, bit + 1) if bit < 63 else NO_BIT
    _give(ladders, FREE_LINE, LINES_LEFT, line)
    ladders.dirs[ladder, word] = page
    return page


@kernel
def shrink(ladders: Ladders, ladder: int, word: int, page: int) -> None:
    """Move a page of LINE_LEVELS levels back into a line; without a free line it stays a page."""
    line = _take(ladders, FREE_LINE, LINES_LEFT)
    if line == 0:
        return
    occupied = int(ladders.cells[page])
    ladders.cells[line] = occupied
    bit = lowest_bit(occupied)
    for rank in range(LINE_LEVELS):
        ladders.cells[line + 1 + rank] = int(ladders.cells[page + 1 + bit])
        bit = lowest_from(occupied, bit + 1) if bit < 63 else NO_BIT
    _give(ladders, FREE_PAGE, PAGES_LEFT, page)
    ladders.dirs[ladder, word] = line


@kernel
def room(ladders: Ladders, ladder: int, word: int) -> int:
    """Offset of a line or page of ``word`` with room for one more level, 0 when the pool has none."""
    offset = int(ladders.dirs[ladder, word])
    if offset == 0:
        offset = _take(ladders, FREE_LINE, LINES_LEFT)
        if offset != 0:
            ladders.cells[offset] = 0
            ladders.dirs[ladder, word] = offset
            ladders.sides[ladder, SUMMARY + (word >> 6)] |= bit_mask(word & 63)
        return offset
    if offset >= int(ladders.pool[FIRST_LINE]) and ones(int(ladders.cells[offset])) == LINE_LEVELS:
        return _grow(ladders, ladder, word, offset)
    return offset


def ladder_bytes(ladders: Ladders, ladder: int) -> int:
    """Bytes one ladder holds: its row, its directory, its lines and pages."""
    first_line = int(ladders.pool[FIRST_LINE])
    offsets = ladders.dirs[ladder]
    pages = int(np.count_nonzero((offsets > 0) & (offsets < first_line)))
    lines = int(np.count_nonzero(offsets >= first_line))
    held = (pages * PAGE_CELLS + lines * LINE_CELLS) * CELL_BYTES
    return held + int(ladders.sides[ladder].nbytes + ladders.dirs[ladder].nbytes)
