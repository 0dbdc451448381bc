"""Source stage of a replay: recorded frames, each handed to its venue's feed at the time it was received."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from engine.records import Venue
from procs.agent import NEVER_NS
from procs.recording_frames import Frame


class FrameSink(Protocol):
    """A feed, as its shell sees it."""

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Take one frame."""
        ...


class SourceAgent:
    """Hands over ``frames`` in order; due when its next frame is.

    Receive times that step back are kept for the records but never move the clock back: such a frame is due
    at once. ``pace`` is called with the due time before it is answered: a wall-clock pacer may wait there.
    """

    role = "source"

    def __init__(
        self,
        frames: Iterator[Frame],
        feeds: Mapping[Venue, FrameSink],
        pace: Callable[[int], None] | None = None,
    ) -> None:
        self.frames = 0
        self.first_ns = 0
        self.last_ns = 0
        self.steps_back = 0
        self._frames = frames
        self._feeds = feeds
        self._pace = pace
        self._next: Frame | None = None

    def on_start(self, now_ns: int) -> None:
        """Read the first frame."""
        del now_ns
        self._next = next(self._frames, None)
        self.first_ns = self.last_ns = self._next.recv_ns if self._next else 0

    def do_work(self, now_ns: int) -> int:
        """Hand over the next frame when it is due: one, so that each is worked off before the next."""
        frame = self._next
        if frame is None or frame.recv_ns > now_ns:
            return 0
        if self._pace is not None:
            self._pace(frame.recv_ns)
        self.frames += 1
        self.steps_back += frame.recv_ns < self.last_ns
        self.last_ns = max(self.last_ns, frame.recv_ns)
        self._feeds[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
        self._next = next(self._frames, None)
        return 1

    def on_close(self) -> None:
        """Nothing to let go of: whoever opened the recordings closes them."""

    def next_due_ns(self) -> int:
        """Receive time of the next frame."""
        return NEVER_NS if self._next is None else self._next.recv_ns
