"""Kalshi's frames: recorded ones read and numbered anew for one connection, and snapshots from our books.

A recorded frame keeps every byte but the numbers of ``sid`` and ``seq``. Where the recording shows that a
frame was lost on its way to the recorder, the numbers we give show it too: nobody downstream may take a book
for whole that the recording does not tell whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from engine.records import Venue
from engine.units import PRICE_ONE_E4, decimal_to_units
from engine.venues.kalshi.vocabulary import TERMINAL_CODES
from procs.replay import Levels
from procs.venue_sim.books import BookNow, VenueBooks

ORDERBOOK: Final = "orderbook_delta"
TICKER: Final = "ticker"
CENTS: Final = 100  # of a dollar
# Channel of each frame type that market data has; frames of the account's own are not replayed.
CHANNEL_OF_TYPE: Final[Mapping[str, str]] = {
    "orderbook_snapshot": ORDERBOOK,
    "orderbook_delta": ORDERBOOK,
    "ticker": TICKER,
    "trade": "trade",
    "market_lifecycle_v2": "market_lifecycle_v2",
    "event_lifecycle": "market_lifecycle_v2",
    "event_fee_update": "market_lifecycle_v2",
    "multivariate_market_lifecycle": "multivariate_market_lifecycle",
    "cfbenchmarks_value": "cfbenchmarks_value",
    "cfbenchmarks_value_5hz": "cfbenchmarks_value_5hz",
    "pyth_value": "pyth_value",
}
NOBODY: Final[frozenset[str]] = frozenset()

_NUMBER: Final = re.compile(rb'("(sid|seq)"\s*:\s*)\d+')
_MSG: Final = b'"msg"'


class Subscribed(NamedTuple):
    """A subscription of the recorder: its connection and number."""

    conn: int
    sid: int


class RecordedFrame(NamedTuple):
    """A recorded data frame. ``broken``: markets whose book missed something just before it."""

    raw: bytes
    channel: str  # empty: an acknowledgement, an error, a frame of the account
    ticker: str
    has_seq: bool
    repeats: bool  # bears the number of the frame before it
    broken: frozenset[str]
    tree: Mapping[str, object]


class Recorder:
    """Reads recorded frames in order and keeps the numbers of the recorder's subscriptions."""

    def __init__(self) -> None:
        self._last: dict[Subscribed, int] = {}
        self._markets: dict[Subscribed, set[str]] = {}

    def read(self, raw: bytes, conn: int) -> RecordedFrame | None:
        """The next frame of connection ``conn``; None for what is no JSON object."""
        try:
            tree = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(tree, dict):
            return None
        message = tree.get("msg")
        body = message if isinstance(message, dict) else {}
        channel = CHANNEL_OF_TYPE.get(str(tree.get("type")), "")
        ticker = body.get("market_ticker")
        known = ticker if isinstance(ticker, str) else ""
        key = Subscribed(conn, _integer(tree.get("sid"), -1))
        seq = _integer(tree.get("seq"), 0)
        broken = self._ended(tree, body, conn)
        repeats = seq > 0 and self._last.get(key) == seq
        if seq > 0 and key.sid >= 0 and not repeats:
            broken |= self._advance(key, seq)
        if channel == ORDERBOOK and key.sid >= 0:
            markets = self._markets.setdefault(key, set())
            if known:
                markets.add(known)
            else:  # it changed some book, and does not say which
                broken |= markets
        return RecordedFrame(raw, channel, known, seq > 0, repeats, broken, tree)

    def _advance(self, key: Subscribed, seq: int) -> frozenset[str]:
        """Take a number into account; the markets it puts in doubt."""
        before = self._last.get(key)
        self._last[key] = seq
        if before is None or seq == before + 1:
            return NOBODY
        return frozenset(self._markets.get(key, ()))

    def _ended(self, tree: Mapping[str, object], body: Mapping[str, object], conn: int) -> frozenset[str]:
        """Markets of a recorded subscription that this frame ends or begins anew."""
        kind = tree.get("type")
        if kind == "subscribed":
            key = Subscribed(conn, _integer(body.get("sid"), -1))
            if key.sid < 0:
                return NOBODY
            ended = self._forget(key)
            self._last[key] = 0
            return ended
        over = kind == "unsubscribed" or (kind == "error" and _integer(body.get("code"), 0) in TERMINAL_CODES)
        return self._forget(Subscribed(conn, _integer(tree.get("sid"), -1))) if over else NOBODY

    def _forget(self, key: Subscribed) -> frozenset[str]:
        self._last.pop(key, None)
        return frozenset(self._markets.pop(key, ()))


def _integer(value: object, otherwise: int) -> int:
    return value if type(value) is int else otherwise


def numbered(frame: RecordedFrame, sid: int, seq: int | None, *, yes_price: bool) -> bytes:
    """The frame under our ``sid`` and ``seq`` (None: as recorded, without one).

    ``yes_price`` turns NO prices of books into YES asks, for connections that asked for it.
    """
    if yes_price and frame.channel == ORDERBOOK:
        return _rebuilt({**frame.tree, "msg": _in_yes_prices(frame.tree["msg"])}, sid, seq)
    head = frame.raw.find(_MSG)
    wanted = {b"sid": sid} | ({} if seq is None else {b"seq": seq})
    found: set[bytes] = set()

    def put(match: re.Match[bytes]) -> bytes:
        found.add(match[2])
        return match[1] + str(wanted[match[2]]).encode() if match[2] in wanted else match[0]

    before = frame.raw[:head]
    renumbered = _NUMBER.sub(put, before) if head >= 0 else b""
    if found != set(wanted):
        return _rebuilt(frame.tree, sid, seq)  # a number that stands elsewhere, or nowhere
    return renumbered + frame.raw[head:]


def _rebuilt(tree: Mapping[str, object], sid: int, seq: int | None) -> bytes:
    """The frame written anew, keys in the venue's order."""
    numbers = {"sid": sid} if seq is None else {"sid": sid, "seq": seq}
    rest = {key: value for key, value in tree.items() if key not in ("type", "sid", "seq")}
    return orjson.dumps({"type": tree.get("type"), **numbers, **rest})


def _in_yes_prices(body: object) -> object:
    """A book message whose NO prices are the YES asks they amount to; what holds none stays as it is."""
    if not isinstance(body, dict):
        return body
    turned = dict(body)
    for name in ("no_dollars_fp", "no"):
        levels = body.get(name)
        if isinstance(levels, list):
            turned[name] = [_turned_level(level) for level in levels]
    if body.get("side") == "no":
        for name in ("price_dollars", "price"):
            if name in body:
                turned[name] = _yes_ask(body[name])
    return turned


def _turned_level(level: object) -> object:
    return [_yes_ask(level[0]), *level[1:]] if isinstance(level, list) and level else level


def _yes_ask(price: object) -> object:
    """What is left of a dollar: of dollars as text, or of whole cents as the wire had them until 2026."""
    if type(price) is int:
        return CENTS - price
    try:
        return _price(PRICE_ONE_E4 - decimal_to_units(str(price), 4))
    except ValueError:
        return price


class Snapshots:
    """``orderbook_snapshot`` messages as of the position; what the recording does not know is left out."""

    def __init__(self, books: VenueBooks) -> None:
        self._books = books
        self._ids: dict[str, str] = {}
        self._clocks: dict[str, int] = {}
        self._tickers: dict[str, RecordedFrame] = {}

    def note(self, frame: RecordedFrame) -> None:
        """Learn the market's id, exchange clock and ticker from a frame that goes by."""
        body = frame.tree.get("msg")
        if not frame.ticker or not isinstance(body, dict):
            return
        market_id, clock = body.get("market_id"), body.get("clock")
        if isinstance(market_id, str):
            self._ids[frame.ticker] = market_id
        if type(clock) is int:
            self._clocks[frame.ticker] = clock
        if frame.channel == TICKER:
            self._tickers[frame.ticker] = frame

    def last_ticker(self, ticker: str) -> RecordedFrame | None:
        """The last frame of the ticker channel that a market had; None before there was one."""
        return self._tickers.get(ticker)

    def body(self, ticker: str, *, yes_price: bool) -> dict[str, object] | None:
        """``msg`` of the snapshot of a market; None while the recording does not tell its book."""
        found = self._books.whole(Venue.KALSHI, ticker)
        if found is None:
            return None
        message: dict[str, object] = {"market_ticker": ticker}
        if ticker in self._ids:
            message["market_id"] = self._ids[ticker]
        if ticker in self._clocks:
            message["clock"] = self._clocks[ticker]
        return {**message, **_sides(found, yes_price=yes_price)}


def _sides(book: BookNow, *, yes_price: bool) -> dict[str, object]:
    """Bids of both outcomes, prices rising; an empty side is absent, an unknown size is null."""
    asks = book.asks if yes_price else [(PRICE_ONE_E4 - price, size) for price, size in book.asks]
    sides: dict[str, Levels] = {"yes_dollars_fp": book.bids, "no_dollars_fp": asks}
    return {
        name: [[_price(price), _count(size) if size else None] for price, size in sorted(levels)]
        for name, levels in sides.items()
        if levels
    }


def _price(price_e4: int) -> str:
    return f"{price_e4 // PRICE_ONE_E4}.{price_e4 % PRICE_ONE_E4:04d}"


def _count(size_e6: int) -> str:
    """Two decimals, as the venue writes them; more only where the size has more."""
    fraction = f"{size_e6 % 1_000_000:06d}"
    return f"{size_e6 // 1_000_000}.{fraction[:2]}{fraction[2:].rstrip('0')}"
