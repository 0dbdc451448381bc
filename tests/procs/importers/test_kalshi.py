"""Kalshi sources: frames rebuilt as the wire had them, and nothing added."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RecordingDamaged
from engine.records import Venue
from tests.data import foreign
from tests.procs.importers.opened import frames, opened, texts, trees

SNAPSHOT = (
    '{"type":"orderbook_snapshot","sid":%d,"seq":1,"msg":{"market_ticker":"KXT-A","market_id":"u",'
    '"yes_dollars_fp":[["0.0010","5.00"],["0.5000","7.50"]]}}'
)


def test_capture_rebuilds_wire_text(tmp_path: Path) -> None:
    assert texts(foreign.kalshi_capture(tmp_path / "x")) == [
        '{"type":"subscribed","id":1,"msg":{"channel":"ticker","sid":1}}',
        '{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":2}}',
        SNAPSHOT % 2,
        (
            '{"type":"orderbook_delta","sid":2,"seq":2,"msg":{"market_ticker":"KXT-A","market_id":"u",'
            '"price_dollars":"0.5000","delta_fp":"-2.50","side":"yes",'
            '"ts":"2026-05-13T20:20:36.6Z","ts_ms":9}}'
        ),
        (
            '{"type":"ticker","sid":1,"msg":{"market_ticker":"KXT-A","price_dollars":"0.5000",'
            '"yes_bid_dollars":"0.5000","yes_ask_dollars":"1.0000","ts":1}}'
        ),
        '{"type":"subscribed","id":1,"msg":{"channel":"ticker","sid":1}}',
        '{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":4}}',
        SNAPSHOT % 4,
    ]


def test_capture_has_whole_frames_of_errors_and_of_what_its_recorder_did_not_know(tmp_path: Path) -> None:
    error = {"msg": {"code": 25, "msg": "overflow"}, "seq": 2, "sid": 2, "type": "error"}
    trade = {"clock": 5, "msg": {"count_fp": "1.00"}, "seq": 3, "sid": 3, "type": "trade"}
    events = [
        foreign.capture_event("ws_error", 5, error, 2),
        foreign.capture_event("ws_unhandled", 6, trade, 3),
    ]
    assert texts(foreign.write_json_lines(tmp_path / "x", events)) == [
        '{"type":"error","sid":2,"seq":2,"msg":{"code":25,"msg":"overflow"}}',
        '{"type":"trade","sid":3,"seq":3,"msg":{"count_fp":"1.00"},"clock":5}',
    ]


def test_capture_counts_connections_and_keeps_times(tmp_path: Path) -> None:
    got = frames(foreign.kalshi_capture(tmp_path / "x"))
    assert [frame.conn for frame in got] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert [frame.recv_ns for frame in got] == [3, 3, 4, 10, 11, 21, 21, 22]
    assert {frame.venue for frame in got} == {Venue.KALSHI}


def test_capture_header(tmp_path: Path) -> None:
    head = opened(foreign.kalshi_capture(tmp_path / "x")).header
    (spec,) = head.markets
    assert spec.symbol == "KXT-A"
    assert spec.price_ranges == ((0, 1000, 10), (1000, 9000, 100), (9000, 10_000, 10))
    assert spec.close_ns == 1_778_704_200_000_000_000
    assert "price_ranges" in spec.defaulted
    assert spec.fee is None
    assert (head.venue, head.kind, head.start_ns) == ("kalshi", "stream", 3)
    assert head.subscriptions == ("KXT-A",)
    assert {"sid_of_frame", "trades", "price_grid"} <= set(head.lacks)


def test_capture_without_acknowledgement_has_no_sid(tmp_path: Path) -> None:
    book = {"market_ticker": "KXT-A", "yes_dollars_fp": [["0.5000", "7.50"]]}
    path = foreign.write_json_lines(tmp_path / "x", [foreign.capture_event("orderbook_snapshot", 5, book, 1)])
    (tree,) = trees(path)
    assert isinstance(tree, dict)
    assert "sid" not in tree
    assert "market_id" not in tree["msg"]


@pytest.mark.parametrize("broken", [{"local_recv_ns": "5"}, {"payload_json": None}, {"event_type": 3}])
def test_capture_damage_is_said_after_what_is_whole(tmp_path: Path, broken: dict[str, object]) -> None:
    good = foreign.capture_event("orderbook_snapshot", 5, {"market_ticker": "KXT-A"}, 1)
    path = foreign.write_json_lines(tmp_path / "x", [good, {**good, **broken}, good])
    source = opened(path)
    got = source.frames()
    assert next(got).recv_ns == 5
    with pytest.raises(RecordingDamaged, match="line 2: not an event"):
        next(got)


def test_wire_text_is_untouched_and_times_are_the_venues(tmp_path: Path) -> None:
    path = foreign.kalshi_wire(tmp_path / "x")
    got = frames(path)
    assert [frame.recv_ns for frame in got] == [2_000_000_000] * 4
    assert got[0].raw == b'{"type":"subscribed","id":2,"msg":{"channel":"orderbook_delta","sid":1}}'
    assert got[3].raw.endswith(b'"ts_ms":1500}}')
    assert "recv_time" in opened(path).header.lacks
    assert [spec.symbol for spec in opened(path).header.markets] == ["KXT-A"]


def test_wire_text_without_any_time_has_none(tmp_path: Path) -> None:
    path = foreign.write_json_lines(tmp_path / "x", [{"type": "ok", "sid": 1, "seq": 1, "msg": {}}] * 3)
    assert [frame.recv_ns for frame in frames(path)] == [0, 0, 0]


def test_wire_text_that_is_not_json(tmp_path: Path) -> None:
    path = foreign.write_text(tmp_path / "x", b'{"type":"ok","sid":1,"seq":1,"msg":{}}\n{"type"\n')
    with pytest.raises(RecordingDamaged, match="line 2: not JSON"):
        frames(path)


def test_rows_become_messages_in_the_cents_of_their_day(tmp_path: Path) -> None:
    assert texts(foreign.kalshi_rows(tmp_path / "x")) == [
        (
            '{"type":"orderbook_snapshot","sid":1,"seq":2,"msg":{"market_ticker":"KXT-A","market_id":"u",'
            '"yes":[[1,867550]],"no":[[60,30]]}}'
        ),
        (
            '{"type":"orderbook_delta","sid":1,"seq":3,"msg":{"market_ticker":"KXT-A",'
            '"price":1,"delta":-50,"side":"yes","ts":"2025-11-04T01:00:02.500000+00:00"}}'
        ),
        (
            '{"type":"orderbook_delta","sid":1,"seq":4,"msg":{"market_ticker":"KXT-A",'
            '"price":61,"delta":12,"side":"no","ts":"2025-11-04T01:00:03.500000+00:00"}}'
        ),
        (
            '{"type":"orderbook_snapshot","sid":1,"seq":2,"msg":{"market_ticker":"KXT-A","market_id":"u",'
            '"no":[[60,5]]}}'
        ),
    ]


def test_rows_keep_a_strange_ticker_that_cannot_be_verified(tmp_path: Path) -> None:
    got = trees(foreign.kalshi_rows(tmp_path / "x", negative=True))
    assert [tree["msg"]["market_ticker"] for tree in got if isinstance(tree, dict)] == [
        "KXT-A",
        "STRANGER",
        "STRANGER",
        "KXT-A",
    ]


def test_rows_with_two_markets_on_a_subscription_are_not_moved(tmp_path: Path) -> None:
    rows = [
        foreign.kalshi_row("snapshot", 2, "yes", 1, 10, 1),
        foreign.kalshi_row("snapshot", 3, "yes", 1, 10, 2, market_ticker="KXT-B"),
        foreign.kalshi_row("delta", 4, "yes", 1, 10, 3),
    ]
    got = trees(foreign.write_parquet(tmp_path / "x", rows))
    assert [tree["msg"]["market_ticker"] for tree in got if isinstance(tree, dict)][-1] == "STRANGER"


def test_rows_that_are_right_stay(tmp_path: Path) -> None:
    own = {"market_ticker": "KXT-A", "market_id": "u"}
    rows = [
        foreign.kalshi_row("snapshot", 2, "yes", 1, 10, 1),
        foreign.kalshi_row("delta", 3, "yes", 1, 1, 2, **own),
    ]
    got = trees(foreign.write_parquet(tmp_path / "x", rows))
    assert isinstance(got[1], dict)
    assert got[1]["msg"]["market_id"] == "u"


@pytest.mark.parametrize(
    "broken", [{"type": "trade"}, {"side": "maybe"}, {"seq": None}, {"ingest_ts": "soon"}]
)
def test_rows_damage(tmp_path: Path, broken: dict[str, object]) -> None:
    rows = [
        foreign.kalshi_row("snapshot", 2, "yes", 1, 10, 1),
        {**foreign.kalshi_row("delta", 3, "yes", 1, 1, 2), **broken},
    ]
    with pytest.raises(RecordingDamaged):
        frames(foreign.write_parquet(tmp_path / "x", rows))


def test_rest_books_have_neither_sid_nor_seq(tmp_path: Path) -> None:
    path = foreign.kalshi_rest(tmp_path / "x")
    assert texts(path) == [
        (
            '{"type":"orderbook_snapshot","msg":{"market_ticker":"KXT-A",'
            '"yes_dollars_fp":[["0.0100","14.86"]],"no_dollars_fp":[["0.7300","55.20"]]}}'
        ),
        '{"type":"orderbook_snapshot","msg":{"market_ticker":"KXT-B"}}',
    ]
    assert {frame.recv_ns for frame in frames(path)} == {0}
    assert {"seq", "sid", "recv_time"} <= set(opened(path).header.lacks)


def test_rest_body_without_a_book(tmp_path: Path) -> None:
    exchange = {"method": "GET", "url": "https://x/markets/A/orderbook", "status": 200, "response_body": "{}"}
    with pytest.raises(RecordingDamaged, match="line 1: no order book"):
        frames(foreign.write_json_lines(tmp_path / "x", [exchange]))
