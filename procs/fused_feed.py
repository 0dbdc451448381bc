"""Feed and book stage of one venue as one: what a frame says can be read by all when ``on_frame`` ends.

Where both stages are of one process a frame does not have to wait for the book stage's turn. One compiled
call takes it all the way (``procs.frame_kernels``); what the compiled parser is not sure about, and the end
of a connection, goes through the stages' own methods, in the same order. The updates ring is written all the
same, for the simulated venues. The book stage keeps its turn for notes and for what is due by the clock.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.book.store import BookStore
from engine.direct import direct
from engine.venues.codec import MarketDataCodec
from engine.venues.workspace import FRAME_BYTES_MAX
from procs.book import BookAgent
from procs.feed import FeedAgent
from procs.frame_kernels import FRAME_KERNELS, REFUSED, Place, new_places
from procs.ladder import BookRung, Now
from procs.tick_rate import LOOK_MASK, TickRate
from shm.ring import OverwritingRing, Records
from shm.table import Table


class FusedFeed:
    """What the sockets of a venue call instead of its feed.

    ``book`` was made without an updates ring. ``now`` is engine time; with ``rung`` the tops are stamped when
    their rows are published, and it is counted how long that took since the frame was received. Once
    ``has_ended`` says that the run is over a connection that ends is no word on the books.
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
        now: Now,
        rung: BookRung | None = None,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._feed = feed
        self._skip = codec.on_unknown is None
        self._book = book
        self._now = now
        self._has_ended = has_ended
        self._frame = codec.workspace.memory
        self._places = new_places(codec, store, updates, tops, table)
        self._kernel = direct(FRAME_KERNELS[codec.venue], 0, 0, 0, 0, True, self._places)
        self._kept = (store, updates, tops, table, rung)  # the places are addresses in them
        self._rate = None if rung is None else TickRate()
        # Of two sockets that race not every message counts.
        self._is_direct = feed.race is None and codec.fast_enabled
        feed.forward = self._apply
        if rung is not None:
            self._places[Place.HISTOGRAM] = rung.histogram.address

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Take one message to the books."""
        length = len(payload)
        if self._is_direct and length <= FRAME_BYTES_MAX:
            self._frame[:length] = payload
            found = self._kernel(length, recv_ns, self._now(), conn, self._skip, self._places)
            if found >= 0:
                self._count(found)
                return
        self._feed.on_frame(payload, recv_ns, conn)

    def _count(self, found: int) -> None:
        """A frame is through: now nobody waits."""
        feed = self._feed
        feed.frames += 1
        if found >= REFUSED:
            found -= REFUSED
            feed.refused += 1
        self._book.applied += found
        if self._rate is not None and feed.frames & LOOK_MASK == 1:
            self._places[Place.NS_PER_TICK] = self._rate.look()

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """Every book of the connection is in doubt."""
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
