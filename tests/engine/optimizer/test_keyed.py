"""Rows by key against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.optimizer.keyed import KEY, NO_ROW, keyed_rows, remove_row, row_for, row_of
from tests.plain_twin import PlainTwin

KEYS_MAX = 6
CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 2**62)), max_size=200)


def test_half_of_the_rows_stay_free() -> None:
    for keys in (1, 7, 8, 9):
        rows = keyed_rows(keys)
        assert rows.shape[1] == 3
        assert 2 * keys <= len(rows) <= 4 * keys
        assert len(rows) & (len(rows) - 1) == 0


@given(st.data())
def test_rows_are_those_of_a_dictionary(data: st.DataObject) -> None:
    rows, known = keyed_rows(KEYS_MAX), dict[int, int]()
    for number in range(60):
        is_new = data.draw(st.booleans()) and len(known) < KEYS_MAX
        if is_new:
            key = data.draw(st.integers(0, 40) | st.integers(0, 2**62))
            rows[row_for(key, rows), 1] = known[key] = number
        elif known:
            key = data.draw(st.sampled_from(sorted(known)))
            remove_row(row_of(key, rows), rows)
            del known[key]
        assert np.count_nonzero(rows[:, KEY]) == len(known)
        assert {key: rows[row_of(key, rows), 1] for key in known} == known
        assert row_of(10**9, rows) == (NO_ROW if 10**9 not in known else row_of(10**9, rows))


def test_a_row_is_found_again_and_not_made_twice() -> None:
    rows = keyed_rows(2)
    at = row_for(0, rows)
    rows[at, 1] = 5
    assert row_for(0, rows) == row_of(0, rows) == at
    remove_row(at, rows)
    assert row_of(0, rows) == NO_ROW
    assert not rows.any()


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.keyed")
    one, other = keyed_rows(40), keyed_rows(40)
    for key in [3, 2**31 + 3, 2**40 + 3, *range(0, 3_000, 100)]:
        assert row_for(key, one) == plain.row_for(key, other)
    for key in (2**31 + 3, 3, 700):
        remove_row(row_of(key, one), one)
        plain.remove_row(plain.row_of(key, other), other)
    assert one.tolist() == other.tolist()
