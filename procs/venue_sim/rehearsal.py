"""Faults that somebody asks for while the venues serve: a line of JSON each, and a line in answer.

A line has the keys of a ``[[fault]]`` in a plan without ``at_frame``, for it is done at once; ``{}`` asks for
the counts alone::

    {"venue":"kalshi","kind":"close","symbol":"KXA-1","code":1012}
    {"at_ns":1790000000000000000,"fault":"close at frame 120","done":1,"venues":{"kalshi":{...},...}}

``at_ns`` is the wall clock's time just before it was done, ``done`` how many connections it was done to, and
``venues`` the counts after it. A line that cannot be used is answered with ``error`` and changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import BinaryIO, Final

import orjson

from engine.errors import ConfigError
from procs.recording import VENUE_OF_NAME
from procs.venue_sim.faults import Fault, fault_of
from procs.venue_sim.simulation import VenueSim

LINE_BYTES_MAX: Final = 64 << 10


class Rehearsal:
    """Does to ``sim`` what the lines of a stream ask for; ``say`` takes each answer."""

    def __init__(
        self,
        sim: VenueSim,
        say: Callable[[dict[str, object]], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._sim = sim
        self._say = say
        self._now_ns = now_ns
        self._lines = 0

    async def follow(self, stream: BinaryIO) -> None:
        """Answer every line until the stream ends. ConfigError when it is neither a pipe nor a terminal."""
        _refuse_unfit(stream)
        reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stream)
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                self._lines += 1
                self._say({"error": f"line {self._lines}: more than {LINE_BYTES_MAX} bytes"})
                continue
            if not line:
                return
            self._say(self.answer(line))

    def answer(self, line: bytes) -> dict[str, object]:
        """Do what a line asks for."""
        self._lines += 1
        try:
            fault = self._fault(line, f"line {self._lines}")
        except ConfigError as error:
            return {"error": str(error)}
        answer: dict[str, object] = {"at_ns": self._now_ns()}
        if fault is not None:
            answer |= {"fault": str(fault), "done": self._sim.do(fault)}
        return {**answer, "venues": {name: asdict(log) for name, log in self._sim.logs.items()}}

    def _fault(self, line: bytes, place: str) -> Fault | None:
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"{place}: no JSON: {error}") from error
        if not isinstance(tree, dict):
            raise ConfigError(f"{place}: expected the keys of a fault")
        if "at_frame" in tree:
            raise ConfigError(f"{place}: at_frame: a fault that is asked for is done at once")
        if not tree:
            return None
        venue = VENUE_OF_NAME.get(str(tree.get("venue")))
        return fault_of({**tree, "at_frame": self._sim.next_frame(venue) if venue else 0}, place)


def _refuse_unfit(stream: BinaryIO) -> None:
    """A file is always ready, and the event loop ends the process over it."""
    mode = os.fstat(stream.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()):
        raise ConfigError(f"{stream.name}: neither a pipe nor a terminal to read faults from")
