"""Latency histograms in the manner of HDR: 64 buckets to an octave, so a value is kept to 1 part in 64.

Values below 128 have a bucket each; above, a bucket is 2**e wide where e grows by one per octave. The whole
range of int64 takes 3,712 buckets (29 KB). Recording costs a handful of instructions and needs no bounds: any
value has a bucket. A value below zero is a clock that stepped back: counted apart, and recorded as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shm.atomics import address_of, bit_length, load_relaxed, store_relaxed, store_release
from shm.jit import kernel
from shm.labels import adopt_labelled, create_labelled, labelled_layout_hash, read_labels, values_at
from shm.layout import (
    HISTOGRAM,
    HISTOGRAM_BUCKETS,
    HISTOGRAM_SUB_BITS,
    WORD_BYTES,
    WORD_SHIFT,
    SegmentKind,
    offset_of,
)
from shm.segment import Segment, create_or_adopt

KIND: Final = SegmentKind.HISTOGRAMS
MAX_AT: Final = offset_of(HISTOGRAM, "max")
BELOW_ZERO_AT: Final = offset_of(HISTOGRAM, "below_zero")
COUNTS_AT: Final = offset_of(HISTOGRAM, "counts")
EXACT_BITS: Final = HISTOGRAM_SUB_BITS + 1  # values of this many bits have a bucket each
PPM: Final = 1_000_000
PERCENTILES_PPM: Final = {"p50": 500_000, "p99": 990_000, "p99.9": 999_000}


@kernel
def bucket_of(value: int) -> int:
    """Bucket of a value of 0 or more."""
    exponent = max(bit_length(value) - EXACT_BITS, 0)
    return (exponent << HISTOGRAM_SUB_BITS) + (value >> exponent)


@kernel
def record(histogram: int, value: int) -> None:
    """Count ``value`` in the histogram at this address, whose only writer is the caller.

    The maximum first: whoever sees the count also sees that nothing recorded was larger.
    """
    if value < 0:
        store_relaxed(histogram + BELOW_ZERO_AT, load_relaxed(histogram + BELOW_ZERO_AT) + 1)
        value = 0
    if value > load_relaxed(histogram + MAX_AT):
        store_relaxed(histogram + MAX_AT, value)
    count = histogram + COUNTS_AT + bucket_of(value) * WORD_BYTES
    store_release(count, load_relaxed(count) + 1)


@kernel
def record_since(histogram: int, since: int, now: int) -> None:
    """Count the time from ``since``, which may be garbage, to ``now``: as below zero where there is none.

    The two are compared before they are subtracted: a difference that passes 2**63 has any sign.
    """
    record(histogram, now - since if 0 <= since <= now else -1)


def bucket_top(bucket: int) -> int:
    """Largest value that falls into ``bucket``."""
    exponent = max((bucket >> HISTOGRAM_SUB_BITS) - 1, 0)
    return ((bucket - (exponent << HISTOGRAM_SUB_BITS) + 1) << exponent) - 1


class Histogram:
    """One histogram: private memory unless given a block of a segment. Values carry the caller's unit."""

    def __init__(self, block: NDArray[np.uint8] | None = None) -> None:
        storage = (
            np.zeros(HISTOGRAM.itemsize >> WORD_SHIFT, np.int64).view(np.uint8) if block is None else block
        )
        self._block: np.void = storage.view(HISTOGRAM)[0]
        self.counts: NDArray[np.int64] = self._block["counts"]
        self.address = address_of(storage)
        self._storage = storage

    def record(self, value: int) -> None:
        """Count one value."""
        record(self.address, value)

    @property
    def count(self) -> int:
        """Values recorded."""
        return int(self.counts.sum())

    @property
    def max(self) -> int:
        """Largest value recorded, exactly; 0 when there is none."""
        return int(self._block["max"])

    @property
    def below_zero(self) -> int:
        """Values that were below zero."""
        return int(self._block["below_zero"])

    def percentile(self, ppm: int) -> int:
        """Value that ``ppm`` millionths of the records do not exceed: the top of its bucket, at most ``max``.

        0 when nothing is recorded. Raises ValueError outside 0 to 1,000,000.
        """
        if not 0 <= ppm <= PPM:
            raise ValueError(f"{ppm} millionths")
        cumulative = np.cumsum(self.counts)  # of one copy: records that arrive meanwhile do not matter
        rank = max(-(-int(cumulative[-1]) * ppm // PPM), 1)
        bucket = int(np.searchsorted(cumulative, rank))
        return min(bucket_top(bucket), self.max) if bucket < HISTOGRAM_BUCKETS else 0

    def summary(self) -> dict[str, int]:
        """Count, p50, p99, p99.9 and max."""
        percentiles = {name: self.percentile(ppm) for name, ppm in PERCENTILES_PPM.items()}
        return {"count": self.count, **percentiles, "max": self.max}

    def merge(self, other: Histogram) -> None:
        """Add everything ``other`` has recorded; both keep their buckets, so nothing is rounded again."""
        self.counts += other.counts
        self._block["below_zero"] += other.below_zero
        self._block["max"] = max(self.max, other.max)


class Histograms:
    """Labelled histograms in one segment. Unknown labels raise KeyError."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.labels = read_labels(segment)
        start = values_at(len(self.labels))
        self._histograms = {
            label: Histogram(segment.bytes_at(start + at * HISTOGRAM.itemsize, HISTOGRAM.itemsize))
            for at, label in enumerate(self.labels)
        }

    @classmethod
    def create(
        cls, labels: Sequence[str], *, name: str | None = None, epoch: int = 0, directory: Path | None = None
    ) -> Self:
        """Make empty histograms; raises RingRefused for labels that repeat, do not fit or are too many."""
        return cls(create_labelled(labels, HISTOGRAM.itemsize, KIND, name, epoch, directory))

    @classmethod
    def create_or_adopt(cls, labels: Sequence[str], *, name: str, epoch: int, directory: Path) -> Self:
        """Make the histograms, or go on with those of a writer that died.

        Raises as ``create``, and LayoutMismatch for other labels and for an ``epoch`` that is not newer.
        """
        size = HISTOGRAM.itemsize
        return create_or_adopt(
            lambda: cls.create(labels, name=name, epoch=epoch, directory=directory),
            lambda: cls(adopt_labelled(labels, size, KIND, name, epoch, directory)),
        )

    @classmethod
    def attach(cls, name: str, directory: Path, epoch: int | None = None) -> Self:
        """Map another process's histograms; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Segment.attach(name, KIND, labelled_layout_hash(HISTOGRAM.itemsize), directory, epoch))

    def __getitem__(self, label: str) -> Histogram:
        return self._histograms[label]


def warm() -> None:
    """Compile the kernels of this module."""
    empty = Histogram()
    empty.record(0)
    record_since(empty.address, 0, 0)
