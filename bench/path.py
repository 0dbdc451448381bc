"""From a frame in a feed's callback to the book that others see, and to a plan at the executor.

The agents of a real engine in topology two: feed and books here, strategy and optimizer on the other core,
over rings and tables in shared memory. A frame in each interval by a schedule that is never reset; its time
of receipt travels with it, and the far end takes it from its own clock. Every second frame of a market makes
a pair an opportunity, and each of these becomes one plan, unless the far end was away for so long that it is
gone by then: that is counted (``missed``). The plain way gets the same frames.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from bench import _scene
from bench._plain_path import PlainPath
from bench._result import OURS, Result, claim, claim_ratio
from bench._timing import interleave
from bench._trade_side import engine_ns, join
from engine.config import Role
from engine.records import Venue
from procs.parts import VENUES
from procs.wires import Wires

PAIRS: Final = 50
ROUNDS: Final = 8  # of a run to plans: half of them make some
CHANGES: Final = 2_000  # of a run to a book
BOOK_INTERVAL_US: Final = 500
PLAN_INTERVAL_US: Final = 4_000
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "max_ns": 1.0}
WARM_SHARE: Final = 100
SEEN_MIN: Final = 0.1  # what is overtaken before it is looked at is gone: such runs are disturbed ones
VISIBLE: Final = "frame callback to book visible"
INTENT: Final = "frame callback to plan at the executor, two cores"
PLAIN: Final = "orjson, dictionaries, multiprocessing.Queue twice"
CLAIMS: Final = {VISIBLE: (1_500, 4_000), INTENT: (4_000, 12_000)}  # p50, p99
TIMES_MIN: Final = 10.0


class Market:
    """Feed and books of the engine in ``folder``."""

    def __init__(self, folder: Path) -> None:
        Wires.create(VENUES, 2 * PAIRS, folder).release()
        _, stages = join(folder, PAIRS, (Role.FEED, Role.BOOK))
        self.feed = stages.feeds[Venue.POLYMARKET]
        [self.books] = [book for book in stages.books if book.venue is Venue.POLYMARKET]
        self._next_round = 0
        for agent in stages.in_order():
            agent.on_start(engine_ns())

    def open(self) -> None:
        """A book for every market."""
        for frame in _scene.opening(2 * PAIRS):
            self.on_frame(frame)

    def on_frame(self, frame: bytes) -> None:
        """What the callback of a socket does, and the turn of the books behind it."""
        now_ns = engine_ns()
        self.feed.on_frame(frame, now_ns, 0)
        self.books.do_work(now_ns)

    def rounds(self, rounds: int, pairs: int) -> list[bytes]:
        """Frames of the next rounds over the first market of so many pairs."""
        found = []
        for _ in range(rounds):
            is_cheap = self._next_round % 2 == 0
            self._next_round += 1
            found += [_scene.change(2 * pair, is_cheap=is_cheap) for pair in range(pairs)]
        return found


class FarEnd:
    """A process of ``bench._trade_side``."""

    def __init__(self, way: str, folder: Path, core: int) -> None:
        command = [sys.executable, "-m", "bench._trade_side", way, str(folder), str(core), str(PAIRS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")

    def run(self, send: Callable[[], None], expected: int) -> dict[str, float]:
        """Ages of what comes while ``send`` sends; RuntimeError when most of it is missing."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{expected}\n")
        self._process.stdin.flush()
        self._expect("go")
        send()
        got = json.loads(self._line())
        seen = len(got["ages"])
        if seen < expected * SEEN_MIN:
            raise RuntimeError(f"{seen} came of {expected}")
        return {**tails(got["ages"]), "missed_share": 1 - seen / expected, "switches": got["switches"]}

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _expect(self, word: str) -> None:
        said = self._line()
        if said != word:
            raise RuntimeError(f"the far end said {said!r} and not {word!r}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def tails(ages: list[int]) -> dict[str, float]:
    """Figures of a run, without its first percent."""
    kept = sorted(ages[len(ages) // WARM_SHARE :])
    return {name: float(kept[int((len(kept) - 1) * part)]) for name, part in TAILS.items()}


def paced(frames: list[bytes], interval_us: int, on_frame: Callable[[bytes], object]) -> list[object]:
    """Hand out a frame in each interval; what each gave."""
    start_ns = time.monotonic_ns()
    given = []
    for number, frame in enumerate(frames):
        while time.monotonic_ns() - start_ns < number * interval_us * 1_000:
            pass
        given.append(on_frame(frame))
    return given


def to_plan(market: Market, far: FarEnd) -> dict[str, float]:
    """One run to plans."""
    frames = market.rounds(ROUNDS, PAIRS)
    return far.run(lambda: _send(market, frames, PLAN_INTERVAL_US), len(frames) // 2)


def to_book(market: Market, far: FarEnd) -> dict[str, float]:
    """One run to a row of one book that somebody watches."""
    frames = market.rounds(CHANGES, 1)
    send = partial(_send, market, frames, BOOK_INTERVAL_US)
    return far.run(send, len(frames))  # the latest is all that one sees


def _send(market: Market, frames: list[bytes], interval_us: int) -> None:
    paced(frames, interval_us, market.on_frame)


def plainly(market: Market, plain: PlainPath) -> dict[str, float]:
    """One run of the plain way."""
    given = paced(market.rounds(ROUNDS, PAIRS), PLAN_INTERVAL_US, plain.on_frame)
    return tails([age for age in given if isinstance(age, int)])


@contextmanager
def engine(way: str, core: int) -> Iterator[tuple[Market, FarEnd]]:
    """An engine whose far end is ``way``, on ``core``."""
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        market = Market(Path(folder))
        far = FarEnd(way, Path(folder), core)
        try:
            market.open()
            yield market, far
        finally:
            far.close()


def measure(result: Result) -> None:
    """To the book, then to the plan beside the plain way."""
    allowed = os.sched_getaffinity(0)
    here, there = min(allowed), max(allowed)
    os.sched_setaffinity(0, {here})
    pair_of = {_scene.yes_token(number): _scene.yes_token(number ^ 1) for number in range(2 * PAIRS)}
    try:
        with engine("watch", there) as (market, far):
            interleave(result, VISIBLE, {OURS: partial(to_book, market, far)})
        plain = PlainPath(list(_scene.opening(2 * PAIRS)), pair_of, there)
        with engine("trade", there) as (market, far):
            ways = {OURS: partial(to_plan, market, far), PLAIN: partial(plainly, market, plain)}
            interleave(result, INTENT, ways)
        plain.close()
    finally:
        os.sched_setaffinity(0, allowed)
    for what, (p50_ns, p99_ns) in CLAIMS.items():
        claim(result, what, "p50_ns", p50_ns)
        claim(result, what, "p99_ns", p99_ns)
    claim_ratio(result, INTENT, PLAIN, TIMES_MIN)
