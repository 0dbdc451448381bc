"""Names on Kalshi's wire."""

from __future__ import annotations

from engine.venues.kalshi import vocabulary as wire
from engine.venues.keys import NO_NAME, name_code, names_at
from engine.venues.workspace import Workspace

SPACE = Workspace(1, wire.NAMES)


def code(table: int, name: bytes) -> int:
    SPACE.memory[: len(name) + 1] = name + b"\0"
    return name_code(SPACE.words, table, 0, len(name))


def test_fields_of_the_frame_and_of_msg_share_one_space_of_numbers() -> None:
    frame = {code(wire.FRAME_NAMES, name) for name in (b"type", b"sid", b"seq", b"msg", b"sending_ts_ms")}
    assert frame == {wire.TYPE, wire.SID, wire.SEQ, wire.MSG, wire.SENDING_TS_MS}
    assert code(wire.MSG_NAMES, b"market_ticker") == wire.TICKER
    assert code(wire.MSG_NAMES, b"type") == NO_NAME
    assert wire.TICKER not in frame
    assert wire.FRAME_NAMES == names_at(0) != wire.MSG_NAMES


def test_types_of_the_compiled_parser() -> None:
    assert code(wire.TYPE_NAMES, b"orderbook_delta") == wire.TYPE_DELTA
    assert code(wire.TYPE_NAMES, b"orderbook_snapshot") == wire.TYPE_SNAPSHOT
    assert code(wire.TYPE_NAMES, b"fill") == NO_NAME


def test_no_type_is_both_read_and_ignored() -> None:
    read = {"orderbook_delta", "orderbook_snapshot", "ticker", "trade", *wire.LIFECYCLE_TYPES}
    assert not read & wire.IGNORED_TYPES
    assert not any(name.startswith(wire.IGNORED_PREFIXES) for name in read)


def test_every_name_has_a_number_of_its_own() -> None:
    frame = [b"type", b"sid", b"seq", b"msg", b"sending_ts_ms"]
    msg = [
        b"market_ticker",
        b"price_dollars",
        b"delta_fp",
        b"side",
        b"ts_ms",
        b"yes_dollars_fp",
        b"no_dollars_fp",
        b"yes_bid_dollars",
        b"yes_ask_dollars",
        b"yes_price_dollars",
        b"count_fp",
        b"taker_book_side",
        b"taker_outcome_side",
        b"taker_side",
    ]
    numbers = [code(wire.FRAME_NAMES, name) for name in frame] + [code(wire.MSG_NAMES, name) for name in msg]
    assert numbers == list(range(1, 20))
    types = [b"orderbook_delta", b"orderbook_snapshot", b"ticker", b"trade"]
    assert [code(wire.TYPE_NAMES, name) for name in types] == [1, 2, 3, 4]
    assert (wire.YES_BID, wire.YES_ASK, wire.YES_PRICE) == (13, 14, 15)
    assert (wire.YES_LEVELS, wire.NO_LEVELS) == (11, 12)
