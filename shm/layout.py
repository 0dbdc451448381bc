r"""Every layout of the transport, as named offsets: code that touches shared memory has no number in it.

A segment is a header and one object::

    0           256                                                           size
    ├─ SEGMENT ─┼─ object: a ring, a table, a barrier, a doorbell, counters ... ─┤

A ring, each block a multiple of 128 bytes so that no two writers share a line or its neighbour::

    0            128          256                        1280
    ├─ geometry ─┼─ producer ─┼─ reader block x 8 ───────┼─ cell x capacity ─┤

A cell of 64 or 128 bytes; a message is 1 to ``message_cells_max`` cells, published by one release::

    0            8           10        12        13          16                           64 or 128
    ├─ sequence ─┼─ n_cells ─┼─ index ─┼─ flags ─┼─ ordinal ─┼─ payload: 48 or 112 bytes ─┤

``sequence`` of the cell at position p is 2p+1 while it is written and 2p+2 once it is whole; ``index`` is the
cell's place in its message, ``ordinal`` the low bits of the number of messages before it, which makes losses
countable.

A checked ring has ``sums_at`` (from its beginning; 0: none), and there a word for each cell: the checksum of
the message that begins in it (``shm.sums``)::

    ├─ ... cell x capacity ─┼─ sum x capacity ─┤

``adoptions`` counts the producers that took the ring over from a dead one; ``epoch_begins`` holds, for the
last of them, the position where the messages of each begin.

A table is a header and rows; a row is a sequence word (odd while written) and the record, padded to whole
lines. A barrier is its geometry, the writer's version, and a block for each reader. A doorbell is one hot
line. Counters and histograms are a header, a label of 64 bytes for each, and the values.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final

import numpy as np

LAYOUT_VERSION: Final = 3
SEGMENT_MAGIC: Final = 0x5052_3344_4943_5431  # "PR3DICT1"

WORD_BYTES: Final = 8
WORD_SHIFT: Final = 3  # bytes >> WORD_SHIFT are whole words
LINE_BYTES: Final = 64
HOT_BYTES: Final = 128  # Intel fetches lines in pairs: hot words of different writers stay this far apart

CELL_HEADER_BYTES: Final = 16
CELL_BYTES: Final = (64, 128)
PAYLOAD_BYTES: Final = (48, 112)

CAPACITY_CELLS_MIN: Final = 8
CAPACITY_CELLS_MAX: Final = 1 << 22
MESSAGE_CELLS_MAX: Final = 0xFFFF  # ``index`` and ``n_cells`` are 16 bits
SHARE_SHIFT: Final = 2  # a message takes a quarter of its ring at most; a lapped reader keeps clear of one
GATING_READERS_MAX: Final = 8
READER_NAME_BYTES: Final = 32
BARRIER_READERS_MAX: Final = 32
EPOCHS_KEPT: Final = 8  # takeovers of a ring whose place a reader that lags still finds; a power of two

FLAGS_MASK: Final = 0xFF
COUNT_MASK: Final = 0xFFFF
INDEX_SHIFT: Final = 16
FLAGS_SHIFT: Final = 32
ORDINAL_SHIFT: Final = 40
ORDINAL_BITS: Final = 23  # the tag stays a positive int64
ORDINAL_MASK: Final = (1 << ORDINAL_BITS) - 1

TABLE_ROWS_MAX: Final = 1 << 20
ROW_BYTES_MAX: Final = 1 << 16
LABEL_BYTES: Final = 64
LABELS_MAX: Final = 1 << 14

HISTOGRAM_SUB_BITS: Final = 6  # 64 sub-buckets an octave: values are kept to 1 part in 64
HISTOGRAM_SUB: Final = 1 << HISTOGRAM_SUB_BITS
HISTOGRAM_BUCKETS: Final = (63 - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB + HISTOGRAM_SUB


class SegmentKind(IntEnum):
    """What a segment holds."""

    PLAIN = 0
    OVERWRITING_RING = 1
    REFUSING_RING = 2
    TABLE = 3
    COUNTERS = 4
    HISTOGRAMS = 5
    BARRIER = 6
    DOORBELL = 7


class ReaderState(IntEnum):
    """Life of a reader: a gating one is DECLARED with the ring, JOINED to read, FENCED when silent."""

    OBSERVING = 0
    DECLARED = 1
    JOINED = 2
    FENCED = 3


class Status(IntEnum):
    """Answers of the kernels below zero; zero and above are counts of cells."""

    REFUSED_SIZE = -1  # no cells, more than the bound, or more than the source holds
    REFUSED_FULL = -2  # a gating reader has not freed the space
    REFUSED_FENCED = -3  # no gating reader is left: nobody would act on the message
    OUT_TOO_SMALL = -4  # the next message does not fit in the whole of ``out``
    READER_FENCED = -5  # this gating reader was declared dead: it must rejoin
    NO_SUCH_ROW = -6
    ROW_BUSY = -7  # the writer was at the row at every try
    GARBLED = -8  # the next message is not what was published: it was passed over, and counted


SEGMENT: Final = np.dtype(
    {
        "names": ["magic", "version", "kind", "layout_hash", "epoch", "size_bytes", "owner_pid", "attached"],
        "formats": ["<i8"] * 8,
        "offsets": [0, 8, 16, 24, 32, 40, 48, 128],
        "itemsize": 256,
    }
)

CELL: Final = np.dtype(
    {
        "names": ["sequence", "n_cells", "index", "flags", "ordinal"],
        "formats": ["<i8", "<u2", "<u2", "u1", ("u1", (3,))],
        "offsets": [0, 8, 10, 12, 13],
        "itemsize": CELL_HEADER_BYTES,
    }
)

READER: Final = np.dtype(
    {
        "names": [
            "position", "ordinal", "state", "heartbeat_ns", "joined_position", "joined_ordinal",
            "lost_cells", "lost_messages", "laps", "name", "garbled",
        ],
        "formats": ["<i8"] * 9 + [f"S{READER_NAME_BYTES}", "<i8"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 104],
        "itemsize": HOT_BYTES,
    }
)  # fmt: skip

RING: Final = np.dtype(
    {
        "names": [
            "kind", "capacity", "cell_shift", "message_cells_max", "n_gating", "adoptions", "epoch_begins",
            "sums_at", "head", "messages", "gate_position", "refused_size", "refused_full", "refused_fenced",
            "fenced", "readers",
        ],
        "formats": ["<i8"] * 6 + [("<i8", (EPOCHS_KEPT,))] + ["<i8"] * 8 + [(READER, (GATING_READERS_MAX,))],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 112, 128, 136, 144, 152, 160, 168, 176, 256],
        "itemsize": 256 + GATING_READERS_MAX * HOT_BYTES,
    }
)  # fmt: skip

TABLE: Final = np.dtype(
    {
        "names": ["n_rows", "row_words", "stride_bytes", "lost_rows"],
        "formats": ["<i8"] * 4,
        "offsets": [0, 8, 16, 24],
        "itemsize": HOT_BYTES,
    }
)

BARRIER_READER: Final = np.dtype(
    {
        "names": ["confirmed", "state", "name"],
        "formats": ["<i8", "<i8", f"S{READER_NAME_BYTES}"],
        "offsets": [0, 8, 16],
        "itemsize": HOT_BYTES,
    }
)

BARRIER: Final = np.dtype(
    {
        "names": ["n_readers", "version", "readers"],
        "formats": ["<i8", "<i8", (BARRIER_READER, (BARRIER_READERS_MAX,))],
        "offsets": [0, 128, 256],
        "itemsize": 256 + BARRIER_READERS_MAX * HOT_BYTES,
    }
)

DOORBELL: Final = np.dtype(
    {
        "names": ["sequence", "sleeping", "by_pipe"],
        "formats": ["<i8"] * 3,
        "offsets": [0, 8, 16],
        "itemsize": HOT_BYTES,
    }
)

LABELLED: Final = np.dtype({"names": ["n_labels"], "formats": ["<i8"], "offsets": [0], "itemsize": HOT_BYTES})

HISTOGRAM: Final = np.dtype(
    {
        "names": ["max", "below_zero", "counts"],
        "formats": ["<i8", "<i8", ("<i8", (HISTOGRAM_BUCKETS,))],
        "offsets": [0, 8, 64],
        "itemsize": 64 + HISTOGRAM_BUCKETS * WORD_BYTES,
    }
)


def offset_of(layout: np.dtype[np.void], field: str) -> int:
    """Byte offset of ``field`` in ``layout``; raises KeyError for a name it does not have."""
    fields = layout.fields
    assert fields is not None, "only structured layouts have fields"
    return int(fields[field][1])


def layout_hash(*parts: np.dtype[np.generic] | int | str) -> int:
    """63-bit hash of field names, formats, offsets, sizes and numbers, in order."""
    digest = hashlib.blake2b(str(LAYOUT_VERSION).encode(), digest_size=8)
    for part in parts:
        described = f"{part.descr!r}{part.itemsize}" if isinstance(part, np.dtype) else repr(part)
        digest.update(described.encode() + b"\n")
    return int.from_bytes(digest.digest(), "little") >> 1


def round_up(size_bytes: int, multiple: int) -> int:
    """Smallest multiple of ``multiple`` that holds ``size_bytes``."""
    return -(-size_bytes // multiple) * multiple


def _assert_layouts() -> None:
    """Refuse to be imported when two facts about the layouts contradict each other."""
    for cell_bytes, payload_bytes in zip(CELL_BYTES, PAYLOAD_BYTES, strict=True):
        assert cell_bytes == CELL_HEADER_BYTES + payload_bytes, "a cell is its header and its payload"
        assert cell_bytes % LINE_BYTES == 0, "a cell is whole lines"
    for layout in (SEGMENT, RING, TABLE, BARRIER, DOORBELL, LABELLED):
        assert layout.itemsize % HOT_BYTES == 0, "what follows starts on a hot boundary"
    for shared, hot in ((RING, "head"), (RING, "readers"), (BARRIER, "version"), (BARRIER, "readers")):
        assert offset_of(shared, hot) % HOT_BYTES == 0, (
            f"{hot} is written by another party than what is before it"
        )
    for field, shift in (("index", INDEX_SHIFT), ("flags", FLAGS_SHIFT), ("ordinal", ORDINAL_SHIFT)):
        assert (offset_of(CELL, field) - offset_of(CELL, "n_cells")) * 8 == shift, (
            f"{field} is where its shift says"
        )
    assert 1 << WORD_SHIFT == WORD_BYTES, "both say the same"
    assert EPOCHS_KEPT & (EPOCHS_KEPT - 1) == 0, "a takeover finds its place by a mask"
    assert offset_of(RING, "epoch_begins") + EPOCHS_KEPT * WORD_BYTES <= offset_of(RING, "sums_at"), (
        "takeovers and the place of the sums lie side by side"
    )
    assert offset_of(RING, "sums_at") + WORD_BYTES <= offset_of(RING, "head"), (
        "what is written once an epoch is apart from what is written all the time"
    )
    assert offset_of(READER, "name") + READER_NAME_BYTES <= offset_of(READER, "garbled"), (
        "a name has its room"
    )
    assert offset_of(READER, "garbled") + WORD_BYTES <= READER.itemsize, "a reader block is one hot line"
    for payload_bytes in PAYLOAD_BYTES:
        assert payload_bytes % (2 * WORD_BYTES) == 0, "a checksum takes the words of a record in pairs"
    assert CAPACITY_CELLS_MAX < ORDINAL_MASK, "ordinals of one ring-full of messages are distinct"
    assert CAPACITY_CELLS_MIN >> SHARE_SHIFT >= 2, "the smallest ring holds a message of two cells"
    assert HISTOGRAM.itemsize % LINE_BYTES == 0, "histograms stand side by side"


_assert_layouts()
