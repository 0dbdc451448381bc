from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from procs.input_log import EntryKind, InputLog, LogEntry, read_log
from procs.tape import Differs, PlayingTape, RecordingTape, Tape, TapeEnd
from tests.procs.test_input_log import HEADER

Agent = Callable[[Tape, int, int], int]  # what is done in a call, with two sources; its answer


def usual(tape: Tape, signals: int, plans: int) -> int:
    """Asks twice for signals, writes a plan of what came."""
    assert tape.take(signals, lambda: None) is None
    tape.give(plans, b"plan of " + (tape.take(signals, lambda: b"a signal") or b"nothing"))
    return 2


def recorded(path: Path, *calls: Agent) -> list[LogEntry]:
    log = InputLog(path, HEADER)
    tape = RecordingTape(log)
    sources = tape.source("signals"), tape.source("plans")
    for at_ns, call in enumerate(calls):
        tape.begin(EntryKind.WORK, at_ns)
        tape.end(call(tape, *sources))
    log.close()
    with path.open("rb") as file:
        return list(read_log(file, "x")[1])


def play(entries: list[LogEntry], *calls: Agent) -> PlayingTape:
    tape = PlayingTape(iter(entries))
    sources = tape.source("signals"), tape.source("plans")
    for call in calls:
        assert tape.next_call() is not None
        tape.end_call(call(tape, *sources))
    assert tape.next_call() is None
    return tape


def idle(tape: Tape, signals: int, plans: int) -> int:
    assert tape.take(signals, lambda: None) is None
    return 0


def test_what_was_recorded_plays_back(tmp_path: Path) -> None:
    tape = play(recorded(tmp_path / "x", usual, usual), usual, usual)
    assert (tape.inputs, tape.outputs, tape.is_over) == (2, 2, True)


def test_calls_in_which_nothing_came_of_it_are_not_written(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "x", idle, usual, idle, idle)
    assert [entry.kind for entry in entries] == [
        EntryKind.WORK,
        EntryKind.INPUT,
        EntryKind.OUTPUT,
        EntryKind.DONE,
    ]
    play(entries, usual)


def test_work_without_any_question_is_written(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "x", lambda tape, signals, plans: 1)
    assert [entry.kind for entry in entries] == [EntryKind.WORK, EntryKind.DONE]


def test_outside_of_a_call_questions_are_answered_and_nothing_is_written(tmp_path: Path) -> None:
    log = InputLog(tmp_path / "x", HEADER)
    tape = RecordingTape(log)
    assert tape.take(tape.source("signals"), lambda: b"late") == b"late"
    tape.give(tape.source("plans"), b"late")
    log.close()
    with log.path.open("rb") as file:
        assert list(read_log(file, "x")[1]) == []


def once_only(tape: Tape, signals: int, plans: int) -> int:
    tape.give(plans, b"plan of " + (tape.take(signals, lambda: None) or b"nothing"))
    return 2


def another_plan(tape: Tape, signals: int, plans: int) -> int:
    tape.take(signals, lambda: None)
    tape.give(plans, b"plan of " + (tape.take(signals, lambda: None) or b"").upper())
    return 2


def shorter_plan(tape: Tape, signals: int, plans: int) -> int:
    tape.take(signals, lambda: None)
    tape.take(signals, lambda: None)
    tape.give(plans, b"plan of")
    return 2


def no_plan(tape: Tape, signals: int, plans: int) -> int:
    tape.take(signals, lambda: None)
    tape.take(signals, lambda: None)
    return 2


def asks_elsewhere(tape: Tape, signals: int, plans: int) -> int:
    tape.take(signals, lambda: None)
    tape.take(plans, lambda: None)
    return 2


def writes_elsewhere(tape: Tape, signals: int, plans: int) -> int:
    tape.take(signals, lambda: None)
    tape.give(signals, tape.take(signals, lambda: None) or b"")
    return 2


def does_more(tape: Tape, signals: int, plans: int) -> int:
    usual(tape, signals, plans)
    tape.give(plans, b"one more")
    return 2


def answers_otherwise(tape: Tape, signals: int, plans: int) -> int:
    return usual(tape, signals, plans) + 1


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (once_only, "15 bytes were written to plans, recorded was answer 2, of signals"),
        (another_plan, r"what was written to plans differs: byte 8: recorded 6120\w+, played 4120\w+"),
        (shorter_plan, r"written to plans differs: byte 7 of 16 and 7: recorded 20\w+, played no more$"),
        (no_plan, "the call has ended, and 16 bytes written to plans was still to come"),
        (asks_elsewhere, "question 2 is for plans, recorded was answer 2, of signals"),
        (writes_elsewhere, "8 bytes were written to signals, recorded was 16 bytes written to plans"),
        (does_more, "8 bytes were written to plans, recorded was nothing more"),
        (answers_otherwise, "the call answered 3, recorded was 2"),
    ],
)
def test_the_first_difference_is_said(agent: Agent, said: str, tmp_path: Path) -> None:
    entries = recorded(tmp_path / "x", usual, usual)
    with pytest.raises(Differs, match=said):
        play(entries, usual, agent)


def test_a_log_that_ends_in_a_call_ends_the_play(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "x", usual)
    full = LogEntry(EntryKind.FULL, 0, 0, b"")
    for size in range(1, len(entries)):
        with pytest.raises(TapeEnd):
            play(entries[:size], usual)
        with pytest.raises(TapeEnd):
            play([*entries[:size], full], usual)
    assert play([*entries, full], usual).outputs == 1


def test_a_log_that_does_not_begin_with_a_call_is_told(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "x", usual)
    with pytest.raises(Differs, match="still to come"):
        PlayingTape(iter(entries[1:])).next_call()
