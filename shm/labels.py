"""The label table in front of counters and histograms: a monitor reads who is who from the segment itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from shm.errors import LayoutMismatch, RingRefused
from shm.layout import HOT_BYTES, LABEL_BYTES, LABELLED, LABELS_MAX, SegmentKind, layout_hash, round_up
from shm.segment import Segment

LABELS_AT: Final = LABELLED.itemsize

_LABEL: Final = np.dtype(f"S{LABEL_BYTES}")


def check_labels(labels: Sequence[str]) -> None:
    """Raise RingRefused unless labels are 1 to LABELS_MAX, distinct, ASCII and at most LABEL_BYTES long."""
    if not 1 <= len(labels) <= LABELS_MAX or len(set(labels)) != len(labels):
        raise RingRefused(
            f"1 to {LABELS_MAX} labels, each once; got {len(labels)}, {len(set(labels))} distinct"
        )
    for label in labels:
        if not label or not label.isascii() or len(label) > LABEL_BYTES:
            raise RingRefused(f"a label is 1 to {LABEL_BYTES} ASCII characters, not {label!r}")


def values_at(n_labels: int) -> int:
    """Offset of the values behind ``n_labels`` labels."""
    return round_up(LABELS_AT + n_labels * LABEL_BYTES, HOT_BYTES)


def labelled_layout_hash(value_bytes: int) -> int:
    """Hash that both sides agree on; the labels are read, not agreed on."""
    return layout_hash(LABELLED, LABEL_BYTES, value_bytes)


def create_labelled(
    labels: Sequence[str],
    value_bytes: int,
    kind: SegmentKind,
    name: str | None,
    epoch: int,
    directory: Path | None,
) -> Segment:
    """Make a sealed segment with ``labels``, ``value_bytes`` of zeros each; RingRefused for bad labels."""
    check_labels(labels)
    size = values_at(len(labels)) + len(labels) * value_bytes
    segment = Segment.create(name, size, kind, labelled_layout_hash(value_bytes), epoch, directory)
    segment.bytes_at(LABELS_AT, len(labels) * LABEL_BYTES).view(_LABEL)[:] = [
        label.encode() for label in labels
    ]
    segment.bytes_at(0, LABELLED.itemsize).view(LABELLED)["n_labels"] = len(labels)
    segment.seal()
    return segment


def adopt_labelled(
    labels: Sequence[str], value_bytes: int, kind: SegmentKind, name: str, epoch: int, directory: Path
) -> Segment:
    """Become the writer of a labelled segment whose writer is gone: its values go on from where they are.

    Raises SegmentExists for a living writer, LayoutMismatch also for other labels, and as ``Segment.adopt``.
    """

    def fits(segment: Segment) -> None:
        if read_labels(segment) != tuple(labels):
            raise LayoutMismatch(f"{segment.path}: has other labels than the {len(labels)} expected")

    return Segment.adopt(name, kind, labelled_layout_hash(value_bytes), directory, epoch, fits)


def read_labels(segment: Segment) -> tuple[str, ...]:
    """Labels of a segment, in the order of their values."""
    n_labels = int(segment.bytes_at(0, LABELLED.itemsize).view(LABELLED)["n_labels"][0])
    stored = segment.bytes_at(LABELS_AT, n_labels * LABEL_BYTES).view(_LABEL)
    return tuple(bytes(label).decode() for label in stored)
