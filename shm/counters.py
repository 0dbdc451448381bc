"""Named int64 counters in shared memory: written by their single owner, read by anyone, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shm.atomics import address_of, load_relaxed, read_word, store_relaxed
from shm.jit import kernel
from shm.labels import adopt_labelled, create_labelled, labelled_layout_hash, read_labels, values_at
from shm.layout import WORD_BYTES, SegmentKind
from shm.segment import Segment, create_or_adopt

KIND: Final = SegmentKind.COUNTERS


@kernel
def add_to(address: int, increment: int) -> int:
    """Add to the counter at ``address``, whose only writer is the caller; answers its new value."""
    value = load_relaxed(address) + increment
    store_relaxed(address, value)
    return value


@kernel
def set_to(address: int, value: int) -> None:
    """Set the counter at ``address``: a gauge."""
    store_relaxed(address, value)


class Counters:
    """Counters by label; kernels take ``address(label)``. Unknown labels raise KeyError."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.labels = read_labels(segment)
        size = len(self.labels) * WORD_BYTES
        self.values: NDArray[np.int64] = segment.bytes_at(values_at(len(self.labels)), size).view(np.int64)
        start = address_of(self.values)
        self._addresses = {label: start + at * WORD_BYTES for at, label in enumerate(self.labels)}

    @classmethod
    def create(
        cls, labels: Sequence[str], *, name: str | None = None, epoch: int = 0, directory: Path | None = None
    ) -> Self:
        """Make zeroed counters; raises RingRefused for labels that repeat, do not fit or are too many."""
        return cls(create_labelled(labels, WORD_BYTES, KIND, name, epoch, directory))

    @classmethod
    def create_or_adopt(cls, labels: Sequence[str], *, name: str, epoch: int, directory: Path) -> Self:
        """Make the counters, or go on with those of a writer that died.

        Raises as ``create``, and LayoutMismatch for other labels and for an ``epoch`` that is not newer.
        """
        size = WORD_BYTES
        return create_or_adopt(
            lambda: cls.create(labels, name=name, epoch=epoch, directory=directory),
            lambda: cls(adopt_labelled(labels, size, KIND, name, epoch, directory)),
        )

    @classmethod
    def attach(cls, name: str, directory: Path, epoch: int | None = None) -> Self:
        """Map the counters of another process; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Segment.attach(name, KIND, labelled_layout_hash(WORD_BYTES), directory, epoch))

    def address(self, label: str) -> int:
        """Address of a counter, for ``add_to`` and ``set_to`` inside kernels."""
        return self._addresses[label]

    def add(self, label: str, increment: int = 1) -> int:
        """Add to a counter; answers its new value."""
        return add_to(self._addresses[label], increment)

    def set(self, label: str, value: int) -> None:
        """Set a gauge."""
        set_to(self._addresses[label], value)

    def __getitem__(self, label: str) -> int:
        return read_word(self._addresses[label])

    def snapshot(self) -> dict[str, int]:
        """All values now; each is whole, together they are not of one instant."""
        return dict(zip(self.labels, self.values.tolist(), strict=True))


def warm() -> None:
    """Compile the kernels of this module."""
    counters = Counters.create(("warm",))
    counters.add("warm")
    counters.set("warm", 0)
