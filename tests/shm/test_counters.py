from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm.atomics import address_of
from shm.counters import Counters, add_to, set_to
from shm.errors import LayoutMismatch, RingRefused, SegmentExists
from shm.histogram import Histograms
from shm.jit import kernel
from tests.plain_twin import PlainTwin

LABELS = ("frames", "updates", "lag_ns")
STEPS = st.lists(st.tuples(st.sampled_from(LABELS), st.booleans(), st.integers(-(2**40), 2**40)), max_size=40)


@kernel
def count_in_a_kernel(address: int, n: int) -> int:
    total = 0
    for _ in range(n):
        total = add_to(address, 2)
    return total


@given(STEPS)
def test_against_a_dictionary(steps: list[tuple[str, bool, int]]) -> None:
    counters = Counters.create(LABELS)
    expected = dict.fromkeys(LABELS, 0)
    for label, gauge, number in steps:
        if gauge:
            counters.set(label, number)
            expected[label] = number
        else:
            expected[label] += number
            assert counters.add(label, number) == expected[label]
        assert counters[label] == expected[label]
    assert counters.snapshot() == expected


@given(STEPS)
def test_plain_and_compiled_leave_the_same_words(
    plain_twin: PlainTwin, steps: list[tuple[str, bool, int]]
) -> None:
    plain = plain_twin("shm.counters")
    compiled_side, plain_side = Counters.create(LABELS), Counters.create(LABELS)
    for label, gauge, number in steps:
        if gauge:
            set_to(compiled_side.address(label), number)
            plain.set_to(plain_side.address(label), number)
        else:
            answers = (
                add_to(compiled_side.address(label), number),
                plain.add_to(plain_side.address(label), number),
            )
            assert answers[0] == answers[1]
    assert compiled_side.values.tolist() == plain_side.values.tolist()


def test_add_counts_one_unless_told() -> None:
    counters = Counters.create(("frames",))
    assert [counters.add("frames"), counters.add("frames", 3)] == [1, 4]


def test_kernels_count_by_address() -> None:
    counters = Counters.create(LABELS)
    assert count_in_a_kernel(counters.address("updates"), 5) == 10
    assert counters.snapshot() == {"frames": 0, "updates": 10, "lag_ns": 0}
    assert counters.address("frames") == address_of(counters.values)


def test_another_process_reads_labels_and_values(tmp_path: Path) -> None:
    mine = Counters.create(LABELS, name="feed", directory=tmp_path, epoch=5)
    other = Counters.attach("feed", tmp_path, epoch=5)
    mine.add("lag_ns", 17)
    assert other.labels == LABELS
    assert other.snapshot() == {"frames": 0, "updates": 0, "lag_ns": 17}
    with pytest.raises(LayoutMismatch, match="epoch"):
        Counters.attach("feed", tmp_path, epoch=6)
    with pytest.raises(LayoutMismatch, match="kind"):
        Histograms.attach("feed", tmp_path)


def test_unknown_labels() -> None:
    counters = Counters.create(("frames",))
    for call in (counters.add, counters.address, counters.__getitem__):
        with pytest.raises(KeyError):
            call("nothing")
    with pytest.raises(KeyError):
        counters.set("nothing", 1)
    with pytest.raises(RingRefused):
        Counters.create(("a", "a"))


def test_a_restarted_writer_counts_on(tmp_path: Path) -> None:
    first = Counters.create_or_adopt(LABELS, name="counters", epoch=1, directory=tmp_path)
    monitor = Counters.attach("counters", tmp_path)
    first.add("frames", 5)
    with pytest.raises(SegmentExists, match="its owner lives"):
        Counters.create_or_adopt(LABELS, name="counters", epoch=2, directory=tmp_path)
    first.segment.close()
    with pytest.raises(LayoutMismatch, match="counters: has other labels than the 2 expected"):
        Counters.create_or_adopt(LABELS[:2], name="counters", epoch=2, directory=tmp_path)
    second = Counters.create_or_adopt(LABELS, name="counters", epoch=2, directory=tmp_path)
    assert (second.add("frames"), monitor["frames"], monitor.segment.epoch) == (6, 6, 2)
