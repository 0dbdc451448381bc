"""Feed and book stage of one venue as one: what a frame says can be read by all when ``on_frame`` ends.

Where both stages are of one process a frame does not have to wait for the book stage's turn. One compiled
call takes it all the way (``procs.frame_kernels``); what the compiled parser is not sure about, and the end
of a connection, goes through the stages' own methods, in the same order. The updates ring is written all the
same, for the simulated venues. The book stage keeps its turn for notes and for what is due by the clock.

A strategy that is here, too, has its turn in the same call (``lead_to``): its signals are in their ring when
``on_frame`` ends. What it would do in Python is done behind the call, and it keeps its turns for all else, as
for frames that only the general parser reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from engine.book.store import BookStore
from engine.code import Turn
from engine.direct import direct
from engine.venues.codec import MarketDataCodec
from procs.book import BookAgent
from procs.feed import FeedAgent
from procs.frame_kernels import (
    FRAME_KERNELS,
    FRAMES_MAX,
    LEFT_OVER,
    TEXT_BYTES,
    Place,
    new_places,
)
from procs.ladder import BookRung, EngineTime
from procs.tick_rate import LOOK_MASK, TickRate
from shm.arrays import BYTES_AT
from shm.atomics import address_of
from shm.layout import WORD_BYTES
from shm.ring import OverwritingRing, Records
from shm.table import Table

LOOK_EVERY: Final = LOOK_MASK + 1  # frames
_TAKEN: Final = int(Place.TAKEN)
_REFUSED: Final = int(Place.REFUSED)
_STOP: Final = int(Place.STOP)
_NS_PER_TICK: Final = int(Place.NS_PER_TICK)
_LENGTHS: Final = int(Place.LENGTHS)
_TIME_NS: Final = int(Place.TIME_NS)

OnFrame = Callable[[bytes, int, int], None]


class Strategy(Protocol):
    """What is led to of ``procs.strategy.StrategyAgent``."""

    @property
    def turn(self) -> Turn:
        """Its compiled turn."""
        ...

    @property
    def ready(self) -> Callable[[], None]:
        """To be called before such a turn: follows what was found anew."""
        ...

    def go_on(self, stop: int, now_ns: int) -> int:
        """Do what a compiled turn has left, and the rest of it; messages handled."""
        ...


class FusedFeed:
    """What the sockets of a venue call instead of its feed.

    ``book`` was made without an updates ring. With ``rung`` the tops are stamped when their rows are
    published, and it is counted how long that took since the frame was received. Once ``has_ended`` says that
    the run is over a connection that ends is no word on the books.
    """

    def __init__(
        self,
        feed: FeedAgent,
        codec: MarketDataCodec,
        book: BookAgent,
        store: BookStore,
        updates: OverwritingRing,
        tops: OverwritingRing,
        table: Table,
        time: EngineTime,
        rung: BookRung | None = None,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._feed, self._codec, self._store = feed, codec, store
        self._book = book
        self._now, self._is_clocked = time.now, time.ahead_ns is not None
        self._has_ended = has_ended
        self._strategy: Strategy | None = None
        self._ready: Callable[[], None] | None = None
        self._places = new_places(codec, store, updates, tops, table)
        self._places_at = address_of(self._places)
        self._places[Place.SKIP] = codec.on_unknown is None
        self._places[Place.IS_CLOCKED], self._places[_TIME_NS] = self._is_clocked, time.ahead_ns or 0
        self._kernel = direct(FRAME_KERNELS[codec.venue], 0, 0, 0, 0, 0, 0)
        self._held: list[bytes] = []  # messages of one read, received at, over
        self._held_ns = self._held_conn = 0
        lengths = np.zeros(FRAMES_MAX, np.int64)
        self._lengths_at = address_of(lengths)
        # By their buffers, in which an item takes a third of the time that it takes in an array.
        self._lengths, self._told = lengths.data, self._places.data
        self._kept = (store, updates, tops, table, rung, lengths)  # the places are addresses in them
        self._rate = None if rung is None else TickRate()
        # Of two sockets that race not every message counts.
        self._is_direct = feed.race is None and codec.fast_enabled
        feed.forward = self._apply
        feed.refused_beside = lambda: self._told[_REFUSED]
        book.applied_beside = lambda: self._told[_TAKEN]
        if rung is not None:
            self._places[Place.HISTOGRAM] = rung.histogram.address
        self.on_frame: OnFrame = self._taking()

    def lead_to(self, strategy: Strategy) -> None:
        """Give ``strategy``, which is of this process, its turn behind each frame that says something."""
        self._strategy, self._ready = strategy, strategy.ready
        self._places[Place.STRATEGY], self._places[Place.STRATEGY_CODE] = strategy.turn

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory that every frame works on, whatever market it is about (``procs.kept_warm``)."""
        return [self._places, *self._codec.workspace.scratch(), *self._store.scratch()]

    def _taking(self) -> OnFrame:
        """``on_frame``, which takes one message to the books, with what it needs at hand.

        The kernel is told where the text lies and copies it from there: a copy by Python took a fifth of the
        way through Python.
        """
        feed, kernel, places_at = self._feed, self._kernel, self._places_at

        def on_frame(payload: bytes, recv_ns: int, conn: int) -> None:
            if self._held:
                self.release()
            length = len(payload)
            if self._is_direct and length <= TEXT_BYTES and type(payload) is bytes:
                ready = self._ready
                if ready is not None:
                    ready()
                if not self._is_clocked:
                    self._told[_TIME_NS] = self._now()
                taken = kernel(id(payload) + BYTES_AT, length, 1, recv_ns, conn, places_at)
                if taken == 1 and feed.frames & LOOK_MASK:
                    feed.frames += 1
                    return
                if taken:
                    self._count(taken)
                    return
            feed.on_frame(payload, recv_ns, conn)

        return on_frame

    @property
    def holder(self) -> Self | None:
        """This, where messages can be taken together; None where each goes through the stages' methods."""
        return self if self._is_direct else None

    def hold(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Keep a message until ``release``; what comes otherwise finds it released before."""
        held = self._held
        if held and (conn != self._held_conn or len(held) == FRAMES_MAX):
            self.release()
            held = self._held
        if not held:
            self._held_ns, self._held_conn = recv_ns, conn
        held.append(payload)

    def release(self) -> None:
        """Take what is held to the books, in its order."""
        held = self._held
        if not held:
            return
        self._held = []
        texts = b"".join(held)
        if len(texts) > TEXT_BYTES or not self._is_direct:
            for payload in held:
                self.on_frame(payload, self._held_ns, self._held_conn)
            return
        for number, payload in enumerate(held):
            self._lengths[number] = len(payload)
        self._take(held, texts)

    def _take(self, held: Sequence[bytes], texts: bytes) -> None:
        """Go through what is held; a message that needs Python goes to the feed, between those around it."""
        count, taken, text = len(held), 0, id(texts) + BYTES_AT
        recv_ns, conn = self._held_ns, self._held_conn
        while taken < count:
            before = taken
            if self._ready is not None:
                self._ready()
            if not self._is_clocked:
                self._told[_TIME_NS] = self._now()
            self._told[_LENGTHS] = self._lengths_at + WORD_BYTES * taken
            length = len(held[taken])
            found = self._kernel(text, length, count - taken, recv_ns, conn, self._places_at)
            taken += self._count(found)
            if taken < count:
                self._feed.on_frame(held[taken], recv_ns, conn)
                taken += 1
                text += sum(map(len, held[before:taken]))

    def _count(self, found: int) -> int:
        """Frames are through: count them, and do what the strategy has left. How many frames."""
        frames, feed = found % LEFT_OVER, self._feed
        before = feed.frames
        feed.frames += frames
        if self._rate is not None and (before - 1) // LOOK_EVERY != (feed.frames - 1) // LOOK_EVERY:
            self._told[_NS_PER_TICK] = self._rate.look()
        if found >= LEFT_OVER:
            assert self._strategy is not None, "nobody else leaves anything"
            self._strategy.go_on(self._told[_STOP], self._now())
        return frames

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """Every book of the connection is in doubt."""
        self.release()
        if self._has_ended():
            self.part()
        self._feed.on_disconnect(recv_ns, conn)

    def part(self) -> None:
        """Feed and books are two again: the books stay as they are."""
        self._feed.forward = None
        self._is_direct = False

    def _apply(self, updates: Records) -> None:
        """What the feed has published without us."""
        self._book.apply(updates, len(updates), self._now())
