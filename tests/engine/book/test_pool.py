"""The pool: what 40 levels cost at most, that all of it comes back, what happens when it is empty."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from engine.book.ladder import Status, clear, level_size, set_level
from engine.book.pool import (
    LINE_LEVELS,
    LINES_LEFT,
    LINES_PER_PAGE,
    PAGES_LEFT,
    WORDS_MAX,
    Ladders,
    ladder_bytes,
    make_ladders,
)

WORD = 64
BOOK_BYTES_MAX = 4_096


def fill(ladders: Ladders, ladder: int, levels_by_word: list[int]) -> None:
    for word, levels in enumerate(levels_by_word):
        for bit in range(levels):
            assert set_level(ladders, ladder, word * WORD + (bit * 37) % WORD, 1 + bit) == Status.OK


@cache
def word_bytes(levels: int) -> int:
    """Bytes that one word with so many levels costs, as measured."""
    ladders = make_ladders(2, 2)
    empty = ladder_bytes(ladders, 0)
    fill(ladders, 0, [levels])
    return ladder_bytes(ladders, 0) - empty


@cache
def dearest(levels: int) -> int:
    """Most bytes that so many levels can cost, however they lie in words."""
    if levels == 0:
        return 0
    return max(word_bytes(part) + dearest(levels - part) for part in range(1, levels + 1))


def test_forty_levels_cost_at_most_4_kb_wherever_they_lie() -> None:
    ladders = make_ladders(2, 1)
    empty = sum(ladder_bytes(ladders, ladder) for ladder in (0, 1))
    assert empty == 2 * (8 * 8 + 4 * WORDS_MAX) == 1_384
    assert word_bytes(1) == word_bytes(LINE_LEVELS) == 64
    assert word_bytes(LINE_LEVELS + 1) == word_bytes(40) == 520
    assert empty + dearest(40) == 3_984 <= BOOK_BYTES_MAX


@pytest.mark.parametrize("layout", [[1] * 20, [8, 8, 4], [7, 7, 6], [20]])
def test_a_book_of_forty_levels(layout: list[int]) -> None:
    ladders = make_ladders(2, 10)
    fill(ladders, 0, layout)
    fill(ladders, 1, layout)
    assert sum(ladder_bytes(ladders, ladder) for ladder in (0, 1)) <= BOOK_BYTES_MAX


def left(ladders: Ladders) -> tuple[int, int]:
    return int(ladders.pool[LINES_LEFT]), int(ladders.pool[PAGES_LEFT])


@pytest.mark.parametrize("seed", range(3))
def test_everything_taken_comes_back(seed: int) -> None:
    chance = Random(seed)
    ladders = make_ladders(4, 6)
    whole = left(ladders)
    for _ in range(600):
        set_level(ladders, chance.randrange(4), chance.randrange(500), chance.choice((0, 1, 5)))
    assert left(ladders) != whole
    for ladder in range(4):
        clear(ladders, ladder)
    assert left(ladders) == whole
    for ladder in range(4):  # and can be taken again, to the last piece
        fill(ladders, ladder, [LINE_LEVELS + 1])
    assert left(ladders) == (whole[0], whole[1] - 4)


def test_a_word_moves_between_line_and_page() -> None:
    ladders = make_ladders(2, 1)
    lines, pages = left(ladders)
    assert (lines, pages) == (LINES_PER_PAGE, 1)
    for tick in range(LINE_LEVELS):
        set_level(ladders, 0, tick, 1)
    assert left(ladders) == (lines - 1, 1)
    set_level(ladders, 0, 63, 1)
    assert left(ladders) == (lines, 0)
    set_level(ladders, 0, 3, 0)
    assert left(ladders) == (lines - 1, 1)
    for tick in (0, 1, 2, 4, 5, 6, 63):
        set_level(ladders, 0, tick, 0)
    assert left(ladders) == (lines, 1)


def test_an_empty_pool_refuses_and_leaves_the_ladder_as_it_was() -> None:
    ladders = make_ladders(2, 1)
    for word in range(LINES_PER_PAGE):
        assert set_level(ladders, 0, word * WORD, 5) == Status.OK
    before = ladders.sides.tobytes(), ladders.dirs.tobytes(), ladders.cells.tobytes()
    assert set_level(ladders, 0, 1_000, 5) == Status.POOL_EXHAUSTED
    assert before == (ladders.sides.tobytes(), ladders.dirs.tobytes(), ladders.cells.tobytes())
    for tick in range(1, LINE_LEVELS):
        assert set_level(ladders, 0, tick, 5) == Status.OK
    assert set_level(ladders, 0, 10, 5) == Status.OK  # the only page
    for tick in range(WORD + 1, WORD + LINE_LEVELS):
        assert set_level(ladders, 0, tick, 5) == Status.OK
    assert set_level(ladders, 0, WORD + 10, 5) == Status.POOL_EXHAUSTED
    assert ladders.sides[0, 3] == 5 * (2 * LINE_LEVELS + 1 + LINES_PER_PAGE - 2)


def test_every_line_is_used_to_its_last_cell_and_not_beyond() -> None:
    ladders = make_ladders(2, 1)
    for word in range(LINES_PER_PAGE):
        for bit in range(LINE_LEVELS):
            assert set_level(ladders, 0, word * WORD + bit, word + bit + 1) == Status.OK
    for word in range(LINES_PER_PAGE):
        set_level(ladders, 0, word * WORD, 0)
        assert [level_size(ladders, 0, word * WORD + bit) for bit in range(LINE_LEVELS)] == [
            0,
            *range(word + 2, word + LINE_LEVELS + 1),
        ]


def test_a_page_stays_a_page_while_no_line_is_free() -> None:
    ladders = make_ladders(2, 1)
    for tick in range(LINE_LEVELS + 1):
        set_level(ladders, 0, tick, 5)
    for word in range(1, 1 + LINES_PER_PAGE):
        assert set_level(ladders, 0, word * WORD, 5) == Status.OK
    assert left(ladders) == (0, 0)
    set_level(ladders, 0, 0, 0)
    assert left(ladders) == (0, 0)
    set_level(ladders, 0, WORD, 0)
    set_level(ladders, 0, 1, 0)
    assert left(ladders) == (1, 0)


@pytest.mark.parametrize(("ladders", "pages"), [(0, 1), (1, 0), (1, 2**25)])
def test_bounds(ladders: int, pages: int) -> None:
    with pytest.raises(ValueError, match="cells at most"):
        make_ladders(ladders, pages)


def test_the_last_two_levels_of_a_word_move_both_ways() -> None:
    ladders = make_ladders(2, 1)
    sizes = {tick: tick + 1 for tick in (0, 5, *range(64 - LINE_LEVELS + 2, 64))}
    for tick, size in sizes.items():
        set_level(ladders, 0, tick, size)
    assert left(ladders)[1] == 1  # a full line
    set_level(ladders, 0, 10, 3)
    assert left(ladders)[1] == 0  # a page
    assert {tick: level_size(ladders, 0, tick) for tick in sizes} == sizes
    set_level(ladders, 0, 10, 0)
    assert left(ladders)[1] == 1
    assert {tick: level_size(ladders, 0, tick) for tick in sizes} == sizes
