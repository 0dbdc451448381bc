"""The plain way, as a peer: orjson, a dictionary for each side of each book, best prices by max and min.

It does less than ``pr3dict check``: no sequence, no grid, no declared prices compared, no trust. It stands
here so that a ratio says what the compiled path is worth on the same frames in the same run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import orjson

from procs.recording_frames import FrameBatch

Sides = tuple[dict[str, float], dict[str, float]]


class PlainBooks:
    """Books by market: {price: size} for bids and asks, prices as the venue writes them."""

    def __init__(self) -> None:
        self.books: defaultdict[str, Sides] = defaultdict(lambda: ({}, {}))
        self.writes = 0

    def run(self, batches: Iterable[FrameBatch]) -> int:
        """Apply every frame; how many there were."""
        frames = 0
        for batch in batches:
            for index in range(batch.count):
                self.apply(orjson.loads(batch.raw(index)))
            frames += batch.count
        return frames

    def apply(self, message: dict[str, object] | list[dict[str, object]]) -> None:
        """Apply one decoded message of either venue."""
        for event in message if isinstance(message, list) else (message,):
            kind = event.get("type") or event.get("event_type")
            if kind == "orderbook_delta":
                self._delta(event["msg"])  # type: ignore[arg-type]
            elif kind == "orderbook_snapshot":
                self._snapshot(event["msg"])  # type: ignore[arg-type]
            elif kind == "price_change":
                self._changes(event["price_changes"])  # type: ignore[arg-type]
            elif kind == "book":
                self._book(event)

    def _delta(self, message: dict[str, str]) -> None:
        side = self.books[message["market_ticker"]][message["side"] == "no"]
        price = message["price_dollars"]
        size = side.get(price, 0.0) + float(message["delta_fp"])
        if size > 0:
            side[price] = size
        else:
            side.pop(price, None)
        self._best(side)

    def _snapshot(self, message: dict[str, object]) -> None:
        book = self.books[str(message["market_ticker"])]
        for side, name in zip(book, ("yes_dollars_fp", "no_dollars_fp"), strict=True):
            side.clear()
            levels: list[tuple[str, str | None]] = message.get(name) or []  # type: ignore[assignment]
            side.update((price, _size(size)) for price, size in levels)
            self._best(side)

    def _changes(self, changes: list[dict[str, str]]) -> None:
        for change in changes:
            side = self.books[change["asset_id"]][change["side"] == "SELL"]
            size = float(change["size"])
            if size > 0:
                side[change["price"]] = size
            else:
                side.pop(change["price"], None)
            self._best(side)

    def _book(self, event: dict[str, object]) -> None:
        book = self.books[str(event["asset_id"])]
        for side, name in zip(book, ("bids", "asks"), strict=True):
            side.clear()
            levels: list[dict[str, str]] = event.get(name) or []  # type: ignore[assignment]
            side.update((level["price"], _size(level["size"])) for level in levels)
            self._best(side)

    def _best(self, side: dict[str, float]) -> str | None:
        self.writes += 1
        return max(side, default=None)


def _size(text: str | None) -> float:
    """Size of a level; not a number where the recording has none."""
    return float("nan") if text is None else float(text)
