"""The layouts hold together, and the hash tells two of them apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm import layout


def test_a_cell_is_a_header_and_a_payload() -> None:
    assert layout.CELL.itemsize == layout.CELL_HEADER_BYTES == 16
    assert [cell - 16 for cell in layout.CELL_BYTES] == list(layout.PAYLOAD_BYTES) == [48, 112]


def test_the_tag_word_is_the_header_fields() -> None:
    cell = np.zeros(1, layout.CELL)
    tag = 3 | 2 << layout.INDEX_SHIFT | 0x81 << layout.FLAGS_SHIFT | 0x7FFFFF << layout.ORDINAL_SHIFT
    cell.view(np.int64)[1] = tag
    assert (cell["n_cells"][0], cell["index"][0], cell["flags"][0]) == (3, 2, 0x81)
    assert bytes(cell["ordinal"][0]) == (0x7FFFFF).to_bytes(3, "little")
    assert 0 < tag < 2**63
    assert layout.ORDINAL_MASK == 0x7FFFFF


@pytest.mark.parametrize(
    ("made", "size", "fields"),
    [
        (
            layout.SEGMENT,
            256,
            ("magic@0 version@8 kind@16 layout_hash@24 epoch@32 size_bytes@40 owner_pid@48 attached@128"),
        ),
        (layout.CELL, 16, "sequence@0 n_cells@8 index@10 flags@12 ordinal@13"),
        (
            layout.READER,
            128,
            (
                "position@0 ordinal@8 state@16 heartbeat_ns@24 joined_position@32 "
                "joined_ordinal@40 lost_cells@48 lost_messages@56 laps@64 name@72 garbled@104"
            ),
        ),
        (
            layout.RING,
            256 + 8 * 128,
            (
                "kind@0 capacity@8 cell_shift@16 message_cells_max@24 n_gating@32 "
                "adoptions@40 epoch_begins@48 sums_at@112 head@128 messages@136 gate_position@144 "
                "refused_size@152 refused_full@160 refused_fenced@168 fenced@176 readers@256"
            ),
        ),
        (layout.TABLE, 128, "n_rows@0 row_words@8 stride_bytes@16 lost_rows@24"),
        (layout.BARRIER_READER, 128, "confirmed@0 state@8 name@16"),
        (layout.BARRIER, 256 + 32 * 128, "n_readers@0 version@128 readers@256"),
        (layout.DOORBELL, 128, "sequence@0 sleeping@8 by_pipe@16"),
        (layout.LABELLED, 128, "n_labels@0"),
        (layout.HISTOGRAM, 64 + 3712 * 8, "max@0 below_zero@8 counts@64"),
    ],
)
def test_layouts_are_what_others_have_mapped(made: np.dtype[np.void], size: int, fields: str) -> None:
    """Changing one of these is a new LAYOUT_VERSION."""
    assert layout.LAYOUT_VERSION == 3
    assert layout.SEGMENT_MAGIC.to_bytes(8, "big") == b"PR3DICT1"
    offsets = [f"{name}@{layout.offset_of(made, name)}" for name in made.names or ()]
    assert (" ".join(offsets), made.itemsize) == (fields, size)


def test_words_are_as_wide_as_others_have_mapped() -> None:
    whole = {
        made[name].itemsize
        for made in (layout.SEGMENT, layout.TABLE, layout.DOORBELL)
        for name in made.names or ()
    }
    assert whole == {8}
    assert [layout.READER["name"].itemsize, layout.BARRIER_READER["name"].itemsize] == [32, 32]
    assert [layout.CELL[name].itemsize for name in layout.CELL.names or ()] == [8, 2, 2, 1, 3]
    assert layout.RING["epoch_begins"].shape == (8,)
    assert layout.HISTOGRAM["counts"].shape == (3712,)
    assert (layout.LABEL_BYTES, layout.HISTOGRAM_SUB, layout.LINE_BYTES, layout.HOT_BYTES) == (
        64,
        64,
        64,
        128,
    )


def test_hot_words_of_two_writers_are_apart() -> None:
    for field in ("head", "readers"):
        assert layout.offset_of(layout.RING, field) % 128 == 0
    assert layout.READER.itemsize == 128


def test_unknown_field() -> None:
    with pytest.raises(KeyError):
        layout.offset_of(layout.RING, "tail")


def test_the_hash_tells_layouts_apart() -> None:
    one = np.dtype([("a", "<i8"), ("b", "<i4"), ("c", "<i4")])
    variants: list[np.dtype[np.void]] = [
        one,
        np.dtype([("a", "<i8"), ("c", "<i4"), ("b", "<i4")]),
        np.dtype([("a", "<i8"), ("b", "<i4"), ("c", "<u4")]),
        np.dtype([("a", "<i8"), ("b", "<i4"), ("d", "<i4")]),
        np.dtype([("a", "<i8"), ("b", "<i4")]),
        np.dtype({"names": ["a"], "formats": ["<i8"], "offsets": [0], "itemsize": 16}),
        np.dtype({"names": ["a"], "formats": ["<i8"], "offsets": [8], "itemsize": 16}),
    ]
    hashes = {layout.layout_hash(variant) for variant in variants}
    assert len(hashes) == len(variants)
    assert layout.layout_hash(one) == layout.layout_hash(np.dtype(one.descr))
    assert layout.layout_hash(one, 1) != layout.layout_hash(one, 2) != layout.layout_hash(one, "2")
    assert layout.layout_hash(1, 2) != layout.layout_hash(2, 1) != layout.layout_hash(21)
    assert all(0 <= found < 2**63 for found in hashes)


def test_the_version_is_part_of_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout.layout_hash(layout.RING)
    monkeypatch.setattr(layout, "LAYOUT_VERSION", 4)
    assert layout.layout_hash(layout.RING) != before


@given(st.integers(0, 10**9), st.sampled_from([1, 64, 128]))
def test_round_up(size: int, multiple: int) -> None:
    rounded = layout.round_up(size, multiple)
    assert rounded % multiple == 0
    assert size <= rounded < size + multiple


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check = layout._assert_layouts
    check()
    for name, value in [
        ("PAYLOAD_BYTES", (40, 112)),
        ("LINE_BYTES", 48),
        ("HOT_BYTES", 192),
        ("INDEX_SHIFT", 8),
        ("READER_NAME_BYTES", 99),
        ("CAPACITY_CELLS_MAX", 1 << 23),
        ("SHARE_SHIFT", 3),
        ("WORD_SHIFT", 4),
        ("EPOCHS_KEPT", 7),
        ("EPOCHS_KEPT", 16),
    ]:
        with monkeypatch.context() as changed:
            changed.setattr(layout, name, value)
            with pytest.raises(AssertionError):
                check()


def test_statuses_are_distinct_refusals() -> None:
    assert all(status < 0 for status in layout.Status)
    assert len({int(status) for status in layout.Status}) == len(layout.Status)


def test_the_ordinals_of_a_ring_full_are_distinct() -> None:
    assert layout.CAPACITY_CELLS_MAX < layout.ORDINAL_MASK
