"""Append-only journal: what was intended, sent and filled, durable before the next step is taken.

An entry is a 24-byte head and a payload::

    0        4        8                16     18      20        24
    | length | crc32  | sequence       | kind | group | version | payload (length bytes) ...

The checksum covers everything after itself, so a bit flipped anywhere is seen. The sequence starts at 1 and
has no holes. ``group`` is 1 when the entry before this one was not durable yet: the two were made durable
together, and a crash may have left either without the other. So what cannot be read is the torn end that a
crash leaves, unless an entry that begins a group comes behind it: that one was written when everything before
it was durable, and then this is damage, and an error. ``read_journal`` gives the whole entries before a torn
end and says how many bytes were left over; zeros at the end, of a file that was extended, count as such.

The file is passed in; so is ``sync`` (fsync in production), because the engine does no I/O of its own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

import numpy as np

from engine.errors import JournalDamaged, Pr3dictError
from engine.records import ORDER_EVENT, ORDER_REQUEST, PLAN_HEAD, PLAN_LEG, VENUE_REPORT

JOURNAL_VERSION: Final = 1
PAYLOAD_BYTES_MAX: Final = 4096

_HEAD: Final = struct.Struct("<IIQHHI")
HEAD_BYTES: Final = _HEAD.size
_UNCHECKED: Final = struct.Struct("<II")  # it begins with
_CHECKED: Final = struct.Struct("<QHHI")
CHECKED_FROM: Final = 8  # the checksum covers sequence, kind, group, version and payload
_GROUP_FROM: Final = 18
_VERSION_FROM: Final = 20
_VERSION_BYTES: Final = struct.pack("<I", JOURNAL_VERSION)


class EntryKind(IntEnum):
    """What an entry records."""

    OPENING = 1  # cash at one venue at the start
    PLAN = 2
    INTENT = 3  # an order exists; nothing was sent yet
    SENT = 4  # handed to the wire
    REPORT = 5  # what the venue said
    EVENT = 6  # what the executor made of it
    PLAN_LEG = 7  # as the executor took it over; follows its PLAN
    BOOT = 8  # an executor starts; ids are made with this boot epoch from here on
    RISK = 9  # halt, stop and what the loss limits count from
    MARKET = 10  # which market has a slot; before the first plan that can trade it


OPENING: Final = np.dtype([("venue", "<i8"), ("cash_micros", "<i8"), ("at_ns", "<i8")])
BOOT: Final = np.dtype([("boot_epoch", "<i8"), ("at_ns", "<i8")])
KEPT_LEG: Final = np.dtype(
    [
        ("plan_id", "<i8"),
        ("size_e6", "<i8"),  # rounded to what its venue accepts, as the limit
        ("limit_e4", "<i4"),
        ("exit_e4", "<i4"),  # worst price that trading it all back needed when the plan began, or NO_PRICE
        ("leg", PLAN_LEG),
    ]
)
SYMBOL_BYTES: Final = 100  # of a market's name; what is longer is cut
MARKET: Final = np.dtype(
    [("venue", "<i4"), ("slot", "<i4"), ("generation", "<i4"), ("symbol", f"S{SYMBOL_BYTES}")]
)
RISK: Final = np.dtype(
    [
        ("day", "<i8"),  # since 1970, UTC: that of ``day_start_micros``
        ("day_start_micros", "<i8"),
        ("equity_peak_micros", "<i8"),
        ("halted", "<i8"),  # as in GATE_STATE
        ("stopped", "<i8"),
    ]
)

LAYOUTS: Final[dict[int, np.dtype[np.void]]] = {
    EntryKind.OPENING: OPENING,
    EntryKind.PLAN: PLAN_HEAD,
    EntryKind.INTENT: ORDER_REQUEST,
    EntryKind.SENT: ORDER_REQUEST,
    EntryKind.REPORT: VENUE_REPORT,
    EntryKind.EVENT: ORDER_EVENT,
    EntryKind.PLAN_LEG: KEPT_LEG,
    EntryKind.BOOT: BOOT,
    EntryKind.RISK: RISK,
    EntryKind.MARKET: MARKET,
}


class ByteSink(Protocol):
    """The part of a binary file the journal needs."""

    def write(self, data: bytes, /) -> int | None:
        """Append ``data``."""
        ...

    def flush(self) -> None:
        """Hand buffered bytes to the operating system."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One whole entry: its sequence number, kind, and the record it carries."""

    sequence: int
    kind: EntryKind
    record: np.void


@dataclass(slots=True)
class JournalRead:
    """What ``read_journal`` found besides the entries."""

    entries: int = 0
    torn_bytes: int = 0


class JournalBroken(Pr3dictError):
    """A journal whose sink has failed takes nothing any more."""


class Journal:
    """Writer. One per engine; the only writer of its file.

    ``sync`` makes written bytes durable; it runs once per ``append`` or once per ``commit`` of a group. What
    was gathered is handed to the sink with the next entry that is written, or by ``hand_over``.
    """

    def __init__(self, sink: ByteSink, sync: Callable[[], None], next_sequence: int = 1) -> None:
        self._sink = sink
        self._sync = sync
        self.next_sequence = next_sequence
        self.uncommitted = 0  # entries written that may not be durable yet
        self._gathered: list[bytes] = []
        self._is_broken = False

    def append(self, kind: int, record: np.void) -> None:
        """Write one entry and make it durable before returning."""
        self.write(kind, record)
        self.commit()

    def write(self, kind: int, record: np.void) -> None:
        """Write one entry without making it durable; ``commit`` must follow before anything depends on it."""
        self.gather(kind, record)
        self.hand_over()

    @property
    def place(self) -> tuple[int, bool]:
        """Sequence of the next entry, and whether the one before it may not be durable yet."""
        return self.next_sequence, self.uncommitted > 0

    def append_laid(self, content: bytes, n_entries: int) -> None:
        """Write entries that were laid for this ``place``, and make them durable before returning."""
        self.gather_laid(content, n_entries)
        self.commit()

    def gather(self, kind: int, record: np.void) -> None:
        """Put one entry behind the others, for the sink to get with the next that is written."""
        layout = LAYOUTS.get(kind)
        if layout is None or (record.dtype is not layout and record.dtype != layout):
            raise ValueError(f"journal: a {EntryKind(kind).name} entry does not carry {record.dtype}")
        sequence, is_grouped = self.place
        self.gather_laid(encode(sequence, kind, record.tobytes(), grouped=is_grouped), 1)

    def gather_laid(self, content: bytes, n_entries: int) -> None:
        """The same of entries that were laid for this ``place`` (``engine.ledger.entries``)."""
        self._gathered.append(content)
        self.next_sequence += n_entries
        self.uncommitted += n_entries

    def hand_over(self) -> None:
        """Hand the sink what was gathered, in one piece.

        JournalBroken once the sink has failed: how much of it is there nobody knows, so nothing may follow.
        """
        if self._is_broken:
            raise JournalBroken("journal: entries could not be written, and none may follow them")
        if self._gathered:
            self._is_broken = True
            self._sink.write(b"".join(self._gathered))
            self._is_broken = False
            self._gathered.clear()

    def commit(self) -> None:
        """Make everything written so far durable; nothing to do when it is.

        JournalBroken once that has failed: a second ``sync`` may succeed for bytes the first one has lost.
        """
        if self.uncommitted:
            self.hand_over()
            self._is_broken = True
            self._sink.flush()
            self._sync()
            self._is_broken = False
            self.uncommitted = 0


def encode(sequence: int, kind: int, payload: bytes, *, grouped: bool = False) -> bytes:
    """Bytes of one entry. ValueError beyond PAYLOAD_BYTES_MAX."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"journal: payload of {len(payload)} bytes is over {PAYLOAD_BYTES_MAX}")
    checked = _CHECKED.pack(sequence, kind, grouped, JOURNAL_VERSION) + payload
    return _UNCHECKED.pack(len(payload), zlib.crc32(checked)) + checked


def read_journal(content: bytes, found: JournalRead | None = None) -> Iterator[Entry]:
    """Whole entries of ``content`` in order; a torn end is left out and counted in ``found``.

    Raises JournalDamaged with the offset for anything else: what cannot be read with durable entries after
    it, a hole in the sequence, an unknown version or kind.
    """
    found = found if found is not None else JournalRead()
    offset = 0
    while offset < len(content):
        end = _entry_end(content, offset)
        if end is None:
            if _begins_group_after(content, offset):
                raise JournalDamaged(f"journal: entry at byte {offset} is damaged (checksum or length)")
            found.torn_bytes = len(content) - offset
            return
        entry = _decode(content, offset, end)
        if entry.sequence != found.entries + 1:
            raise JournalDamaged(
                f"journal: entry at byte {offset} has sequence {entry.sequence}, expected {found.entries + 1}"
            )
        found.entries += 1
        yield entry
        offset = end


def _entry_end(content: bytes, offset: int) -> int | None:
    """End of the entry at ``offset``; None when there is none with a right checksum."""
    if len(content) - offset < _HEAD.size:
        return None
    length, crc = struct.unpack_from("<II", content, offset)
    end = offset + _HEAD.size + int(length)
    if length > PAYLOAD_BYTES_MAX or end > len(content):
        return None
    return end if crc == zlib.crc32(content[offset + CHECKED_FROM : end]) else None


def _begins_group_after(content: bytes, offset: int) -> bool:
    """Whether an entry that begins a group lies anywhere behind the unreadable one at ``offset``."""
    version_at = content.find(_VERSION_BYTES, offset + _VERSION_FROM + 1)
    while version_at >= 0:
        start = version_at - _VERSION_FROM
        if not any(content[start + _GROUP_FROM : version_at]) and _entry_end(content, start) is not None:
            return True
        version_at = content.find(_VERSION_BYTES, version_at + 1)
    return False


def _decode(content: bytes, offset: int, end: int) -> Entry:
    _, _, sequence, kind, _, version = _HEAD.unpack_from(content, offset)
    if version != JOURNAL_VERSION:
        raise JournalDamaged(
            f"journal: entry at byte {offset} has version {version}, this is {JOURNAL_VERSION}"
        )
    payload = content[offset + _HEAD.size : end]
    try:
        layout = LAYOUTS[EntryKind(kind)]
    except ValueError:
        raise JournalDamaged(f"journal: entry at byte {offset} has unknown kind {kind}") from None
    if len(payload) != layout.itemsize:
        raise JournalDamaged(
            f"journal: entry at byte {offset} has {len(payload)} bytes, not {layout.itemsize}"
        )
    record: np.void = np.frombuffer(payload, dtype=layout)[0]
    return Entry(sequence, EntryKind(kind), record)
