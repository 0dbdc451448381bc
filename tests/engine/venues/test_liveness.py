from __future__ import annotations

from itertools import product

import pytest

from engine.venues.liveness import (
    NEVER_NS,
    TRANSITIONS,
    Act,
    LinkEvent,
    LinkState,
    Patience,
    Turn,
    Vitals,
    diagram,
    step,
)

S, E = LinkState, LinkEvent
OPEN = (S.SUBSCRIBING, S.LIVE, S.SILENT)


@pytest.mark.parametrize(("state", "event"), list(product(LinkState, LinkEvent)))
def test_every_pair_of_state_and_event(state: LinkState, event: LinkEvent) -> None:
    turn = step(state, event)
    if (state, event) not in TRANSITIONS:
        assert turn == Turn(state, Act.NOTHING)
    if turn.act is Act.CONNECT:
        assert (state, event) == (S.WAITING, E.DUE)  # nothing else begins an attempt
    if state in OPEN and event in (E.UNANSWERED, E.GARBLED):
        assert turn == Turn(S.CLOSING, Act.CLOSE)
    if event is E.CLOSED and state in (*OPEN, S.CLOSING):
        assert turn == Turn(S.WAITING, Act.BACK_OFF)
    if event is E.STOP or state is S.STOPPED:
        assert turn.state is S.STOPPED


def test_a_silent_connection_is_asked_and_then_closed() -> None:
    assert step(S.LIVE, E.QUIET) == Turn(S.SILENT, Act.ASK)
    assert step(S.SILENT, E.HEARD) == Turn(S.LIVE, Act.NOTHING)
    assert step(S.SILENT, E.QUIET) == Turn(S.CLOSING, Act.CLOSE)


def test_a_connection_that_comes_up_after_we_stopped_is_closed() -> None:
    assert step(S.STOPPED, E.OPENED) == Turn(S.STOPPED, Act.CLOSE)


def test_the_diagram_has_every_change() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> WAITING\n")
    for (state, event), turn in TRANSITIONS.items():
        line = next(
            (line for line in drawn.splitlines() if f" {state.name} --> {turn.state.name}:" in line), ""
        )
        assert state is turn.state or event.name in line


PATIENCE = Patience(subscribe_ns=50, silence_ns=100, ping_every_ns=10, pong_ns=30, message_ns=20)


@pytest.fixture
def vitals() -> Vitals:
    made = Vitals(PATIENCE)
    made.opened(1_000)
    return made


def test_unconfirmed_and_silent_are_waited_for_differently(vitals: Vitals) -> None:
    assert vitals.event(S.SUBSCRIBING, 1_049) is None
    assert vitals.event(S.SUBSCRIBING, 1_050) is E.QUIET
    assert vitals.event(S.LIVE, 1_099) is None
    assert vitals.event(S.LIVE, 1_100) is E.QUIET
    vitals.heard(1_100)
    assert vitals.event(S.SILENT, 1_199) is None
    assert vitals.event(S.SILENT, 1_200) is E.QUIET


def test_pings_go_out_on_time_and_the_oldest_without_an_answer_counts(vitals: Vitals) -> None:
    assert [vitals.ping_due(at) for at in (1_009, 1_010, 1_019, 1_020)] == [False, True, False, True]
    assert vitals.event(S.LIVE, 1_039) is None
    assert vitals.event(S.LIVE, 1_040) is E.UNANSWERED
    vitals.answered()
    assert vitals.event(S.LIVE, 1_040) is None


def test_market_data_answers_no_ping_and_a_pong_is_no_market_data(vitals: Vitals) -> None:
    vitals.ping_due(1_010)
    vitals.heard(1_039)
    assert vitals.event(S.LIVE, 1_040) is E.UNANSWERED
    vitals.answered()
    assert vitals.event(S.LIVE, 1_139) is E.QUIET


def test_a_message_that_drips_is_noticed_however_much_comes_of_it(vitals: Vitals) -> None:
    for at in range(1_000, 1_020):
        vitals.received(at, ended=False, partial=True)
    assert vitals.event(S.LIVE, 1_019) is None
    assert vitals.event(S.LIVE, 1_020) is E.GARBLED


def test_the_clock_of_a_message_starts_anew_with_the_next_one(vitals: Vitals) -> None:
    vitals.received(1_000, ended=False, partial=True)
    vitals.received(1_015, ended=True, partial=True)
    assert vitals.event(S.LIVE, 1_034) is None
    assert vitals.event(S.LIVE, 1_035) is E.GARBLED
    vitals.received(1_035, ended=True, partial=False)
    assert vitals.event(S.LIVE, 1_060) is None


def test_what_is_late_because_we_did_not_read_does_not_count(vitals: Vitals) -> None:
    vitals.ping_due(1_010)
    vitals.received(1_010, ended=False, partial=True)
    vitals.held(2_000)
    assert vitals.event(S.LIVE, 2_019) is None
    assert not vitals.is_dripping(2_099)


@pytest.mark.parametrize("state", [S.WAITING, S.CONNECTING, S.CLOSING, S.STOPPED])
def test_without_a_connection_nothing_is_late(vitals: Vitals, state: LinkState) -> None:
    assert vitals.event(state, NEVER_NS - 1) is None


def test_before_a_connection_is_opened_the_clock_counts_from_nothing() -> None:
    assert Vitals(PATIENCE).event(S.LIVE, 99) is None
    assert Vitals(PATIENCE).event(S.LIVE, 100) is E.QUIET
    assert [Vitals(PATIENCE).ping_due(at) for at in (9, 10)] == [False, True]
    assert NEVER_NS == 2**63 - 1
