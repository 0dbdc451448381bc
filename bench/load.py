"""The load test: a real WebSocket sends as fast as feed and books take it, for ten minutes.

The way of ``sockets`` (one core sends, the other reads, parses and applies), looked at every ten seconds:
frames in that time, and the anonymous memory of the process that has feed and books.

- every frame is read: none refused, rejected or lost on the way, one connection, and at the end every book is
  live and shows the ask that the last frame of its market has given it;
- from the warm-up on memory may not grow by more than GROWTH_MIB_MAX, between the medians of the first and
  the last tenth of the looks;
- the rate is kept: a tenth of the time does not have less than KEPT_MIN of the median rate. On a machine with
  other work on it this does not hold, and it is said how often the process was taken off its core.

``--minutes 10`` unless said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from bench import _scene, path, sockets
from bench._result import OURS, RATE, Claim, Result, Row
from bench._timing import no_collection, switched
from bench._trade_side import engine_ns
from engine.records import Venue
from procs.process_numbers import process_numbers

LOOK_S: Final = 10.0
LOOKS_MIN: Final = 10  # of a run that is short
TENTH: Final = 10
WARM_PART: Final = 10
KEPT_MIN: Final = 0.8
GROWTH_MIB_MAX: Final = 2.0
MIB: Final = 1 << 20
SUSTAINED: Final = "socket in to books, sustained"
WRONG: Final = "books that do not show their last frame"
GROWN: Final = "growth of memory, MiB"
MEAN: Final = "frames a second over all the time"
KEPT: Final = "rate of the worst tenth, of the median"


class Look(NamedTuple):
    """At ``at_s`` so many frames had come, so much memory was in use, and so often the core had been lost."""

    at_s: float
    frames: int
    heap: int
    switches: int


class Load:
    """One connection, its books, and what was seen of them."""

    def __init__(self, url: str, folder: Path, for_s: float) -> None:
        self.looks: list[Look] = []
        self._for_s = for_s
        self._market = path.Market(folder)
        self._live = sockets.Live(self._market, url, self._after_read)

    async def run(self) -> None:
        """Connect, and look until the time is over; RuntimeError when something was lost."""
        await self._live.until(self._watch, self._for_s)

    def wrong_books(self) -> int:
        """Markets whose best ask is another than the last of their frames said."""
        [books] = [book for book in self._market.books if book.venue is Venue.POLYMARKET]
        rounds, rest = divmod(self._live.feed.frames - 2 * path.PAIRS, 2 * path.PAIRS)
        wrong = 0
        for pair in range(path.PAIRS):  # in a round each turns cheap, and then each quiet
            changes = 2 * rounds + (rest > pair) + (rest > path.PAIRS + pair)
            ask = _scene.CHEAP_ASK if changes % 2 else _scene.QUIET_ASK
            wrong += int(books.store.rows[2 * pair]["ask_e4"][0]) != 100 * ask
        return wrong

    def _after_read(self) -> None:
        for books in self._market.books:
            books.do_work(engine_ns())

    async def _watch(self) -> None:
        began_s = time.monotonic()
        step_s = min(LOOK_S, self._for_s / LOOKS_MIN)
        while (at_s := time.monotonic() - began_s) < self._for_s:
            self._look(at_s)
            await asyncio.sleep(step_s)
        self._look(at_s)

    def _look(self, at_s: float) -> None:
        self.looks.append(Look(at_s, self._live.feed.frames, heap_of_ours(), switched()))


def heap_of_ours() -> int:
    """Anonymous memory of this process, bytes."""
    numbers = process_numbers(os.getpid())
    assert numbers is not None, "we are here"
    assert numbers.heap_bytes is not None, "the kernel does not tell us of ourselves"
    return numbers.heap_bytes


def rates(looks: Sequence[Look]) -> list[float]:
    """Frames a second between two looks."""
    return [(two.frames - one.frames) / (two.at_s - one.at_s) for one, two in pairwise(looks)]


def growth_mib(looks: Sequence[Look]) -> float:
    """Of memory, between the first and the last tenth of the looks."""
    tenth = max(len(looks) // TENTH, 1)
    begin, end = looks[:tenth], looks[-tenth:]
    return (statistics.median(one.heap for one in end) - statistics.median(one.heap for one in begin)) / MIB


def worst_tenth(found: Sequence[float]) -> float:
    """Mean of the lowest tenth of the rates, as a part of the median."""
    lowest = sorted(found)[: max(len(found) // TENTH, 1)]
    return statistics.mean(lowest) / statistics.median(found)


def sustain(core: int, folder: Path, for_s: float) -> Load:
    """Take frames for so long; the looks behind the warm-up."""
    with sockets.server(core, 0) as server:
        load = Load(server.url, folder, for_s)
        uvloop.run(load.run())
    load.looks = [look for look in load.looks if look.at_s >= for_s / WARM_PART]
    return load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this bench."""
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="default 10")


def measure(result: Result, args: argparse.Namespace) -> None:
    """Ten minutes."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with path.run_folder() as folder, no_collection():
            load = sustain(max(allowed), folder, args.minutes * 60)
            wrong = load.wrong_books()
    finally:
        os.sched_setaffinity(0, allowed)
    found = rates(load.looks)
    runs = [{RATE: rate} for rate in found]
    lost = [two.switches - one.switches for one, two in pairwise(load.looks)]
    result.rows.append(Row(SUSTAINED, OURS, runs, lost))
    first, last = load.looks[0], load.looks[-1]
    mean = (last.frames - first.frames) / (last.at_s - first.at_s)
    result.claims += [
        Claim(WRONG, wrong, 0, at_least=False),
        Claim(GROWN, growth_mib(load.looks), GROWTH_MIB_MAX, at_least=False),
        Claim(MEAN, mean, sockets.PER_S_MIN, at_least=True),
        Claim(KEPT, worst_tenth(found), KEPT_MIN, at_least=True),
    ]
    below = sum(rate < sockets.PER_S_MIN for rate in found)
    result.notes.append(
        f"{args.minutes:g} minutes, {last.frames:,} frames, none lost; {below} of {len(found)} times between "
        f"two looks below {sockets.PER_S_MIN:,} frames/s; the process was taken off its core {sum(lost):,} "
        f"times; a run of the row is the time between two looks, and the socket holds the sender back"
    )
