"""What is read of memory so that caches keep it: its lines, and nothing behind them."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from procs.kept_warm import LINE_BYTES, PART_BYTES, KeptWarm, parts_of, read_through
from shm.atomics import address_of

LINE_WORDS = LINE_BYTES // 8


def test_a_word_of_each_line_is_read_and_no_other() -> None:
    words = np.zeros(4 * LINE_WORDS, np.int64)
    words[::LINE_WORDS] = (1, 2, 4, 8)
    words[1::LINE_WORDS] = 1 << 40
    pieces = np.array([(address_of(words), 2), (address_of(words[2 * LINE_WORDS :]), 1)], np.int64)
    assert read_through(address_of(pieces), 2) == 1 ^ 2 ^ 4
    assert read_through(address_of(pieces), 0) == 0


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((4,), 0),  # less than a line: whoever has the line beside it has this
        ((8,), 1),
        ((3, 100), 3),
        ((3, 8), 1),
        ((4, 100), 1),
        ((2, 4, 100), 2),
    ],
)
def test_an_array_of_few_long_rows_is_read_row_by_row(shape: tuple[int, ...], parts: int) -> None:
    assert len(parts_of(np.zeros(shape, np.int64))) == parts


def test_of_a_part_no_more_is_read_than_it_has_and_no_more_than_the_bound() -> None:
    short, long = np.zeros(LINE_WORDS + 1, np.int64), np.zeros(PART_BYTES, np.int64)
    assert KeptWarm([short]).lines == 2
    assert KeptWarm([long]).lines == PART_BYTES // LINE_BYTES
    assert KeptWarm([short, long]).lines == 2 + PART_BYTES // LINE_BYTES


def test_memory_that_may_not_be_written_may_be_read_to_its_last_line() -> None:
    """The array ends with its page, and nothing is mapped writable."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ) as page:
        words = np.frombuffer(page, np.int64)
        pieces = np.array([(address_of(words), mmap.PAGESIZE // LINE_BYTES)], np.int64)
        assert read_through(address_of(pieces), 1) == 0
        del words


def test_nothing_to_read_is_no_mistake() -> None:
    KeptWarm([]).read()
