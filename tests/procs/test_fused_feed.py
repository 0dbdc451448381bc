"""Feed and books as one say record for record what they say as two stages, whatever comes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.book.state import Count as BookCount
from engine.catalog.market import MarketRef
from engine.config import Role
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, TOP, Trust, Venue
from engine.sim.session.build import build_session
from engine.venues.counts import Count
from procs.book_notes import NoteWriter
from procs.config_files import load_config, load_fee_table
from procs.feed_link import FeedSink
from procs.frame_kernels import FRAME_KERNELS, FRAMES_MAX, TEXT_BYTES, Place
from procs.fused_feed import LOOK_EVERY, FusedFeed
from procs.ladder import BookRung, EngineTime, Ladder, Rung
from procs.parts import VENUES, EngineParts, Scene
from procs.recording_frames import Frame
from procs.wires import Wires
from shm.histogram import Histograms
from shm.ring import Records

pytestmark = pytest.mark.compiled_only

SEED = 1
N_FRAMES = 3_500
SLOTS = 256
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])
SESSION = build_session(SEED)
FRAMES = [Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in SESSION.frames]
SNAPSHOT = next(frame for frame in FRAMES if b"orderbook_snapshot" in frame.raw)
Damage = Callable[[random.Random, bytes], bytes]


class Floor:
    """Feeds and books of both venues, and everything that others read of them."""

    def __init__(self, *, is_fused: bool, rung: BookRung | None = None) -> None:
        self.now_ns = FRAMES[0].recv_ns
        scene = Scene(SESSION.markets, (), load_fee_table(CONFIG), self.now_ns)
        self.wires = Wires.create(VENUES, SLOTS)
        self.parts = EngineParts(
            CONFIG, scene, self.wires, (Role.FEED, Role.BOOK), 1, ladder=Ladder(book=rung)
        )
        self.feeds = {venue: self.parts.feed(venue) for venue in VENUES}
        self.books = {venue: self.parts.book(venue, reads=not is_fused) for venue in VENUES}
        self.sinks: dict[Venue, FeedSink] = dict(self.feeds)
        self.fused: dict[Venue, FusedFeed] = {}
        if is_fused:
            for venue, book in self.books.items():
                self.fused[venue] = self.parts.fused(self.feeds[venue], book, EngineTime(lambda: self.now_ns))
            self.sinks.update(self.fused)
        self._updates = {venue: self.wires.updates[venue].reader() for venue in VENUES}
        self._tops = {venue: self.wires.tops[venue].reader() for venue in VENUES}

    def take(self, frame: Frame) -> None:
        """One frame, then the book stage's turn."""
        self.now_ns = frame.recv_ns + 5
        self.sinks[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
        self.turn(frame.venue)

    def lose(self, venue: Venue, conn: int) -> None:
        """A connection ends."""
        self.sinks[venue].on_disconnect(self.now_ns, conn)
        self.turn(venue)

    def turn(self, venue: Venue) -> None:
        """Let the book stage work."""
        self.books[venue].do_work(self.now_ns)

    def said(self, venue: Venue) -> tuple[bytes, bytes]:
        """Updates and tops since the last look."""
        updates, tops = self._updates[venue], self._tops[venue]
        rows: list[bytes] = []
        for reader, layout in ((updates, BOOK_UPDATE), (tops, TOP)):
            found: Records = reader.records(layout)
            n_cells = reader.poll()
            rows.append(found[: max(n_cells, 0)].tobytes())
        return rows[0], rows[1]

    def state(self) -> list[object]:
        """Rows as published, and what was counted."""
        return [
            [
                self.wires.books[venue].rows.tobytes(),
                self.books[venue].applied,
                self.feeds[venue].frames,
                self.feeds[venue].refused,
                {count: int(self.feeds[venue].codec.counts[count]) for count in Count},
                {count: self.parts.stores[venue].count(count) for count in BookCount},
            ]
            for venue in VENUES
        ]


def whole(chance: random.Random, raw: bytes) -> bytes:
    return raw


def damaged(chance: random.Random, raw: bytes) -> bytes:
    """One in five is cut, garbled, or spelled so that only the general parser reads it."""
    kind = chance.randrange(15)
    if kind == 0:
        return raw[: chance.randrange(len(raw) + 1)]
    if kind == 1:
        place = chance.randrange(len(raw))
        return raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
    return raw.replace(b'"msg"', b'"\\u006dsg"').replace(b'"bids"', b'"b\\u0069ds"') if kind == 2 else raw


@pytest.mark.parametrize("how", [whole, damaged])
def test_each_frame_says_the_same_and_leaves_the_same(how: Damage) -> None:
    chance = random.Random(f"{SEED} {how.__name__}")
    one, two = Floor(is_fused=True), Floor(is_fused=False)
    n_tops = 0
    for number, (frame, following) in enumerate(pairwise(FRAMES[:N_FRAMES])):
        sent = frame._replace(raw=how(chance, frame.raw))
        for floor in (one, two):
            floor.take(sent)
            if number % 997 == 996:
                floor.lose(following.venue, following.conn)
        for venue in VENUES:
            found, expected = one.said(venue), two.said(venue)
            assert found == expected, f"frame {number}: {sent.raw!r}"
            n_tops += len(found[1]) // TOP.itemsize
        if number % 500 == 0:
            assert one.state() == two.state()
    assert one.state() == two.state()
    fallen_back = sum(int(feed.codec.counts[Count.FALLBACK]) for feed in one.feeds.values())
    assert n_tops > 3_000
    assert how is whole or fallen_back > 50


@pytest.mark.parametrize("how", [whole, damaged])
def test_frames_that_are_held_say_the_same_and_leave_the_same(how: Damage) -> None:
    """Batches of every size, one connection each; some end with a message that is not held, or a loss."""
    chance = random.Random(f"{SEED} held {how.__name__}")
    one, two = Floor(is_fused=True), Floor(is_fused=False)
    frames = iter([frame._replace(raw=how(chance, frame.raw)) for frame in FRAMES[:N_FRAMES]])
    sizes: list[int] = []
    for frame in frames:
        venue, batch, size = frame.venue, [frame], chance.choice((1, 3, 10, 60))
        while len(batch) < size and (following := next(frames, None)) is not None:
            batch.append(following if following.venue is venue else frame)
        batch = [each._replace(recv_ns=frame.recv_ns, conn=frame.conn) for each in batch]
        one.now_ns = two.now_ns = frame.recv_ns + 5
        ends = chance.randrange(4)
        fused = one.fused[venue]
        for each in batch if ends else batch[:-1]:
            fused.hold(each.raw, each.recv_ns, each.conn)
        if not ends:
            fused.on_frame(batch[-1].raw, frame.recv_ns, frame.conn)
        if ends == 1:
            fused.on_disconnect(one.now_ns, frame.conn)
        fused.release()
        for each in batch:
            two.sinks[venue].on_frame(each.raw, each.recv_ns, each.conn)
            two.turn(venue)
        if ends == 1:
            two.lose(venue, frame.conn)
        one.turn(venue)
        assert one.said(venue) == two.said(venue), f"batch of {len(batch)}, {ends}"
        sizes.append(len(batch))
    assert one.state() == two.state()
    assert max(sizes) > 20
    assert sum(size > 1 for size in sizes) > 50


def test_a_call_for_each_frame_keeps_the_gil() -> None:
    kernels: list[Any] = list(FRAME_KERNELS.values())
    assert [kernel.targetoptions["nogil"] for kernel in kernels] == [False, False]


def test_what_is_held_for_one_connection_is_read_before_anothers() -> None:
    floor = Floor(is_fused=True)
    fused, updates = floor.fused[SNAPSHOT.venue], floor.wires.updates[SNAPSHOT.venue]
    fused.hold(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    assert updates.published_messages == 0
    fused.hold(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn + 1)
    assert updates.published_messages == 1
    for _ in range(FRAMES_MAX):
        fused.hold(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn + 1)
    assert updates.published_messages > 1, "there is no room for more"
    fused.release()
    assert floor.feeds[SNAPSHOT.venue].frames == FRAMES_MAX + 2


def test_what_a_batch_counts_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = Floor(is_fused=True, rung=BookRung(Histograms.create([Rung.RECEIVE_BOOK]), lambda: 0))
    fused, venue = floor.fused[SNAPSHOT.venue], SNAPSHOT.venue
    feed, book, places = floor.feeds[venue], floor.books[venue], fused._places

    def batch(text: int, length: int, count: int, *_: object) -> int:
        places[Place.TAKEN] += 7
        places[Place.REFUSED] += 2
        return count

    places[Place.NS_PER_TICK] = 0
    monkeypatch.setattr(fused, "_kernel", batch)
    for _ in range(LOOK_EVERY + 2):
        fused.hold(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    fused.release()
    assert (feed.frames, feed.refused, book.applied) == (LOOK_EVERY + 2, 2, 7)
    assert places[Place.NS_PER_TICK] > 0, "nobody else asks how long a tick is under load"


def test_more_bytes_than_there_is_room_for_are_read_all_the_same() -> None:
    floor = Floor(is_fused=True)
    fused = floor.fused[SNAPSHOT.venue]
    padded = SNAPSHOT.raw[:-1] + b" " * (TEXT_BYTES // 4) + b"}"
    for _ in range(5):
        fused.hold(padded, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    fused.release()
    assert floor.feeds[SNAPSHOT.venue].frames == 5
    assert np.count_nonzero(floor.wires.books[SNAPSHOT.venue].rows["trust"] == Trust.LIVE) == 1


def test_a_frame_can_be_read_before_the_book_stage_has_its_turn() -> None:
    floor = Floor(is_fused=True)
    floor.sinks[SNAPSHOT.venue].on_frame(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    assert np.count_nonzero(floor.wires.books[SNAPSHOT.venue].rows["trust"] == Trust.LIVE) == 1
    assert floor.books[SNAPSHOT.venue].do_work(floor.now_ns) == 0


def test_notes_and_time_still_reach_the_books() -> None:
    floor = Floor(is_fused=True)
    floor.take(SNAPSHOT)
    rows = floor.wires.books[SNAPSHOT.venue].rows
    slot = int(np.flatnonzero(rows["trust"] == Trust.LIVE)[0])
    notes = NoteWriter(floor.wires.notes[SNAPSHOT.venue])
    notes.doubt(
        MarketRef(slot, int(rows["generation"][slot])), Reason.FEED_SILENT, floor.now_ns, floor.now_ns
    )
    floor.turn(SNAPSHOT.venue)
    assert rows["trust"][slot] != Trust.LIVE


def test_a_live_engines_tops_are_stamped_when_their_rows_are_there() -> None:
    histograms = Histograms.create([Rung.RECEIVE_BOOK])
    rung = BookRung(histograms, lambda: 0)
    floor = Floor(is_fused=True, rung=rung)
    sink = floor.sinks[Venue.KALSHI]
    tops = floor.wires.tops[Venue.KALSHI].reader()
    found: npt.NDArray[np.void] = tops.records(TOP)
    frames = [frame for frame in FRAMES if frame.venue is Venue.KALSHI][:3_000]
    late = 0
    for frame in frames:
        floor.now_ns = frame.recv_ns + 700
        sink.on_frame(frame.raw, frame.recv_ns, frame.conn)
        for index in range(max(tops.poll(), 0)):
            spent_ns = int(found[index]["book_ns"]) - floor.now_ns
            assert spent_ns >= 0
            late += spent_ns > 0
    assert late > 500, "from the first look at the clock on, what a frame took is counted"
    assert histograms[Rung.RECEIVE_BOOK].count == floor.wires.tops[Venue.KALSHI].published_messages


def test_where_time_is_the_monotonic_clocks_nobody_is_asked_for_it() -> None:
    floor = Floor(is_fused=True, rung=BookRung(Histograms.create([Rung.RECEIVE_BOOK]), lambda: 0))
    ahead_ns, venue = 7 * 10**17, SNAPSHOT.venue

    def now() -> int:
        raise AssertionError("the kernel asks the clock")

    sink = floor.parts.fused(floor.feeds[venue], floor.books[venue], EngineTime(now, ahead_ns))
    tops = floor.wires.tops[venue].reader()
    found: npt.NDArray[np.void] = tops.records(TOP)
    before_ns = ahead_ns + time.monotonic_ns()
    sink.on_frame(SNAPSHOT.raw, before_ns, SNAPSHOT.conn)
    assert tops.poll() > 0
    assert before_ns < int(found[0]["book_ns"]) < ahead_ns + time.monotonic_ns()


@pytest.mark.parametrize("of", [bytearray, memoryview])
def test_what_is_no_bytes_is_not_read_where_those_have_their_text(
    of: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Floor(is_fused=True), Floor(is_fused=True)
    fused = two.fused[SNAPSHOT.venue]

    def call(*_: object) -> int:
        raise AssertionError("there is no text at that address")

    monkeypatch.setattr(fused, "_kernel", call)
    monkeypatch.setattr(fused, "on_frame", fused._taking())
    with pytest.raises(AssertionError, match="no text"):
        fused.on_frame(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    one.take(SNAPSHOT)
    two.take(SNAPSHOT._replace(raw=of(SNAPSHOT.raw)))
    assert one.said(SNAPSHOT.venue) == two.said(SNAPSHOT.venue)
    assert one.state() == two.state()


def test_who_hangs_up_when_a_run_is_over_says_nothing_of_the_books() -> None:
    over = False
    floor = Floor(is_fused=True)
    venue = SNAPSHOT.venue
    book = floor.books[venue]
    sink = floor.parts.fused(floor.feeds[venue], book, EngineTime(lambda: floor.now_ns), lambda: over)
    sink.on_frame(SNAPSHOT.raw, SNAPSHOT.recv_ns, SNAPSHOT.conn)
    rows = floor.wires.books[venue].rows
    over = True
    sink.on_disconnect(floor.now_ns, SNAPSHOT.conn)
    assert np.count_nonzero(rows["trust"] == Trust.LIVE) == 1
