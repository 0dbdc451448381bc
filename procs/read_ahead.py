"""A recording read by a thread of its own, a few batches ahead of whoever replays it.

Decompressing and splitting lines happens without the interpreter's lock, and so does parsing what came
before: on two cores the two overlap. The batches, their order and the error at their end are the reader's.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, Queue
from threading import Event, Thread
from typing import Final

from procs.recording_frames import FrameBatch
from procs.recording_reader import RecordingReader

AHEAD_MAX: Final = 3  # batches that wait; two at least, for the last batch and the end to fit after a stop

_Item = FrameBatch | Exception | None  # None: the end


class ReadAhead:
    """What ``merge`` takes, in place of ``reader``."""

    def __init__(self, reader: RecordingReader) -> None:
        self.name = reader.name
        self.header = reader.header
        self._reader = reader

    def batches(self) -> Iterator[FrameBatch]:
        """As the reader's. The thread ends with the iterator, also when that is left early."""
        waiting: Queue[_Item] = Queue(AHEAD_MAX)
        stop = Event()
        thread = Thread(target=self._fill, args=(waiting, stop), name="read-ahead", daemon=True)
        thread.start()
        try:
            while (item := waiting.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()
            _drain(waiting)
            thread.join()

    def _fill(self, waiting: Queue[_Item], stop: Event) -> None:
        try:
            for batch in self._reader.batches():
                waiting.put(batch)
                if stop.is_set():
                    break
            waiting.put(None)
        except Exception as error:  # noqa: BLE001 - raised where the batches are taken
            waiting.put(error)


def _drain(waiting: Queue[_Item]) -> None:
    """Make room, so that the thread can put what it holds and see that it is to stop."""
    try:
        while True:
            waiting.get_nowait()
    except Empty:
        return
