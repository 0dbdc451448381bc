"""The plain way from a frame to an intent: orjson and a dictionary book here, a strategy there, two queues.

The feed's process decodes a frame, keeps its book and puts the best prices on a ``multiprocessing.Queue``;
the strategy's process, on the other core, adds up the asks of a pair and answers on another one; the first
process takes the intent. Every frame is answered, so that the first process knows how long to wait.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from typing import Any, Final, NamedTuple

import orjson

from bench._plain import PlainBooks

DEADLINE_S: Final = 30.0
ONE: Final = 1.0


class Best(NamedTuple):
    """What the strategy is told."""

    asset: str
    ask: float
    recv_ns: int


def _strategy(
    asks: dict[str, float], pair_of: dict[str, str], tops: Queue[Best], intents: Queue[int]
) -> None:
    """Answer each top: its time of receipt when its pair can be bought for less than a dollar, else 0."""
    while True:
        top = tops.get()
        asks[top.asset] = top.ask
        is_cheap = top.ask + asks[pair_of[top.asset]] < ONE
        intents.put(top.recv_ns if is_cheap else 0)


class PlainCore:
    """All of it in one process, without any queue: the least that orjson and dictionaries can do."""

    def __init__(self, opening: Sequence[bytes], pair_of: dict[str, str]) -> None:
        self._books, self._pair_of = PlainBooks(), pair_of
        for frame in opening:
            self._books.apply(orjson.loads(frame))
        self._asks = {asset: float(min(self._books.books[asset][1])) for asset in pair_of}

    def on_frame(self, frame: bytes) -> int | None:
        """From the callback to the decision to buy, in nanoseconds; None when there is nothing to buy."""
        recv_ns = time.monotonic_ns()
        asset = self.apply(frame)
        is_cheap = self._asks[asset] + self._asks[self._pair_of[asset]] < ONE
        return time.monotonic_ns() - recv_ns if is_cheap else None

    def apply(self, frame: bytes) -> str:
        """Put a frame into the books; whose it was."""
        message = orjson.loads(frame)
        self._books.apply(message)
        asset = asset_of(message)
        self._asks[asset] = float(min(self._books.books[asset][1]))
        return asset


def asset_of(message: dict[str, Any]) -> str:
    """The first token that a message is about."""
    changes = message.get("price_changes")
    return str(changes[0]["asset_id"] if changes else message["asset_id"])


class PlainPath:
    """Both processes of it."""

    def __init__(self, opening: Sequence[bytes], pair_of: dict[str, str], core: int) -> None:
        self._books = PlainBooks()
        for frame in opening:
            self._books.apply(orjson.loads(frame))
        asks = {asset: float(min(self._books.books[asset][1])) for asset in pair_of}
        spawn = multiprocessing.get_context("spawn")
        self._tops: Queue[Best] = spawn.Queue()
        self._intents: Queue[int] = spawn.Queue()
        arguments = (asks, pair_of, self._tops, self._intents)
        self._process = spawn.Process(target=_strategy, args=arguments, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        os.sched_setaffinity(self._process.pid, {core})
        self.on_frame(opening[0])  # waits until it is there

    def on_frame(self, frame: bytes) -> int | None:
        """From the callback to the intent, in nanoseconds; None when there is nothing to buy."""
        recv_ns = time.monotonic_ns()
        message = orjson.loads(frame)
        self._books.apply(message)
        asset = asset_of(message)
        self._tops.put(Best(asset, float(min(self._books.books[asset][1])), recv_ns))
        answered = self._intents.get(timeout=DEADLINE_S)
        return time.monotonic_ns() - answered if answered else None

    def close(self) -> None:
        """End the strategy."""
        self._process.kill()
        self._process.join()
