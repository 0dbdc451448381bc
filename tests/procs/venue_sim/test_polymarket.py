"""Polymarket's market channel: what opens it, what is sent of a frame, snapshots from books."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import Venue
from engine.venues.polymarket.book_hash import check_book
from procs.recording_frames import Frame, pack
from procs.venue_sim import polymarket
from procs.venue_sim.books import VenueBooks
from procs.venue_sim.polymarket import MarketSession
from procs.venue_sim.polymarket_wire import MarketFrame, Snapshots, read_frame
from tests.data import recordings as made

YES, NO = made.YES_TOKEN, made.NO_TOKEN
OPENING = {"type": "market", "assets_ids": [YES], "custom_feature_enabled": True}


def _book(token: str, bids: dict[str, str | None], asks: dict[str, str | None]) -> dict[str, object]:
    sides = {"bids": bids, "asks": asks}
    levels = {name: [{"price": p, "size": s} for p, s in side.items()] for name, side in sides.items()}
    return {
        "event_type": "book",
        "asset_id": token,
        "market": "0xabc",
        **levels,
        "timestamp": "1767225600000",
    }


def _change(*tokens: str) -> dict[str, object]:
    entries = [
        {"asset_id": token, "price": "0.5", "size": "7", "side": "BUY", "best_bid": "0.5", "best_ask": "1"}
        for token in tokens
    ]
    return {"event_type": "price_change", "market": "0xabc", "price_changes": entries, "timestamp": "1"}


def _frame(message: object) -> MarketFrame:
    frame = read_frame(orjson.dumps(message))
    assert frame is not None
    return frame


def _after(*messages: object, **changes: object) -> tuple[VenueBooks, Snapshots]:
    """Books and snapshots after these frames; ``changes`` are of the market's metadata."""
    spec = made.polymarket_spec()
    if changes:
        spec = type(spec).from_dict({**spec.to_dict(), **changes})
    books = VenueBooks([spec])
    snapshots = Snapshots(books)
    for at, message in enumerate(messages):
        snapshots.note(_frame(message))
        for batch in pack([Frame(made.START_NS + at, Venue.POLYMARKET, 0, orjson.dumps(message))]):
            books.feed(batch, batch.recv_ns, 0, 1)
    return books, snapshots


def _session(*messages: object) -> MarketSession:
    return MarketSession(_after(*messages)[1])


def _opened(*messages: object, **changes: object) -> MarketSession:
    session = _session(*messages)
    assert session.on_text(orjson.dumps({**OPENING, **changes})).closing is None
    return session


@pytest.mark.parametrize(
    "text",
    [
        b"PING",
        b"{",
        b"[]",
        orjson.dumps({"type": "market"}),
        orjson.dumps({"type": "user", "assets_ids": [YES]}),
        orjson.dumps({"type": "market", "assets_ids": [7]}),
        orjson.dumps({"operation": "subscribe", "assets_ids": [YES]}),
    ],
)
def test_what_comes_before_the_subscription_closes_with_1008(text: bytes) -> None:
    session = _session()
    answer = session.on_text(text)
    assert answer.closing is not None
    assert answer.closing.code == 1008
    assert not session.subscribed


def test_a_keep_alive_is_answered() -> None:
    assert _opened().on_text(b"PING").replies == (b"PONG",)


def test_a_subscription_brings_the_books_of_its_tokens_in_one_array() -> None:
    books = [_book(YES, {"0.48": "100", "0.4": "3"}, {"0.52": "7"}), _book(NO, {}, {"0.52": "1.5"})]
    session = _session(books)
    (text,) = session.on_text(orjson.dumps({**OPENING, "assets_ids": [YES, NO, "333"]})).snapshots
    found = orjson.loads(text)
    metadata = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False}
    assert found == [
        {
            **_book(YES, {"0.4": "3", "0.48": "100"}, {"0.52": "7"}),
            **metadata,
        },
        {**_book(NO, {}, {"0.52": "1.5"}), **metadata},
    ]
    assert session.lacking == 1


def test_both_sides_come_worst_level_first() -> None:
    _, snapshots = _after(_book(YES, {"0.1": "1", "0.3": "2"}, {"0.9": "3", "0.6": "4"}))
    found = snapshots.book(YES)
    assert found is not None
    assert [level["price"] for level in found["bids"]] == ["0.1", "0.3"]  # type: ignore[attr-defined]
    assert [level["price"] for level in found["asks"]] == ["0.9", "0.6"]  # type: ignore[attr-defined]


def test_a_book_whose_every_field_is_known_has_the_venues_hash() -> None:
    trade = {"event_type": "last_trade_price", "asset_id": YES, "market": "0xabc", "price": "0.48"}
    _, snapshots = _after(
        _book(YES, {"0.48": "100"}, {}), {**trade, "size": "1", "side": "BUY", "timestamp": "1767225600001"}
    )
    found = snapshots.book(YES)
    assert found is not None
    assert found["last_trade_price"] == "0.48"
    assert check_book(found) is True
    keys = ("market", "asset_id", "timestamp", "hash", "bids", "asks", "min_order_size", "tick_size")
    text = orjson.dumps({key: found[key] for key in (*keys, "neg_risk", "last_trade_price")} | {"hash": ""})
    assert found["hash"] == hashlib.sha1(text, usedforsecurity=False).hexdigest()


def test_defaults_and_unknown_things_are_left_out() -> None:
    defaulted = ["price_ranges", "lot_e6", "min_size_e6", "min_notional_micros"]
    book = _book(YES, {"0.48": None}, {})
    del book["timestamp"], book["market"]
    _, snapshots = _after(book, defaulted=defaulted)
    assert snapshots.book(YES) == {
        "event_type": "book",
        "asset_id": YES,
        "market": "0xabc",  # from the header
        "bids": [{"price": "0.48", "size": None}],
        "asks": [],
    }
    assert snapshots.book(NO) is None  # never had an opening book
    assert snapshots.book("333") is None


def test_a_token_that_is_subscribed_already_is_refused() -> None:
    session = _session(_book(YES, {"0.48": "1"}, {}), _book(NO, {"0.5": "1"}, {}))
    again = {"operation": "subscribe", "assets_ids": [YES]}
    assert session.on_text(orjson.dumps({**OPENING, "custom_feature_enabled": False})).snapshots
    best = {"event_type": "best_bid_ask", "asset_id": YES, "market": "0xabc", "best_bid": "0.4"}
    assert session.offer(_frame(best)) == ()
    answer = session.on_text(orjson.dumps({**again, "custom_feature_enabled": True}))
    assert answer == (type(answer))(refused=True)
    assert session.offer(_frame(best)) == (orjson.dumps(best),)  # the feature took effect all the same
    (text,) = session.on_text(orjson.dumps({**again, "assets_ids": [YES, NO]})).snapshots
    assert [one["asset_id"] for one in orjson.loads(text)] == [NO]
    session.on_text(orjson.dumps({"operation": "unsubscribe", "assets_ids": [YES]}))
    assert session.on_text(orjson.dumps(again)).snapshots  # how a client forces a snapshot


def test_no_snapshot_is_sent_when_none_is_asked_for_or_tokens_are_too_many() -> None:
    session = _session(_book(YES, {"0.48": "1"}, {}))
    assert session.on_text(orjson.dumps({**OPENING, "initial_dump": False})).snapshots == ()
    crowd = _session(_book(YES, {"0.48": "1"}, {}))
    tokens = [YES, *map(str, range(1_000, 1_000 + polymarket.SNAPSHOT_TOKENS_MAX))]
    assert crowd.on_text(orjson.dumps({**OPENING, "assets_ids": tokens})).snapshots == ()
    assert crowd.offer(_frame(_change(YES)))
    edge = _session(_book(YES, {"0.48": "1"}, {}))
    assert edge.on_text(orjson.dumps({**OPENING, "assets_ids": tokens[:-1]})).snapshots


def test_tokens_of_a_connection_are_bounded() -> None:
    session = _opened()
    many = [str(1_000 + number) for number in range(polymarket.TOKENS_MAX)]
    assert session.on_text(orjson.dumps({"operation": "subscribe", "assets_ids": many})).refused
    assert not session.on_text(orjson.dumps({"operation": "subscribe", "assets_ids": many[1:]})).refused


def test_a_frame_goes_to_whom_any_of_its_tokens_belongs_as_recorded() -> None:
    session = _opened()
    raw = b'{"event_type":"price_change", "price_changes":[{"asset_id":"222"},{"asset_id":"111"}]}'
    frame = read_frame(raw)
    assert frame is not None
    assert session.offer(frame) == (raw,)
    assert session.offer(_frame(_change(NO))) == ()
    assert session.offer(_frame({"asset_id": YES, "changes": [], "event_type": "price_change"})) != ()


def test_of_an_array_only_the_own_messages_are_sent() -> None:
    session = _opened()
    mixed = [_book(YES, {}, {}), _book(NO, {}, {}), _change(YES, NO)]
    (text,) = session.offer(_frame(mixed))
    assert orjson.loads(text) == [mixed[0], mixed[2]]


def test_new_markets_are_news_to_everybody_with_the_feature_and_the_account_to_nobody() -> None:
    with_feature, without = _opened(), _opened(custom_feature_enabled=False)
    born = {"event_type": "new_market", "assets_ids": ["8", "9"], "market": "0xdef"}
    over = {"event_type": "market_resolved", "assets_ids": [YES, NO], "market": "0xabc"}
    for message in (born, over):
        assert with_feature.offer(_frame(message)) == (orjson.dumps(message),)
        assert without.offer(_frame(message)) == ()
    assert with_feature.offer(_frame({**over, "assets_ids": ["8"]})) == ()
    assert with_feature.offer(_frame({"event_type": "order", "asset_id": YES})) == ()


def test_the_recorders_keep_alives_are_for_nobody() -> None:
    frame = read_frame(b"PONG")
    assert frame is not None
    assert _opened().offer(frame) == ()


@pytest.mark.parametrize("raw", [b"", b"7", b'["a"]', b'{"event_type":"book"', b'{"event_type":"book"}'])
def test_what_is_no_message_is_none(raw: bytes) -> None:
    assert read_frame(raw) is None


KEYS = ("event_type", "asset_id", "assets_ids", "price_changes", "market", "price", "type", "operation")
WORDS = st.sampled_from(["book", "price_change", "last_trade_price", "market", "subscribe", YES, ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS), below, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES) | VALUES)
def test_whatever_is_said_or_recorded_nothing_fails(tree: object) -> None:
    raw = orjson.dumps(tree)
    session = MarketSession(SNAPSHOTS)
    for text in (raw, orjson.dumps(OPENING), raw, raw):
        session.on_text(text)
    frame = read_frame(raw)
    if frame is not None:
        SNAPSHOTS.note(frame)
        assert session.offer(frame) in ((), (raw,)) or isinstance(tree, list)


SNAPSHOTS = Snapshots(VenueBooks([made.polymarket_spec()]))


def test_unknown_operations_are_left_unanswered() -> None:
    session = _opened()
    for message in ({"operation": "dance", "assets_ids": []}, {"operation": "subscribe"}, {}):
        answer = session.on_text(orjson.dumps(message))
        assert answer.refused
        assert answer.closing is None
        assert not answer.replies
