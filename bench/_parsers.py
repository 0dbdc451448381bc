"""What others make of a frame: levels as (market, is it a bid of its token, price, size) in numbers.

The extraction is what a strategy needs before it can touch a book: text of prices and sizes to floats, the
symbol looked up, the time to an integer. Ours does more in the same time: sequence numbers, NO turned to YES,
fixed point that is exact, best prices declared, damage noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import GenericAlias
from typing import Any, Final

import orjson

from bench._frames import MARKETS, ticker, token
from bench._peers import named, peer
from bench._result import Result
from engine.records import Outcome

Level = tuple[int, bool, float, float]
Parse = Callable[[bytes], list[Level]]
Decode = Callable[[bytes], Any]

MARKET_OF: Final = {
    **{token(market, outcome): market for market in range(MARKETS) for outcome in Outcome},
    **{ticker(market): market for market in range(MARKETS)},
}


def extracting(decode: Decode) -> Parse:
    """A parser that decodes to dictionaries and takes the numbers out."""

    def parse(frame: bytes) -> list[Level]:
        message = decode(frame)
        kind = message.get("event_type") or message["type"]
        if kind == "price_change":
            int(message["timestamp"])
            return [
                (MARKET_OF[one["asset_id"]], one["side"] == "BUY", float(one["price"]), float(one["size"]))
                for one in message["price_changes"]
            ]
        if kind == "book":
            int(message["timestamp"])
            market = MARKET_OF[message["asset_id"]]
            return [
                (market, is_bid, float(level["price"]), float(level["size"]))
                for name, is_bid in (("bids", True), ("asks", False))
                for level in message[name]
            ]
        body = message["msg"]
        market = MARKET_OF[body["market_ticker"]]
        if kind == "orderbook_delta":
            return [(market, body["side"] == "yes", float(body["price_dollars"]), float(body["delta_fp"]))]
        return [
            (market, is_bid, float(price), float(size))
            for name, is_bid in (("yes_dollars_fp", True), ("no_dollars_fp", False))
            for price, size in body[name]
        ]

    return parse


def typed(msgspec: Any, kind: str) -> Parse:  # noqa: ANN401 - an untyped module
    """Msgspec's typed decoding, text to numbers by its decoder, into structures made for this one kind."""

    def struct(name: str, fields: list[tuple[str, Any]]) -> Any:  # noqa: ANN401
        return msgspec.defstruct(name, fields, gc=False)

    if kind == "price_change":
        change = struct("Change", [("asset_id", str), ("price", float), ("size", float), ("side", str)])
        fields = [("price_changes", GenericAlias(list, change)), ("timestamp", int)]
        decode = msgspec.json.Decoder(struct("Changes", fields), strict=False).decode
        return lambda frame: [
            (MARKET_OF[one.asset_id], one.side == "BUY", one.price, one.size)
            for one in decode(frame).price_changes
        ]
    if kind == "book":
        level = struct("Level", [("price", float), ("size", float)])
        fields = [
            ("asset_id", str),
            ("bids", GenericAlias(list, level)),
            ("asks", GenericAlias(list, level)),
            ("timestamp", int),
        ]
        decode = msgspec.json.Decoder(struct("Book", fields), strict=False).decode

        def book(frame: bytes) -> list[Level]:
            message = decode(frame)
            market = MARKET_OF[message.asset_id]
            found = [(market, True, one.price, one.size) for one in message.bids]
            return found + [(market, False, one.price, one.size) for one in message.asks]

        return book
    if kind == "delta":
        fields = [("market_ticker", str), ("price_dollars", float), ("delta_fp", float), ("side", str)]
        outer = struct("Delta", [("seq", int), ("msg", struct("DeltaBody", fields))])
        decode = msgspec.json.Decoder(outer, strict=False).decode

        def delta(frame: bytes) -> list[Level]:
            one = decode(frame).msg
            return [(MARKET_OF[one.market_ticker], one.side == "yes", one.price_dollars, one.delta_fp)]

        return delta
    pairs = list[tuple[float, float]]
    body = struct(
        "SnapshotBody", [("market_ticker", str), ("yes_dollars_fp", pairs), ("no_dollars_fp", pairs)]
    )
    decode = msgspec.json.Decoder(struct("Snapshot", [("seq", int), ("msg", body)]), strict=False).decode

    def snapshot(frame: bytes) -> list[Level]:
        one = decode(frame).msg
        market = MARKET_OF[one.market_ticker]
        found = [(market, True, price, size) for price, size in one.yes_dollars_fp]
        return found + [(market, False, price, size) for price, size in one.no_dollars_fp]

    return snapshot


def parsers(result: Result, kind: str) -> dict[str, Parse]:
    """Every parser that is here, for frames of one kind."""
    found = {named("orjson", "orjson + extraction"): extracting(orjson.loads)}
    msgspec = peer(result, "msgspec")
    if msgspec is not None:
        found[named("msgspec", "msgspec, typed to numbers")] = typed(msgspec, kind)
    found["json + extraction"] = extracting(json.loads)
    return found
