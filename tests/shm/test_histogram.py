"""Histograms against a sorted list: percentiles within a sub-bucket, the rest exact."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shm.errors import LayoutMismatch
from shm.histogram import Histogram, Histograms, bucket_of, bucket_top, record, record_since
from shm.jit import kernel
from shm.layout import HISTOGRAM_BUCKETS
from tests.plain_twin import PlainTwin

INT64_MAX = 2**63 - 1
VALUES = st.one_of(st.integers(0, 300), st.integers(0, 10**7), st.integers(0, INT64_MAX))
PPMS = (0, 1, 500_000, 990_000, 999_000, 1_000_000)


@kernel
def record_all(address: int, first: int, n: int) -> None:
    for value in range(first, first + n):
        record(address, value)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_small_values_have_a_bucket_each() -> None:
    assert [bucket_of(value) for value in range(128)] == list(range(128))
    assert [bucket_top(bucket) for bucket in range(128)] == list(range(128))


def test_buckets_tile_the_whole_range() -> None:
    tops = [bucket_top(bucket) for bucket in range(HISTOGRAM_BUCKETS)]
    assert tops == sorted(set(tops))
    assert tops[-1] == INT64_MAX
    for bucket, top in enumerate(tops[:-1]):
        assert bucket_of(top) == bucket
        assert bucket_of(top + 1) == bucket + 1


@given(VALUES)
@example(INT64_MAX)
def test_a_value_is_kept_to_one_part_in_64(value: int) -> None:
    top = bucket_top(bucket_of(value))
    assert value <= top <= value + value // 64


@given(st.lists(VALUES, min_size=1, max_size=200))
def test_percentiles_against_a_sorted_list(values: list[int]) -> None:
    histogram = filled(values)
    ordered = sorted(values)
    assert (histogram.count, histogram.max, histogram.below_zero) == (len(values), ordered[-1], 0)
    for ppm in PPMS:
        exact = ordered[max(ceil(len(values) * ppm / 1_000_000), 1) - 1]
        assert exact <= histogram.percentile(ppm) <= exact + exact // 64
    assert histogram.percentile(1_000_000) == ordered[-1]


def test_known_percentiles() -> None:
    summary = filled(list(range(1, 101))).summary()
    assert summary == {"count": 100, "p50": 50, "p99": 99, "p99.9": 100, "max": 100}


@pytest.mark.parametrize(
    ("since", "now", "value"),
    [(5, 12, 7), (5, 5, 0), (6, 5, None), (-1, 5, None), (-(2**63) + 5, 2**62, None), (2**62, 5, None)],
)
def test_the_time_since_a_stamp_that_may_be_garbage(since: int, now: int, value: int | None) -> None:
    histogram = Histogram()
    record_since(histogram.address, since, now)
    assert (histogram.count, histogram.below_zero) == (1, int(value is None))
    assert histogram.max == (value or 0)


def test_an_empty_histogram() -> None:
    assert Histogram().summary() == {"count": 0, "p50": 0, "p99": 0, "p99.9": 0, "max": 0}


def test_a_clock_that_stepped_back() -> None:
    histogram = filled([-5, -(2**63), 3])
    assert (histogram.count, histogram.below_zero, histogram.max) == (3, 2, 3)
    assert int(histogram.counts[0]) == 2


@given(st.lists(VALUES, max_size=50), st.lists(st.integers(-5, 10**6), max_size=50))
def test_merge_is_recording_both(first: list[int], second: list[int]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    both = filled(first + second)
    assert merged.summary() == both.summary()
    assert merged.below_zero == both.below_zero
    assert np.array_equal(merged.counts, both.counts)


@given(st.lists(st.integers(-(2**63), INT64_MAX), max_size=60))
def test_plain_and_compiled_leave_the_same_words(plain_twin: PlainTwin, values: list[int]) -> None:
    plain = plain_twin("shm.histogram")
    one, other = Histogram(), Histogram()
    for value in values:
        record(one.address, value)
        plain.record(other.address, value)
    assert np.array_equal(one.counts, other.counts)
    assert (one.max, one.below_zero) == (other.max, other.below_zero)


def test_a_reader_at_any_store_finds_no_count_beyond_the_maximum(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_twin("shm.histogram")
    histogram = Histogram()
    released: list[int] = []

    def watched(original: Callable[[int, int], None], seen: list[int]) -> Callable[[int, int], None]:
        def store(address: int, value: int) -> None:
            original(address, value)
            seen.append(address)
            assert bucket_top(int(np.flatnonzero(histogram.counts)[-1]) if histogram.count else 0) <= (
                histogram.max + histogram.max // 64
            )

        return store

    for name, seen in (("store_relaxed", []), ("store_release", released)):
        monkeypatch.setattr(plain, name, watched(getattr(plain, name), seen))
    for value in (5, 1_000, 3, 10**9):
        plain.record(histogram.address, value)
    assert len(released) == 4, "each count, behind the maximum it stands under"


def test_kernels_record_by_address() -> None:
    histogram = Histogram()
    record_all(histogram.address, 10, 90)
    assert histogram.summary()["p50"] == 54
    assert histogram.count == 90


@pytest.mark.parametrize("ppm", [-1, 1_000_001])
def test_percentiles_out_of_range(ppm: int) -> None:
    with pytest.raises(ValueError, match="millionths"):
        Histogram().percentile(ppm)


def test_labelled_histograms_are_apart(tmp_path: Path) -> None:
    mine = Histograms.create(("feed", "book"), name="ladder", directory=tmp_path, epoch=2)
    other = Histograms.attach("ladder", tmp_path, epoch=2)
    mine["feed"].record(5)
    mine["book"].record(7)
    mine["book"].record(7)
    assert other.labels == ("feed", "book")
    assert [other[label].summary()["max"] for label in other.labels] == [5, 7]
    assert [other[label].count for label in other.labels] == [1, 2]
    with pytest.raises(KeyError):
        other["nothing"]
    with pytest.raises(LayoutMismatch):
        Histograms.attach("ladder", tmp_path, epoch=3)


def test_a_restarted_writer_records_on(tmp_path: Path) -> None:
    first = Histograms.create_or_adopt(("feed",), name="latency", epoch=1, directory=tmp_path)
    first["feed"].record(7)
    first.segment.close()
    with pytest.raises(LayoutMismatch, match="has other labels"):
        Histograms.create_or_adopt(("book",), name="latency", epoch=2, directory=tmp_path)
    second = Histograms.create_or_adopt(("feed",), name="latency", epoch=2, directory=tmp_path)
    second["feed"].record(9)
    assert Histograms.attach("latency", tmp_path, epoch=2)["feed"].summary()["count"] == 2
