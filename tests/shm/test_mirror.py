"""Mirrors against the table they copy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm.mirror import Mirror
from shm.table import READ_TRIES_MAX, Table, begin_row, end_row
from tests.plain_twin import PlainTwin

ROW = np.dtype([("number", "<i8"), ("half", "<i4", (2,)), ("third", "<i8")])
N_ROWS = 6
STEPS = st.lists(st.lists(st.tuples(st.integers(0, N_ROWS - 1), st.integers(0, 2**31 - 1)), max_size=8))


def record_of(number: int) -> np.ndarray:
    record = np.zeros(1, ROW)
    record[0] = (number, (number, -number), -7 * number)
    return record


@given(STEPS)
def test_every_refresh_brings_what_was_written_and_nothing_else(
    plain_twin: PlainTwin, steps: list[list[tuple[int, int]]]
) -> None:
    table = Table.create(N_ROWS, ROW)
    mirrors = [Mirror(table), plain_twin("shm.mirror").Mirror(table)]
    for writes in steps:
        for row, number in writes:
            table.write(row, record_of(number))
        for mirror in mirrors:
            assert mirror.refresh()
            assert mirror.changed.tolist() == sorted({row for row, _ in writes})
            assert np.array_equal(mirror.rows, table.rows)
            assert mirror.refresh()
            assert mirror.changed.size == 0
    assert [mirror.busy for mirror in mirrors] == [0, 0]


def test_rows_behind_those_in_use_are_left_alone(plain_twin: PlainTwin) -> None:
    table = Table.create(N_ROWS, ROW)
    for mirror in (Mirror(table), plain_twin("shm.mirror").Mirror(table)):
        for row in (0, 2, 3):
            table.write(row, record_of(5))
        assert mirror.refresh(3)
        assert mirror.changed.tolist() == [0, 2]
        assert mirror.refresh(N_ROWS + 1)
        assert mirror.changed.tolist() == [3]


def test_rows_lie_side_by_side() -> None:
    mirror = Mirror(Table.create(N_ROWS, ROW))
    assert mirror.rows.flags.c_contiguous
    assert mirror.rows.shape == (N_ROWS,)


def test_a_row_whose_writer_is_at_it_keeps_what_it_had_until_the_next_time() -> None:
    table = Table.create(N_ROWS, ROW)
    mirror = Mirror(table)
    for row in (1, 2):
        table.write(row, record_of(5))
    mirror.refresh()
    begin_row(table.address, 1)
    table.rows[1]["number"] = 99
    table.write(2, record_of(6))
    assert not mirror.refresh()
    assert (mirror.busy, mirror.changed.tolist()) == (1, [2])
    assert mirror.rows[1] == record_of(5)[0]
    assert mirror.rows[2] == record_of(6)[0]
    end_row(table.address, 1)
    assert mirror.refresh()
    assert (mirror.busy, mirror.changed.tolist(), int(mirror.rows[1]["number"])) == (1, [1], 99)


def test_a_torn_row_is_not_taken_over(plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwritten while it is copied, at every try."""
    plain, tables = plain_twin("shm.mirror"), plain_twin("shm.table")
    table = tables.Table.create(1, ROW)
    mirror = plain.Mirror(table)
    table.write(0, record_of(1))
    assert mirror.refresh()
    table.write(0, record_of(2))
    original = tables.copy_words
    tries: list[int] = []

    def overwritten(into: int, source: int, n_words: int) -> None:
        original(into, source, 1)
        monkeypatch.setattr(tables, "copy_words", original)
        table.write(0, record_of(3 + len(tries)))
        monkeypatch.setattr(tables, "copy_words", overwritten)
        tries.append(n_words)
        original(into + 8, source + 8, n_words - 1)

    monkeypatch.setattr(tables, "copy_words", overwritten)
    assert not mirror.refresh()
    assert len(tries) == READ_TRIES_MAX
    assert mirror.rows[0] == record_of(1)[0]
    monkeypatch.setattr(tables, "copy_words", original)
    assert mirror.refresh()
    assert mirror.rows[0] == record_of(2 + READ_TRIES_MAX)[0]
