from __future__ import annotations

import json
from typing import Any

import pytest

from engine.venues.kalshi.session import CHANNELS, REQUESTS_KEPT_MAX, RESUBSCRIBES_MAX, KalshiSession
from engine.venues.session import Seen
from engine.venues.shards import SocketPlan


@pytest.fixture
def session() -> KalshiSession:
    return KalshiSession(SocketPlan(0, (("KXA", "KXB"), ("KXC",))))


def say(session: KalshiSession, **frame: Any) -> Seen:
    return session.observe(json.dumps(frame).encode())


def confirm(session: KalshiSession, command: int, channel: str, sid: int) -> Seen:
    return say(session, id=command, type="subscribed", msg={"channel": channel, "sid": sid})


def test_each_subscription_is_a_command_with_a_number_of_its_own(session: KalshiSession) -> None:
    first, second = session.opening()
    assert json.loads(first) == {
        "id": 1,
        "cmd": "subscribe",
        "params": {
            "channels": ["orderbook_delta", "trade"],
            "market_tickers": ["KXA", "KXB"],
            "use_yes_price": False,
        },
    }
    assert json.loads(second)["id"] == 2
    assert json.loads(second)["params"]["market_tickers"] == ["KXC"]


def test_the_first_socket_also_hears_what_concerns_all_markets_and_does_not_wait_for_it() -> None:
    session = KalshiSession(SocketPlan(0, (("KXA",),), is_first=True))
    lifecycle, books = session.opening()
    assert json.loads(lifecycle) == {
        "id": 1,
        "cmd": "subscribe",
        "params": {"channels": ["market_lifecycle_v2"]},
    }
    assert json.loads(books)["params"]["market_tickers"] == ["KXA"]
    say(session, id=1, type="error", msg={"code": 8, "msg": "unknown channel name"})
    assert (session.is_broken, session.refusals) == (False, 1)
    (again,) = session.asked_again()
    assert json.loads(again) == {**json.loads(lifecycle), "id": 3}
    assert session.asked_again() == []
    say(session, id=3, type="error", msg={"code": 27, "msg": "too many requests"})
    assert len(session.asked_again()) == 1
    confirm(session, 2, "orderbook_delta", 11)
    assert session.is_ready


def test_news_about_all_markets_that_ends_again_and_again_costs_no_book() -> None:
    session = KalshiSession(SocketPlan(0, (("KXA",),), is_first=True))
    session.opening()
    command = 1
    for sid in range(11, 11 + 2 * RESUBSCRIBES_MAX):
        confirm(session, command, "market_lifecycle_v2", sid)
        say(session, type="error", sid=sid, seq=5, msg={"code": 25, "msg": "buffer overflow"})
        assert session.replies() == []
        (text,) = session.asked_again()
        assert json.loads(text)["params"] == {"channels": ["market_lifecycle_v2"]}
        command = json.loads(text)["id"]
    assert not session.is_broken


def test_it_is_ready_when_the_books_of_every_subscription_are_confirmed(session: KalshiSession) -> None:
    session.opening()
    assert confirm(session, 1, "orderbook_delta", 11) is Seen.CONTROL
    confirm(session, 1, "trade", 12)
    confirm(session, 2, "trade", 13)
    assert not session.is_ready
    confirm(session, 2, "orderbook_delta", 14)
    assert session.is_ready


def test_a_confirmation_of_nothing_we_asked_for_changes_nothing(session: KalshiSession) -> None:
    session.opening()
    confirm(session, 9, "orderbook_delta", 11)
    say(session, id=1, type="subscribed", msg={"channel": "orderbook_delta", "sid": "11"})
    say(session, type="subscribed", msg=[])
    confirm(session, 2, "orderbook_delta", 14)
    assert not session.is_ready


def test_a_snapshot_is_asked_of_the_sid_that_has_the_market(session: KalshiSession) -> None:
    session.opening()
    assert session.snapshot_requests(["KXA"]) == []  # no sid yet
    confirm(session, 1, "orderbook_delta", 11)
    confirm(session, 2, "orderbook_delta", 14)
    asked = [json.loads(text) for text in session.snapshot_requests(["KXC", "KXB", "KXZ"])]
    assert asked == [
        {
            "id": number,
            "cmd": "update_subscription",
            "params": {"sids": [sid], "market_tickers": [ticker], "action": "get_snapshot"},
        }
        for number, sid, ticker in ((3, 14, "KXC"), (4, 11, "KXB"))
    ]


@pytest.mark.parametrize(
    ("payload", "seen"),
    [
        (b'{"type":"orderbook_delta","sid":1,"seq":2,"msg":{}}', Seen.DATA),
        (b'{"type":"orderbook_snapshot","sid":1,"seq":2,"msg":{}}', Seen.DATA),
        (b'{"type":"trade","sid":1,"msg":{}}', Seen.DATA),
        (b'{"sid":1,"seq":2,"type":"orderbook_delta","msg":{}}', Seen.DATA),  # another order of keys
        (b'{"type":"ok","sid":1,"seq":2}', Seen.CONTROL),
        (b"not json", Seen.CONTROL),
        (b"[]", Seen.CONTROL),
    ],
)
def test_what_is_market_data(session: KalshiSession, payload: bytes, seen: Seen) -> None:
    assert session.observe(payload) is seen


@pytest.mark.parametrize("code", [10, 25])
def test_a_subscription_that_ended_is_begun_again(session: KalshiSession, code: int) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 11)
    say(session, type="error", sid=11, seq=5, msg={"code": code, "msg": "channel error"})
    (text,) = session.replies()
    assert json.loads(text)["params"]["channels"] == ["orderbook_delta"]
    assert json.loads(text)["params"]["market_tickers"] == ["KXA", "KXB"]
    assert session.replies() == []
    assert session.snapshot_requests(["KXA"]) == []
    confirm(session, json.loads(text)["id"], "orderbook_delta", 21)
    (asked,) = session.snapshot_requests(["KXA"])
    assert json.loads(asked)["params"]["sids"] == [21]
    assert (session.refusals, session.last_error) == (1, f"error {code}: channel error")


def test_a_connection_on_which_subscriptions_keep_ending_is_given_up(session: KalshiSession) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 1)
    for number in range(RESUBSCRIBES_MAX):
        say(session, type="error", sid=number + 1, msg={"code": 10})
        (text,) = session.replies()
        confirm(session, json.loads(text)["id"], "orderbook_delta", number + 2)
    assert not session.is_broken
    say(session, type="error", sid=RESUBSCRIBES_MAX + 1, msg={"code": 10})
    assert session.is_broken
    assert session.replies() == []


def test_a_refused_subscription_breaks_the_connection_and_a_refused_request_does_not(
    session: KalshiSession,
) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 11)
    session.snapshot_requests(["KXA"])
    say(session, id=3, type="error", sid=11, seq=2, msg={"code": 27, "msg": "too many requests"})
    assert not session.is_broken
    (asked,) = session.snapshot_requests(["KXA"])  # the sid is still known
    assert json.loads(asked)["params"]["sids"] == [11]
    say(session, id=2, type="error", msg={"code": 26, "msg": "subscription market limit exceeded"})
    assert session.is_broken


@pytest.mark.parametrize("code", [18, 27])
def test_a_venue_that_is_busy_is_asked_again_later(session: KalshiSession, code: int) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 11)
    (asked,) = session.snapshot_requests(["KXA"])
    say(session, id=json.loads(asked)["id"], type="error", msg={"code": code})
    assert session.replies() == []
    assert session.snapshot_requests(["KXA"]) != []


@pytest.mark.parametrize(("sid", "counts"), [(-1, False), (0, True)])
def test_a_sid_is_a_number_from_nought(session: KalshiSession, sid: int, counts: bool) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", sid)
    assert bool(session.snapshot_requests(["KXA"])) is counts


@pytest.mark.parametrize("code", [7, 13])
def test_a_subscription_that_gives_no_snapshots_is_ended_and_begun_again(
    session: KalshiSession, code: int
) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 11)
    (asked,) = session.snapshot_requests(["KXA"])
    say(session, id=json.loads(asked)["id"], type="error", msg={"code": code, "msg": "unsupported"})
    ended, begun = (json.loads(text) for text in session.replies())
    assert (ended["cmd"], ended["params"]) == ("unsubscribe", {"sids": [11]})
    assert (begun["cmd"], begun["params"]["channels"]) == ("subscribe", ["orderbook_delta"])
    assert not session.is_broken
    say(session, id=json.loads(asked)["id"], type="error", msg={"code": code})  # said twice, done once
    assert session.replies() == []


@pytest.mark.parametrize(
    "frame", [{"id": [1]}, {"id": 1.5}, {"sid": {}}, {"msg": 3}, {"msg": {"code": []}}, {}]
)
def test_errors_of_any_shape_are_counted(session: KalshiSession, frame: dict[str, Any]) -> None:
    session.opening()
    assert say(session, type="error", **frame) is Seen.CONTROL
    assert session.refusals == 1
    assert not session.is_broken


def test_the_protocols_own_ping_serves(session: KalshiSession) -> None:
    assert session.keep_alive() is None
    assert CHANNELS[0] == "orderbook_delta"


@pytest.mark.parametrize(("later", "understood"), [(REQUESTS_KEPT_MAX - 1, True), (REQUESTS_KEPT_MAX, False)])
def test_refusals_of_requests_are_understood_for_a_bounded_number(
    session: KalshiSession, later: int, understood: bool
) -> None:
    session.opening()
    confirm(session, 1, "orderbook_delta", 11)
    (asked,) = session.snapshot_requests(["KXA"])
    for _ in range(later):
        session.snapshot_requests(["KXB"])
    say(session, id=json.loads(asked)["id"], type="error", msg={"code": 13})
    assert bool(session.replies()) is understood
