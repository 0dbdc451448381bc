"""General parser of Polymarket's market channel: every message the venue sends, by way of orjson.

Decides what the compiled parser is not sure about, and all that is rare. It shares no code with that one but
the vocabulary, so that a test of one against the other means something.
"""

from __future__ import annotations

from typing import Final

from engine.records import NO_PRICE, MarketState, Outcome, Side, UpdateFlag, UpdateKind
from engine.units import PRICE_ONE_E4
from engine.venues import numbers
from engine.venues.continuity import Action
from engine.venues.emit import UNREADABLE
from engine.venues.frame import Find, GeneralFrame, as_list, as_object, decode, member
from engine.venues.numbers import FrameError
from engine.venues.polymarket.book_hash import check_book
from engine.venues.polymarket.vocabulary import IGNORED_TEXTS, IGNORED_TYPES
from engine.venues.symbols import Symbol

Message = dict[str, object]

_SIDE_OF: Final = {"BUY": Side.BID, "SELL": Side.ASK}
_NO_TYPE: Final = "(no event_type)"
_BOOK_FIELDS: Final = frozenset(
    {"bids", "asks", "price_changes", "changes"}
)  # a message without is about no book
_BOOK_SIDES: Final = {"bids": Side.BID, "asks": Side.ASK}


def read_frame(payload: bytes, find: Find, check_hash: bool) -> GeneralFrame:
    """Read one frame; never raises. ``find`` looks a token up; ``check_hash``: add a BOOK_HASH."""
    frame = GeneralFrame(action=Action.SEQUENCED, reason=UNREADABLE)
    if payload.strip() in IGNORED_TEXTS:
        frame.ignored.append(payload.strip().decode())
        return frame
    try:
        content = decode(payload)
        reader = _Reader(frame, find, check_hash)
        for at, message in enumerate(content if isinstance(content, list) else [content]):
            reader.read(as_object(message, f"message {at}"))
        reader.declare_tops()
    except FrameError as error:
        frame.refuse(str(error))
    return frame


class _Reader:
    """One frame being read."""

    def __init__(self, frame: GeneralFrame, find: Find, check_hash: bool) -> None:
        self.frame = frame
        self.find = find
        self.check_hash = check_hash
        self.time_ns = 0
        self.tops: dict[Symbol, tuple[int, int] | None] = {}  # of every symbol the frame touched

    def read(self, message: Message) -> None:
        """Dispatch on the message's type."""
        handlers = {
            "book": self._book,
            "price_change": self._price_change,
            "last_trade_price": self._trade,
            "tick_size_change": self._tick_size,
            "best_bid_ask": self._best_bid_ask,
            "market_resolved": self._resolved,
        }
        if "event_type" not in message and not _BOOK_FIELDS & message.keys():
            self.frame.strange.append(_NO_TYPE)
            return
        kind = numbers.text(member(message, "event_type", ""), "event_type")
        if kind in handlers:
            self.time_ns = numbers.time_ns(message.get("timestamp"))
            handlers[kind](message)
        elif kind in IGNORED_TYPES:
            self.frame.ignored.append(kind)
        else:
            self.frame.strange.append(kind)

    def _symbol(self, message: Message, where: str) -> Symbol | None:
        """Symbol of a message or entry; None, noted, when nobody registered it."""
        token = numbers.text(member(message, "asset_id", where), f"{where}asset_id").encode()
        symbol = self.find(token)
        if symbol is None:
            self.frame.unknown.append(token)
        return symbol

    def _touch(self, symbol: Symbol, top: tuple[int, int] | None) -> None:
        """The frame changes the symbol's book, and declares its best prices or does not."""
        if symbol not in self.tops:
            self.frame.touched.append(symbol.row)
        self.tops[symbol] = top

    def _put(
        self,
        symbol: Symbol,
        kind: UpdateKind,
        side: int = 0,
        price_e4: int = 0,
        size_e6: int = 0,
        aux: int = 0,
        flags: int = 0,
    ) -> None:
        sibling = symbol.mirrored and symbol.outcome is Outcome.NO
        flags |= UpdateFlag.SIBLING if sibling else 0
        slot, generation = symbol.slot, symbol.generation
        self.frame.rows.append(
            (0, self.time_ns, size_e6, slot, generation, price_e4, aux, 0, kind, side, flags, 0)
        )

    def _put_level(
        self, symbol: Symbol, kind: UpdateKind, side: Side, price_e4: int, size_e6: int, flags: int = 0
    ) -> None:
        """Write a level or trade in YES terms: to buy NO at q is to sell YES at 1 - q."""
        if symbol.outcome is Outcome.NO:
            side, price_e4 = Side.ASK if side is Side.BID else Side.BID, PRICE_ONE_E4 - price_e4
        self._put(symbol, kind, side, price_e4, size_e6, flags=flags)

    def _put_pair(self, symbol: Symbol, kind: UpdateKind, bid_e4: int, ask_e4: int) -> None:
        """Write best prices in YES terms."""
        if symbol.outcome is Outcome.NO:
            bid_e4, ask_e4 = (
                price_e4 if price_e4 == NO_PRICE else PRICE_ONE_E4 - price_e4 for price_e4 in (ask_e4, bid_e4)
            )
        self._put(symbol, kind, Side.BID, bid_e4, aux=ask_e4)

    def declare_tops(self) -> None:
        """Write what the last entry of each asset declared."""
        for symbol, top in self.tops.items():
            if top is not None:
                self._put_pair(symbol, UpdateKind.DECLARED_TOP, *top)

    def _size(self, value: object, where: str) -> tuple[int, int]:
        """Size of a level and its flags; null is a size the recording does not know."""
        if value is None:
            return numbers.UNKNOWN_SIZE_E6, UpdateFlag.SIZE_UNKNOWN
        size_e6, cut = numbers.size(value, where)
        self.frame.sizes_cut += cut
        return size_e6, 0

    def _level(self, entry: Message, where: str) -> tuple[int, int, int]:
        """Price, size and flags of a level."""
        price_e4 = numbers.price(member(entry, "price", where), f"{where}price")
        return price_e4, *self._size(member(entry, "size", where), f"{where}size")

    def _book(self, message: Message) -> None:
        symbol = self._symbol(message, "")
        if symbol is None:
            return
        begin = len(self.frame.rows)
        self._put(symbol, UpdateKind.SNAPSHOT_BEGIN)
        for name in _BOOK_SIDES:
            member(message, name, "")
        for name in message:  # in the order of the frame
            if name in _BOOK_SIDES:
                self._levels(symbol, as_list(message[name], name), name)
        row = self.frame.rows[begin]
        self.frame.rows[begin] = (*row[:2], len(self.frame.rows) - begin - 1, *row[3:])
        self._put(symbol, UpdateKind.SNAPSHOT_END)
        self._touch(symbol, None)
        agrees = check_book(message) if self.check_hash else None
        if agrees is not None:
            self.frame.hashes.append(agrees)
            self._put(symbol, UpdateKind.BOOK_HASH, aux=int(agrees))

    def _levels(self, symbol: Symbol, levels: list[object], name: str) -> None:
        for at, level in enumerate(levels):
            where = f"{name}[{at}]"
            price_e4, size_e6, flags = self._level(as_object(level, where), f"{where}.")
            self._put_level(symbol, UpdateKind.SNAPSHOT_LEVEL, _BOOK_SIDES[name], price_e4, size_e6, flags)

    def _price_change(self, message: Message) -> None:
        if "price_changes" not in message and "changes" in message:
            self._old_price_change(message)
            return
        entries = as_list(member(message, "price_changes", ""), "price_changes")
        for at, value in enumerate(entries):
            where = f"price_changes[{at}]"
            entry = as_object(value, where)
            symbol = self._symbol(entry, f"{where}.")
            if symbol is not None:
                self._change(symbol, entry, f"{where}.")
                self._touch(symbol, _declared(entry, f"{where}."))

    def _old_price_change(self, message: Message) -> None:
        """Before September 2025 a message was about one asset, and declared no best prices."""
        self.frame.old_shapes += 1
        symbol = self._symbol(message, "")
        if symbol is None:
            return
        for at, value in enumerate(as_list(message["changes"], "changes")):
            self._change(symbol, as_object(value, f"changes[{at}]"), f"changes[{at}].")
            self._touch(symbol, None)

    def _change(self, symbol: Symbol, entry: Message, where: str) -> None:
        price_e4, size_e6, flags = self._level(entry, where)
        side = _side(entry, where)
        self._put_level(symbol, UpdateKind.LEVEL_SET, side, price_e4, size_e6, flags)

    def _trade(self, message: Message) -> None:
        symbol = self._symbol(message, "")
        if symbol is None:
            return
        price_e4, size_e6, flags = self._level(message, "")
        taken = Side.ASK if _side(message, "") is Side.BID else Side.BID
        self._put_level(symbol, UpdateKind.TRADE, taken, price_e4, size_e6, flags)

    def _tick_size(self, message: Message) -> None:
        symbol = self._symbol(message, "")
        if symbol is None:
            return
        ticks = [
            numbers.price(member(message, name, ""), name) for name in ("new_tick_size", "old_tick_size")
        ]
        if 0 in ticks:
            raise FrameError("tick_size_change: a tick of nothing")
        self._put(symbol, UpdateKind.GRID_CHANGE, 0, ticks[0], 0, ticks[1])

    def _best_bid_ask(self, message: Message) -> None:
        symbol = self._symbol(message, "")
        if symbol is None:
            return
        bid_e4, ask_e4 = (
            numbers.best_price(member(message, name, ""), name) for name in ("best_bid", "best_ask")
        )
        self._put_pair(symbol, UpdateKind.TICKER, bid_e4, ask_e4)

    def _resolved(self, message: Message) -> None:
        """The market is settled: price_e4 is the value of YES, NO_PRICE when no token is named as winner."""
        winner = message.get("winning_asset_id")
        tokens = as_list(member(message, "assets_ids", ""), "assets_ids")
        for at, token in enumerate(tokens):
            symbol = self.find(numbers.text(token, f"assets_ids[{at}]").encode())
            if symbol is None:  # the channel speaks of every market of the venue
                self.frame.ignored.append("market_resolved")
                continue
            yes_wins = (token == winner) is (symbol.outcome is Outcome.YES)
            value_e4 = (PRICE_ONE_E4 if yes_wins else 0) if winner in tokens else NO_PRICE
            self._put(symbol, UpdateKind.MARKET_STATE, 0, value_e4, 0, MarketState.SETTLED)


def _side(entry: Message, where: str) -> Side:
    side = _SIDE_OF.get(str(member(entry, "side", where)))
    if side is None:
        raise FrameError(f"{where}side: neither BUY nor SELL: {entry['side']!r:.40}")
    return side


def _declared(entry: Message, where: str) -> tuple[int, int] | None:
    """Best prices an entry declares; None when it does not declare both."""
    if entry.get("best_bid") is None or entry.get("best_ask") is None:
        return None
    return (
        numbers.best_price(entry["best_bid"], f"{where}best_bid"),
        numbers.best_price(entry["best_ask"], f"{where}best_ask"),
    )
