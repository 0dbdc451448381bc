from __future__ import annotations

import numpy as np
import pytest

from engine.records import (
    BOOK_ROW,
    BOOK_ROW_BYTES_MAX,
    BOOK_UPDATE,
    LEGS_MAX,
    POSITION_ROW,
    RING_MESSAGES,
    SMALL_BYTES,
    TOP_LEVELS,
    WIDE_BYTES,
    SignalKind,
    Trust,
)


@pytest.mark.parametrize("name", RING_MESSAGES)
def test_a_message_fills_a_ring_cell_and_keeps_its_words_aligned(name: str) -> None:
    layout = RING_MESSAGES[name]
    assert layout.itemsize in (SMALL_BYTES, WIDE_BYTES)
    for field, (kind, offset, *_) in (layout.fields or {}).items():
        assert offset % kind.base.alignment == 0, f"{name}.{field} at {offset}"


def test_updates_travel_in_the_small_cell_and_heads_with_legs_share_a_width() -> None:
    assert BOOK_UPDATE.itemsize == SMALL_BYTES
    for head, leg in (("SIGNAL_HEAD", "SIGNAL_LEG"), ("PLAN_HEAD", "PLAN_LEG")):
        assert RING_MESSAGES[head].itemsize == RING_MESSAGES[leg].itemsize


def test_a_book_row_holds_sixteen_levels_a_side_within_its_bound() -> None:
    assert BOOK_ROW.itemsize <= BOOK_ROW_BYTES_MAX
    assert BOOK_ROW.itemsize % 8 == POSITION_ROW.itemsize % 8 == 0
    row = np.zeros(1, BOOK_ROW)
    assert row["bid_e4"].shape == row["ask_size_e6"].shape == (1, TOP_LEVELS)


def test_codes_in_bytes_fit_them() -> None:
    assert max(SignalKind) < 256
    assert max(Trust) < 256
    assert LEGS_MAX == 256
