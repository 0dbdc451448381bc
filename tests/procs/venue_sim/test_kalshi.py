"""Kalshi's commands: their answers, and the numbers that every sequenced frame takes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procs.venue_sim.answer import Answer
from procs.venue_sim.books import VenueBooks
from procs.venue_sim.kalshi import KalshiSession
from procs.venue_sim.kalshi_wire import RecordedFrame, Recorder, Snapshots
from tests.data import recordings as made

TICKERS = ("KXA", "KXB", "KXC")


class Books(Snapshots):
    """Snapshots that are known for some tickers."""

    def __init__(self, *known: str) -> None:
        super().__init__(VenueBooks([made.kalshi_spec()]))
        self.known = known

    def body(self, ticker: str, *, yes_price: bool) -> dict[str, object] | None:
        return {"market_ticker": ticker, "yes_price": yes_price} if ticker in self.known else None


def _session(*known: str) -> KalshiSession:
    return KalshiSession(Books(*(known or TICKERS)))


def _send(session: KalshiSession, cmd: str, number: int = 1, **params: object) -> list[dict[str, object]]:
    """Everything that a command is answered with, in order."""
    answer = session.on_text(orjson.dumps({"id": number, "cmd": cmd, "params": params}))
    return _trees(answer)


def _trees(answer: Answer) -> list[dict[str, object]]:
    return [orjson.loads(text) for text in (*answer.replies, *answer.snapshots)]


def _frame(message: object) -> RecordedFrame:
    frame = Recorder().read(orjson.dumps(message), 0)
    assert frame is not None
    return frame


def _offer(session: KalshiSession, message: object) -> list[tuple[object, object]]:
    """(sid, seq) of what the connection gets of a frame."""
    found = [orjson.loads(text) for text in session.offer(_frame(message))]
    return [(tree["sid"], tree.get("seq")) for tree in found]


def test_subscriptions_are_acknowledged_by_channel_then_books_come() -> None:
    session = _session("KXA")
    answers = _send(
        session, "subscribe", 4, channels=["orderbook_delta", "ticker"], market_tickers=["KXA", "KXB"]
    )
    assert answers == [
        {"type": "subscribed", "id": 4, "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"type": "subscribed", "id": 4, "msg": {"channel": "ticker", "sid": 2}},
        {
            "type": "orderbook_snapshot",
            "sid": 1,
            "seq": 1,
            "msg": {"market_ticker": "KXA", "yes_price": False},
        },
    ]
    assert session.lacking == 1
    assert session.subscribed


def test_news_about_all_markets_alone_is_no_reason_to_begin_a_replay() -> None:
    session = _session()
    _send(session, "subscribe", 1, channels=["market_lifecycle_v2"])
    assert (session.subscribed, session.follows_markets) == (True, False)
    _send(session, "subscribe", 2, channels=["trade"])
    assert session.follows_markets


def test_every_sequenced_frame_of_a_subscription_takes_the_next_number() -> None:
    session = _session()
    _send(session, "subscribe", channels=["orderbook_delta"], market_tickers=["KXA", "KXB"])
    assert _offer(session, made.delta(70, "yes", "0.1", "1", "KXA")) == [(1, 3)]
    assert _offer(session, made.delta(71, "yes", "0.1", "1", "KXC")) == []
    added = _send(
        session, "update_subscription", 9, sids=[1], action="add_markets", market_tickers=["KXC", "KXA"]
    )
    assert added == [
        {
            "type": "ok",
            "id": 9,
            "sid": 1,
            "seq": 4,
            "msg": {"market_tickers": ["KXA", "KXB", "KXC"]},
        },
        {"type": "orderbook_snapshot", "sid": 1, "seq": 5, "msg": added[1]["msg"]},
    ]
    assert _offer(session, made.delta(72, "yes", "0.1", "1", "KXC")) == [(1, 6)]
    again = _send(session, "update_subscription", 10, sid=1, action="get_snapshot", market_ticker="KXB")
    assert [(one["type"], one["id"], one["seq"]) for one in again] == [
        ("ok", 10, 7),
        ("orderbook_snapshot", 10, 8),
    ]
    gone = _send(session, "update_subscription", 11, sid=1, action="delete_markets", market_tickers=["KXA"])
    assert gone[0]["msg"] == {"market_tickers": ["KXB", "KXC"]}
    assert _offer(session, made.delta(73, "yes", "0.1", "1", "KXA")) == []
    assert _send(session, "unsubscribe", 12, sids=[1, 1]) == [
        {"type": "unsubscribed", "id": 12, "sid": 1, "seq": 10}
    ]
    assert _offer(session, made.delta(74, "yes", "0.1", "1", "KXB")) == []
    assert not session.subscribed


def test_a_second_subscription_to_a_channel_counts_for_itself() -> None:
    session = _session()
    _send(session, "subscribe", channels=["orderbook_delta"], market_ticker="KXA")
    second = _send(
        session, "subscribe", 2, channels=["orderbook_delta"], market_ticker="KXA", use_yes_price=True
    )
    assert second[1]["msg"] == {"market_ticker": "KXA", "yes_price": True}
    assert _offer(session, made.delta(5, "no", "0.1", "1", "KXA")) == [(1, 2), (2, 2)]
    texts = session.offer(_frame(made.delta(6, "no", "0.1000", "1", "KXA")))
    assert [orjson.loads(text)["msg"]["price_dollars"] for text in texts] == ["0.1000", "0.9000"]
    assert _send(session, "list_subscriptions", 3) == [
        {
            "type": "ok",
            "id": 3,
            "msg": [{"channel": "orderbook_delta", "sid": 1}, {"channel": "orderbook_delta", "sid": 2}],
        }
    ]


def test_channels_without_named_markets_get_everything_and_tickers_have_no_number() -> None:
    session = _session()
    _send(session, "subscribe", channels=["ticker", "trade", "market_lifecycle_v2"])
    assert _offer(session, made.ticker("0.1", "0.2", "KXZ")) == [(1, None)]
    trade = {"type": "trade", "sid": 3, "seq": 8, "msg": {"market_ticker": "KXZ"}}
    assert _offer(session, trade) == [(2, 1)]
    life = {"type": "market_lifecycle_v2", "sid": 4, "seq": 2, "msg": {"market_ticker": "KXZ"}}
    assert _offer(session, life) == [(3, 1)]
    assert _offer(session, {**life, "type": "event_fee_update", "msg": {"event_ticker": "E"}}) == [(3, 2)]
    assert _offer(session, {"type": "fill", "sid": 5, "msg": {"market_ticker": "KXZ"}}) == []


def test_the_last_ticker_is_sent_when_it_is_asked_for() -> None:
    books = Books(*TICKERS)
    for ask in ("0.2", "0.3"):
        books.note(_frame(made.ticker("0.1", ask, "KXA")))
    session = KalshiSession(books)
    named: dict[str, Any] = {"channels": ["ticker"], "market_tickers": ["KXA", "KXB"]}
    assert len(_send(session, "subscribe", **named)) == 1
    _, last = _send(session, "subscribe", 2, send_initial_snapshot=True, **named)
    assert last == {**made.ticker("0.1", "0.3", "KXA"), "sid": 2}  # type: ignore[dict-item]
    update: dict[str, Any] = {
        "sid": 2,
        "action": "delete_markets",
        "market_tickers": ["KXA"],
        "send_initial_snapshot": True,
    }
    assert len(_send(session, "update_subscription", 3, **update)) == 1
    _, last = _send(session, "update_subscription", 4, **{**update, "action": "add_markets"})
    assert (last["type"], last["sid"]) == ("ticker", 2)


def test_what_the_recorder_lost_is_a_gap_for_the_books_it_concerns() -> None:
    session, recorder = _session(), Recorder()
    _send(session, "subscribe", channels=["orderbook_delta"], market_tickers=["KXA", "KXB"])
    _send(session, "subscribe", channels=["orderbook_delta"], market_tickers=["KXC"])
    seen = []
    for message in (
        made.snapshot(1, [], [], "KXA"),
        made.delta(2, "yes", "0.1", "1", "KXB"),
        made.delta(4, "yes", "0.1", "1", "KXA"),
        made.delta(5, "yes", "0.1", "1", "KXC"),
        made.delta(5, "yes", "0.1", "1", "KXC"),  # the recorder had it twice
        made.delta(6, "yes", "0.1", "1", "KXC"),
    ):
        frame = recorder.read(orjson.dumps(message), 0)
        assert frame is not None
        trees = [orjson.loads(text) for text in session.offer(frame)]
        seen += [(tree["sid"], tree["seq"]) for tree in trees]
    assert seen == [(1, 3), (1, 4), (1, 6), (2, 2), (2, 2), (2, 3)]


def test_lost_numbers_are_lost_by_every_subscription() -> None:
    session = _session()
    _send(session, "subscribe", channels=["orderbook_delta", "trade"], market_tickers=["KXA"])
    session.skip(3)
    assert _offer(session, made.delta(1, "yes", "0.1", "1", "KXA")) == [(1, 5)]
    trade = {"type": "trade", "sid": 3, "seq": 8, "msg": {"market_ticker": "KXA"}}
    assert _offer(session, trade) == [(2, 4)]


def _update(sid: int, action: str) -> object:
    params = {"sid": sid, "action": action, "market_ticker": "A"}
    return {"cmd": "update_subscription", "params": params}


BOOKS = {"channels": ["orderbook_delta"], "market_tickers": ["KXA"]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", 1),
        (b"[]", 1),
        ({"cmd": "subscribe"}, 2),
        ({"cmd": "subscribe", "params": {}}, 3),
        ({"cmd": "subscribe", "params": {"channels": []}}, 3),
        ({"cmd": "unsubscribe", "params": {}}, 4),
        ({"cmd": "dance", "params": {}}, 5),
        ({"cmd": "unsubscribe", "params": {"sids": [7]}}, 7),
        ({"cmd": "subscribe", "params": {"channels": ["books"]}}, 8),
        ({"cmd": "subscribe", "params": {**BOOKS, "market_ticker": "KXA"}}, 11),
        ({"cmd": "subscribe", "params": {"channels": [1]}}, 11),
        ({"cmd": "unsubscribe", "params": {"sids": ["1"]}}, 11),
        ({"cmd": "update_subscription", "params": {"sids": [1, 2], "action": "add_markets"}}, 12),
        (_update(1, "grow"), 13),
        (_update(2, "get_snapshot"), 13),
        (_update(3, "add_markets"), 13),
        ({"cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}, 14),
        ({"cmd": "update_subscription", "params": {"sid": 1, "action": "add_markets"}}, 14),
        ({"cmd": "update_subscription", "params": {"sid": 1, "market_ticker": "KXA"}}, 15),
        ({"cmd": "subscribe", "params": {**BOOKS, "market_tickers": [str(n) for n in range(4_097)]}}, 26),
    ],
)
def test_what_cannot_be_done_is_an_error_of_the_venues_code(text: object, code: int) -> None:
    session = _session()
    channels = ["orderbook_delta", "ticker", "market_lifecycle_v2"]
    _send(session, "subscribe", channels=channels, market_tickers=["KXA"])
    held = {sid: one.seq for sid, one in session.subscriptions.items()}
    raw = text if isinstance(text, bytes) else orjson.dumps({"id": 5, **text})  # type: ignore[dict-item]
    answer = session.on_text(raw)
    (error,) = _trees(answer)
    assert answer.refused
    assert error["type"] == "error"
    assert error.get("id") == (None if isinstance(text, bytes) else 5)
    assert isinstance(error["msg"], dict)
    assert error["msg"]["code"] == code
    assert error["msg"]["msg"]
    assert {sid: one.seq for sid, one in session.subscriptions.items()} == held  # it took no number


def test_subscriptions_of_a_connection_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procs.venue_sim.kalshi.SUBSCRIPTIONS_MAX", 3)
    session = _session()
    _send(session, "subscribe", channels=["ticker", "trade"])
    (error,) = _send(session, "subscribe", 2, channels=["ticker", "trade"])
    assert error["type"] == "error"
    assert _send(session, "subscribe", 3, channels=["ticker"])[0]["type"] == "subscribed"


def test_markets_of_a_subscription_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procs.venue_sim.kalshi.MARKETS_MAX", 2)
    session = _session()
    _send(session, "subscribe", channels=["orderbook_delta"], market_tickers=["KXA"])
    update = {"sid": 1, "action": "add_markets"}
    (error,) = _send(session, "update_subscription", 2, market_tickers=["KXB", "KXC"], **update)
    assert error["msg"] == {"code": 26, "msg": "Subscription market limit exceeded"}
    ok = _send(session, "update_subscription", 3, market_tickers=["KXA", "KXB"], **update)[0]
    assert ok["msg"] == {"market_tickers": ["KXA", "KXB"]}


PARAMS = ("channels", "market_ticker", "market_tickers", "sid", "sids", "action", "use_yes_price")
WORDS = st.sampled_from(["orderbook_delta", "ticker", "KXA", "add_markets", "get_snapshot", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=2),
    max_leaves=4,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "cmd": st.sampled_from(
                    ["subscribe", "unsubscribe", "update_subscription", "list_subscriptions"]
                )
            },
            optional={"id": VALUES, "params": st.dictionaries(st.sampled_from(PARAMS), VALUES) | VALUES},
        ),
        max_size=6,
    )
)
def test_every_command_is_answered_whatever_is_in_it(commands: list[dict[str, object]]) -> None:
    session = _session()
    for command in commands:
        answer = session.on_text(orjson.dumps(command))
        assert answer.replies
        for tree in _trees(answer):
            assert tree["type"] in ("subscribed", "unsubscribed", "ok", "error", "orderbook_snapshot")
        session.offer(_frame(made.delta(1, "no", "0.1", "1", "KXA")))


def test_id_0_counts_as_none_and_acknowledgements_can_be_short() -> None:
    session = _session()
    answers = _send(session, "subscribe", 0, skip_ticker_ack=True, **BOOKS)
    assert "id" not in answers[0]
    ok = _send(session, "update_subscription", 2, sid=1, action="add_markets", market_tickers=["KXB"])[0]
    assert "msg" not in ok
