from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import JournalDamaged
from engine.ledger.journal import (
    LAYOUTS,
    OPENING,
    PAYLOAD_BYTES_MAX,
    EntryKind,
    Journal,
    JournalBroken,
    JournalRead,
    encode,
    read_journal,
)
from engine.records import VENUE_REPORT


class Sink(io.BytesIO):
    """Bytes written, bytes flushed and bytes synced, so that a test can ask what was durable when."""

    def __init__(self) -> None:
        super().__init__()
        self.synced = 0

    def sync(self) -> None:
        self.synced = len(self.getvalue())


def opening(venue: int = 1, cash_micros: int = 5) -> np.void:
    record: np.void = np.zeros(1, OPENING)[0]
    record["venue"], record["cash_micros"], record["at_ns"] = venue, cash_micros, 7
    return record


def three_entries() -> bytes:
    sink = Sink()
    journal = Journal(sink, sink.sync)
    for cash in (10, 20, 30):
        journal.append(EntryKind.OPENING, opening(cash_micros=cash))
    return sink.getvalue()


def test_what_is_written_is_read_back_in_order() -> None:
    found = JournalRead()
    entries = list(read_journal(three_entries(), found))
    assert [int(entry.record["cash_micros"]) for entry in entries] == [10, 20, 30]
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert (found.entries, found.torn_bytes) == (3, 0)


def test_append_is_durable_before_it_returns_and_write_is_not() -> None:
    sink = Sink()
    journal = Journal(sink, sink.sync)
    journal.append(EntryKind.OPENING, opening())
    durable = sink.synced
    assert durable == len(sink.getvalue()) > 0
    journal.write(EntryKind.OPENING, opening())
    assert sink.synced == durable
    journal.commit()
    assert sink.synced == len(sink.getvalue()) == 2 * durable


def test_a_cut_at_any_byte_gives_the_whole_entries_before_it() -> None:
    content = three_entries()
    size = len(content) // 3
    for cut in range(len(content) + 1):
        found = JournalRead()
        entries = list(read_journal(content[:cut], found))
        assert len(entries) == cut // size
        assert found.torn_bytes == cut % size


@given(st.integers(0, 3 * 48 - 1), st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_an_entry(byte: int, bit: int) -> None:
    content = bytearray(three_entries())
    content[byte] ^= 1 << bit
    size = len(content) // 3
    found = JournalRead()
    read: list[int] = []
    with suppress(JournalDamaged):
        read.extend(int(entry.record["cash_micros"]) for entry in read_journal(bytes(content), found))
    assert read == [10, 20, 30][: byte // size]


def test_a_tail_of_zeros_is_a_crash_and_zeros_in_the_middle_are_damage() -> None:
    content = three_entries()
    found = JournalRead()
    assert len(list(read_journal(content + bytes(100), found))) == 3
    assert found.torn_bytes == 100
    with pytest.raises(JournalDamaged, match="damaged"):
        list(read_journal(content + bytes(24) + content))


def test_a_hole_in_the_sequence_is_damage() -> None:
    content = three_entries()
    size = len(content) // 3
    with pytest.raises(JournalDamaged, match="sequence 3, expected 2"):
        list(read_journal(content[:size] + content[2 * size :]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode(1, 99, bytes(24)), "unknown kind 99"),
        (encode(1, EntryKind.OPENING, bytes(8)), "has 8 bytes, not 24"),
    ],
)
def test_an_entry_of_another_shape_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(JournalDamaged, match=message):
        list(read_journal(content))


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ledger.journal.JOURNAL_VERSION", 2)
    content = encode(1, EntryKind.OPENING, opening().tobytes())
    monkeypatch.undo()
    with pytest.raises(JournalDamaged, match="version 2, this is 1"):
        list(read_journal(content))


def test_the_writer_refuses_a_record_of_another_kind_and_a_payload_over_the_bound() -> None:
    sink = Sink()
    with pytest.raises(ValueError, match="OPENING"):
        Journal(sink, sink.sync).append(EntryKind.OPENING, np.zeros(1, VENUE_REPORT)[0])
    with pytest.raises(ValueError, match="4097"):
        encode(1, EntryKind.OPENING, bytes(PAYLOAD_BYTES_MAX + 1))
    assert sink.getvalue() == b""


def test_every_kind_has_a_layout_within_the_bound() -> None:
    assert set(LAYOUTS) == set(EntryKind)
    assert all(layout.itemsize <= PAYLOAD_BYTES_MAX for layout in LAYOUTS.values())


LONGEST = encode(1, EntryKind.OPENING, b"\x07" * PAYLOAD_BYTES_MAX)


def test_the_longest_payload_is_read_whole_torn_and_damaged_like_any_other() -> None:
    with pytest.raises(JournalDamaged, match=f"has {PAYLOAD_BYTES_MAX} bytes, not 24"):
        list(read_journal(LONGEST))
    altered = LONGEST[:-1] + b"\x08"
    for content in (LONGEST[:-1], altered):
        found = JournalRead()
        assert list(read_journal(content, found)) == []
        assert found.torn_bytes == len(content)
    with pytest.raises(JournalDamaged, match="byte 0 is damaged"):
        list(read_journal(altered + LONGEST))


def test_the_layout_of_an_entry_is_what_older_journals_have() -> None:
    payload = bytes(range(24))
    content = encode(0x0102, EntryKind.OPENING, payload)
    assert content[:4] == (24).to_bytes(4, "little")
    assert content[4:8] == zlib.crc32(content[8:]).to_bytes(4, "little")
    assert content[8:] == bytes.fromhex("0201000000000000 0100 0000 01000000") + payload


def test_an_entry_that_is_all_head_is_an_entry_and_not_torn() -> None:
    with pytest.raises(JournalDamaged, match="has 0 bytes, not 24"):
        list(read_journal(encode(1, EntryKind.OPENING, b"")))


def grouped(*groups: int) -> tuple[bytes, list[int]]:
    """Entries committed in groups of these sizes; and where each entry begins."""
    sink = Sink()
    journal = Journal(sink, sink.sync)
    starts: list[int] = []
    for size in groups:
        for _ in range(size):
            starts.append(len(sink.getvalue()))
            journal.write(EntryKind.OPENING, opening(cash_micros=len(starts)))
        journal.commit()
    return sink.getvalue(), starts


def spoil(content: bytes, start: int, size: int = 48) -> bytes:
    return content[:start] + bytes(size) + content[start + size :]


@pytest.mark.parametrize("room", [0, 1000])
def test_a_group_that_was_never_durable_is_torn_wherever_the_crash_left_a_hole(room: int) -> None:
    content, starts = grouped(1, 2, 4)
    for lost in range(3, 7):
        found = JournalRead()
        read = list(read_journal(spoil(content, starts[lost]) + bytes(room), found))
        assert len(read) == lost
        assert found.torn_bytes == len(content) + room - starts[lost]


def test_a_hole_before_a_group_that_was_written_after_it_is_damage() -> None:
    content, starts = grouped(1, 2, 4, 1)
    for lost in range(7):
        with pytest.raises(JournalDamaged, match=f"byte {starts[lost]} is damaged"):
            list(read_journal(spoil(content, starts[lost]) + bytes(500)))
    assert len(list(read_journal(spoil(content, starts[7]) + bytes(500)))) == 7


def test_a_journal_without_new_entries_is_not_synced_again() -> None:
    synced: list[int] = []
    sink = Sink()
    journal = Journal(sink, lambda: synced.append(1))
    journal.commit()
    journal.append(EntryKind.OPENING, opening())
    journal.commit()
    assert synced == [1]


def test_entries_that_were_laid_for_their_place_are_the_same_journal() -> None:
    plain, sink = Sink(), Sink()
    one_by_one, journal = Journal(plain, plain.sync), Journal(sink, sink.sync)
    assert journal.place == (1, False)
    for cash in (1, 2, 3, 4):
        one_by_one.gather(EntryKind.OPENING, opening(cash_micros=cash))
    one_by_one.commit()
    journal.gather(EntryKind.OPENING, opening(cash_micros=1))
    sequence, is_grouped = journal.place
    laid = [
        encode(sequence + index, EntryKind.OPENING, opening(cash_micros=cash).tobytes(), grouped=is_grouped)
        for index, cash in enumerate((2, 3))
    ]
    journal.gather_laid(b"".join(laid), 2)
    assert journal.place == (4, True)
    rest = encode(4, EntryKind.OPENING, opening(cash_micros=4).tobytes(), grouped=True)
    journal.append_laid(rest, 1)
    assert sink.getvalue() == plain.getvalue()
    assert (sink.synced, journal.place) == (len(sink.getvalue()), (5, False))


def test_what_is_gathered_comes_with_the_next_that_is_written_and_is_the_same_journal() -> None:
    plain, sink = Sink(), Sink()
    one_by_one, journal = Journal(plain, plain.sync), Journal(sink, sink.sync)
    for cash in (1, 2, 3, 4):
        one_by_one.write(EntryKind.OPENING, opening(cash_micros=cash))
    journal.gather(EntryKind.OPENING, opening(cash_micros=1))
    journal.gather(EntryKind.OPENING, opening(cash_micros=2))
    assert sink.getvalue() == b""
    journal.write(EntryKind.OPENING, opening(cash_micros=3))
    assert len(list(read_journal(sink.getvalue()))) == 3
    journal.gather(EntryKind.OPENING, opening(cash_micros=4))
    journal.hand_over()
    assert sink.getvalue() == plain.getvalue()
    assert sink.synced == 0
    journal.gather(EntryKind.OPENING, opening(cash_micros=5))
    journal.commit()
    assert sink.synced == len(sink.getvalue()) > len(plain.getvalue()), "also what was gathered only"
    journal.hand_over()
    assert len(list(read_journal(sink.getvalue()))) == 5


class FullSink(io.BytesIO):
    """Takes what it is given, and fails all the same the first time."""

    failures = 1

    def write(self, data: Any, /) -> int:
        """Keep it."""
        written = super().write(data)
        if self.failures:
            self.failures -= 1
            raise OSError("no room behind it")
        return written


def test_nothing_follows_entries_that_could_not_be_written() -> None:
    """They may be there, and then a second time would be damage; or not, and then what follows is a hole."""
    sink = FullSink()
    journal = Journal(sink, lambda: None)
    with pytest.raises(OSError, match="no room"):
        journal.write(EntryKind.OPENING, opening(cash_micros=1))
    whole = sink.getvalue()
    for attempt in (journal.hand_over, journal.commit):
        with pytest.raises(JournalBroken):
            attempt()
    with pytest.raises(JournalBroken):
        journal.append(EntryKind.OPENING, opening(cash_micros=2))
    assert sink.getvalue() == whole
    assert [int(entry.record["cash_micros"]) for entry in read_journal(whole)] == [1]


def test_what_could_not_be_made_durable_is_never_taken_for_durable() -> None:
    """The operating system may answer a second sync well, for bytes that it has given up after the first."""
    sink, answers = Sink(), [OSError("lost")]

    def sync() -> None:
        if answers:
            raise answers.pop()
        sink.sync()

    journal = Journal(sink, sync)
    with pytest.raises(OSError, match="lost"):
        journal.append(EntryKind.OPENING, opening(cash_micros=1))
    for _ in range(2):
        with pytest.raises(JournalBroken):
            journal.commit()
    assert (sink.synced, journal.uncommitted) == (0, 1)
