"""The recorded files of ../shared/data that importers know, and a comparison of books after every frame.

For each frame that writes levels both sides keep one number: over every level it wrote, with the size that
stands there after the frame, and over the best prices and sizes of every book it touched. Equal numbers after
every frame, and equal books at the end, mean equal books all along.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.apply import apply_updates
from engine.book.grid import tick_of
from engine.book.ladder import level_size
from engine.book.state import BookState
from engine.catalog.market import MarketSpec
from engine.jit import kernel
from engine.records import UpdateKind
from engine.venues.counts import Count
from engine.venues.workspace import Records
from procs.recording_frames import Frame, pack
from procs.replay import Replay
from procs.replay_apply import frame_end
from tests.conftest import SHARED_DATA
from tests.data.plain_books import PlainBook, PlainBooks

FOLDERS: Final = (
    "kalshi_ws/*",
    "polymarket_ticks/*",
    "polymarket_ws/*",
    "polymarket_books/*.*",
    "polymarket_books/updown_*/*",
    "multi_outcome/weather_*",
    "cross_venue/weather_books/*",
)
FRAMES_A_STEP: Final = 4096
_LOG_MAX: Final = 1 << 16
_MASK: Final = (1 << 64) - 1
_ADD: Final = int(UpdateKind.LEVEL_ADD)
_LEVEL: Final = int(UpdateKind.SNAPSHOT_LEVEL)
_SET: Final = int(UpdateKind.LEVEL_SET)
_A, _B, _C, _D, _E = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1

Numbers = npt.NDArray[np.int64]


def files() -> list[Path]:
    """Every file of the folders that the importers are for; none when the data is absent."""
    return [path for pattern in FOLDERS for path in sorted(SHARED_DATA.glob(pattern)) if path.is_file()]


def name_of(path: Path) -> str:
    """Path below the data folder, for test ids."""
    return str(path.relative_to(SHARED_DATA))


def plain_mix(slot: int, side: int, price: int, size: int) -> int:
    """One level, or one best price, as a number."""
    return (slot + 1) * _A + side * _B + price * _C + (size & 0xFFFFFFFF) * _D + (size >> 32) * _E


mix = kernel(plain_mix)


@kernel
def _frame_number(state: BookState, frame: Records, tops: int) -> int:
    """The number of a frame that has been applied."""
    total = 0
    for index in range(len(frame)):
        update = frame[index]
        kind, slot, side = int(update["kind"]), int(update["slot"]), int(update["side"])
        if kind in (_LEVEL, _SET, _ADD):
            tick = tick_of(state.table, int(state.books[slot]["grid"]), int(update["price_e4"]))
            total += mix(
                slot, side, int(update["price_e4"]), level_size(state.ladders, 2 * slot + side, tick)
            )
    for place in range(tops):
        top = state.tops[place]
        total += mix(int(top["slot"]), 2, int(top["bid_e4"]), int(top["bid_size_e6"]))
        total += mix(int(top["slot"]), 3, int(top["ask_e4"]), int(top["ask_size_e6"]))
    return total


@kernel
def _apply_and_log(state: BookState, updates: Records, n: int, log: Numbers) -> int:
    """Apply whole frames; how many numbers were logged, one for each frame that writes levels."""
    begin = 0
    logged = 0
    while begin < n:
        end = frame_end(updates, begin, n)
        frame = updates[begin:end]
        tops = apply_updates(state, frame, end - begin, int(frame[0]["recv_ns"]))
        writes = False
        for index in range(end - begin):
            writes = writes or int(frame[index]["kind"]) <= _ADD
        if writes:
            log[logged] = _frame_number(state, frame, tops)
            logged += 1
        begin = end
    return logged


def _plain_number(plain: PlainBooks, slots: dict[str, int]) -> int:
    total = 0
    for name, side, price in plain.written:
        total += plain_mix(slots[name], side, price, plain.books[name].sides[side].get(price, 0))
    for name in plain.touched:
        bid, ask, bid_size, ask_size = plain.books[name].top()
        total += plain_mix(slots[name], 2, bid, bid_size) + plain_mix(slots[name], 3, ask, ask_size)
    return total & _MASK


class Comparison:
    """A replay and plain books side by side. ``compared``: frames that wrote levels and were compared."""

    def __init__(self, specs: Sequence[MarketSpec]) -> None:
        self.plain = PlainBooks()
        self.replay = Replay(specs, on_records=self._on_records)
        self.compared = 0
        self._slots = {book.name: slot for slot, book in enumerate(self.replay.books)}
        self._log: Numbers = np.zeros(_LOG_MAX, np.int64)
        self._found: list[int] = []
        self._latest_ns = 0

    def run(self, frames: Iterable[Frame], altered: Iterable[Frame] | None = None) -> str:
        """What differs first, empty when nothing does; the replay is given ``altered`` where there is one."""
        others = None if altered is None else iter(altered)
        source = iter(frames)
        while step := list(islice(source, FRAMES_A_STEP)):
            expected = self._expect(step)
            found = self._feed(step if others is None else list(islice(others, FRAMES_A_STEP)))
            if expected != found:
                return f"frame among the {len(expected)} that write after the first {self.compared} such"
            self.compared += len(expected)
        for name, slot in self._slots.items():
            book = self.plain.books.get(name, PlainBook())
            if self.replay.levels(slot) != book.levels():
                return f"levels of {name}"
        return ""

    def duplicates(self) -> int:
        """Frames that the codecs dropped because their number had been there already."""
        return sum(int(codec.counts[Count.DUPLICATES]) for codec in self.replay.codecs.values())

    def _on_records(self, books: BookState, records: Records, count: int, conn: int) -> None:
        del conn
        logged = _apply_and_log(books, records, count, self._log)
        self._found += [number & _MASK for number in self._log[:logged].tolist()]

    def _expect(self, frames: Iterable[Frame]) -> list[int]:
        numbers = []
        for frame in frames:
            self.plain.apply(frame)
            if self.plain.touched:
                numbers.append(_plain_number(self.plain, self._slots))
        return numbers

    def _feed(self, frames: Iterable[Frame]) -> list[int]:
        self._found = []
        for batch in pack(frames):
            clock_ns = np.maximum.accumulate(np.maximum(batch.recv_ns, self._latest_ns))
            self.replay.feed(batch, clock_ns)
            self._latest_ns = int(clock_ns[-1])
        return self._found
