"""Kalshi's side of one WebSocket connection, without a socket: commands, subscriptions, their numbers.

``sid`` counts the subscriptions of the connection and ``seq`` the frames of one subscription: snapshots,
deltas and acknowledgements each take the next. Only sequenced channels number their data. An unknown ticker
is subscribed like any other and brings nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from procs.venue_sim.answer import Answer
from procs.venue_sim.kalshi_wire import ORDERBOOK, TICKER, RecordedFrame, Snapshots, numbered

PATH: Final = "/trade-api/ws/v2"
SUBSCRIPTIONS_MAX: Final = 256  # of one connection; ours, the venue documents none
MARKETS_MAX: Final = 4_096  # of one subscription; ours

# Channel: whether its markets can be named.
CHANNELS: Final[Mapping[str, bool]] = {
    ORDERBOOK: True,
    TICKER: True,
    "trade": True,
    "fill": True,
    "user_orders": True,
    "market_positions": True,
    "market_lifecycle_v2": False,
    "multivariate_market_lifecycle": False,
    "order_group_updates": False,
    "communications": False,
    "cfbenchmarks_value": False,
    "cfbenchmarks_value_5hz": False,
    "pyth_value": False,
}

UNPARSABLE, PARAMS_REQUIRED, CHANNELS_REQUIRED, SIDS_REQUIRED, UNKNOWN_COMMAND = 1, 2, 3, 4, 5
UNKNOWN_SID, UNKNOWN_CHANNEL, INVALID_PARAMETER, ONE_SID, UNSUPPORTED_ACTION = 7, 8, 11, 12, 13
TICKER_REQUIRED, ACTION_REQUIRED, TOO_MANY_MARKETS = 14, 15, 26
ERRORS: Final[Mapping[int, str]] = {
    UNPARSABLE: "Unable to process message",
    PARAMS_REQUIRED: "Params required",
    CHANNELS_REQUIRED: "Channels required",
    SIDS_REQUIRED: "Subscription IDs required",
    UNKNOWN_COMMAND: "Unknown command",
    UNKNOWN_SID: "Unknown subscription ID",
    UNKNOWN_CHANNEL: "Unknown channel name",
    INVALID_PARAMETER: "Invalid parameter",
    ONE_SID: "Exactly one subscription ID is required",
    UNSUPPORTED_ACTION: "Unsupported action",
    TICKER_REQUIRED: "Market Ticker required",
    ACTION_REQUIRED: "Action required",
    TOO_MANY_MARKETS: "Subscription market limit exceeded",
}


class _Refused(Exception):
    """The command is answered with the error of this code."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass(slots=True)
class Subscription:
    """One subscription. ``markets`` None: all of the channel; ``seq`` is the last number given."""

    sid: int
    channel: str
    markets: dict[str, None] | None
    yes_price: bool
    plain_ok: bool  # acknowledgements leave the list of markets out
    seq: int = 0

    def next_seq(self) -> int:
        """Take the next number."""
        self.seq += 1
        return self.seq

    def wants(self, frame: RecordedFrame) -> bool:
        """Whether a frame of the channel goes to this subscription."""
        return self.markets is None or frame.ticker in self.markets

    def misses(self, markets: frozenset[str]) -> bool:
        """Whether any of these markets is among its own."""
        return bool(markets) and (self.markets is None or not markets.isdisjoint(self.markets))


class KalshiSession:
    """State of one connection. ``lacking`` counts snapshots that the recording could not give."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.subscriptions: dict[int, Subscription] = {}
        self.lacking = 0
        self._snapshots = snapshots
        self._sids = 0

    @property
    def subscribed(self) -> bool:
        """Whether there is any subscription."""
        return bool(self.subscriptions)

    @property
    def follows_markets(self) -> bool:
        """Whether a subscription is to a channel that has to do with single markets."""
        return any(CHANNELS[one.channel] for one in self.subscriptions.values())

    def symbols(self) -> Iterable[str]:
        """Tickers whose books are subscribed."""
        for one in self.subscriptions.values():
            if one.channel == ORDERBOOK:
                yield from one.markets or ()

    def on_text(self, text: bytes) -> Answer:
        """Answer a command."""
        try:
            command = orjson.loads(text)
        except orjson.JSONDecodeError:
            command = None
        if not isinstance(command, dict):
            return _error(UNPARSABLE, None)
        number = command.get("id") or None  # 0 counts as none
        try:
            return self._act(command, number)
        except _Refused as refused:
            return _error(refused.code, number)

    def _act(self, command: Mapping[str, object], number: object) -> Answer:
        act = _COMMANDS.get(str(command.get("cmd")))
        if act is None:
            raise _Refused(UNKNOWN_COMMAND)
        params = command.get("params", {} if act is KalshiSession._list else None)
        if not isinstance(params, dict):
            raise _Refused(PARAMS_REQUIRED)
        return act(self, params, number)

    def _subscribe(self, params: Mapping[str, object], number: object) -> Answer:
        channels = _texts(params.get("channels"), CHANNELS_REQUIRED)
        markets = _markets(params)
        if any(channel not in CHANNELS for channel in channels):
            raise _Refused(UNKNOWN_CHANNEL)
        if ORDERBOOK in channels and not markets:
            raise _Refused(TICKER_REQUIRED)
        if len(self.subscriptions) + len(channels) > SUBSCRIPTIONS_MAX:
            raise _Refused(INVALID_PARAMETER)
        opened = [self._open(channel, markets, params) for channel in channels]
        replies = [
            _reply("subscribed", number, msg={"channel": one.channel, "sid": one.sid}) for one in opened
        ]
        snapshots = [text for one in opened for text in self._books(one, one.markets or (), None)]
        if params.get("send_initial_snapshot") is True:
            snapshots += [text for one in opened for text in self._tickers(one, one.markets or ())]
        return Answer(tuple(replies), tuple(snapshots))

    def _open(self, channel: str, markets: Sequence[str], params: Mapping[str, object]) -> Subscription:
        self._sids += 1
        kept = dict.fromkeys(markets) if markets and CHANNELS[channel] else None
        opened = Subscription(
            self._sids,
            channel,
            kept,
            yes_price=params.get("use_yes_price") is True,
            plain_ok=params.get("skip_ticker_ack") is True,
        )
        self.subscriptions[opened.sid] = opened
        return opened

    def _books(
        self, subscription: Subscription, markets: Sequence[str] | dict[str, None], number: object
    ) -> list[bytes]:
        """Snapshots for an orderbook subscription, each with the next number."""
        if subscription.channel != ORDERBOOK:
            return []
        texts = []
        for market in markets:
            body = self._snapshots.body(market, yes_price=subscription.yes_price)
            if body is None:
                self.lacking += 1
                continue
            numbers = {"sid": subscription.sid, "seq": subscription.next_seq()}
            texts.append(_reply("orderbook_snapshot", number, **numbers, msg=body))
        return texts

    def _tickers(self, subscription: Subscription, markets: Iterable[str]) -> Iterator[bytes]:
        """The last tickers of a ticker subscription's markets, as recorded."""
        if subscription.channel == TICKER:
            for market in markets:
                frame = self._snapshots.last_ticker(market)
                if frame is not None:
                    yield numbered(frame, subscription.sid, None, yes_price=False)

    def _unsubscribe(self, params: Mapping[str, object], number: object) -> Answer:
        ended = [self._find(sid) for sid in dict.fromkeys(_sids(params))]
        for one in ended:
            del self.subscriptions[one.sid]
        return Answer(tuple(_reply("unsubscribed", number, sid=one.sid, seq=one.next_seq()) for one in ended))

    def _update(self, params: Mapping[str, object], number: object) -> Answer:
        sids = _sids(params)
        if len(sids) != 1:
            raise _Refused(ONE_SID)
        subscription = self._find(sids[0])
        if "action" not in params:
            raise _Refused(ACTION_REQUIRED)
        act = _ACTIONS.get(str(params["action"]))
        if act is None or not CHANNELS[subscription.channel]:
            raise _Refused(UNSUPPORTED_ACTION)
        markets = _markets(params)
        if not markets:
            raise _Refused(TICKER_REQUIRED)
        asked = act(self, subscription, markets)
        initial = params.get("send_initial_snapshot") is True and act is KalshiSession._add
        listed: dict[str, object] = {}
        if not subscription.plain_ok:
            listed["msg"] = {"market_tickers": list(subscription.markets or ())}
        ok = _reply("ok", number, sid=subscription.sid, seq=subscription.next_seq(), **listed)
        answers_by_id = number if act is KalshiSession._snapshot_again else None
        snapshots = self._books(subscription, asked, answers_by_id)
        return Answer((ok,), (*snapshots, *(self._tickers(subscription, asked) if initial else ())))

    def _add(self, subscription: Subscription, markets: Sequence[str]) -> Sequence[str]:
        """Add markets; those that are new."""
        if subscription.markets is None:
            return ()
        new = [market for market in dict.fromkeys(markets) if market not in subscription.markets]
        if len(subscription.markets) + len(new) > MARKETS_MAX:
            raise _Refused(TOO_MANY_MARKETS)
        subscription.markets.update(dict.fromkeys(new))
        return new

    def _delete(self, subscription: Subscription, markets: Sequence[str]) -> Sequence[str]:
        for market in markets:
            if subscription.markets is not None:
                subscription.markets.pop(market, None)
        return ()

    def _snapshot_again(self, subscription: Subscription, markets: Sequence[str]) -> Sequence[str]:
        if subscription.channel != ORDERBOOK:
            raise _Refused(UNSUPPORTED_ACTION)
        return [market for market in markets if market in (subscription.markets or ())]

    def _list(self, params: Mapping[str, object], number: object) -> Answer:
        del params
        held = [{"channel": one.channel, "sid": one.sid} for one in self.subscriptions.values()]
        return Answer((_reply("ok", number, msg=held),))

    def _find(self, sid: int) -> Subscription:
        if sid not in self.subscriptions:
            raise _Refused(UNKNOWN_SID)
        return self.subscriptions[sid]

    def offer(self, frame: RecordedFrame) -> tuple[bytes, ...]:
        """What this connection gets of a recorded frame: one text for each subscription it belongs to."""
        texts = []
        for one in self.subscriptions.values():
            if one.channel == ORDERBOOK and one.misses(frame.broken):
                one.seq += 1  # the number of what the recorder lost
            if one.channel == frame.channel and one.wants(frame):
                seq = None
                if frame.has_seq:
                    seq = one.seq if frame.repeats else one.next_seq()
                texts.append(numbered(frame, one.sid, seq, yes_price=one.yes_price))
        return tuple(texts)

    def skip(self, numbers: int) -> None:
        """Lose numbers of every subscription, as if frames had been lost."""
        for one in self.subscriptions.values():
            one.seq += numbers


_Command = Callable[[KalshiSession, Mapping[str, object], object], Answer]
_Action = Callable[[KalshiSession, Subscription, Sequence[str]], Sequence[str]]
_COMMANDS: Final[Mapping[str, _Command]] = {
    "subscribe": KalshiSession._subscribe,  # noqa: SLF001 - tables of its own methods
    "unsubscribe": KalshiSession._unsubscribe,  # noqa: SLF001
    "update_subscription": KalshiSession._update,  # noqa: SLF001
    "list_subscriptions": KalshiSession._list,  # noqa: SLF001
}
_ACTIONS: Final[Mapping[str, _Action]] = {
    "add_markets": KalshiSession._add,  # noqa: SLF001
    "delete_markets": KalshiSession._delete,  # noqa: SLF001
    "get_snapshot": KalshiSession._snapshot_again,  # noqa: SLF001
}


def _reply(kind: str, number: object, **fields: object) -> bytes:
    numbers = {} if number is None else {"id": number}
    return orjson.dumps({"type": kind, **numbers, **fields})


def _error(code: int, number: object) -> Answer:
    return Answer((_reply("error", number, msg={"code": code, "msg": ERRORS[code]}),), refused=True)


def _texts(value: object, code: int) -> list[str]:
    """A list of texts that is not empty; the error of ``code`` otherwise."""
    if not isinstance(value, list) or not value:
        raise _Refused(code)
    if not all(isinstance(text, str) for text in value):
        raise _Refused(INVALID_PARAMETER)
    return value


def _markets(params: Mapping[str, object]) -> list[str]:
    """Tickers of a command, by one key or the other, not both; none when it names none."""
    one, several = params.get("market_ticker"), params.get("market_tickers")
    if one is not None and several is not None:
        raise _Refused(INVALID_PARAMETER)
    if one is None and several is None:
        return []
    found = _texts([one] if one is not None else several, TICKER_REQUIRED)
    if len(found) > MARKETS_MAX:
        raise _Refused(TOO_MANY_MARKETS)
    return found


def _sids(params: Mapping[str, object]) -> list[int]:
    """Subscriptions that a command names."""
    found = params.get("sids", [params["sid"]] if "sid" in params else None)
    if not isinstance(found, list) or not found:
        raise _Refused(SIDS_REQUIRED)
    if not all(type(sid) is int for sid in found):
        raise _Refused(INVALID_PARAMETER)
    return found
