"""Feed stage: wire frames of one venue in, BOOK_UPDATE messages out, one message a frame.

The shell around it (a socket, or a recording) calls ``on_frame`` and ``on_disconnect``; there is nothing to
poll.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.config import FeedConfig
from engine.records import Venue
from engine.venues.race import Race
from procs.agent import FEED, role_at
from shm.ring import OverwritingRing, Records

Counts = npt.NDArray[np.int64]


class Codec(Protocol):
    """What the feed needs of a venue's codec."""

    out: Records
    counts: Counts

    def feed(self, payload: bytes | memoryview, recv_ns: int, conn: int) -> int:
        """Parse one frame into ``out``; the number of records."""
        ...

    def disconnect(self, conn: int, recv_ns: int) -> int:
        """Put every book of a connection in doubt; the number of records in ``out``."""
        ...


def race_of(settings: FeedConfig) -> Race | None:
    """What makes one stream of two connections for each shard, where a venue is to have two."""
    return Race() if settings.raced_sockets > 1 else None


class FeedAgent:
    """One venue's feed. ``frames`` counts what came in.

    ``race`` makes one stream of two connections for the same markets; without it every message counts.
    """

    def __init__(
        self, venue: Venue, codec: Codec, updates: OverwritingRing, race: Race | None = None
    ) -> None:
        self.role = role_at(FEED, venue)
        self.codec = codec
        self.frames = 0
        self._refused = 0
        self.refused_beside: Callable[[], int] = lambda: 0  # by who publishes in the feed's place
        self.forward: Callable[[Records], None] | None = None  # where else each message goes, if anywhere
        self.race = race
        self._updates = updates

    @property
    def refused(self) -> int:
        """Messages too large for the ring."""
        return self._refused + self.refused_beside()

    def on_start(self, now_ns: int) -> None:
        """Nothing to open: frames come from the shell."""

    def do_work(self, now_ns: int) -> int:
        """Nothing waits here."""
        del now_ns
        return 0

    def on_close(self) -> None:
        """Nothing to let go of."""

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Parse one frame and publish what it says."""
        self.frames += 1
        self._publish(self.codec.feed(payload, recv_ns, conn), conn)

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """Say that every book of the connection is in doubt."""
        self._publish(self.codec.disconnect(conn, recv_ns), conn)

    def _publish(self, n_records: int, conn: int) -> None:
        if not n_records:
            return
        records = self.codec.out[:n_records]
        if self.race is not None:
            records = self.race.admit(records, conn)
        if len(records) and not self._updates.publish(records):
            self._refused += 1
        if len(records) and self.forward is not None:
            self.forward(records)
