"""Random streams of updates: mostly what a venue would send, and now and then what it should not.

A stream is driven by the oracle's books, so that most declarations, sibling entries and snapshots are true.
The source of chance is a ``random.Random``: seeded in long runs, hypothesis's own in property tests.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from engine.reasons import Reason
from engine.records import BOOK_UPDATE, MarketState, UpdateFlag, UpdateKind
from tests.engine.book.plain_books import Market, PlainBooks

Ranges = tuple[tuple[int, int, int], ...]

GRIDS: dict[str, Ranges] = {
    "cent": ((0, 10_000, 100),),
    "tapered_deci_cent": ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)),
    "centi_cent": ((0, 10_000, 1),),
    "half_cent": ((0, 10_000, 50),),
    "quarter_cent": ((0, 10_000, 25),),
}

UNIT = 1_000_000


def prices_of(ranges: Ranges) -> tuple[int, ...]:
    return tuple(sorted({price for start, end, step in ranges for price in range(start, end + 1, step)}))


def update(
    kind: UpdateKind,
    slot: int = 0,
    price_e4: int = 0,
    size_e6: int = 0,
    *,
    side: int = 0,
    aux: int = 0,
    flags: int = 0,
    generation: int = 1,
    recv_ns: int = 0,
    venue_ns: int = 0,
) -> np.ndarray:
    """One BOOK_UPDATE, as an array of length 1."""
    record = np.zeros(1, dtype=BOOK_UPDATE)
    record["kind"], record["slot"], record["side"] = kind, slot, side
    record["price_e4"], record["size_e6"], record["aux"] = price_e4, size_e6, aux
    record["flags"], record["generation"] = flags, generation
    record["recv_ns"], record["venue_ns"], record["venue"] = recv_ns, venue_ns, 1
    return record


def frame(*updates: np.ndarray) -> np.ndarray:
    """One frame of updates: the last one ends it."""
    records = np.concatenate(updates)
    records[-1]["flags"] |= UpdateFlag.LAST_OF_FRAME
    return records


def snapshot(
    bids: dict[int, int], asks: dict[int, int], slot: int = 0, *, flags: int = 0, recv_ns: int = 0
) -> np.ndarray:
    """A whole snapshot, not yet a frame."""
    parts = [update(UpdateKind.SNAPSHOT_BEGIN, slot, size_e6=len(bids) + len(asks), flags=flags)]
    for side, levels in ((0, bids), (1, asks)):
        parts += [
            update(UpdateKind.SNAPSHOT_LEVEL, slot, price, size, side=side, flags=flags)
            for price, size in levels.items()
        ]
    parts.append(update(UpdateKind.SNAPSHOT_END, slot, flags=flags))
    records = np.concatenate(parts)
    records["recv_ns"] = recv_ns
    return records


class Stream:
    """Frames for the open markets of ``books``, to which each must be applied before the next is drawn."""

    def __init__(self, books: PlainBooks, chance: Random) -> None:
        self._books = books
        self._chance = chance
        self.now_ns = 1_000
        self._kinds: list[Callable[[int, Market], list[np.ndarray]]] = [
            *[self._levels] * 24,
            *[self._snapshot] * 3,
            *[self._sibling] * 4,
            *[self._declared] * 6,
            self._ticker,
            self._odd_level,
            self._word,
            self._grid_change,
            self._torn,
            self._stranger,
        ]

    def frame(self) -> np.ndarray:
        """One frame: entries of one or a few markets."""
        chance = self._chance
        self.now_ns += chance.choice((0, 1, 50_000_000, 200_000_000))
        parts: list[np.ndarray] = []
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            slot = chance.choice(sorted(self._books.markets))
            parts += chance.choice(self._kinds)(slot, self._books.markets[slot])
        records = frame(*parts)
        late = chance.random() < 0.05  # a clock that steps back
        records["recv_ns"] = self.now_ns - (10**9 if late else 0)
        records["venue_ns"] = chance.choice((0, self.now_ns - 5))
        return records

    def _price(self, market: Market, side: int) -> int:
        """A price on the grid, more often near the middle; sides overlap a little."""
        prices = market.prices
        middle = len(prices) // 2
        reach = self._chance.choice((3, 10, middle))
        offset = self._chance.randrange(reach) - 1
        index = middle - offset if side == 0 else middle + offset
        return prices[min(max(index, 0), len(prices) - 1)]

    def _size(self) -> int:
        chance = self._chance
        if chance.random() < 0.3:
            return 0
        return chance.choice((1, 7, chance.randrange(1, 5_000))) * chance.choice((1, UNIT, UNIT // 100))

    def _levels(self, slot: int, market: Market) -> list[np.ndarray]:
        """Absolute changes with their mirror image, or a signed one."""
        side = self._chance.randrange(2)
        price, size = self._price(market, side), self._size()
        if self._chance.random() < 0.3:
            signed = size * self._chance.choice((1, 1, -1))
            return [update(UpdateKind.LEVEL_ADD, slot, price, signed, side=side)]
        own = update(UpdateKind.LEVEL_SET, slot, price, size, side=side)
        if not market.mirror:
            return [own]
        other = update(UpdateKind.LEVEL_SET, slot, price, size, side=side, flags=UpdateFlag.SIBLING)
        return self._chance.choice(([own, other], [own, other], [other, own], [own], [other]))

    def _known(self, market: Market, side: int) -> dict[int, int]:
        return {price: size for price, size in market.sides[side].items() if size is not None}

    def _snapshot(self, slot: int, market: Market) -> list[np.ndarray]:
        """What the book holds, more or less, as a snapshot of its own."""
        books = []
        for side in (0, 1):
            levels = self._known(market, side)
            if self._chance.random() < 0.5:
                levels[self._price(market, side)] = 3 * UNIT
            if self._chance.random() < 0.1:
                levels = {}
            books.append(levels)
        return [snapshot(books[0], books[1], slot)]

    def _sibling(self, slot: int, market: Market) -> list[np.ndarray]:
        """The sibling's snapshot or top: true, or off by a level or the grid."""
        bids, asks = self._known(market, 0), self._known(market, 1)
        if self._chance.random() < 0.3:
            bids[self._price(market, 0)] = 5 * UNIT
        if self._chance.random() < 0.1:
            bids[3_333] = UNIT
        if self._chance.random() < 0.5:
            return [snapshot(bids, asks, slot, flags=UpdateFlag.SIBLING)]
        best = (market.best_of(0), market.best_of(1))
        if self._chance.random() < 0.2:
            best = (best[1], best[0])
        return [
            update(UpdateKind.DECLARED_TOP, slot, best[0], aux=best[1], flags=UpdateFlag.SIBLING),
        ]

    def _declared(self, slot: int, market: Market) -> list[np.ndarray]:
        best = (market.best_of(0), market.best_of(1))
        if self._chance.random() < 0.15:
            best = (best[0], self._price(market, 1))
        return [update(UpdateKind.DECLARED_TOP, slot, best[0], aux=best[1])]

    def _ticker(self, slot: int, market: Market) -> list[np.ndarray]:
        return [update(UpdateKind.TICKER, slot, self._price(market, 0), aux=market.best_of(1))]

    def _odd_level(self, slot: int, market: Market) -> list[np.ndarray]:
        """A level that no book can hold, or whose size nobody knows."""
        side = self._chance.randrange(2)
        price = self._price(market, side)
        flag = self._chance.choice((0, UpdateFlag.SIBLING))
        return [
            self._chance.choice(
                (
                    update(UpdateKind.LEVEL_SET, slot, 3_333, UNIT, side=side, flags=flag),
                    update(UpdateKind.LEVEL_SET, slot, 10_001, UNIT, side=side),
                    update(UpdateKind.LEVEL_SET, slot, price, -1, side=side),
                    update(UpdateKind.LEVEL_SET, slot, price, 10**14 + 1, side=side),
                    update(UpdateKind.LEVEL_SET, slot, price, 10**14, side=side),
                    update(
                        UpdateKind.LEVEL_SET, slot, price, side=side, flags=flag | UpdateFlag.SIZE_UNKNOWN
                    ),
                )
            )
        ]

    def _word(self, slot: int, market: Market) -> list[np.ndarray]:
        chance = self._chance
        reasons = (Reason.SEQUENCE_GAP, Reason.DISCONNECTED, Reason.FEED_SILENT)
        ended = MarketState.CLOSED if chance.random() < 0.02 else MarketState.PAUSED
        return [
            chance.choice(
                (
                    update(UpdateKind.DOUBT, slot, aux=chance.choice(reasons)),
                    update(UpdateKind.MARKET_STATE, slot, aux=ended),
                    update(UpdateKind.MARKET_STATE, slot, aux=MarketState.OPEN),
                    update(UpdateKind.BOOK_HASH, slot, aux=chance.randrange(2)),
                    update(UpdateKind.TRADE, slot, self._price(market, 0), UNIT),
                )
            )
        ]

    def _grid_change(self, slot: int, market: Market) -> list[np.ndarray]:
        if self._chance.random() < 0.7:
            return self._levels(slot, market)
        step = self._chance.choice((1, 10, 25, 50, 100, 0, 7))
        flag = self._chance.choice((0, UpdateFlag.SIBLING))
        return [update(UpdateKind.GRID_CHANGE, slot, step, flags=flag)]

    def _torn(self, slot: int, market: Market) -> list[np.ndarray]:
        """A snapshot without its beginning, its end, or one of its levels."""
        whole = self._snapshot(slot, market)[0]
        cut = self._chance.choice((0, 1, len(whole) - 1))
        return [np.delete(whole, cut)] if len(whole) > 2 else [whole]

    def _stranger(self, slot: int, market: Market) -> list[np.ndarray]:
        """Updates that are for nobody."""
        return [
            self._chance.choice(
                (
                    update(UpdateKind.LEVEL_SET, 999, 5_000, UNIT),
                    update(UpdateKind.LEVEL_SET, -1, 5_000, UNIT),
                    update(UpdateKind.LEVEL_SET, slot, 5_000, UNIT, generation=market.generation + 1),
                    update(UpdateKind.LEVEL_ADD, slot, 5_000, UNIT, flags=UpdateFlag.SIBLING),
                    update(UpdateKind.CONNECTED, slot),
                    update(UpdateKind(1), 998),
                )
            )
        ]
