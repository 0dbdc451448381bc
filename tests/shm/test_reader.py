"""A reader's place: kept for the next process, never shared with it, and told of a new producer in time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from shm import cells
from shm.errors import LayoutMismatch, RingRefused, SegmentExists
from shm.layout import PAYLOAD_BYTES, READER, ReaderState, Status, offset_of
from shm.reader import private_block
from shm.ring import OverwritingRing, Reader, RefusingRing
from tests.plain_twin import PlainTwin
from tests.shm.orders import Orders

WIDTH = PAYLOAD_BYTES[0]
RECORD = np.dtype([("number", "<i8"), ("rest", "V40")])
NAMES = ("executor", "ledger")
NAME = "events"

Ring = OverwritingRing | RefusingRing


def start(directory: Path, epoch: int, capacity: int = 16, names: tuple[str, ...] = NAMES) -> RefusingRing:
    return RefusingRing.create_or_adopt(capacity, WIDTH, names, name=NAME, epoch=epoch, directory=directory)


def attached(directory: Path) -> RefusingRing:
    """The ring as another process has it."""
    return RefusingRing.attach(NAME, WIDTH, directory)


def publish(ring: Ring, *numbers: int) -> None:
    records = np.zeros(len(numbers), RECORD)
    records["number"] = numbers
    assert ring.publish_each(records) == len(numbers)


def take(reader: Reader, messages_max: int = 1 << 62) -> list[int]:
    n_cells = reader.poll(messages_max)
    assert n_cells >= 0
    numbers: list[int] = reader.records(RECORD)["number"][:n_cells].tolist()
    return numbers


def test_a_restarted_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    first = attached(tmp_path).resume("executor", 100)
    publish(ring, 0, 1, 2, 3)
    assert take(first, 3) == [0, 1, 2]
    del first  # died
    publish(ring, 4)
    again = attached(tmp_path).resume("executor", 200)
    assert (again.state, int(again.block["heartbeat_ns"])) == (ReaderState.JOINED, 200)
    assert take(again) == [3, 4]
    assert (again.received_messages, again.lost_messages) == (5, 0)


def test_a_living_reader_is_never_displaced(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    first = attached(tmp_path).resume("executor", 100)
    for call in (ring.resume, ring.reader, attached(tmp_path).resume):
        with pytest.raises(RingRefused, match=f"{NAME}: its reader lives"):
            call("executor", 500)
    assert int(first.block["heartbeat_ns"]) == 100, "who is refused does not beat for it"
    assert ring.fence_silent(300, 100) == 1
    with pytest.raises(RingRefused, match="its reader lives"):
        ring.resume("executor", 500)  # fenced, and still not dead
    ring.resume("ledger", 500)
    with pytest.raises(RingRefused, match="'log' is not a gating reader of this ring; declared: executor, l"):
        ring.resume("log", 0)


def test_away_for_less_than_the_limit_is_not_fenced(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    reader = ring.resume("executor", 1000)
    reader.beat(1500)
    del reader
    assert ring.fence_silent(2500, 1000) == 0
    again = ring.resume("executor", 2500)
    assert ring.fence_silent(3500, 1000) == 0
    assert again.state == ReaderState.JOINED


def test_away_for_longer_is_fenced_and_rejoins_with_its_losses_counted(tmp_path: Path) -> None:
    ring = start(tmp_path, 1, names=NAMES[:1])
    reader = ring.resume("executor", 1000)
    publish(ring, 0, 1)
    assert take(reader, 1) == [0]
    del reader
    assert ring.fence_silent(2001, 1000) == 1
    again = ring.resume("executor", 3000)
    assert again.poll() == Status.READER_FENCED
    assert again.rejoin(3000)
    publish(ring, 2)
    assert take(again) == [2]
    assert (again.received_messages, again.lost_messages) == (2, 1)


def test_the_first_reader_resumes_from_the_beginning(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    publish(ring, 0, 1)
    assert take(ring.resume("ledger", 0)) == [0, 1]


def test_in_private_memory_nobody_comes_back() -> None:
    ring = RefusingRing.create(16, WIDTH, NAMES)
    ring.resume("executor", 0)
    with pytest.raises(RingRefused, match="has joined already"):
        ring.resume("executor", 0)


def test_a_new_producer_is_noticed_at_its_first_message(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    reader = attached(tmp_path).resume("executor", 0)
    assert not reader.entered_epoch()
    publish(first, 0, 1)
    first.segment.close()  # died
    second = start(tmp_path, 2)
    publish(second, 10, 11)
    assert take(reader, 1) == [0]
    assert not reader.entered_epoch(), "there is more of the first one's"
    assert take(reader) == [1]
    assert not reader.entered_epoch()
    assert take(reader) == [10, 11]
    assert reader.entered_epoch()
    assert not reader.entered_epoch(), "once"
    assert (second.published_messages, reader.received_messages) == (4, 4)


@pytest.mark.parametrize("by", ["poll", "read"])
def test_a_new_producer_is_noticed_when_there_is_nothing_to_read(tmp_path: Path, by: str) -> None:
    first = start(tmp_path, 1)
    reader = attached(tmp_path).resume("executor", 0)
    publish(first, 0)
    assert (reader.poll() if by == "poll" else reader.read(np.zeros(4, RECORD))) == 1
    first.segment.close()
    start(tmp_path, 2)
    assert not reader.entered_epoch(), "what is being used is still of the first one"
    assert reader.poll() == 0
    assert reader.entered_epoch()


def test_a_new_producer_is_noticed_before_the_first_poll(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    reader = attached(tmp_path).resume("executor", 0)
    first.segment.close()  # died without a word
    start(tmp_path, 2)
    assert reader.entered_epoch()


def test_a_reader_that_comes_later_belongs_to_the_epoch_it_comes_in(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    publish(first, 0)
    first.segment.close()
    second = start(tmp_path, 2)
    newest, oldest = second.observer(from_oldest=False), second.observer()
    assert take(oldest) == [0]
    assert not oldest.entered_epoch()
    publish(second, 1)
    for reader in (newest, oldest):
        assert take(reader) == [1]
    assert (newest.entered_epoch(), oldest.entered_epoch()) == (False, True)


def test_a_fenced_reader_that_rejoins_comes_to_the_new_epoch(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    reader = attached(tmp_path).resume("executor", 0)
    publish(first, 0)
    first.segment.close()
    second = start(tmp_path, 2)
    publish(second, 1)
    assert second.fence_silent(1000, 10) == 1
    assert reader.poll() == Status.READER_FENCED
    assert not reader.entered_epoch()
    assert reader.rejoin(1000)
    assert reader.entered_epoch()


def test_a_ring_is_adopted_as_it_was_declared_or_not_at_all(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    with pytest.raises(SegmentExists, match="its owner lives"):
        start(tmp_path, 2)
    ring.segment.close()
    for capacity, names, what in (
        (32, NAMES, "capacity is 16, expected 32"),
        (16, NAMES[:1], r"gating_readers is \('executor', 'ledger'\), expected \('executor',\)"),
    ):
        with pytest.raises(LayoutMismatch, match=f"{NAME}: {what}"):
            start(tmp_path, 2, capacity, names)
    with pytest.raises(LayoutMismatch, match="epoch 1 is not newer than 1"):
        start(tmp_path, 1)
    with pytest.raises(LayoutMismatch, match="layout_hash"):
        RefusingRing.adopt(NAME, PAYLOAD_BYTES[1], tmp_path, 2)
    with pytest.raises(LayoutMismatch, match="kind is 2, expected 1"):
        OverwritingRing.adopt(NAME, WIDTH, tmp_path, 2)
    adopted = RefusingRing.adopt(NAME, WIDTH, tmp_path, 2)
    declared = {"capacity": 16, "message_cells_max": 4, "gating_readers": NAMES, "checked": False}
    assert adopted.declared() == declared
    assert (adopted.segment.epoch, int(adopted.segment.header["owner_pid"])) == (2, os.getpid())


def test_an_overwriting_ring_goes_on_too(tmp_path: Path) -> None:
    def begin(epoch: int, bound: int | None = None) -> OverwritingRing:
        return OverwritingRing.create_or_adopt(
            16, WIDTH, name="tops", epoch=epoch, directory=tmp_path, message_cells_max=bound
        )

    first = begin(1)
    reader = OverwritingRing.attach("tops", WIDTH, tmp_path).reader()
    publish(first, *range(3))
    first.segment.close()
    with pytest.raises(LayoutMismatch, match="tops: message_cells_max is 4, expected 2"):
        begin(2, 2)
    second = begin(2)
    publish(second, *range(3, 20))
    assert reader.poll() == 12, "lapped, into the new epoch"
    assert reader.entered_epoch()
    assert (reader.lost_messages, reader.received_messages) == (8, 12)


def test_a_private_block_is_on_a_hot_line() -> None:
    blocks = [private_block() for _ in range(8)]
    assert {block.ctypes.data % 128 for block in blocks} == {0}
    assert {block.nbytes for block in blocks} == {128}


def test_what_is_not_done_is_handed_out_again(tmp_path: Path) -> None:
    ring = start(tmp_path, 1)
    first = attached(tmp_path).resume("executor", 0, keeps=True)
    publish(ring, 0, 1, 2, 3)
    assert take(first, 2) == [0, 1]
    first.done()
    assert take(first, 1) == [2]
    assert (first.received_messages, first.lag_cells) == (3, 1)
    del first  # died with 2 in its hands
    again = attached(tmp_path).resume("executor", 0, keeps=True)
    assert take(again) == [2, 3]
    again.done()
    del again
    last = attached(tmp_path).resume("executor", 0)
    assert (take(last), last.received_messages) == ([], 4)
    last.done()  # means nothing where a poll is all there is


def test_room_is_free_when_it_is_done() -> None:
    ring = RefusingRing.create(8, WIDTH, NAMES[:1])
    reader = ring.resume("executor", 0, keeps=True)
    publish(ring, *range(8))
    assert take(reader) == list(range(8))
    assert not ring.publish(np.zeros(1, RECORD))
    reader.done()
    publish(ring, 8)
    assert take(reader) == [8]


def test_a_keeping_reader_is_fenced_like_any_other() -> None:
    ring = RefusingRing.create(8, WIDTH, NAMES)
    reader, other = ring.resume("executor", 0, keeps=True), ring.resume("ledger", 0)
    other.beat(1000)
    publish(ring, 0, 1, 2)
    assert take(reader, 1) == [0]
    reader.done()
    assert take(reader, 1) == [1]
    reader.beat(5)
    assert ring.fence_silent(1000, 100) == 1
    assert take(other) == [0, 1, 2]
    for number in range(3, 12):  # over what it has not read
        publish(ring, number)
        assert take(other) == [number]
    out = np.zeros(4, RECORD)
    assert (reader.state, reader.poll(), reader.read(out)) == (
        ReaderState.FENCED, Status.READER_FENCED, Status.READER_FENCED,
    )  # fmt: skip
    assert reader.rejoin(1000)
    publish(ring, 12)
    assert take(reader) == [12]
    reader.done()
    assert (reader.state, reader.received_messages, reader.lost_messages) == (ReaderState.JOINED, 2, 11)


def test_a_batch_that_was_handed_out_counts_although_its_reader_is_fenced_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = RefusingRing.create(8, WIDTH, NAMES[:1])
    plain, keeping = ring.resume("executor", 0), RefusingRing.create(8, WIDTH, NAMES[:1])
    kept = keeping.resume("executor", 0, keeps=True)
    original = cells.poll
    publish(ring, 0)
    publish(keeping, 0)

    def fenced_behind_it(*place: int) -> int:
        answer = original(*place)
        for each in (ring, keeping):
            each.fence_silent(1000, 10)
        return answer

    for reader in (plain, kept):
        monkeypatch.setattr(reader, "_poll", fenced_behind_it)
    assert (plain.poll(), plain.received_messages) == (1, 1)
    assert kept.poll() == Status.READER_FENCED, "not done, so it comes to nobody"
    assert kept.rejoin(0)
    assert (kept.received_messages, kept.lost_messages) == (0, 1)


def test_what_is_done_is_released_after_its_count(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer that sees the place may overwrite what was read, and who resumes there has its count."""
    plain = plain_twin("shm.reader")
    shared, private = private_block(), private_block()
    block = private.view(READER)[0]
    block["position"], block["ordinal"] = 7, 5
    orders = Orders(monkeypatch, plain)
    plain.mark_done(shared.ctypes.data, private.ctypes.data)
    assert orders.take_all() == [("store_release", shared.ctypes.data + offset_of(READER, "position"))]
    assert np.array_equal(shared, private)


def test_a_poll_for_no_message_brings_none() -> None:
    ring = OverwritingRing.create(16, WIDTH)
    publish(ring, 0)
    assert ring.reader().poll(0) == 0
