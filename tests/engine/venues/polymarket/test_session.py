from __future__ import annotations

import json

import pytest

from engine.venues.polymarket.session import PolymarketSession
from engine.venues.session import Seen
from engine.venues.shards import SocketPlan


@pytest.fixture
def session() -> PolymarketSession:
    return PolymarketSession(SocketPlan(0, (("100", "200"),)))


def test_one_message_subscribes_to_everything(session: PolymarketSession) -> None:
    assert session.opening() == [
        b'{"type":"market","assets_ids":["100","200"],"custom_feature_enabled":true}'
    ]


def test_a_snapshot_is_asked_for_by_leaving_and_coming_back(session: PolymarketSession) -> None:
    assert [json.loads(text) for text in session.snapshot_requests(["200", "300"])] == [
        {"operation": "unsubscribe", "assets_ids": ["200"]},
        {"operation": "subscribe", "assets_ids": ["200"], "custom_feature_enabled": True},
    ]
    assert session.snapshot_requests(["300"]) == []


def test_it_is_ready_with_the_first_word_about_a_market(session: PolymarketSession) -> None:
    assert session.observe(b"PONG") is Seen.KEEP_ALIVE
    assert session.observe(b"PONG\n") is Seen.KEEP_ALIVE
    assert session.observe(b"[]") is Seen.CONTROL
    assert not session.is_ready
    assert session.observe(b'[{"event_type":"book"}]') is Seen.DATA
    assert session.is_ready
    assert session.replies() == []


def test_the_keep_alive_is_the_venues_own_text(session: PolymarketSession) -> None:
    assert session.keep_alive() == b"PING"


def test_nothing_is_refused_that_could_be_told(session: PolymarketSession) -> None:
    assert (session.refusals, session.last_error, session.is_broken) == (0, "", False)
