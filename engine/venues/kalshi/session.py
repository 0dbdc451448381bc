"""Kalshi's market data, as one connection uses it: commands with ids, subscriptions with sids.

A subscription names its markets and its channels; each channel is confirmed with a sid of its own, and only
that sid can ask for snapshots. Sids are of this connection; another one begins anew. Errors 10 and 25 end a
subscription: it is begun again, RESUBSCRIBES_MAX times a connection, then the connection is given up. So is
one whose snapshots are refused, unless it was only asked too often.
The first socket also subscribes to the life of markets, which the venue sends for all of them: without it no
settlement is heard of. Books do not wait for it, and a refusal or an end of it leaves them alone: it is asked
for again with every ping.
``use_yes_price`` is always said, for its default is announced to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from engine.venues.kalshi.vocabulary import TERMINAL_CODES
from engine.venues.session import Seen, as_error, compact
from engine.venues.shards import SocketPlan

BOOKS: Final = "orderbook_delta"
CHANNELS: Final = (BOOKS, "trade")
LIFECYCLE: Final = ("market_lifecycle_v2",)
RESUBSCRIBES_MAX: Final = 8
BUSY_CODES: Final = frozenset({18, 27})  # command timeout, too many requests: ask again later
REQUESTS_KEPT_MAX: Final = 256  # requests for snapshots whose refusal is still understood
USE_YES_PRICE: Final = False  # what ``KalshiCodec`` takes for granted until it is told otherwise

# Beginnings of what comes a thousand times for each answer, in the venue's order of keys: not parsed here.
_SEEN_DATA: Final = Seen.DATA  # looked up once, not for every message
_DATA: Final = (b'{"type":"orderbook_', b'{"type":"trade"', b'{"type":"ticker"')
_DATA_TYPES: Final = frozenset({"orderbook_delta", "orderbook_snapshot", "trade", "ticker"})


NO_NUMBER: Final = -1
ALL_MARKETS: Final = -2  # number of the subscription that names none


class _Wish(NamedTuple):
    """Part of a subscription: its number in the plan or ALL_MARKETS, and a channel."""

    number: int
    channel: str


def subscribe(command: int, tickers: Sequence[str], channels: Sequence[str] = CHANNELS) -> bytes:
    """Subscribe markets, or without any what concerns all; every channel is confirmed by itself."""
    params: dict[str, object] = {"channels": list(channels)}
    if tickers:
        params |= {"market_tickers": list(tickers), "use_yes_price": USE_YES_PRICE}
    return compact({"id": command, "cmd": "subscribe", "params": params})


def unsubscribe(command: int, sid: int) -> bytes:
    """End a subscription."""
    return compact({"id": command, "cmd": "unsubscribe", "params": {"sids": [sid]}})


def get_snapshot(command: int, sid: int, tickers: Sequence[str]) -> bytes:
    """Ask for snapshots; the subscription and its numbers go on."""
    params = {"sids": [sid], "market_tickers": list(tickers), "action": "get_snapshot"}
    return compact({"id": command, "cmd": "update_subscription", "params": params})


class KalshiSession:
    """One connection (interface: ``engine.venues.session.Session``)."""

    def __init__(self, plan: SocketPlan) -> None:
        self.is_ready = False
        self.is_broken = False
        self.refusals = 0
        self.last_error = ""
        self._subscriptions = plan.subscriptions
        self._hears_lifecycle = plan.is_first
        self._misses_lifecycle = False  # it was refused, or has ended
        self._number_of = {
            ticker: number for number, tickers in enumerate(plan.subscriptions) for ticker in tickers
        }
        self._command = 0
        self._asked: dict[int, int] = {}  # command to the number of the subscription it asks for
        self._requests: dict[int, _Wish] = {}  # command to the subscription whose snapshots it asks for
        self._wish_of: dict[int, _Wish] = {}  # sid to what it gives
        self._sids: dict[_Wish, int] = {}
        self._resubscribes = 0
        self._replies: list[bytes] = []

    def opening(self) -> list[bytes]:
        """A command for each subscription; what concerns all markets is asked for before any book."""
        wanted = [ALL_MARKETS] * self._hears_lifecycle + list(range(len(self._subscriptions)))
        return [self._subscribe(number, LIFECYCLE if number < 0 else CHANNELS) for number in wanted]

    def observe(self, payload: bytes) -> Seen:
        """Learn sids from confirmations, and what ended from errors."""
        if payload.startswith(_DATA):
            return _SEEN_DATA
        try:
            frame = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return Seen.CONTROL
        if not isinstance(frame, dict):
            return Seen.CONTROL
        kind = frame.get("type")
        if kind == "subscribed":
            self._subscribed(frame)
        elif kind == "error":
            self._error(frame)
        return Seen.DATA if kind in _DATA_TYPES else Seen.CONTROL

    def replies(self) -> list[bytes]:
        """Subscriptions that have to be begun again."""
        given, self._replies = self._replies, []
        return given

    def snapshot_requests(self, symbols: Sequence[str]) -> list[bytes]:
        """One command for each subscription that has some of the markets."""
        return list(self._snapshot_requests(symbols))

    def asked_again(self) -> list[bytes]:
        """What concerns all markets, while it is not heard of."""
        if not self._misses_lifecycle:
            return []
        self._misses_lifecycle = False
        return [self._subscribe(ALL_MARKETS, LIFECYCLE)]

    def keep_alive(self) -> bytes | None:
        """The protocol's ping."""
        return None

    def _snapshot_requests(self, symbols: Sequence[str]) -> Iterator[bytes]:
        tickers: dict[int, list[str]] = {}
        for symbol in symbols:
            if symbol in self._number_of:
                tickers.setdefault(self._number_of[symbol], []).append(symbol)
        for number, named in tickers.items():
            wish = _Wish(number, BOOKS)
            if wish in self._sids:
                command = self._next_command()
                self._requests[command] = wish
                if len(self._requests) > REQUESTS_KEPT_MAX:
                    del self._requests[next(iter(self._requests))]
                yield get_snapshot(command, self._sids[wish], named)

    def _next_command(self) -> int:
        self._command += 1
        return self._command

    def _subscribe(self, number: int, channels: Sequence[str]) -> bytes:
        command = self._next_command()
        self._asked[command] = number
        tickers = () if number == ALL_MARKETS else self._subscriptions[number]
        return subscribe(command, tickers, channels)

    def _subscribed(self, frame: dict[str, object]) -> None:
        number, message = self._asked.get(_number(frame, "id")), frame.get("msg")
        sid = _number(message, "sid") if isinstance(message, dict) else NO_NUMBER
        if number is None or not isinstance(message, dict) or sid == NO_NUMBER:
            return
        wish = _Wish(number, str(message.get("channel")))
        self._sids[wish] = sid
        self._wish_of[sid] = wish
        books = sum(known.channel == BOOKS for known in self._sids)
        self.is_ready = books == len(self._subscriptions)

    def _error(self, frame: dict[str, object]) -> None:
        message = frame.get("msg")
        said = message if isinstance(message, dict) else {}
        code = _number(said, "code")
        self.refusals += 1
        self.last_error = as_error(f"error {said.get('code')}: {said.get('msg')}")
        wish = self._wish_of.get(_number(frame, "sid"))
        refused = self._requests.pop(_number(frame, "id"), None)
        if code in TERMINAL_CODES and wish is not None:
            self._begin_again(wish)
        elif refused is not None:
            if code not in BUSY_CODES and refused in self._sids:
                self._replies.append(unsubscribe(self._next_command(), self._sids[refused]))
                self._begin_again(refused)
        elif _number(frame, "id") in self._asked:
            is_lifecycle = self._asked[_number(frame, "id")] == ALL_MARKETS
            self._misses_lifecycle |= is_lifecycle
            self.is_broken |= not is_lifecycle

    def _begin_again(self, wish: _Wish) -> None:
        self._wish_of.pop(self._sids.pop(wish), None)
        if wish.number == ALL_MARKETS:
            self._misses_lifecycle = True
            return
        if self._resubscribes == RESUBSCRIBES_MAX:
            self.is_broken = True
            return
        self._resubscribes += 1
        self._replies.append(self._subscribe(wish.number, (wish.channel,)))


def _number(message: dict[str, object], name: str) -> int:
    """An integer of a message; NO_NUMBER for anything else."""
    value = message.get(name)
    return value if type(value) is int else NO_NUMBER
