"""A doorbell: who is told, who is not, and that no wake is lost between two processes."""

from __future__ import annotations

import os
import select
from pathlib import Path

import numpy as np
import pytest

from shm import doorbell as module
from shm.atomics import address_of, read_word, write_word
from shm.doorbell import Doorbell
from shm.errors import LayoutMismatch, SegmentRefused
from shm.futex import WAIT_NS_MAX, timespec_of
from shm.segment import Segment
from shm.table import Table
from tests.plain_twin import PlainTwin

ROUNDS = 2_000


def test_an_owner_that_is_awake_is_not_told() -> None:
    bell = Doorbell.create()
    assert not bell.ring()
    assert bell.rung == 0


def test_an_owner_about_to_sleep_is_told_and_does_not_sleep() -> None:
    bell = Doorbell.create()
    seen = bell.prepare()
    assert bell.sleeping
    assert bell.ring()
    assert bell.sleep(seen, WAIT_NS_MAX)  # at once, or this test takes a second
    assert not bell.sleeping
    assert bell.rung == 1


def test_a_silent_bell_lets_its_owner_sleep_in() -> None:
    bell = Doorbell.create()
    assert not bell.sleep(bell.prepare(), 1)
    assert not bell.sleeping


def test_prepare_can_be_taken_back() -> None:
    bell = Doorbell.create()
    bell.prepare()
    bell.stay_awake()
    assert not bell.sleeping
    assert not bell.ring()


def test_an_old_ring_does_not_wake_a_later_sleep() -> None:
    bell = Doorbell.create()
    seen = bell.prepare()
    bell.ring()
    bell.sleep(seen, WAIT_NS_MAX)
    assert not bell.sleep(bell.prepare(), 1)


def test_another_process_attaches_by_name(tmp_path: Path) -> None:
    bell = Doorbell.create(name="bell-a", directory=tmp_path)
    other = Doorbell.attach("bell-a", tmp_path)
    seen = bell.prepare()
    assert other.sleeping
    assert other.ring()
    assert bell.sleep(seen, WAIT_NS_MAX)


def test_what_is_no_bell_is_refused(tmp_path: Path) -> None:
    Table.create(1, np.dtype([("a", "<i8")]), name="bell-b", directory=tmp_path)
    with pytest.raises(LayoutMismatch, match="kind"):
        Doorbell.attach("bell-b", tmp_path)


@pytest.mark.compiled_only
def test_no_wake_is_lost_between_two_processes(tmp_path: Path) -> None:
    """The child answers each number it is woken for; a lost wake would show as a sleep that timed out."""
    bells = [Doorbell.create(name=f"bell-{side}", directory=tmp_path) for side in "ab"]
    shared = np.dtype([("said", "<i8"), ("answered", "<i8")])
    table = Table.create(1, shared, name="words", directory=tmp_path)
    said = address_of(table.rows[0:1])
    child = os.fork()
    if child == 0:
        late = _serve(bells[1], bells[0], said)
        os._exit(min(late, 255))
    mine, other = bells
    late = 0
    for number in range(1, ROUNDS + 1):
        write_word(said, number)
        other.ring()
        late += _await(mine, said + 8, number)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert (late, status) == (0, 0), "a wake was lost"


def _await(bell: Doorbell, address: int, number: int) -> int:
    """Sleep until the word is ``number``; how many sleeps ended by time though it was there."""
    late = 0
    while read_word(address) != number:
        seen = bell.prepare()
        if read_word(address) == number:
            bell.stay_awake()
            break
        rang = bell.sleep(seen, WAIT_NS_MAX)
        late += not rang and read_word(address) == number
    return late


def _serve(bell: Doorbell, other: Doorbell, said: int) -> int:
    late = 0
    for number in range(1, ROUNDS + 1):
        late += _await(bell, said, number)
        write_word(said + 8, number)
        other.ring()
    return late


def test_a_bell_is_one_hot_line_pair() -> None:
    assert isinstance(Doorbell.create().segment, Segment)
    assert Doorbell.create().address % 64 == 0


def test_an_event_loop_is_woken_through_the_fifo(tmp_path: Path) -> None:
    bell = Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True)
    other = Doorbell.attach("bell", tmp_path)
    assert bell.descriptor is not None
    assert not other.ring(), "its owner is awake: no system call"
    assert select.select([bell.descriptor], [], [], 0)[0] == []
    bell.prepare()
    assert other.ring()
    assert select.select([bell.descriptor], [], [], 0)[0] == [bell.descriptor]
    bell.answer()
    assert select.select([bell.descriptor], [], [], 0)[0] == []
    assert not bell.sleeping
    bell.answer()  # an empty FIFO does not make it wait


def test_a_bell_rung_while_its_owner_is_restarted_wakes_the_new_one(tmp_path: Path) -> None:
    first = Doorbell.create_or_adopt(name="bell", epoch=1, directory=tmp_path, for_event_loop=True)
    other = Doorbell.attach("bell", tmp_path)
    first.prepare()
    first.segment.close()
    del first  # died in its sleep
    assert other.ring(), "no SIGPIPE"
    again = Doorbell.create_or_adopt(name="bell", epoch=2, directory=tmp_path, for_event_loop=True)
    assert not other.sleeping
    assert again.descriptor is not None
    assert select.select([again.descriptor], [], [], 0)[0] == [again.descriptor]
    again.answer()
    again.prepare()
    assert other.ring(), "the ringer need not attach again"


def test_a_fifo_that_is_full_does_not_stop_the_ringer(tmp_path: Path) -> None:
    bell = Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True)
    assert bell.descriptor is not None
    while select.select([], [bell.descriptor], [], 0)[1]:
        os.write(bell.descriptor, bytes(4096))
    bell.prepare()
    assert bell.ring()


def test_a_bell_that_slept_in_another_way_is_not_adopted(tmp_path: Path) -> None:
    Doorbell.create(name="bell", directory=tmp_path).segment.close()
    with pytest.raises(LayoutMismatch, match="bell: by_pipe is 0, expected 1"):
        Doorbell.create_or_adopt(name="bell", epoch=1, directory=tmp_path, for_event_loop=True)
    with pytest.raises(ValueError, match="needs a directory for its FIFO"):
        Doorbell.create(for_event_loop=True)


@pytest.mark.parametrize("what", ["file", "link", "mode"])
def test_what_is_no_fifo_of_ours_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "bell.fifo"
    if what == "file":
        path.touch(0o600)
    elif what == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
        path.chmod(0o622)
    with pytest.raises(SegmentRefused, match=r"bell\.fifo: "):
        Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True)


@pytest.mark.parametrize(
    "steps", ["ring", "prepare ring", "prepare stay_awake ring", "prepare ring ring sleep"]
)
def test_plain_and_compiled_leave_the_same_words(plain_twin: PlainTwin, steps: str) -> None:
    answers = []
    for kernels in (module, plain_twin("shm.doorbell")):
        bell, timespec, said = Doorbell.create(), timespec_of(1), []
        for step in steps.split():
            if step == "ring":
                said.append(kernels.ring_bell(bell.address))
            elif step == "sleep":
                said.append(kernels.sleep(bell.address, 0, address_of(timespec)))
            else:
                said.append(getattr(kernels, step)(bell.address))
        answers.append((said, bell.segment.words().tolist()))
    assert answers[0] == answers[1]
