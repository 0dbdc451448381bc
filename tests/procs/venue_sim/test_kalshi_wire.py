"""Kalshi frames: numbered anew byte for byte, losses of the recorder kept visible, snapshots from books."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.records import Venue
from procs.recording_frames import Frame, pack
from procs.venue_sim.books import VenueBooks
from procs.venue_sim.kalshi_wire import RecordedFrame, Recorder, Snapshots, numbered
from tests.data import recordings as made


def _read(raw: bytes) -> RecordedFrame:
    frame = Recorder().read(raw, 0)
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"type":"orderbook_delta","sid":2,"seq":501,"msg":{"market_ticker":"A","sid":2,"seq":501}}\n',
            b'{"type":"orderbook_delta","sid":7,"seq":9,"msg":{"market_ticker":"A","sid":2,"seq":501}}\n',
        ),
        (
            b'{"type": "trade", "sending_ts_ms": 12, "sid" : 11, "seq": 2 ,"msg" : {"market_ticker":"A"} }',
            b'{"type": "trade", "sending_ts_ms": 12, "sid" : 7, "seq": 9 ,"msg" : {"market_ticker":"A"} }',
        ),
        (
            b'{"seq":3,"msg":{"market_ticker":"A"},"type":"trade","sid":1}',
            b'{"type":"trade","sid":7,"seq":9,"msg":{"market_ticker":"A"}}',
        ),
        (
            b'{"type":"orderbook_snapshot","msg":{"market_ticker":"A"}}',
            b'{"type":"orderbook_snapshot","sid":7,"seq":9,"msg":{"market_ticker":"A"}}',
        ),
    ],
    ids=["compact", "spaced", "numbers after msg", "no numbers"],
)
def test_only_the_numbers_change(raw: bytes, expected: bytes) -> None:
    assert numbered(_read(raw), 7, 9, yes_price=False) == expected


def test_a_frame_recorded_without_a_number_gets_none() -> None:
    raw = b'{"type":"ticker","sid":2,"msg":{"market_ticker":"A"}}'
    assert numbered(_read(raw), 7, None, yes_price=False) == raw.replace(b'"sid":2', b'"sid":7')
    bare = b'{"type":"orderbook_snapshot","msg":{"market_ticker":"A"}}'
    assert not _read(bare).has_seq
    assert orjson.loads(numbered(_read(bare), 7, None, yes_price=False)) == {
        **orjson.loads(bare),
        "sid": 7,
    }


def test_yes_prices_turn_the_no_side_only() -> None:
    snapshot = made.snapshot(1, [["0.4000", "5.00"]], [["0.3000", "2.00"]])
    turned = orjson.loads(numbered(_read(orjson.dumps(snapshot)), 1, 1, yes_price=True))["msg"]
    assert turned["yes_dollars_fp"] == [["0.4000", "5.00"]]
    assert turned["no_dollars_fp"] == [["0.7000", "2.00"]]
    for side, price in (("no", "0.7000"), ("yes", "0.3000")):
        raw = orjson.dumps(made.delta(2, side, "0.3000", "1.00"))
        assert orjson.loads(numbered(_read(raw), 1, 2, yes_price=True))["msg"]["price_dollars"] == price


def test_whole_cents_are_turned_too() -> None:
    msg: dict[str, object] = {"market_ticker": "A", "yes": [[40, 5]], "no": [[30, 2]]}
    raw = orjson.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg})
    turned = orjson.loads(numbered(_read(raw), 1, 1, yes_price=True))["msg"]
    assert turned == {**msg, "no": [[70, 2]]}
    msg = {"market_ticker": "A", "side": "no", "price": 30, "delta": -2}
    raw = orjson.dumps({"type": "orderbook_delta", "sid": 1, "seq": 1, "msg": msg})
    assert orjson.loads(numbered(_read(raw), 1, 1, yes_price=True))["msg"] == {**msg, "price": 70}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.sampled_from(["", "A", "no", "0.3", "error"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=5,
)
BODY_KEYS = ("market_ticker", "market_id", "clock", "code", "sid", "side", "price_dollars", "no_dollars_fp")


@given(
    st.sampled_from(["orderbook_delta", "orderbook_snapshot", "error", "subscribed", "ticker", 7, None, []]),
    st.dictionaries(st.sampled_from(("sid", "seq", "id")), VALUES),
    st.dictionaries(st.sampled_from(BODY_KEYS), VALUES) | VALUES,
)
def test_whatever_was_recorded_is_read_and_numbered(
    kind: object, numbers: dict[str, object], body: object
) -> None:
    recorder = Recorder()
    for _ in range(2):
        frame = recorder.read(orjson.dumps({"type": kind, **numbers, "msg": body}), 0)
        assert frame is not None
        for yes_price in (False, True):
            tree = orjson.loads(numbered(frame, 5, 6, yes_price=yes_price))
            assert (tree["sid"], tree["seq"]) == (5, 6)


def test_types_have_their_channels_and_the_account_has_none() -> None:
    channels = {
        kind: _read(b'{"type":"%s","sid":1,"msg":{}}' % kind.encode()).channel
        for kind in ("orderbook_snapshot", "event_lifecycle", "fill", "user_order", "ok", "error")
    }
    assert channels == {
        "orderbook_snapshot": "orderbook_delta",
        "event_lifecycle": "market_lifecycle_v2",
        "fill": "",
        "user_order": "",
        "ok": "",
        "error": "",
    }
    assert Recorder().read(b"PONG", 0) is None
    assert Recorder().read(b"[]", 0) is None


def _broken(recorder: Recorder, *frames: object, conn: int = 0) -> list[set[str]]:
    found = []
    for one in frames:
        frame = recorder.read(orjson.dumps(one), conn)
        assert frame is not None
        found.append(set(frame.broken))
    return found


def test_a_lost_number_puts_every_market_of_its_subscription_in_doubt_and_no_other() -> None:
    recorder = Recorder()
    opening = [made.snapshot(5, [], [], "A"), made.snapshot(6, [], [], "B"), made.snapshot(1, [], [], "C", 2)]
    assert _broken(recorder, *opening) == [set(), set(), set()]  # it may begin in the middle
    assert _broken(recorder, made.delta(7, "yes", "0.1", "1", "A")) == [set()]
    assert _broken(recorder, made.delta(9, "yes", "0.1", "1", "A")) == [{"A", "B"}]
    assert _broken(recorder, made.delta(10, "yes", "0.1", "1", "B")) == [set()]
    assert _broken(recorder, made.delta(2, "yes", "0.1", "1", "C", 2)) == [set()]
    assert _broken(recorder, made.delta(12, "yes", "0.1", "1", "A"), conn=1) == [set()]  # another connection


def test_acknowledgements_take_numbers() -> None:
    ok = {"type": "ok", "id": 3, "sid": 1, "seq": 2, "msg": {"market_tickers": ["A"]}}
    frames = [made.snapshot(1, [], [], "A"), ok, made.delta(3, "yes", "0.1", "1", "A")]
    assert _broken(Recorder(), *frames) == [set(), set(), set()]


def test_a_repeated_number_is_no_loss() -> None:
    recorder = Recorder()
    _broken(recorder, made.snapshot(1, [], [], "A"))
    frame = recorder.read(orjson.dumps(made.delta(1, "yes", "0.1", "1", "A")), 0)
    assert frame is not None
    assert frame.repeats
    assert frame.broken == frozenset()
    assert _broken(recorder, made.delta(2, "yes", "0.1", "1", "A")) == [set()]


@pytest.mark.parametrize(
    "end",
    [
        {"type": "unsubscribed", "id": 2, "sid": 1, "seq": 2},
        {"type": "error", "sid": 1, "seq": 2, "msg": {"code": 25, "msg": "overflow"}},
        {"type": "subscribed", "id": 2, "msg": {"channel": "orderbook_delta", "sid": 1}},
    ],
    ids=["unsubscribed", "terminal error", "subscribed again"],
)
def test_the_end_of_the_recorders_subscription_is_a_loss(end: object) -> None:
    recorder = Recorder()
    _broken(recorder, made.snapshot(1, [], [], "A"))
    assert _broken(recorder, end) == [{"A"}]
    again = {"type": "subscribed", "id": 3, "msg": {"channel": "orderbook_delta", "sid": 1}}
    assert _broken(recorder, again, made.snapshot(1, [], [], "A")) == [set(), set()]


def _books(*messages: object) -> tuple[VenueBooks, Snapshots]:
    """Books and snapshots after these frames."""
    books = VenueBooks([made.kalshi_spec()])
    snapshots, recorder = Snapshots(books), Recorder()
    for at, message in enumerate(messages):
        raw = orjson.dumps(message)
        frame = recorder.read(raw, 0)
        assert frame is not None
        snapshots.note(frame)
        for batch in pack([Frame(made.START_NS + at, Venue.KALSHI, 0, raw)]):
            books.feed(batch, batch.recv_ns, 0, 1)
    return books, snapshots


def test_a_snapshot_has_what_the_venue_writes_of_the_book_now() -> None:
    books, snapshots = _books(
        made.snapshot(1, [["0.40", "5.00"], ["0.08", "300.00"]], [["0.5600", "146.00"]]),
        made.delta(2, "yes", "0.40", "-5.00"),
        made.delta(3, "no", "0.54", "20.00"),
    )
    assert books.position_ns == made.START_NS + 2
    assert snapshots.body(made.TICKER, yes_price=False) == {
        "market_ticker": made.TICKER,
        "market_id": "m",
        "yes_dollars_fp": [["0.0800", "300.00"]],
        "no_dollars_fp": [["0.5400", "20.00"], ["0.5600", "146.00"]],
    }
    turned = snapshots.body(made.TICKER, yes_price=True)
    assert turned is not None
    assert turned["no_dollars_fp"] == [["0.4400", "146.00"], ["0.4600", "20.00"]]


def test_an_empty_side_is_absent_and_the_clock_is_the_latest() -> None:
    raw = made.snapshot(1, [["0.40", "5.00"]], [])
    assert isinstance(raw, dict)
    raw["msg"]["clock"] = 41
    change = made.delta(2, "yes", "0.40", "-5.00")
    assert isinstance(change, dict)
    change["msg"]["clock"] = 44
    _, snapshots = _books(raw, change)
    assert snapshots.body(made.TICKER, yes_price=False) == {
        "market_ticker": made.TICKER,
        "market_id": "m",
        "clock": 44,
    }


def test_nothing_is_made_up_where_the_recording_does_not_tell_the_book() -> None:
    _, unsynced = _books(made.delta(1, "yes", "0.40", "5.00"))
    assert unsynced.body(made.TICKER, yes_price=False) is None
    assert unsynced.body("NEVER-SEEN", yes_price=False) is None
    _, lossy = _books(made.snapshot(1, [["0.40", "5.00"]], []), made.delta(3, "yes", "0.40", "5.00"))
    assert lossy.body(made.TICKER, yes_price=False) is None


def test_a_size_that_was_not_recorded_is_null() -> None:
    unknown = {"type": "orderbook_snapshot", "sid": 1, "seq": 1}
    body = {"market_ticker": made.TICKER, "yes_dollars_fp": [["0.40", None]]}
    _, snapshots = _books({**unknown, "msg": body})
    found = snapshots.body(made.TICKER, yes_price=False)
    assert found is not None
    assert found["yes_dollars_fp"] == [["0.4000", None]]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 10**9)), unique_by=lambda level: level[0]))
def test_a_snapshot_read_back_is_the_book(levels: list[tuple[int, int]]) -> None:
    texts = [[f"0.{price:02d}", f"{size // 100}.{size % 100:02d}"] for price, size in levels]
    books, snapshots = _books(made.snapshot(1, texts, []))
    body = snapshots.body(made.TICKER, yes_price=False)
    again, _ = _books({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": body})
    assert again.replay.levels(0) == books.replay.levels(0)
    assert len(books.replay.levels(0)[0]) == len(levels)
