"""Books kept from the same bytes by others: orjson and dictionaries, and two packages made for trading.

Each takes the bytes of a frame and leaves the best prices of the book it changed; the packages get what their
own adapters would make of a frame: objects or rows, built in Python from what orjson decoded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson

from bench._parsers import MARKET_OF, Level, extracting
from bench._peers import named, peer
from bench._plain import PlainBooks
from bench._result import Result

Play = Callable[[Sequence[bytes]], int]  # plays all frames, answers how many level writes it made

TICK: Final = 0.01
LOT: Final = 0.01
FEED_NS: Final = 1_000


def plain(frames: Sequence[bytes]) -> int:
    """Play with dictionaries."""
    books = PlainBooks()
    for frame in frames:
        books.apply(orjson.loads(frame))
    return books.writes


def nautilus(package: Any, *, deltas: bool) -> Play:  # noqa: ANN401 - a module without types
    """Books of nautilus_trader, by level: an order is made for each level, and the book asked for its best.

    Of a Polymarket pair it is given the first entry only: half the work.
    """
    model = package.model
    instrument = model.identifiers.InstrumentId.from_str("BENCH.VENUE")
    sides = (model.enums.OrderSide.SELL, model.enums.OrderSide.BUY)
    price_of, size_of, order_of = model.objects.Price, model.objects.Quantity, model.data.BookOrder
    parse = extracting(orjson.loads)

    def play(frames: Sequence[bytes]) -> int:
        absolute = Totals().absolute if deltas else _first_of_pairs
        books = {
            market: model.book.OrderBook(instrument, model.enums.BookType.L2_MBP)
            for market in set(MARKET_OF.values())
        }
        writes = 0
        for frame in frames:
            for market, is_bid, price, size in absolute(parse(frame)):
                order = order_of(sides[is_bid], price_of(price, 2), size_of(size, 2), round(price * 10_000))
                book = books[market]
                if size > 0:
                    book.update(order, 0)
                else:
                    book.delete(order, 0)
                book.best_bid_price()
                book.best_ask_price()
                writes += 1
        return writes

    return play


def _first_of_pairs(levels: list[Level]) -> list[Level]:
    return levels[::2]


class Totals:
    """Kalshi sends changes of a size; a book that is told sizes needs the sum."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[int, bool, float], float] = {}

    def absolute(self, levels: list[Level]) -> Iterator[Level]:
        """The same levels with the size that stands there afterwards."""
        for market, is_bid, price, size in levels:
            place = market, is_bid, price
            total = self._sizes.get(place, 0.0) + size
            self._sizes[place] = total
            yield market, is_bid, price, max(total, 0.0)


def hftbacktest(package: Any, *, deltas: bool) -> Play:  # noqa: ANN401 - a module without types
    """hftbacktest: rows of events made in Python, then its compiled replay, the best price read at each.

    Its depth takes events in a replay only: it cannot be called by itself. One book for all markets, and of a
    Polymarket pair the first entry only: less than the work.
    """
    best = _best_after_each()
    depth = package.DEPTH_EVENT | package.EXCH_EVENT | package.LOCAL_EVENT
    sides = (package.SELL_EVENT, package.BUY_EVENT)
    parse = extracting(orjson.loads)

    def play(frames: Sequence[bytes]) -> int:
        rows = []
        absolute = Totals().absolute if deltas else _first_of_pairs
        for number, frame in enumerate(frames, 1):
            for _, is_bid, price, size in absolute(parse(frame)):
                at_ns = number * FEED_NS
                rows.append((depth | sides[is_bid], at_ns, at_ns, price, size, 0, 0, 0.0))
        data = np.array(rows, dtype=package.event_dtype)
        asset = package.BacktestAsset().data(data).linear_asset(1.0).constant_order_latency(0, 0)
        asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0)
        replay = package.HashMapMarketDepthBacktest([asset.tick_size(TICK).lot_size(LOT)])
        best(replay)
        replay.close()
        return len(rows)

    return play


def _best_after_each() -> Callable[[Any], float]:
    """A compiled replay that asks for the best bid after each event; compiled where the package is here."""

    def best(replay: Any) -> float:  # noqa: ANN401
        total = 0.0
        while replay.wait_next_feed(False, 1_000_000_000) == 2:
            total += replay.depth(0).best_bid
        return total

    compiled: Callable[[Any], float] = importlib.import_module("numba").njit(best)
    return compiled


def players(result: Result, *, deltas: bool) -> dict[str, Play]:
    """Everyone who is here."""
    found: dict[str, Play] = {"orjson, dictionaries": plain}
    package = peer(result, "nautilus_trader")
    if package is not None and peer(result, "nautilus_trader.model.book", "nautilus_trader") is not None:
        peer(result, "nautilus_trader.model.data", "nautilus_trader")
        found[named("nautilus_trader")] = nautilus(package, deltas=deltas)
    package = peer(result, "hftbacktest")
    if package is not None:
        found[named("hftbacktest")] = hftbacktest(package, deltas=deltas)
    return found
