"""General parser of Kalshi's frames: every type the venue sends, by way of orjson.

Decides what the compiled parser is not sure about, and all that is rare. It shares no code with that one but
the vocabulary, so that a test of one against the other means something.
"""

from __future__ import annotations

from math import gcd
from typing import Final

from engine.reasons import Reason
from engine.records import NO_PRICE, MarketState, Side, UpdateFlag, UpdateKind
from engine.units import PRICE_ONE_E4
from engine.venues import numbers
from engine.venues.continuity import Action
from engine.venues.emit import UNREADABLE
from engine.venues.frame import Find, GeneralFrame, as_list, as_object, decode, member
from engine.venues.kalshi.vocabulary import (
    IGNORED_EVENTS,
    IGNORED_PREFIXES,
    IGNORED_TYPES,
    LIFECYCLE_TYPES,
    TERMINAL_CODES,
)
from engine.venues.numbers import FrameError
from engine.venues.symbols import Symbol
from engine.venues.workspace import NONE

Message = dict[str, object]

# Names of a snapshot's sides, newest first: dollars and fractional counts; until early 2026 also dollars with
# whole counts, and whole cents.
_SIDE_NAMES: Final = {
    Side.BID: ("yes_dollars_fp", "yes_dollars", "yes"),
    Side.ASK: ("no_dollars_fp", "no_dollars", "no"),
}
_CENT_NAMES: Final = frozenset({"yes", "no"})
_STATE_OF_EVENT: Final = {
    "activated": MarketState.OPEN,
    "deactivated": MarketState.PAUSED,
    "determined": MarketState.CLOSED,
    "settled": MarketState.SETTLED,
}
_VALUE_OF_RESULT: Final = {"yes": PRICE_ONE_E4, "no": 0}
_CENT_E4: Final = 100


def read_frame(payload: bytes, find: Find, yes_scale: bool) -> GeneralFrame:
    """Read one frame; never raises. ``find`` looks a ticker up; ``yes_scale``: NO prices come as YES."""
    frame = GeneralFrame(reason=UNREADABLE)
    try:
        envelope = as_object(decode(payload), "frame")
        frame.sid = _identity(envelope, "sid")
        frame.seq = _identity(envelope, "seq") or NONE
        kind = numbers.text(member(envelope, "type", ""), "type")
    except FrameError as error:
        frame.refuse(str(error))
        return frame
    try:
        _Reader(frame, envelope, find, yes_scale).read(kind)
    except FrameError as error:
        harmless = kind in ("ticker", "trade") or kind in LIFECYCLE_TYPES
        frame.refuse(f"{kind}: {error}", Action.SEQUENCED if harmless else Action.UNREADABLE)
        frame.reason = UNREADABLE
    return frame


def _identity(envelope: Message, name: str) -> int:
    """Sid or seq of a frame; NONE when it has none."""
    return numbers.whole_number(envelope[name], name) if name in envelope else NONE


class _Reader:
    """One frame being read."""

    def __init__(self, frame: GeneralFrame, envelope: Message, find: Find, yes_scale: bool) -> None:
        self.frame = frame
        self.envelope = envelope
        self.find = find
        self.yes_scale = yes_scale

    def read(self, kind: str) -> None:
        """Dispatch on the frame's type."""
        handlers = {
            "orderbook_delta": self._delta,
            "orderbook_snapshot": self._snapshot,
            "ticker": self._ticker,
            "trade": self._trade,
            "ok": self._ok,
            "subscribed": self._subscribed,
            "unsubscribed": self._unsubscribed,
            "error": self._error,
        }
        self.frame.action = Action.SEQUENCED
        if kind in handlers:
            handlers[kind]()
        elif kind in LIFECYCLE_TYPES:
            self._lifecycle(kind)
        elif kind in IGNORED_TYPES or kind.startswith(IGNORED_PREFIXES):
            self.frame.ignored.append(kind)
        else:
            self.frame.strange.append(kind)

    def _message(self) -> Message:
        return as_object(member(self.envelope, "msg", ""), "msg")

    def _symbol(self, message: Message) -> Symbol | None:
        """Market of a message; None, noted, when nobody registered it."""
        ticker = numbers.text(member(message, "market_ticker", "msg."), "msg.market_ticker").encode()
        symbol = self.find(ticker)
        if symbol is None:
            self.frame.unknown.append(ticker)
        else:
            self.frame.row = symbol.row
        return symbol

    def _put(
        self,
        symbol: Symbol,
        message: Message,
        kind: UpdateKind,
        side: int = 0,
        price_e4: int = 0,
        size_e6: int = 0,
        aux: int = 0,
        flags: int = 0,
    ) -> None:
        stamp = message["ts_ms"] if "ts_ms" in message else self.envelope.get("sending_ts_ms")
        seq = max(self.frame.seq, 0) & 0xFFFFFFFF
        slot, generation = symbol.slot, symbol.generation
        time = numbers.time_ns(stamp)
        self.frame.rows.append((0, time, size_e6, slot, generation, price_e4, aux, seq, kind, side, flags, 0))

    def _yes_price(self, value: object, side: Side, where: str) -> int:
        """Price of a book side in YES terms."""
        price_e4 = numbers.price(value, where)
        return price_e4 if side is Side.BID or self.yes_scale else PRICE_ONE_E4 - price_e4

    def _delta(self) -> None:
        message = self._message()
        symbol = self._symbol(message)
        if symbol is None:
            return
        side = {"yes": Side.BID, "no": Side.ASK}.get(
            numbers.text(member(message, "side", "msg."), "msg.side")
        )
        if side is None:
            raise FrameError(f"msg.side: neither yes nor no: {message['side']!r:.40}")
        price, change = self._change(message)
        self.frame.action = Action.DELTA
        price_e4 = self._yes_price(price, side, "msg.price_dollars")
        size_e6 = numbers.change(change, "msg.delta_fp")
        self._put(symbol, message, UpdateKind.LEVEL_ADD, side, price_e4, size_e6)

    def _change(self, message: Message) -> tuple[object, object]:
        """Price and change of a delta; whole cents and whole contracts until early 2026."""
        price, change = message.get("price_dollars"), message.get("delta_fp")
        if price is None and "price" in message:
            price = _from_cents(message["price"], "msg.price")
        if change is None and "delta" in message:
            self.frame.old_shapes = 1
            change = message["delta"]
        return price, change

    def _snapshot(self) -> None:
        message = self._message()
        symbol = self._symbol(message)
        if symbol is None:
            return
        self.frame.action = Action.SNAPSHOT
        self._put(symbol, message, UpdateKind.SNAPSHOT_BEGIN)
        for name, side in _sides(message):
            self._levels(symbol, message, name, side)
        levels = len(self.frame.rows) - 1
        begin = self.frame.rows[0]
        self.frame.rows[0] = (*begin[:2], levels, *begin[3:])
        self._put(symbol, message, UpdateKind.SNAPSHOT_END)

    def _levels(self, symbol: Symbol, message: Message, name: str, side: Side) -> None:
        if not name.endswith("_fp"):
            self.frame.old_shapes = 1
        levels = (
            [] if message[name] is None else message[name]
        )  # null is an empty side, as one that is absent
        for at, level in enumerate(as_list(levels, f"msg.{name}")):
            where = f"msg.{name}[{at}]"
            pair = as_list(level, where)
            if len(pair) != 2:
                raise FrameError(f"{where}: not a pair of price and size")
            price = _from_cents(pair[0], where) if name in _CENT_NAMES else pair[0]
            price_e4 = self._yes_price(price, side, where)
            size_e6, flags = self._level_size(pair[1], where)
            self._put(symbol, message, UpdateKind.SNAPSHOT_LEVEL, side, price_e4, size_e6, flags=flags)

    def _level_size(self, value: object, where: str) -> tuple[int, int]:
        """Size of a level and its flags; null is a size the recording does not know."""
        if value is None:
            return numbers.UNKNOWN_SIZE_E6, UpdateFlag.SIZE_UNKNOWN
        size_e6, cut = numbers.size(value, where)
        self.frame.sizes_cut += cut
        return size_e6, 0

    def _ticker(self) -> None:
        message = self._message()
        symbol = self._symbol(message)
        if symbol is None:
            return
        bid_e4 = numbers.best_price(member(message, "yes_bid_dollars", "msg."), "msg.yes_bid_dollars")
        ask_e4 = numbers.best_price(member(message, "yes_ask_dollars", "msg."), "msg.yes_ask_dollars")
        self._put(symbol, message, UpdateKind.TICKER, Side.BID, bid_e4, aux=ask_e4)

    def _trade(self) -> None:
        message = self._message()
        symbol = self._symbol(message)
        if symbol is None:
            return
        price_e4 = numbers.price(member(message, "yes_price_dollars", "msg."), "msg.yes_price_dollars")
        size_e6, cut = numbers.size(member(message, "count_fp", "msg."), "msg.count_fp")
        self.frame.sizes_cut += cut
        self._put(symbol, message, UpdateKind.TRADE, _side_taken(message), price_e4, size_e6)

    def _subscribed(self) -> None:
        self.frame.sid = numbers.whole_number(member(self._message(), "sid", "msg."), "msg.sid")
        self.frame.action = Action.OPENED

    def _unsubscribed(self) -> None:
        if self.frame.sid != NONE:
            self.frame.action = Action.ENDED
            self.frame.reason = Reason.DISCONNECTED

    def _ok(self) -> None:
        """The list after an update names all markets of the subscription; a list of subscriptions is none."""
        message = self.envelope.get("msg")
        if self.frame.sid == NONE or not isinstance(message, dict):
            return
        tickers = message.get("market_tickers")
        if isinstance(tickers, list):
            found = [self.find(ticker.encode()) for ticker in tickers if isinstance(ticker, str)]
            self.frame.keep = frozenset(symbol.row for symbol in found if symbol is not None)

    def _error(self) -> None:
        self.frame.venue_error = True
        message = self.envelope.get("msg")
        code = message.get("code") if isinstance(message, dict) else None
        if isinstance(code, int) and code in TERMINAL_CODES:
            self.frame.action = Action.ENDED
            self.frame.reason = Reason.SUBSCRIPTION_ERROR

    def _lifecycle(self, kind: str) -> None:
        message = self._message()
        event = numbers.text(member(message, "event_type", "msg."), "msg.event_type")
        known = event in _STATE_OF_EVENT or event == "price_level_structure_updated"
        if not known:
            where = self.frame.ignored if event in IGNORED_EVENTS else self.frame.strange
            where.append(f"{kind}/{event}")
            return
        ticker = numbers.text(member(message, "market_ticker", "msg."), "msg.market_ticker").encode()
        symbol = self.find(ticker)
        if symbol is None:  # the channel speaks of every market of the exchange
            self.frame.ignored.append(f"{kind}/{event}")
        elif event in _STATE_OF_EVENT:
            state = _STATE_OF_EVENT[event]
            self._put(symbol, message, UpdateKind.MARKET_STATE, 0, _settlement(message), 0, state)
        else:
            step_e4 = finest_step(message)
            self._put(symbol, message, UpdateKind.GRID_CHANGE, 0, step_e4)


def _sides(message: Message) -> list[tuple[str, Side]]:
    """Sides of a snapshot in the order of the frame, each under the newest name it has."""
    found = {
        next(name for name in names if name in message): side
        for side, names in _SIDE_NAMES.items()
        if any(name in message for name in names)
    }
    return [(name, found[name]) for name in message if name in found]


def _from_cents(value: object, where: str) -> str:
    cents = numbers.whole_number(value, where)
    return f"{cents // _CENT_E4}.{cents % _CENT_E4:02d}"


def _side_taken(message: Message) -> Side:
    """Side of the book a trade took: a buyer of YES takes asks."""
    for name, buys, sells in (
        ("taker_book_side", "bid", "ask"),
        ("taker_outcome_side", "yes", "no"),
        ("taker_side", "yes", "no"),
    ):
        if name in message:
            if message[name] not in (buys, sells):
                raise FrameError(f"msg.{name}: neither {buys} nor {sells}: {message[name]!r:.40}")
            return Side.ASK if message[name] == buys else Side.BID
    raise FrameError("msg: no side of the taker")


def _settlement(message: Message) -> int:
    """Value of YES that a lifecycle frame states, NO_PRICE when it does not."""
    if message.get("settlement_value"):
        return numbers.price(message["settlement_value"], "msg.settlement_value")
    return _VALUE_OF_RESULT.get(str(message.get("result")), NO_PRICE)


def finest_step(message: Message) -> int:
    """Tick of 1e-4 on which every price of the new ranges lies.

    The ranges themselves are the catalog's business; a ladder needs a grid that no valid price falls off.
    """
    step_e4 = 0
    for at, value in enumerate(as_list(member(message, "price_ranges", "msg."), "msg.price_ranges")):
        where = f"msg.price_ranges[{at}]"
        bounds = as_object(value, where)
        for name in ("start", "step"):
            step_e4 = gcd(step_e4, numbers.price(member(bounds, name, f"{where}."), f"{where}.{name}"))
    if step_e4 == 0:
        raise FrameError("msg.price_ranges: no step")
    return step_e4
