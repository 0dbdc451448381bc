"""The order table, over all pairs."""

from __future__ import annotations

import itertools

import pytest

from engine.execution.order import OWN_INPUTS, TERMINAL, TRANSITIONS, VENUE_INPUTS, OrderInput, step
from engine.records import OrderStatus

S, E = OrderStatus, OrderInput
LIVE = (S.SENT, S.ACKED, S.PARTLY_FILLED, S.UNKNOWN)
BEFORE = (S.INTENT, S.JOURNALED, S.SIGNED)

EXPECTED = {
    (S.INTENT, E.JOURNAL): S.JOURNALED,
    (S.JOURNALED, E.SIGN): S.SIGNED,
    (S.JOURNALED, E.SEND): S.SENT,
    (S.JOURNALED, E.DENY): S.DENIED,
    (S.SIGNED, E.SEND): S.SENT,
    (S.SIGNED, E.DENY): S.DENIED,
    **{(s, E.FILL_PART): S.PARTLY_FILLED for s in LIVE},
    **{(s, E.FILL_REST): S.FILLED for s in LIVE},
    **{(s, E.CANCEL): S.CANCELLED for s in LIVE},
    **{(s, E.EXPIRE): S.EXPIRED for s in LIVE},
    **{(s, E.LOSE): S.UNKNOWN for s in LIVE},
    (S.SENT, E.ACK): S.ACKED,
    (S.ACKED, E.ACK): S.ACKED,
    (S.PARTLY_FILLED, E.ACK): S.PARTLY_FILLED,
    (S.UNKNOWN, E.ACK): S.ACKED,
    (S.SENT, E.REJECT): S.REJECTED,
    (S.ACKED, E.REJECT): S.REJECTED,
    (S.PARTLY_FILLED, E.REJECT): S.CANCELLED,
    (S.UNKNOWN, E.REJECT): S.REJECTED,
    **{(s, e): s for s in (S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED) for e in VENUE_INPUTS},
}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(OrderStatus, OrderInput)))
def test_every_pair(status: OrderStatus, event: OrderInput) -> None:
    assert step(status, event) == EXPECTED.get((status, event))


def test_the_table_holds_nothing_else() -> None:
    assert dict(TRANSITIONS) == EXPECTED
    assert set(OrderInput) == OWN_INPUTS | VENUE_INPUTS
    assert not OWN_INPUTS & VENUE_INPUTS


def test_nothing_leaves_a_terminal_state() -> None:
    for (status, _), after in TRANSITIONS.items():
        assert status not in TERMINAL or after == status


def test_silence_is_never_a_rejection() -> None:
    assert {step(status, OrderInput.LOSE) for status in LIVE} == {OrderStatus.UNKNOWN}


def test_nothing_is_sent_from_anywhere_but_the_journal() -> None:
    sources = {status for (status, event) in TRANSITIONS if event == OrderInput.SEND}
    assert sources == {OrderStatus.JOURNALED, OrderStatus.SIGNED}


def test_every_state_is_reached_and_left_or_terminal() -> None:
    assert set(TRANSITIONS.values()) | {OrderStatus.INTENT} == set(OrderStatus)
    assert {status for status, _ in TRANSITIONS} | {OrderStatus.DENIED} == set(OrderStatus)
