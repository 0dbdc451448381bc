"""The general parser of Polymarket, message type by message type."""

from __future__ import annotations

from typing import Any

import pytest

from engine.records import NO_PRICE, MarketState, Outcome, Side, UpdateFlag, UpdateKind
from engine.venues.continuity import Action
from engine.venues.frame import GeneralFrame
from engine.venues.polymarket import _general as module
from engine.venues.symbols import SymbolTable
from tests.engine.venues import frames
from tests.engine.venues.frames import LONE_TOKEN, NO_TOKEN, YES_TOKEN, entry
from tests.engine.venues.polymarket.test_book_hash import GOLDEN

BID, ASK = Side.BID, Side.ASK
SET, TOP = UpdateKind.LEVEL_SET, UpdateKind.DECLARED_TOP


def read(frame: object, symbols: SymbolTable | None = None, check_hash: bool = True) -> GeneralFrame:
    """A frame read over the known tokens."""
    payload = frame if isinstance(frame, bytes) else frames.compact(frame)
    return module.read_frame(payload, (symbols or frames.polymarket_symbols()).find, check_hash)


def said(frame: GeneralFrame) -> list[tuple[int, ...]]:
    """Kind, side, price, size and aux of the records."""
    return [(row[8], row[9], row[5], row[2], row[6]) for row in frame.rows]


def test_a_change_and_its_mirror() -> None:
    frame = read(frames.price_change())
    assert said(frame) == [
        (SET, BID, 5_000, 200_000_000, 0),
        (SET, BID, 5_000, 200_000_000, 0),
        (TOP, BID, 5_000, 0, 5_300),
        (TOP, BID, 5_000, 0, 5_300),
    ]
    assert [row[10] & UpdateFlag.SIBLING for row in frame.rows] == [0, 2, 0, 2]
    assert len(frame.touched) == 2
    assert {row[1] for row in frame.rows} == {1_757_908_892_351_000_000}


def test_a_no_token_whose_market_is_no_mirror_is_turned_but_no_sibling() -> None:
    symbols = SymbolTable(2)
    symbols.add(NO_TOKEN.encode(), 1, 1, Outcome.NO)
    frame = read(frames.price_change(entry(NO_TOKEN, "0.3", "1", "BUY", ("0.3", "1"))), symbols)
    assert said(frame) == [(SET, ASK, 7_000, 1_000_000, 0), (TOP, BID, NO_PRICE, 0, 7_000)]
    assert {row[10] for row in frame.rows} == {0}


def test_a_book() -> None:
    frame = read(frames.book(asks=(("0.52", None),)))
    begin, level, end = UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END
    assert said(frame) == [
        (begin, 0, 0, 3, 0),
        (level, BID, 4_800, 30_000_000, 0),
        (level, BID, 4_900, 20_500_000, 0),
        (level, ASK, 5_200, 1, 0),
        (end, 0, 0, 0, 0),
    ]
    assert frame.rows[3][10] == UpdateFlag.SIZE_UNKNOWN
    turned = frames.book() | {"asks": [{"price": "0.9", "size": "1"}], "bids": []}
    assert said(read({"asks": turned.pop("asks"), **turned}))[1] == (level, ASK, 9_000, 1_000_000, 0)


def test_a_book_with_its_hash() -> None:
    golden = GOLDEN | {"event_type": "book"}
    assert said(read(golden))[-1] == (UpdateKind.BOOK_HASH, 0, 0, 0, 1)
    assert read(golden).hashes == [True]
    other = read(golden | {"timestamp": "1"})
    assert (said(other)[-1], other.hashes) == ((UpdateKind.BOOK_HASH, 0, 0, 0, 0), [False])
    assert read(golden, check_hash=False).rows[-1][8] == UpdateKind.SNAPSHOT_END
    assert read(frames.book(hash="0458")).hashes == []


def test_the_shape_of_before_september_2025() -> None:
    changes = [{"price": "0.4", "side": "SELL", "size": "3300"}, {"price": "0.3", "side": "BUY", "size": "0"}]
    old = {
        "asset_id": NO_TOKEN,
        "changes": changes,
        "event_type": "price_change",
        "timestamp": "1729084877448",
    }
    frame = read(old)
    assert said(frame) == [(SET, BID, 6_000, 3_300_000_000, 0), (SET, ASK, 7_000, 0, 0)]
    assert frame.old_shapes == 1
    assert len(frame.touched) == 1
    assert read(old | {"asset_id": "999"}).unknown == [b"999"]
    assert (
        read({name: value for name, value in old.items() if name != "asset_id"}).error == "asset_id: missing"
    )


def test_sizes_are_cut_and_counted() -> None:
    frame = read(frames.price_change(entry(YES_TOKEN, "0.5", "1.23456789", "BUY", None)))
    assert said(frame) == [(SET, BID, 5_000, 1_234_567, 0)]
    assert frame.sizes_cut == 1


@pytest.mark.parametrize("absent", ["best_bid", "best_ask"])
def test_half_a_declaration_declares_nothing(absent: str) -> None:
    whole = entry(YES_TOKEN, "0.5", "1", "BUY", ("0.5", "0.6"))
    assert len(said(read(frames.price_change(whole)))) == 2
    half = {name: value for name, value in whole.items() if name != absent}
    assert said(read(frames.price_change(half))) == [(SET, BID, 5_000, 1_000_000, 0)]


def test_events_about_one_price() -> None:
    assert said(read(frames.last_trade(NO_TOKEN, "SELL"))) == [(UpdateKind.TRADE, ASK, 5_090, 85_360_000, 0)]
    assert said(read(frames.tick_size())) == [(UpdateKind.GRID_CHANGE, 0, 10, 0, 100)]
    assert said(read(frames.best_bid_ask(NO_TOKEN))) == [(UpdateKind.TICKER, 0, 2_300, 0, 2_700)]
    for event in (frames.last_trade("9"), frames.tick_size("9"), frames.best_bid_ask("9"), frames.book("9")):
        assert (read(event).unknown, read(event).rows) == ([b"9"], [])


@pytest.mark.parametrize(
    ("winner", "values"), [(YES_TOKEN, [10_000, 10_000]), (NO_TOKEN, [0, 0]), ("", [NO_PRICE, NO_PRICE])]
)
def test_a_resolved_market(winner: str, values: list[int]) -> None:
    message = {
        "event_type": "market_resolved",
        "assets_ids": [YES_TOKEN, NO_TOKEN, "9"],
        "winning_asset_id": winner,
    }
    frame = read(message)
    state = UpdateKind.MARKET_STATE
    assert said(frame) == [(state, 0, value, 0, MarketState.SETTLED) for value in values]
    assert [row[10] for row in frame.rows] == [0, UpdateFlag.SIBLING]
    assert frame.ignored == ["market_resolved"]
    assert frame.unknown == []


def test_what_carries_no_market_data() -> None:
    for text in (b"PONG", b"PING", b" PONG\n"):
        assert read(text).ignored == [text.strip().decode()]
    assert read({"event_type": "new_market", "id": "1"}).ignored == ["new_market"]
    assert read({"event_type": "order"}).ignored == ["order"]
    assert read({"event_type": "carnival"}).strange == ["carnival"]
    assert read({"id": "0x12"}).strange == ["(no event_type)"]
    assert read([]).action is Action.SEQUENCED


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"{", "not JSON: "),
        (5, "message 0: not an object"),
        ([{"event_type": "order"}, 5], "message 1: not an object"),
        ({"bids": []}, "event_type: missing"),
        ({"event_type": 4}, "event_type: not a string: 4"),
        (frames.book() | {"bids": None}, "bids: not a list"),
        ({name: value for name, value in frames.book().items() if name != "asks"}, "asks: missing"),
        (frames.book(bids=(("2", "1"),)), "bids[0].price: price '2' is not between 0 and 1"),
        (frames.book() | {"asks": [[0.5, 1]]}, "asks[0]: not an object"),
        (
            frames.price_change(entry(YES_TOKEN, "0.5", "-1", "BUY", None)),
            "price_changes[0].size: negative size '-1'",
        ),
        (
            frames.price_change(entry(YES_TOKEN, "0.5", "1", "buy", None)),
            "price_changes[0].side: neither BUY nor SELL",
        ),
        (
            frames.price_change(entry(YES_TOKEN, "0.5", "1", "BUY", ("x", "1"))),
            "price_changes[0].best_bid: not a decimal",
        ),
        (frames.price_change() | {"price_changes": [5]}, "price_changes[0]: not an object"),
        ({"event_type": "price_change"}, "price_changes: missing"),
        ({"event_type": "price_change", "changes": [], "asset_id": 5}, "asset_id: not a string: 5"),
        (frames.tick_size() | {"new_tick_size": "0"}, "tick_size_change: a tick of nothing"),
        ({"event_type": "market_resolved"}, "assets_ids: missing"),
        ({"event_type": "market_resolved", "assets_ids": [5]}, "assets_ids[0]: not a string: 5"),
    ],
)
def test_errors_say_what_and_where(frame: Any, error: str) -> None:
    found = read(frame)
    assert found.error.startswith(error)
    assert (found.rows, found.touched, found.action) == ([], [], Action.UNREADABLE)


def test_a_frame_is_read_whole_or_not_at_all() -> None:
    found = read([frames.book(), frames.book(LONE_TOKEN, bids=(("x", "1"),))])
    assert found.error
    assert found.rows == []
