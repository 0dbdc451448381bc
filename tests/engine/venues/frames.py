"""Frames for the codec tests: a few real shapes, every spelling of them, and two codecs side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import numpy as np

from engine.records import Outcome
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable

YES_TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
NO_TOKEN = "52114319501245915516055106046884209969926127482827954674443846427813813222426"
LONE_TOKEN = "100"
TICKERS = ("KXBTC15M-26MAY131630-30", "KXNEXTTEAMNBA-26LJAM-MIA", "FED-23DEC-T3.00")

HOW_IT_WAS_READ = (Count.FAST, Count.FALLBACK)

# Fields whose values may be spelled otherwise without meaning something else.
WHOLE = {"timestamp", "ts_ms", "sending_ts_ms", "sid", "seq"}
NUMERIC = {
    *WHOLE,
    *("price", "size", "best_bid", "best_ask", "old_tick_size", "new_tick_size"),
    *("price_dollars", "delta_fp", "count_fp", "yes_bid_dollars", "yes_ask_dollars", "yes_price_dollars"),
    *("yes_dollars_fp", "no_dollars_fp"),
}


def polymarket_symbols() -> SymbolTable:
    """A mirrored market in slot 3 (YES and NO token), and a token of its own in slot 4."""
    symbols = SymbolTable(16)
    assert symbols.add(YES_TOKEN.encode(), 3, 7, Outcome.YES, mirrored=True)
    assert symbols.add(NO_TOKEN.encode(), 3, 7, Outcome.NO, mirrored=True)
    assert symbols.add(LONE_TOKEN.encode(), 4, 1)
    return symbols


def kalshi_symbols() -> SymbolTable:
    """Three markets, in slots 10, 11 and 12."""
    symbols = SymbolTable(16)
    for at, ticker in enumerate(TICKERS):
        assert symbols.add(ticker.encode(), 10 + at, 2)
    return symbols


def delta(
    seq: int,
    ticker: str = TICKERS[0],
    price: str = "0.7600",
    size: str = "-50.00",
    side: str = "no",
    sid: int = 2,
) -> dict[str, Any]:
    """A Kalshi delta in the venue's order of keys."""
    msg = {
        "market_ticker": ticker,
        "market_id": "8240b1bf-12d7",
        "price_dollars": price,
        "delta_fp": size,
        "side": side,
        "ts": "2026-05-13T20:20:36.621238Z",
        "ts_ms": 1778703636621,
    }
    return {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": msg}


def snapshot(
    seq: int,
    ticker: str = TICKERS[0],
    yes: Any = (("0.0800", "300.00"), ("0.2200", "333.00")),
    no: Any = (("0.5400", "20.00"), ("0.5600", "146.00")),
    sid: int = 2,
) -> dict[str, Any]:
    """A Kalshi snapshot; a side that is None is absent."""
    msg: dict[str, Any] = {"market_ticker": ticker, "market_id": "9b0f6b43", "clock": 4182057}
    for name, side in (("yes_dollars_fp", yes), ("no_dollars_fp", no)):
        if side is not None:
            msg[name] = [list(level) for level in side]
    return {"type": "orderbook_snapshot", "sending_ts_ms": 1669149841234, "sid": sid, "seq": seq, "msg": msg}


def ticker_frame(bid: str = "0.4500", ask: str = "0.5300") -> dict[str, Any]:
    """A Kalshi ticker."""
    msg = {
        "market_id": "9b0f6b43",
        "market_ticker": TICKERS[0],
        "price_dollars": "0.4800",
        "yes_bid_dollars": bid,
        "yes_ask_dollars": ask,
        "volume_fp": "33896.00",
        "ts": 1669149841,
        "ts_ms": 1669149841000,
    }
    return {"type": "ticker", "sending_ts_ms": 1669149841123, "sid": 11, "msg": msg}


def trade_frame(seq: int, **taker: str) -> dict[str, Any]:
    """A Kalshi trade."""
    msg = {
        "trade_id": "d91bc706",
        "market_ticker": TICKERS[0],
        "yes_price_dollars": "0.3600",
        "no_price_dollars": "0.6400",
        "count_fp": "136.00",
        "is_block_trade": False,
        "ts_ms": 1669149841000,
    }
    return {"type": "trade", "sid": 12, "seq": seq, "msg": {**msg, **(taker or {"taker_book_side": "ask"})}}


def entry(token: str, price: str, size: str, side: str, best: tuple[str, str] | None) -> dict[str, str]:
    """An entry of price_changes."""
    found = {
        "asset_id": token,
        "price": price,
        "size": size,
        "side": side,
        "hash": "56621a121a47ed9333273e21",
    }
    return found | ({} if best is None else {"best_bid": best[0], "best_ask": best[1]})


def price_change(*entries: dict[str, str]) -> dict[str, Any]:
    """A price_change; without arguments one change and its mirror."""
    if not entries:
        entries = (
            entry(YES_TOKEN, "0.5", "200", "BUY", ("0.5", "0.53")),
            entry(NO_TOKEN, "0.5", "200", "SELL", ("0.47", "0.5")),
        )
    return {
        "market": "0x5f65177b",
        "price_changes": list(entries),
        "timestamp": "1757908892351",
        "event_type": "price_change",
    }


def book(
    token: str = YES_TOKEN,
    bids: Any = (("0.48", "30"), ("0.49", "20.5")),
    asks: Any = (("0.52", "25"),),
    **more: Any,
) -> dict[str, Any]:
    """A book."""
    sides = {
        name: [{"price": price, "size": size} for price, size in side]
        for name, side in (("bids", bids), ("asks", asks))
    }
    return {
        "event_type": "book",
        "asset_id": token,
        "market": "0xbd31",
        **sides,
        "timestamp": "1703875200000",
        **more,
    }


def last_trade(token: str = YES_TOKEN, side: str = "SELL") -> dict[str, Any]:
    """A last_trade_price."""
    return {
        "asset_id": token,
        "event_type": "last_trade_price",
        "fee_rate_bps": "0",
        "market": "0xdd22",
        "price": "0.491",
        "side": side,
        "size": "85.36",
        "timestamp": "1724564136087",
    }


def tick_size(token: str = YES_TOKEN) -> dict[str, Any]:
    """A tick_size_change."""
    return {
        "event_type": "tick_size_change",
        "asset_id": token,
        "market": "0xbac",
        "old_tick_size": "0.01",
        "new_tick_size": "0.001",
        "timestamp": "1739068041853",
    }


def best_bid_ask(token: str = YES_TOKEN) -> dict[str, Any]:
    """A best_bid_ask."""
    return {
        "event_type": "best_bid_ask",
        "market": "0x0005",
        "asset_id": token,
        "best_bid": "0.73",
        "best_ask": "0.77",
        "spread": "0.04",
        "timestamp": "1766789469958",
    }


KALSHI_SHAPES: tuple[Callable[[int], dict[str, Any]], ...] = (
    delta,
    lambda seq: delta(seq, TICKERS[1], "0.0010", "12.34", "yes"),
    snapshot,
    lambda seq: snapshot(seq, TICKERS[1], None, None),
    lambda seq: ticker_frame(),
    lambda seq: trade_frame(seq),
)
POLYMARKET_SHAPES: tuple[Callable[[], Any], ...] = (
    price_change,
    lambda: price_change(entry(LONE_TOKEN, "0.009", "0", "SELL", ("", "1"))),
    lambda: price_change(entry(NO_TOKEN, "0.3", "1.234567", "BUY", None), *price_change()["price_changes"]),
    book,
    lambda: book(NO_TOKEN, (), (("0.9", "1"),) * 3),
    lambda: [book(), book(NO_TOKEN), price_change()],
    last_trade,
    lambda: last_trade(NO_TOKEN, "BUY"),
    tick_size,
    best_bid_ask,
)


def compact(frame: object) -> bytes:
    """A frame as the venues write it."""
    return json.dumps(frame, separators=(",", ":")).encode()


class Speller:
    """Writes a frame in one of the many ways JSON allows, without changing what it says."""

    def __init__(self, rng: Random, escapes: bool = True, extras: bool = True) -> None:
        self.rng = rng
        self.escapes = escapes
        self.extras = extras

    def frame(self, frame: object) -> bytes:
        """The frame, with space and line feeds around it."""
        return f"{self.space()}{self.value(frame, '')}{self.space()}{self.rng.choice(['', chr(10)])}".encode()

    def space(self) -> str:
        """Mostly nothing."""
        return self.rng.choice(["", "", "", " ", "\n", "\t", "\r\n  "])

    def value(self, value: object, name: str) -> str:
        """A value of the field ``name``."""
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, list):
            inner = [f"{self.space()}{self.value(item, name)}{self.space()}" for item in value]
            return f"[{','.join(inner) or self.space()}]"
        if name in NUMERIC and isinstance(value, str | int) and not isinstance(value, bool):
            return self.number(str(value), name in WHOLE)
        return self.string(value) if isinstance(value, str) else json.dumps(value)

    def members(self, value: dict[str, Any]) -> str:
        """An object, its members in any order, with some nobody knows."""
        pairs = list(value.items())
        if self.extras and self.rng.random() < 0.2:
            pairs.append(
                (self.rng.choice(["x", "hashh", "longer_than_any_name_in_the_tables"]), self.extra())
            )
        self.rng.shuffle(pairs)
        texts = [
            self.space().join(["", self.string(name), ":", self.value(item, name), ""])
            for name, item in pairs
        ]
        return "{" + (",".join(texts) or self.space()) + "}"

    def extra(self) -> object:
        """A value nobody asked for."""
        return self.rng.choice(
            [1, -0.25, None, True, "text", "", 1e300, {}, [], {"a": [{"b": {}}]}, [[[[1]]]]]
        )

    def string(self, text: str) -> str:
        """A string, now and then with an escape."""
        if self.escapes and text and self.rng.random() < 0.02:
            at = self.rng.randrange(len(text))
            return f'"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1 :]}"'
        return json.dumps(text)

    def number(self, text: str, whole: bool) -> str:
        """A number as a string or a number, with or without a leading zero and trailing ones."""
        if whole:
            return self.rng.choice([text, f'"{text}"']) if text else '""'
        if text in ("", "0"):
            return f'"{text}"'
        spelled = text
        if "." in spelled:
            spelled += "0" * self.rng.choice([0, 0, 0, 1, 2, 5])
        if self.rng.random() < 0.3 and not spelled.endswith("."):
            return spelled
        if spelled.startswith("0.") and self.rng.random() < 0.3:
            spelled = spelled[1:]
        return f'"{spelled}"'


class SideBySide:
    """One codec with the compiled parser and one without: whatever is fed, they must not differ."""

    def __init__(self, make: Callable[[], MarketDataCodec]) -> None:
        self.fast, self.general = make(), make()
        self.general.fast_enabled = False

    def feed(self, payload: bytes, recv_ns: int = 5, conn: int = 1) -> tuple[np.ndarray[Any, Any], bool]:
        """Records of a frame, and whether the compiled parser decided it."""
        before = int(self.fast.counts[Count.FAST])
        count = self.fast.feed(payload, recv_ns, conn)
        assert count == self.general.feed(payload, recv_ns, conn), payload
        records = self.fast.out[:count].copy()
        assert records.tolist() == self.general.out[:count].tolist(), payload
        assert counted(self.fast) == counted(self.general), payload
        assert self.fast.last_error == self.general.last_error
        return records, int(self.fast.counts[Count.FAST]) > before


def counted(codec: MarketDataCodec) -> dict[str, int]:
    """Counters, but for how the frames were read."""
    return {count.name: int(codec.counts[count]) for count in Count if count not in HOW_IT_WAS_READ}


def kalshi_pair() -> SideBySide:
    """Two Kalshi codecs over equal tables."""
    return SideBySide(lambda: KalshiCodec(kalshi_symbols()))


def polymarket_pair(check_hash: bool = True) -> SideBySide:
    """Two Polymarket codecs over equal tables."""
    return SideBySide(lambda: PolymarketCodec(polymarket_symbols(), check_hash=check_hash))


def fields_of(records: np.ndarray[Any, Any], *names: str) -> list[tuple[int, ...]]:
    """Some fields of records, as plain tuples."""
    return [tuple(int(record[name]) for name in names) for record in records]


def laid_out(payloads: Iterable[bytes]) -> tuple[Any, Any, Any]:
    """Frames behind each other, their offsets and lengths, as ``feed_many`` takes them."""
    frames = list(payloads)
    lengths = np.array([len(frame) for frame in frames], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    return np.frombuffer(b"".join(frames), np.uint8), offsets, lengths
