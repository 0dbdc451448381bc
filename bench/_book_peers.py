"""One order book as others keep it: dictionaries, sorted dictionaries, and a Rust book called from Python."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, Protocol

from bench._peers import named, peer
from bench._result import Result
from engine.records import VWAP_NOTIONALS_MICROS

MILLION: Final = 1e6
PRICE_ONE: Final = 1e4


class PeerBook(Protocol):
    """A book of one market in floats, or in whatever its package takes."""

    def write(self, side: int, price_e4: int, size_e6: int) -> object:
        """Absolute size of one level, 0 to delete it; the best price of the side is known afterwards."""
        ...

    def vwaps(self, side: int) -> list[float]:
        """Average price of taking each notional, NaN where the levels end first."""
        ...


class DictBook:
    """One book as two dictionaries and two best prices."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.best = [-1, 10_001]

    def write(self, side: int, price_e4: int, size_e6: int) -> None:
        """Absolute size of one level; the best price follows."""
        levels = self.sides[side]
        if size_e6:
            levels[price_e4] = size_e6
            if side == 0:
                self.best[0] = max(self.best[0], price_e4)
            else:
                self.best[1] = min(self.best[1], price_e4)
        elif levels.pop(price_e4, 0) and price_e4 == self.best[side]:
            self.best[side] = (max(levels, default=-1), min(levels, default=10_001))[side]

    def vwaps(self, side: int) -> list[float]:
        """Average prices, over all levels sorted."""
        return averages(sorted(self.sides[side].items(), reverse=side == 0))


class SortedBook:
    """One book as two sorted dictionaries; levels are walked from the best."""

    def __init__(self, package: ModuleType) -> None:
        self.sides = (package.SortedDict(), package.SortedDict())

    def write(self, side: int, price_e4: int, size_e6: int) -> object:
        """Absolute size of one level; answers the best price."""
        levels = self.sides[side]
        if size_e6:
            levels[price_e4] = size_e6
        else:
            levels.pop(price_e4, None)
        return levels.peekitem(-1 if side == 0 else 0) if levels else None

    def vwaps(self, side: int) -> list[float]:
        """Average prices, walking no further than needed."""
        levels = self.sides[side]
        found = []
        for notional in VWAP_NOTIONALS_MICROS:
            need, size = notional / MILLION, 0.0
            average = float("nan")
            for price_e4 in reversed(levels) if side == 0 else levels:
                price, level = price_e4 / PRICE_ONE, levels[price_e4] / MILLION
                if level * price >= need:
                    average = notional / MILLION / (size + need / price)
                    break
                size, need = size + level, need - level * price
            found.append(average)
        return found


class NautilusBook:
    """nautilus_trader's OrderBook, by level; deltas and quantities are made beforehand, as a feed would."""

    def __init__(self, package: ModuleType) -> None:
        model = package.model
        self._model = model
        instrument = model.identifiers.InstrumentId.from_str("BENCH.POLYMARKET")
        book_type = model.enums.BookType.L2_MBP
        self.book: Any = model.book.OrderBook(instrument, book_type)
        self._sides = (model.enums.OrderSide.BUY, model.enums.OrderSide.SELL)
        self._made: dict[tuple[int, int, int], Any] = {}
        self._sizes = tuple(
            model.objects.Quantity(notional / MILLION, 2) for notional in VWAP_NOTIONALS_MICROS
        )

    def prepare(self, rows: list[tuple[int, int, int]]) -> None:
        """Make the orders of all writes, so that only the book itself is measured."""
        objects, data = self._model.objects, self._model.data
        for side, price_e4, size_e6 in rows:
            price, size = objects.Price(price_e4 / PRICE_ONE, 4), objects.Quantity(size_e6 / MILLION, 2)
            self._made[side, price_e4, size_e6] = data.BookOrder(self._sides[side], price, size, price_e4)

    def write(self, side: int, price_e4: int, size_e6: int) -> object:
        """Update or delete a level; answers the best price."""
        order = self._made[side, price_e4, size_e6]
        if size_e6:
            self.book.update(order, 0)
        else:
            self.book.delete(order, 0)
        return self.book.best_bid_price() if side == 0 else self.book.best_ask_price()

    def vwaps(self, side: int) -> list[float]:
        """Average price for quantities: what it offers that is nearest to ours."""
        taker = self._sides[1 - side]
        return [float(self.book.get_avg_px_for_quantity(size, taker)) for size in self._sizes]


def averages(ranked: list[tuple[int, int]]) -> list[float]:
    """Average price of taking each notional from levels in order."""
    found = []
    for notional in VWAP_NOTIONALS_MICROS:
        need, size = notional / MILLION, 0.0
        for price_e4, size_e6 in ranked:
            price, level = price_e4 / PRICE_ONE, size_e6 / MILLION
            if level * price >= need:
                found.append(notional / MILLION / (size + need / price))
                break
            size += level
            need -= level * price
        else:
            found.append(float("nan"))
    return found


def peer_books(result: Result, rows: list[tuple[int, int, int]]) -> Mapping[str, PeerBook]:
    """A fresh book of each peer that is installed."""
    books: dict[str, PeerBook] = {"dictionaries": DictBook()}
    package = peer(result, "sortedcontainers")
    if package is not None:
        books[named("sortedcontainers")] = SortedBook(package)
    if peer(result, "nautilus_trader.model.book", "nautilus_trader") is not None:
        peer(result, "nautilus_trader.model.data", "nautilus_trader")
        nautilus = peer(result, "nautilus_trader")
        assert nautilus is not None
        book = NautilusBook(nautilus)
        book.prepare(rows)
        books[named("nautilus_trader")] = book
    return books
