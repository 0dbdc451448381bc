"""Sequence numbers: a table, an independent model over random streams, and the bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reasons import Reason
from engine.records import UpdateKind
from engine.venues import continuity, subscriptions
from engine.venues import workspace as layout
from engine.venues.continuity import DUPLICATE, NEXT, Action
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.workspace import NONE
from tests.engine.venues import frames

GAP, RESTART = int(Reason.SEQUENCE_GAP), int(Reason.SEQUENCE_RESTART)


@pytest.mark.parametrize(
    ("last", "seq", "found"),
    [(NONE, 1, NEXT), (NONE, 500, NEXT), (0, 1, NEXT), (0, 2, GAP), (7, 8, NEXT), (7, 7, DUPLICATE),
     (7, 9, GAP), (7, 6, RESTART), (7, 1, RESTART), (1, 1, DUPLICATE)],
)  # fmt: skip
def test_verdict(last: int, seq: int, found: int) -> None:
    assert continuity.verdict(last, seq) == found


def test_stand_ins_for_a_lost_sid_are_below_every_sid_and_none() -> None:
    assert [continuity.sidless(row) for row in (0, 5)] == [-2, -7]


def test_actions_are_told_apart() -> None:
    assert len({int(action) for action in Action}) == len(Action) == 7


@dataclass
class Model:
    """What a stream of Kalshi frames should put in doubt: dictionaries and lists, no shared code."""

    last: dict[tuple[int, int], int | None] = field(default_factory=dict)
    books: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    gaps: int = 0
    restarts: int = 0
    duplicates: int = 0

    def frame(
        self, conn: int, kind: str, sid: int, seq: int, slot: int
    ) -> tuple[list[tuple[int, int]], bool]:
        """Doubts (slot, reason) in front of a frame, and whether its own records follow."""
        key = (conn, sid)
        last = self.last.get(key)
        members = self.books.setdefault(key, [])
        doubts: list[tuple[int, int]] = []
        if last is not None and seq == last:
            self.duplicates += 1
            return [], False
        if last is not None and seq > last + 1:
            self.gaps += 1
            doubts = [(member, GAP) for member in members]
        elif last is not None and seq < last:
            self.restarts += 1
            opening = kind == "snapshot" and seq == 1
            doubts = [(member, RESTART) for member in members if not (opening and member == slot)]
        self.last[key] = seq
        if kind in ("snapshot", "delta") and slot not in members:
            members.append(slot)
        return doubts, True


stream = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),  # connection
        st.sampled_from(
            ["delta", "delta", "delta", "snapshot", "ok", "trade", "strange", "error", "subscribed"]
        ),
        st.sampled_from([1, 2]),  # sid
        st.sampled_from([1, 1, 1, 1, 1, 0, 2, -3, "first"]),  # step of the number
        st.sampled_from([0, 1, 2]),  # market
    ),
    max_size=40,
)
FRAMES: dict[str, Callable[[int, int, str], Any]] = {
    "delta": lambda sid, seq, ticker: frames.delta(seq, ticker, sid=sid),
    "snapshot": lambda sid, seq, ticker: frames.snapshot(seq, ticker, sid=sid),
    "ok": lambda sid, seq, ticker: {"type": "ok", "id": 4, "sid": sid, "seq": seq},
    "trade": lambda sid, seq, ticker: frames.trade_frame(seq) | {"sid": sid},
    "strange": lambda sid, seq, ticker: {"type": "brand_new", "sid": sid, "seq": seq, "msg": {}},
    "error": lambda sid, seq, ticker: {
        "type": "error",
        "sid": sid,
        "seq": seq,
        "msg": {"code": 27, "msg": "slow"},
    },
    "subscribed": lambda sid, seq, ticker: {
        "type": "subscribed",
        "id": 1,
        "msg": {"channel": "x", "sid": sid},
    },
}


@given(stream)
def test_doubts_are_those_of_an_independent_model(actions: list[tuple[int, str, int, Any, int]]) -> None:
    pair, model = frames.kalshi_pair(), Model()
    for conn, kind, sid, step, market in actions:
        last = model.last.get((conn, sid))
        seq = 1 if step == "first" or last is None else max(last + step, 1)
        payload = frames.compact(FRAMES[kind](sid, seq, frames.TICKERS[market]))
        records, _ = pair.feed(payload, conn=conn)
        doubts = [
            (int(record["slot"]), int(record["aux"]))
            for record in records
            if record["kind"] == UpdateKind.DOUBT
        ]
        if kind == "subscribed":
            again = (model.last.get((conn, sid)) or 0) > 0
            model.restarts += again
            expected = [(member, RESTART) for member in model.books.get((conn, sid), [])] if again else []
            model.last[conn, sid] = 0
            model.books[conn, sid] = [] if again else model.books.get((conn, sid), [])
            follows = False
        else:
            expected, follows = model.frame(conn, kind, sid, seq, 10 + market)
        assert doubts == expected
        assert (len(records) > len(doubts)) == (follows and kind in ("delta", "snapshot", "trade"))
        assert all(
            int(record["wire_seq"]) == seq for record in records[: len(doubts)] if kind != "subscribed"
        )
    counts = pair.fast.counts
    assert counts[Count.SEQ_GAPS] == model.gaps
    assert counts[Count.SEQ_RESTARTS] == model.restarts
    assert counts[Count.DUPLICATES] == model.duplicates


def fed(codec: KalshiCodec | PolymarketCodec, frame: object, conn: int = 0) -> list[tuple[int, int, int]]:
    """Kind, slot and aux of the records of a frame."""
    count = codec.feed(frames.compact(frame), 1, conn)
    return [
        (kind, slot, aux) for kind, slot, aux in frames.fields_of(codec.out[:count], "kind", "slot", "aux")
    ]


def opened() -> KalshiCodec:
    """A codec with two markets on sid 2 and one on sid 3."""
    codec = KalshiCodec(frames.kalshi_symbols())
    fed(codec, frames.snapshot(1))
    fed(codec, frames.snapshot(2, frames.TICKERS[1]))
    fed(codec, frames.snapshot(1, frames.TICKERS[2], sid=3))
    return codec


DOUBT = int(UpdateKind.DOUBT)


def test_a_gap_puts_every_market_of_the_subscription_in_doubt_before_the_change() -> None:
    records = fed(opened(), frames.delta(4))
    assert records == [(DOUBT, 10, GAP), (DOUBT, 11, GAP), (UpdateKind.LEVEL_ADD, 10, 0)]


def test_a_snapshot_in_mid_stream_takes_a_number_and_resets_nothing() -> None:
    codec = opened()
    assert fed(codec, frames.snapshot(3))[0][0] == UpdateKind.SNAPSHOT_BEGIN
    assert fed(codec, frames.snapshot(9))[:2] == [(DOUBT, 10, GAP), (DOUBT, 11, GAP)]
    assert fed(codec, frames.delta(10)) == [(UpdateKind.LEVEL_ADD, 10, 0)]


def test_an_opening_snapshot_heals_its_own_market_only() -> None:
    codec = opened()
    records = fed(codec, frames.snapshot(1, frames.TICKERS[1]))
    assert records[:2] == [(DOUBT, 10, RESTART), (UpdateKind.SNAPSHOT_BEGIN, 11, 0)]
    assert len(records) == 1 + 6
    assert [kind for kind, _, _ in records[2:]] == [UpdateKind.SNAPSHOT_LEVEL] * 4 + [UpdateKind.SNAPSHOT_END]


def test_every_numbered_frame_takes_a_number() -> None:
    codec = opened()
    fed(codec, {"type": "ok", "sid": 2, "seq": 3, "msg": {}})
    fed(codec, {"type": "error", "sid": 2, "seq": 4, "msg": {"code": 11, "msg": "invalid"}})
    fed(codec, {"type": "never heard of", "sid": 2, "seq": 5})
    fed(codec, frames.delta(6, "NOBODY-KNOWS-THIS"))
    assert fed(codec, frames.delta(7)) == [(UpdateKind.LEVEL_ADD, 10, 0)]
    assert codec.counts[Count.SEQ_GAPS] == 0


@pytest.mark.parametrize("code", [10, 25])
def test_a_dead_subscription_puts_its_markets_in_doubt_and_is_forgotten(code: int) -> None:
    codec = opened()
    reason = Reason.SUBSCRIPTION_ERROR
    frame = {"type": "error", "sid": 2, "seq": 3, "msg": {"code": code, "msg": "over"}}
    assert fed(codec, frame) == [(DOUBT, 10, reason), (DOUBT, 11, reason)]
    assert fed(codec, frames.snapshot(1))[0][0] == UpdateKind.SNAPSHOT_BEGIN
    assert codec.counts[Count.SEQ_RESTARTS] == 0
    without_sid = {"type": "error", "msg": {"code": code, "msg": "over"}}
    assert fed(codec, without_sid) == [(DOUBT, 12, reason), (DOUBT, 10, reason)]


def test_an_unsubscribed_market_gets_no_more_updates() -> None:
    codec = opened()
    gone = Reason.DISCONNECTED
    assert fed(codec, {"type": "unsubscribed", "sid": 2, "seq": 3}) == [(DOUBT, 10, gone), (DOUBT, 11, gone)]
    assert fed(codec, {"type": "unsubscribed", "sid": 2, "seq": 4}) == []
    assert fed(codec, {"type": "unsubscribed", "sid": 3, "seq": 1}) == []  # a duplicate
    assert fed(codec, {"type": "unsubscribed"}) == []


def test_markets_an_ok_no_longer_lists_have_left() -> None:
    codec = opened()
    frame = {"type": "ok", "sid": 2, "seq": 3, "msg": {"market_tickers": [frames.TICKERS[1], "UNKNOWN", 5]}}
    assert fed(codec, frame) == [(DOUBT, 10, Reason.DISCONNECTED)]
    assert fed(codec, frame) == []  # the same again is a duplicate
    assert fed(codec, frames.delta(9, frames.TICKERS[1]))[:-1] == [(DOUBT, 11, GAP)]
    assert fed(codec, {"type": "ok", "sid": 77, "seq": 1, "msg": {"market_tickers": []}}) == []


def test_an_unreadable_frame_puts_in_doubt_what_it_may_have_changed() -> None:
    codec = opened()
    assert fed(codec, {"type": "orderbook_delta", "sid": 3, "seq": 2, "msg": {}}) == [(DOUBT, 12, GAP)]
    assert codec.counts[Count.SEQ_GAPS] == 0
    assert codec.counts[Count.REJECTED] == 1
    assert fed(codec, frames.delta(3, frames.TICKERS[2], sid=3)) == [(UpdateKind.LEVEL_ADD, 12, 0)]
    broken = frames.delta(3)
    broken["msg"]["price_dollars"] = "one"
    assert fed(codec, broken) == [(DOUBT, 10, GAP), (DOUBT, 11, GAP)]
    assert sorted(fed(codec, [1])) == [(DOUBT, 10, GAP), (DOUBT, 11, GAP), (DOUBT, 12, GAP)]
    assert fed(codec, [1], conn=1) == []
    assert fed(codec, {"type": "orderbook_delta", "sid": 99, "msg": {}}) == []


def test_an_unreadable_ticker_concerns_no_book() -> None:
    codec = opened()
    assert fed(codec, frames.ticker_frame(bid="high")) == []
    assert fed(codec, frames.trade_frame(1, taker_book_side="both")) == []
    assert codec.counts[Count.REJECTED] == 2


def test_a_delta_without_a_number_follows_nothing() -> None:
    codec = opened()
    unnumbered = {name: value for name, value in frames.delta(0).items() if name != "seq"}
    for frame in (unnumbered, frames.delta(0)):
        assert fed(codec, frame) == [(DOUBT, 10, GAP), (UpdateKind.LEVEL_ADD, 10, 0)]
    snapshot = {name: value for name, value in frames.snapshot(0).items() if name != "seq"}
    assert fed(codec, snapshot)[0] == (UpdateKind.SNAPSHOT_BEGIN, 10, 0)
    assert codec.counts[Count.UNSEQUENCED] == 3


def test_without_a_sid_each_market_has_its_own_numbers() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())

    def strip(frame: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in frame.items() if name != "sid"}

    for seq, market in ((1, 0), (1, 1)):
        assert len(fed(codec, strip(frames.snapshot(seq, frames.TICKERS[market])))) == 6
    for seq, market in ((2, 0), (2, 1), (3, 0)):
        assert len(fed(codec, strip(frames.delta(seq, frames.TICKERS[market])))) == 1
    assert fed(codec, strip(frames.delta(5)))[0] == (DOUBT, 10, GAP)
    assert fed(codec, strip(frames.delta(3, frames.TICKERS[1]))) == [(UpdateKind.LEVEL_ADD, 11, 0)]
    assert codec.counts[Count.SIDLESS] == 7
    assert fed(codec, strip(frames.trade_frame(900))) == [(UpdateKind.TRADE, 10, 0)]
    assert codec.counts[Count.SEQ_GAPS] == 1


def test_a_disconnected_connection_loses_its_books_and_its_numbers() -> None:
    codec = opened()
    fed(codec, frames.snapshot(1, frames.TICKERS[2]), conn=1)
    count = codec.disconnect(0, 55)
    found = sorted(frames.fields_of(codec.out[:count], "kind", "slot", "aux", "recv_ns"))
    assert found == [(DOUBT, slot, Reason.DISCONNECTED, 55) for slot in (10, 11, 12)]
    assert codec.disconnect(0, 56) == 0
    assert fed(codec, frames.delta(500)) == [(UpdateKind.LEVEL_ADD, 10, 0)]
    assert codec.disconnect(1, 57) == 1
    assert codec.counts[Count.DISCONNECTS] == 3


def test_what_continuity_has_no_room_for_is_in_doubt() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())
    words = codec.workspace.words
    free = int(words[layout.MEMBER_FREE])
    words[layout.MEMBER_FREE] = NONE
    no_room = (DOUBT, 10, Reason.SUBSCRIPTION_ERROR)
    assert fed(codec, frames.snapshot(1))[-1] == no_room
    assert fed(codec, frames.delta(2)) == [(UpdateKind.LEVEL_ADD, 10, 0), no_room]
    words[layout.MEMBER_FREE] = free
    assert fed(codec, frames.delta(3)) == [(UpdateKind.LEVEL_ADD, 10, 0)]
    words[layout.TRACKERS_AT : layout.MEMBERS_AT : layout.TRACKER_WORDS] = subscriptions.USED
    assert fed(codec, frames.delta(1, sid=50)) == [(UpdateKind.LEVEL_ADD, 10, 0), no_room]
    assert fed(codec, frames.trade_frame(1)) == [(UpdateKind.TRADE, 10, 0)]
    assert fed(codec, {"type": "subscribed", "msg": {"sid": 51}}) == []
    assert codec.counts[Count.SUBSCRIPTIONS_BOUND] == 5


@pytest.mark.compiled_only  # minutes of plain Python: thousands of levels
def test_a_frame_too_large_to_go_with_its_doubts_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [[f"0.{price:04d}", "1.00"] for price in range(1, 10_000)]
    codec = opened()
    whole = frames.snapshot(9, yes=levels * 4, no=levels[: 40_957 - 4 * 9_999])
    assert fed(codec, whole) == [(DOUBT, 10, GAP), (DOUBT, 11, GAP)]
    assert codec.counts[Count.RECORDS_BOUND] == 1
    whole["seq"] = 10
    assert len(fed(codec, whole)) == 40_959
    assert codec.counts[Count.RECORDS_BOUND] == 1


def test_polymarket_books_belong_to_their_connection() -> None:
    codec = PolymarketCodec(frames.polymarket_symbols())
    fed(codec, [frames.book(), frames.book(frames.NO_TOKEN)])
    fed(codec, frames.price_change(frames.entry(frames.LONE_TOKEN, "0.5", "1", "BUY", None)), conn=1)
    assert fed(codec, [5]) == [(DOUBT, 3, GAP)]
    assert fed(codec, [5], conn=2) == []
    count = codec.disconnect(1, 1)
    assert frames.fields_of(codec.out[:count], "slot", "aux") == [(4, Reason.DISCONNECTED)]
    assert codec.disconnect(0, 1) == 1


def test_polymarket_books_without_room_are_in_doubt() -> None:
    codec = PolymarketCodec(frames.polymarket_symbols())
    codec.workspace.words[layout.MEMBER_FREE] = NONE
    records = fed(codec, [frames.price_change(), frames.book(frames.LONE_TOKEN)])
    assert records[-2:] == [(DOUBT, 3, Reason.SUBSCRIPTION_ERROR), (DOUBT, 4, Reason.SUBSCRIPTION_ERROR)]
    assert codec.counts[Count.SUBSCRIPTIONS_BOUND] == 2
