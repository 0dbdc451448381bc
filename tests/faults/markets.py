"""Markets that never stand still, as a recording, and what plain dictionaries make of the same texts.

Every change leaves a mark in the book (the size of its lowest bid), so that a book that anybody shows is the
book after one certain change, or it is wrong. A loss at Polymarket, which numbers nothing, shows in the next
best prices that the venue declares: its best bid falls step by step, and then comes back whole.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import orjson

from engine.catalog.market import MarketSpec
from engine.records import Venue
from procs.recording_frames import Frame
from tests.data import recordings as made

SEED = 20_261_128
BURST = 3  # changes of one market in a row: what is lost or swapped among them is of one market
QUIET_EVERY = 50  # bursts of the others to one of a market that is not busy
STEP_MS = 100  # of each market, on average
A, B = "A", "B"  # sockets: the first is done something to, nothing is done to the second
MARKETS = {
    Venue.KALSHI: {A: ("KXA-1", "KXA-2"), B: ("KXB-1", "KXB-2")},
    Venue.POLYMARKET: {A: ("0xa1", "0xa2"), B: ("0xb1", "0xb2")},
}
CENT = 100  # in 1e-4
ONE = 10_000
CONTRACT = 1_000_000
MARK = 1 * CENT  # the bid that counts the changes
BIDS = range(30 * CENT, 41 * CENT, CENT)
ASKS = range(43 * CENT, 53 * CENT, CENT)
LEVELS_MIN = 3  # of the bids above the mark, before they come back

Levels = dict[int, int]  # price in 1e-4 to size in 1e-6, in YES terms
Ranked = Sequence[tuple[int, int]]


def key(bids: Ranked, asks: Ranked) -> bytes:
    """What tells one book from another; levels best first."""
    return blake2b(repr((list(bids), list(asks))).encode(), digest_size=16).digest()


def tokens(symbol: str) -> tuple[str, str]:
    """YES and NO token of a Polymarket market."""
    number = int(symbol.removeprefix("0x"), 16)
    return f"{number}1", f"{number}2"


def spec(venue: Venue, symbol: str) -> MarketSpec:
    """Metadata of one of the markets."""
    if venue is Venue.KALSHI:
        return made.kalshi_spec(symbol)
    return made.polymarket_spec(*tokens(symbol), symbol)


def subscribed(venue: Venue, symbol: str) -> str:
    """What a feed subscribes to first for a market."""
    return symbol if venue is Venue.KALSHI else tokens(symbol)[0]


@dataclass
class PlainBook:
    """One market's book as dictionaries; ``numbers`` are those of its changes, by the book after each."""

    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    changes: int = 0

    def ranked(self) -> tuple[Ranked, Ranked]:
        """Both sides, best first."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())

    def put(self, side: Levels, price: int, size: int) -> None:
        """Set a level; 0 removes it."""
        if size:
            side[price] = size
        else:
            side.pop(price, None)

    def changed(self) -> None:
        """A text was taken in."""
        now = key(*self.ranked())
        assert now not in self.numbers, "every change has to leave a mark"
        self.numbers[now] = self.changes
        self.changes += 1


def take(book: PlainBook, raw: bytes) -> None:
    """Take a recorded text in, as anyone would who reads the venues' documents."""
    tree = orjson.loads(raw)
    body = tree.get("msg", tree)
    kind = tree.get("type", tree.get("event_type"))
    if kind == "orderbook_snapshot":
        book.bids = {_e4(price): _e6(size) for price, size in body["yes_dollars_fp"]}
        book.asks = {ONE - _e4(price): _e6(size) for price, size in body["no_dollars_fp"]}
    elif kind == "orderbook_delta":
        is_bid, price = body["side"] == "yes", _e4(body["price_dollars"])
        side, at = (book.bids, price) if is_bid else (book.asks, ONE - price)
        book.put(side, at, side.get(at, 0) + _e6(body["delta_fp"]))
    elif kind == "book":
        book.bids = {_e4(level["price"]): _e6(level["size"]) for level in body["bids"]}
        book.asks = {_e4(level["price"]): _e6(level["size"]) for level in body["asks"]}
    elif kind == "price_change":
        yes = min(change["asset_id"] for change in body["price_changes"])
        for change in body["price_changes"]:
            if change["asset_id"] == yes:
                side = book.bids if change["side"] == "BUY" else book.asks
                book.put(side, _e4(change["price"]), _e6(change["size"]))
    book.changed()


def _e4(text: str) -> int:
    return round(float(text) * ONE)


def _e6(text: str) -> int:
    return round(float(text) * CONTRACT)


def _dollars(price_e4: int) -> str:
    return f"{price_e4 / ONE:.4f}"


def _size(contracts: int) -> str:
    return f"{contracts}.00"


class _KalshiMaker:
    """Texts of one Kalshi market; its numbers are those of the one subscription of all of them."""

    def __init__(self, symbol: str, draw: random.Random) -> None:
        self._symbol = symbol
        self._draw = draw
        self._sizes: dict[tuple[str, int], int] = {}

    def texts(self, number: int, seq: int, at_ms: int) -> list[object]:
        """What the venue sends of change ``number``; 0 is the opening book."""
        del at_ms
        return [self._step(number, seq) if number else self._opening(seq)]

    def _opening(self, seq: int) -> object:
        yes = [[_dollars(price), _size(50)] for price in BIDS]
        no = [[_dollars(ONE - price), _size(60)] for price in ASKS]
        self._sizes = {("yes", price): 50 for price in BIDS} | {("no", ONE - price): 60 for price in ASKS}
        return made.snapshot(seq, [[_dollars(MARK), _size(1)], *yes], no, self._symbol)

    def _step(self, number: int, seq: int) -> object:
        """Every other change is the mark, the others are anywhere."""
        if number % 2:
            return made.delta(seq, "yes", _dollars(MARK), _size(1), self._symbol)
        side, price = place = self._draw.choice([*self._sizes])
        after = self._draw.randrange(0, 90)
        by = (after if after != self._sizes[place] else after + 1) - self._sizes[place]
        self._sizes[place] += by
        return made.delta(seq, side, _dollars(price), _size(by), self._symbol)


class _PolymarketMaker:
    """Texts of one Polymarket market: each change with its mirror in the other token."""

    def __init__(self, symbol: str, draw: random.Random) -> None:
        self._symbol = symbol
        self._draw = draw
        self._bids: Levels = {}
        self._asks: Levels = {}

    def texts(self, number: int, seq: int, at_ms: int) -> list[object]:
        """What the venue sends of change ``number``; 0 is the opening book, of either token."""
        del seq
        now_ms = made.START_NS // 1_000_000 + at_ms
        return [self._step(number, now_ms)] if number else self._opening(now_ms)

    def _opening(self, at_ms: int) -> list[object]:
        self._bids = {MARK: 1} | dict.fromkeys(BIDS, 50)
        self._asks = dict.fromkeys(ASKS, 60)
        turned = [{ONE - price: size for price, size in side.items()} for side in (self._asks, self._bids)]
        sides = ((self._bids, self._asks), (turned[0], turned[1]))
        return [
            {
                "event_type": "book",
                "asset_id": token,
                "market": self._symbol,
                "bids": _book_levels(bids),
                "asks": _book_levels(asks),
                "timestamp": str(at_ms),
            }
            for token, (bids, asks) in zip(tokens(self._symbol), sides, strict=True)
        ]

    def _step(self, number: int, at_ms: int) -> object:
        """The mark, one ask anywhere, and the bids: their best goes, or all of them come back."""
        walk = sorted(set(self._bids) - {MARK})
        changes = {MARK: number + 1}
        changes |= dict.fromkeys(BIDS, 50 + number % 7) if len(walk) <= LEVELS_MIN else {walk[-1]: 0}
        asks = {self._draw.choice(list(self._asks)): self._draw.randrange(1, 90)}
        for price, size in changes.items():
            self._bids.pop(price, None)
            if size:
                self._bids[price] = size
        self._asks |= asks
        entries = [("BUY", price, size) for price, size in changes.items()]
        entries += [("SELL", price, size) for price, size in asks.items()]
        return {
            "event_type": "price_change",
            "market": self._symbol,
            "price_changes": [change for entry in entries for change in self._both(*entry)],
            "timestamp": str(at_ms),
        }

    def _both(self, side: str, price: int, size: int) -> Iterator[object]:
        """One change as both tokens tell it, with the best prices after the whole frame."""
        yes, no = tokens(self._symbol)
        bid, ask = max(self._bids), min(self._asks)
        other = {"BUY": "SELL", "SELL": "BUY"}[side]
        for token, way, at, best in (
            (yes, side, price, (bid, ask)),
            (no, other, ONE - price, (ONE - ask, ONE - bid)),
        ):
            yield {
                "asset_id": token,
                "price": _dollars(at),
                "size": _size(size),
                "side": way,
                "best_bid": _dollars(best[0]),
                "best_ask": _dollars(best[1]),
            }


def _book_levels(side: Levels) -> list[dict[str, str]]:
    return [{"price": _dollars(price), "size": _size(size)} for price, size in side.items()]


@dataclass(frozen=True)
class Recorded:
    """A recording and, by venue and market, the dictionaries over the same texts."""

    path: Path
    books: dict[tuple[Venue, str], PlainBook]


def record(
    path: Path,
    steps: int,
    step_ms: int = STEP_MS,
    *,
    lull_ms: int = 0,
    busy: Collection[tuple[Venue, str]] = (),
    silent: Collection[tuple[Venue, str]] = (),
) -> Recorded:
    """``steps`` changes of each market at both venues, one every ``step_ms`` on average.

    Behind the opening books and their first changes nothing happens for ``lull_ms``. Where some markets are
    ``busy``, the others change only once in QUIET_EVERY times, and the ``silent`` ones no more.
    """
    books = {(venue, symbol): PlainBook() for venue, symbol in _every()}
    starts_ms = [first * step_ms + (lull_ms if first else 0) for first in range(0, steps, BURST)]
    every = {name: QUIET_EVERY if busy and name not in busy else 1 for name in books}
    every |= dict.fromkeys(silent, len(starts_ms))
    specs = tuple(spec(venue, symbol) for venue, symbol in books)
    made.write(path, made.header("both", markets=specs), _frames(starts_ms, books, every))
    return Recorded(path, books)


def _every() -> Iterator[tuple[Venue, str]]:
    for venue, sockets in MARKETS.items():
        for symbols in sockets.values():
            yield from ((venue, symbol) for symbol in symbols)


def _frames(
    starts_ms: Sequence[int],
    books: dict[tuple[Venue, str], PlainBook],
    every: Mapping[tuple[Venue, str], int],
) -> Iterator[Frame]:
    """The opening books; then bursts of one market after another, a frame a millisecond."""
    draw = random.Random(SEED)
    makers = {
        (venue, symbol): (_KalshiMaker if venue is Venue.KALSHI else _PolymarketMaker)(symbol, draw)
        for venue, symbol in books
    }
    at_ms = seq = 0
    for burst, start_ms in enumerate(starts_ms):
        at_ms = max(at_ms, start_ms)
        for name, maker in makers.items():
            if burst % every[name]:
                continue
            for _ in range(BURST):
                seq += isinstance(maker, _KalshiMaker)
                texts = [_frame(tree, maker, at_ms) for tree in maker.texts(books[name].changes, seq, at_ms)]
                take(books[name], texts[0].raw)
                yield from texts
                at_ms += 1


def _frame(tree: object, maker: object, at_ms: int) -> Frame:
    return made.kalshi(tree, at_ms) if isinstance(maker, _KalshiMaker) else made.polymarket(tree, at_ms)
