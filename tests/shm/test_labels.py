from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm.errors import LayoutMismatch, RingRefused
from shm.labels import (
    adopt_labelled,
    check_labels,
    create_labelled,
    labelled_layout_hash,
    read_labels,
    values_at,
)
from shm.layout import HOT_BYTES, LABEL_BYTES, LABELS_MAX, SegmentKind

LABELS = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=LABEL_BYTES),
    min_size=1,
    max_size=20,
    unique=True,
)


@given(LABELS, st.sampled_from([8, 16, 100]))
def test_labels_come_back_in_order(labels: list[str], value_bytes: int) -> None:
    segment = create_labelled(labels, value_bytes, SegmentKind.PLAIN, None, 3, None)
    assert read_labels(segment) == tuple(labels)
    assert segment.epoch == 3
    values = segment.bytes_at(values_at(len(labels)), len(labels) * value_bytes)
    assert not values.any(), "values start as zeros, behind the labels"
    with pytest.raises(ValueError, match="outside"):
        segment.bytes_at(values_at(len(labels)), len(labels) * value_bytes + 1)


@given(st.integers(1, LABELS_MAX))
def test_values_start_on_a_hot_boundary_behind_the_labels(n_labels: int) -> None:
    assert values_at(n_labels) % HOT_BYTES == 0
    assert values_at(n_labels) >= HOT_BYTES + n_labels * LABEL_BYTES > values_at(n_labels) - HOT_BYTES


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([], "got 0"),
        (["a", "a"], "got 2, 1 distinct"),
        ([str(number) for number in range(LABELS_MAX + 1)], f"got {LABELS_MAX + 1}"),
        (["a", ""], "not ''"),
        (["x" * (LABEL_BYTES + 1)], "64 ASCII characters"),
        (["caf\u00e9"], "ASCII"),
    ],
)
def test_bad_labels(labels: list[str], why: str) -> None:
    with pytest.raises(RingRefused, match=why):
        check_labels(labels)


def test_labels_at_the_bounds() -> None:
    check_labels(["x" * LABEL_BYTES])
    check_labels([str(number) for number in range(LABELS_MAX)])


def test_the_hash_knows_the_width_of_a_value() -> None:
    assert labelled_layout_hash(8) != labelled_layout_hash(16)


def test_the_order_of_labels_is_part_of_what_is_adopted(tmp_path: Path) -> None:
    made = create_labelled(("a", "b"), 8, SegmentKind.PLAIN, "named", 1, tmp_path)
    made.bytes_at(values_at(2), 16)[:] = 9
    made.close()
    for labels in (("b", "a"), ("a", "b", "c")):
        with pytest.raises(LayoutMismatch, match=f"named: has other labels than the {len(labels)} expected"):
            adopt_labelled(labels, 8, SegmentKind.PLAIN, "named", 2, tmp_path)
    with pytest.raises(LayoutMismatch, match="layout_hash"):
        adopt_labelled(("a", "b"), 16, SegmentKind.PLAIN, "named", 2, tmp_path)
    adopted = adopt_labelled(("a", "b"), 8, SegmentKind.PLAIN, "named", 2, tmp_path)
    assert adopted.bytes_at(values_at(2), 16).tolist() == [9] * 16
