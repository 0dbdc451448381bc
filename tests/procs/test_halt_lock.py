"""Halts at the same moment: each is in the latch, so that a resume has to name them all."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from engine.reasons import Reason
from procs.halt import HaltSwitch
from procs.halt_lock import LOCK_NAME, latch_lock
from procs.operator_refusals import Denied, RefusedByState

ROUNDS = 25
HANGS_S = 60.0
REASONS = (Reason.MESSAGE_GARBLED, Reason.ACCOUNT_DIFFERS, Reason.DAILY_LOSS)
NAMES = {"message_garbled", "account_differs", "daily_loss"}


class Start(Protocol):
    """What holds processes back until all of them have come."""

    def wait(self, timeout: float | None = None) -> int: ...


def halt_at_once(folder: Path, reason: Reason, together: Start) -> None:
    """Latch ``reason`` once a round, at the moment at which the others latch theirs."""
    for number in range(ROUNDS):
        together.wait(HANGS_S)
        HaltSwitch(folder / str(number), None).latch(reason, "it")


@pytest.mark.compiled_only
def test_of_processes_that_halt_at_once_none_is_forgotten(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    together = context.Barrier(len(REASONS))
    halting = [context.Process(target=halt_at_once, args=(tmp_path, each, together)) for each in REASONS]
    for process in halting:
        process.start()
    for process in halting:
        process.join(HANGS_S)
        assert process.exitcode == 0
    for number in range(ROUNDS):
        switch = HaltSwitch(tmp_path / str(number), None)
        assert set(switch.state().reasons) == NAMES, f"round {number}"
    with pytest.raises(Denied, match="not named"):
        HaltSwitch(tmp_path / "0", None).resume(["message_garbled"])


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    """The lock in the hands of somebody who does not let go of it."""
    descriptor = os.open(tmp_path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_a_halt_is_written_whoever_keeps_the_lock_and_a_resume_is_not(held: int, tmp_path: Path) -> None:
    switch = HaltSwitch(tmp_path, None)
    switch.halt(Reason.DAILY_LOSS, "it")
    assert switch.state().reasons == ["daily_loss"]
    with pytest.raises(RefusedByState, match=r"halt\.lock: somebody else has it"):
        switch.resume(["daily_loss"])
    assert switch.state().halted
    fcntl.flock(held, fcntl.LOCK_UN)
    switch.resume(["daily_loss"])
    assert not switch.state().halted


def test_it_is_let_go_and_is_nobodys_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for _ in range(2):
        with latch_lock(tmp_path) as is_held:
            assert is_held
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600
    with latch_lock(tmp_path / "none") as is_held:
        assert not is_held
