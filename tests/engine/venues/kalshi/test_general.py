"""The general parser of Kalshi, frame type by frame type."""

from __future__ import annotations

from typing import Any

import pytest

from engine.reasons import Reason
from engine.records import NO_PRICE, MarketState, Side, UpdateFlag, UpdateKind
from engine.venues.continuity import Action
from engine.venues.frame import GeneralFrame
from engine.venues.kalshi import _general as module
from engine.venues.kalshi.vocabulary import IGNORED_TYPES
from engine.venues.numbers import UNKNOWN_SIZE_E6
from engine.venues.workspace import NONE
from tests.engine.venues import frames

KIND, SIDE, PRICE, SIZE, AUX, FLAGS = 8, 9, 5, 2, 6, 10


def read(frame: object, yes_scale: bool = False) -> GeneralFrame:
    """A frame read over the three known markets."""
    payload = frame if isinstance(frame, bytes) else frames.compact(frame)
    return module.read_frame(payload, frames.kalshi_symbols().find, yes_scale)


def said(frame: GeneralFrame) -> list[tuple[int, ...]]:
    """What the records say."""
    return [(row[KIND], row[SIDE], row[PRICE], row[SIZE], row[AUX]) for row in frame.rows]


def changed(frame: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A frame with some fields of its msg changed; ``...`` takes one away."""
    msg = {name: value for name, value in (frame["msg"] | fields).items() if value is not ...}
    return frame | {"msg": msg}


def test_a_delta() -> None:
    frame = read(frames.delta(3))
    assert (frame.action, frame.sid, frame.seq) == (Action.DELTA, 2, 3)
    assert said(frame) == [(UpdateKind.LEVEL_ADD, Side.ASK, 2_400, -50_000_000, 0)]
    symbol = frames.kalshi_symbols().find(frames.TICKERS[0].encode())
    assert symbol is not None
    time, place = 1_778_703_636_621_000_000, (symbol.slot, symbol.generation)
    assert frame.rows == [(0, time, -50_000_000, *place, 2_400, 0, 3, UpdateKind.LEVEL_ADD, Side.ASK, 0, 0)]
    assert said(read(frames.delta(3), yes_scale=True))[0][2] == 7_600
    assert said(read(frames.delta(3, side="yes")))[0][:3] == (UpdateKind.LEVEL_ADD, Side.BID, 7_600)


def test_a_snapshot() -> None:
    frame = read(frames.snapshot(3))
    assert frame.action is Action.SNAPSHOT
    assert said(frame)[0] == (UpdateKind.SNAPSHOT_BEGIN, 0, 0, 4, 0)
    assert [row[PRICE] for row in frame.rows[1:-1]] == [800, 2_200, 4_600, 4_400]
    assert frame.rows[-1][KIND] == UpdateKind.SNAPSHOT_END
    assert [row[PRICE] for row in read(frames.snapshot(3), yes_scale=True).rows[3:5]] == [5_400, 5_600]


def test_levels_come_in_the_order_of_the_frame() -> None:
    msg = {
        "no_dollars_fp": [["0.9", "1"], ["0.8", "2"]],
        "market_ticker": frames.TICKERS[0],
        "yes_dollars_fp": [["0.1", "3"]],
    }
    frame = read({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg})
    assert [row[PRICE] for row in frame.rows[1:-1]] == [1_000, 2_000, 1_000]


def test_a_size_nobody_knows_cannot_be_traded() -> None:
    frame = read(frames.snapshot(1, yes=(("0.1", None),), no=None))
    assert frame.rows[1][SIZE] == UNKNOWN_SIZE_E6 == 1
    assert frame.rows[1][FLAGS] == UpdateFlag.SIZE_UNKNOWN


def test_old_shapes_are_translated_and_counted() -> None:
    cents = {"market_ticker": frames.TICKERS[0], "price": 5, "delta": -7, "side": "no"}
    frame = read({"type": "orderbook_delta", "sid": 1, "seq": 1, "msg": cents})
    assert said(frame) == [(UpdateKind.LEVEL_ADD, Side.ASK, 9_500, -7_000_000, 0)]
    assert frame.old_shapes == 1
    both = cents | {"price_dollars": "0.0550"}
    assert said(read({"type": "orderbook_delta", "msg": both}))[0][2] == 9_450
    snapshot = {"market_ticker": frames.TICKERS[0], "yes": [[1, 867_550], [99, 2]], "no": None}
    frame = read({"type": "orderbook_snapshot", "msg": snapshot})
    assert [(row[PRICE], row[SIZE]) for row in frame.rows[1:-1]] == [
        (100, 867_550 * 10**6),
        (9_900, 2 * 10**6),
    ]
    assert frame.old_shapes == 1
    dollars = {
        "market_ticker": frames.TICKERS[0],
        "yes": [[1, 5]],
        "yes_dollars": [["0.0120", 5]],
        "no_dollars_fp": [],
    }
    frame = read({"type": "orderbook_snapshot", "msg": dollars})
    assert [(row[PRICE], row[SIZE]) for row in frame.rows[1:-1]] == [(120, 5 * 10**6)]


@pytest.mark.parametrize(
    ("taker", "side"),
    [
        ({"taker_book_side": "bid"}, Side.ASK),
        ({"taker_book_side": "ask", "taker_side": "yes"}, Side.BID),
        ({"taker_outcome_side": "yes"}, Side.ASK),
        ({"taker_side": "no"}, Side.BID),
    ],
)
def test_a_trade_takes_the_other_side_of_the_book(taker: dict[str, str], side: Side) -> None:
    frame = read(frames.trade_frame(9, **taker))
    assert said(frame) == [(UpdateKind.TRADE, side, 3_600, 136_000_000, 0)]
    assert frame.action is Action.SEQUENCED


def test_a_ticker() -> None:
    assert said(read(frames.ticker_frame())) == [(UpdateKind.TICKER, Side.BID, 4_500, 0, 5_300)]
    assert said(read(frames.ticker_frame("0", "1"))) == [(UpdateKind.TICKER, Side.BID, NO_PRICE, 0, NO_PRICE)]


def lifecycle(event: str, kind: str = "market_lifecycle_v2", **fields: Any) -> GeneralFrame:
    msg = {"event_type": event, "market_ticker": frames.TICKERS[0], **fields}
    return read({"type": kind, "sid": 13, "seq": 3, "msg": msg})


@pytest.mark.parametrize(
    ("event", "fields", "state", "value_e4"),
    [
        ("activated", {}, MarketState.OPEN, NO_PRICE),
        ("deactivated", {"is_deactivated": True}, MarketState.PAUSED, NO_PRICE),
        ("determined", {"result": "yes"}, MarketState.CLOSED, 10_000),
        ("determined", {"result": "no"}, MarketState.CLOSED, 0),
        ("determined", {"result": "scalar", "settlement_value": "0.3500"}, MarketState.CLOSED, 3_500),
        ("settled", {"settled_ts": 5}, MarketState.SETTLED, NO_PRICE),
    ],
)
@pytest.mark.parametrize("kind", ["market_lifecycle_v2", "multivariate_market_lifecycle"])
def test_the_life_of_a_market(
    event: str, fields: dict[str, Any], state: MarketState, value_e4: int, kind: str
) -> None:
    frame = lifecycle(event, kind, **fields)
    assert said(frame) == [(UpdateKind.MARKET_STATE, 0, value_e4, 0, state)]
    assert (frame.action, frame.sid, frame.seq) == (Action.SEQUENCED, 13, 3)


def test_a_new_grid_is_the_finest_step() -> None:
    ranges = [
        {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
        {"start": "0.1000", "end": "0.9000", "step": "0.0100"},
    ]
    frame = lifecycle("price_level_structure_updated", price_ranges=ranges)
    assert said(frame) == [(UpdateKind.GRID_CHANGE, 0, 10, 0, 0)]
    ranges[1]["start"] = "0.1005"
    assert lifecycle("price_level_structure_updated", price_ranges=ranges).rows[0][PRICE] == 5
    for bad in ([], [{"start": "0", "end": "1", "step": "0"}], [{"start": "0"}], "all"):
        assert lifecycle("price_level_structure_updated", price_ranges=bad).error


def test_what_does_not_concern_a_book_is_told_by_its_name() -> None:
    assert lifecycle("created").ignored == ["market_lifecycle_v2/created"]
    assert lifecycle("abolished").strange == ["market_lifecycle_v2/abolished"]
    assert lifecycle("settled", market_ticker="OTHER").ignored == ["market_lifecycle_v2/settled"]
    for kind in (*sorted(IGNORED_TYPES), "rfq_created", "quote_accepted", "batch_quote_created"):
        frame = read({"type": kind, "sid": 1, "seq": 2})
        assert (frame.ignored, frame.action) == ([kind], Action.SEQUENCED)
    assert read({"type": "what"}).strange == ["what"]


def test_control_frames() -> None:
    assert read({"type": "subscribed", "id": 1, "msg": {"sid": 7}}).action is Action.OPENED
    assert read({"type": "subscribed", "id": 1, "msg": {"sid": 7}}).sid == 7
    gone = read({"type": "unsubscribed", "sid": 7, "seq": 8})
    assert (gone.action, gone.reason) == (Action.ENDED, Reason.DISCONNECTED)
    listing = {"type": "ok", "id": 3, "msg": [{"channel": "ticker", "sid": 2}]}
    assert read(listing).keep is None
    assert read({"type": "ok", "sid": 3, "seq": 1, "msg": {}}).keep is None
    kept = read(
        {"type": "ok", "sid": 3, "seq": 1, "msg": {"market_tickers": [frames.TICKERS[1], "OTHER"]}}
    ).keep
    assert kept is not None
    assert len(kept) == 1


@pytest.mark.parametrize(("code", "action"), [(10, Action.ENDED), (25, Action.ENDED), (26, Action.SEQUENCED)])
def test_errors(code: int, action: Action) -> None:
    frame = read({"type": "error", "sid": 1, "seq": 2, "msg": {"code": code, "msg": "text"}})
    assert (frame.venue_error, frame.action) == (True, action)


@pytest.mark.parametrize("code", [[], {}, [10], None, "10"])
def test_an_error_whose_code_is_no_number_ends_nothing(code: object) -> None:
    frame = read({"type": "error", "sid": 2, "msg": {"code": code}})
    assert (frame.venue_error, frame.action) == (True, Action.SEQUENCED)
    assert frame.error == ""


DELTA, SNAPSHOT, TICKER, TRADE = (
    frames.delta(1),
    frames.snapshot(1),
    frames.ticker_frame(),
    frames.trade_frame(1),
)
REFUSED = [
    (b"", "not JSON: "),
    (b"[1]", "frame: not an object"),
    ({}, "type: missing"),
    ({"type": 5}, "type: not a string: 5"),
    ({"type": "ok", "sid": "x"}, "sid: not a whole number: 'x'"),
    ({"type": "ok", "seq": -1}, "seq: not a whole number: -1"),
    ({"type": "orderbook_delta"}, "orderbook_delta: msg: missing"),
    ({"type": "subscribed", "msg": {}}, "subscribed: msg.sid: missing"),
    (changed(DELTA, side="both"), "orderbook_delta: msg.side: neither yes nor no: 'both'"),
    (changed(DELTA, price_dollars=None), "orderbook_delta: msg.price_dollars: not a number: None"),
    (changed(DELTA, delta_fp=...), "orderbook_delta: msg.delta_fp: not a number: None"),
    (changed(SNAPSHOT, yes_dollars_fp=[["0.1"]]), "orderbook_snapshot: msg.yes_dollars_fp[0]: not a pair"),
    (changed(SNAPSHOT, no_dollars_fp=[["0", "1"], ["x", "1"]]), "orderbook_snapshot: msg.no_dollars_fp[1]: "),
    (changed(SNAPSHOT, no_dollars_fp=0), "orderbook_snapshot: msg.no_dollars_fp: not a list"),
    (changed(SNAPSHOT, no_dollars_fp={}), "orderbook_snapshot: msg.no_dollars_fp: not a list"),
    (changed(SNAPSHOT, no_dollars_fp="x"), "orderbook_snapshot: msg.no_dollars_fp: not a list"),
    (changed(TICKER, yes_bid_dollars=...), "ticker: msg.yes_bid_dollars: missing"),
    (changed(TRADE, taker_book_side=...), "trade: msg: no side of the taker"),
    (changed(TRADE, taker_book_side=[]), "trade: msg.taker_book_side: neither bid nor ask: []"),
]


@pytest.mark.parametrize(("frame", "error"), REFUSED, ids=range(len(REFUSED)))
def test_errors_say_what_and_where(frame: object, error: str) -> None:
    found = read(frame)
    assert found.error.startswith(error)
    assert "\n" not in found.error
    assert found.rows == []
    harmless = isinstance(frame, dict) and frame.get("type") in ("ticker", "trade")
    assert found.action is (Action.SEQUENCED if harmless else Action.UNREADABLE)


def test_numbers_of_a_frame_that_cannot_be_read_are_kept() -> None:
    found = read(changed(frames.delta(44), side="both"))
    assert (found.sid, found.seq) == (2, 44)
    assert read({"type": "ok", "sid": 3, "seq": 0}).seq == NONE


def test_a_market_nobody_registered() -> None:
    for frame in (frames.delta(1, "OTHER"), frames.snapshot(1, "OTHER")):
        found = read(frame)
        assert (found.unknown, found.rows, found.action) == ([b"OTHER"], [], Action.SEQUENCED)
