"""Trust over every pair of state and event, and epochs that never come twice."""

from __future__ import annotations

from itertools import product

import pytest

from engine.book.trust import (
    BOOT_EPOCH_MAX,
    EPOCH_COUNTER_MAX,
    NO_EPOCH,
    TRANSITIONS,
    TrustEvent,
    diagram,
    epoch_of,
    step,
)
from engine.records import Trust

E = TrustEvent
T = Trust

# what design and venues say, one line a rule; what no line names stays as it is
RULES = [
    ({T.UNSYNCED, T.SUSPECT, T.RESYNC}, {E.SNAPSHOT_NEWER}, T.LIVE),
    ({T.LIVE, T.RESYNC}, {E.DOUBT, E.GRID_CHANGED, E.DISCONNECTED}, T.SUSPECT),
    ({T.SUSPECT}, {E.RESYNC_REQUESTED}, T.RESYNC),
    ({T.RESYNC}, {E.RESYNC_FAILED}, T.SUSPECT),
    ({T.UNSYNCED, T.LIVE, T.SUSPECT, T.RESYNC}, {E.MARKET_CLOSED}, T.DEAD),
]

PAIRS = list(product(Trust, TrustEvent))


def wanted(state: Trust, event: TrustEvent) -> Trust:
    after = {target for states, events, target in RULES if state in states and event in events}
    assert len(after) <= 1
    return after.pop() if after else state


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair(state: Trust, event: TrustEvent) -> None:
    assert Trust(step(state, event)) is wanted(state, event)


def test_the_table_has_every_event_and_state() -> None:
    assert set(TRANSITIONS) == set(TrustEvent)
    assert all(len(row) == len(Trust) for row in TRANSITIONS.values())
    assert [int(event) for event in TrustEvent] == list(range(len(TrustEvent)))


def test_only_a_newer_snapshot_makes_a_book_live() -> None:
    ways = {event for state, event in PAIRS if state is not T.LIVE and step(state, event) == T.LIVE}
    assert ways == {E.SNAPSHOT_NEWER}


def test_the_end_is_final() -> None:
    assert {step(T.DEAD, event) for event in TrustEvent} == {T.DEAD}


def test_a_book_never_synced_stays_so_until_a_snapshot_or_its_end() -> None:
    left = {event for event in TrustEvent if step(T.UNSYNCED, event) != T.UNSYNCED}
    assert left == {E.SNAPSHOT_NEWER, E.MARKET_CLOSED}
    assert all(step(state, event) != T.UNSYNCED for state, event in PAIRS if state is not T.UNSYNCED)


def test_the_diagram_is_the_table() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> UNSYNCED: OPENED"]
    assert lines[-1] == "    DEAD --> [*]"
    drawn = set()
    for line in lines[2:-1]:
        source, _, rest = line.strip().partition(" --> ")
        target, _, events = rest.partition(": ")
        drawn |= {(source, event, target) for event in events.split(", ")}
    assert drawn == {
        (state.name, event.name, wanted(state, event).name)
        for state, event in PAIRS
        if wanted(state, event) is not state
    }


def test_epochs_are_boot_and_counter() -> None:
    assert epoch_of(3, 5) == 3 * 2**32 + 5
    assert epoch_of(0, 1) == 1
    assert epoch_of(3, EPOCH_COUNTER_MAX) < epoch_of(4, 1)
    assert epoch_of(BOOT_EPOCH_MAX, EPOCH_COUNTER_MAX) == 2**63 - 1
    assert epoch_of(3, EPOCH_COUNTER_MAX + 1) == NO_EPOCH == -1
