"""Halts between processes: a gate that another process halts, and whoever halts killed at any moment."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import ORDER_REQUEST, RequestKind, Venue
from engine.risk.limits import TOKEN_ONE
from procs.control_words import ControlWords, Word
from procs.desk import FreshGate
from procs.halt import HaltFollower, HaltSwitch
from shm.counters import Counters
from tests.procs.served import EPOCH, run_directory
from tests.procs.test_desk import CONTRACT, NOW, Bench

HALTS = 40
KILLS = 20
SEED = 20_261_128
KILL_AFTER_S_MAX = 0.02
STEPS = ("halt begun", "halt done", "resume begun", "resume done")
HANGS_S = 60.0
LABELS = ("passed", "last_pass_ns", "halted", "other")


def check_orders(directory: Path) -> None:
    """Check one order after the other until told to stop, and say when the last that passed was begun."""
    words = ControlWords.attach(directory)
    told = Counters.attach("told", directory)
    bench = Bench()
    gate = FreshGate(bench.gate, bench.view, HaltFollower(words, bench.gate))
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["slot"], request["generation"] = bench.ref
    request["venue"], request["kind"] = Venue.POLYMARKET, RequestKind.NEW
    request["price_e4"], request["size_e6"] = 5_000, 10 * CONTRACT
    while not words.is_set(Word.STOPPING):
        request["order_id"] += 1
        bench.gate.state["tokens"][Venue.POLYMARKET] = TOKEN_ONE
        began_ns = time.monotonic_ns()
        reason = gate.check(request, 3, 5_000_000, NOW)
        if reason is Reason.NONE:
            told.set("last_pass_ns", began_ns)
            told.add("passed")
            gate.release(int(request["order_id"]))
        else:
            told.add("halted" if reason is Reason.HALTED else "other")


def wait_for_more(told: Counters, label: str, process: BaseProcess) -> None:
    """Wait until two more checks have ended so: the second of them began after we asked."""
    enough = told[label] + 2
    deadline_s = time.monotonic() + HANGS_S
    while told[label] < enough:
        assert process.is_alive()
        assert time.monotonic() < deadline_s, f"nothing more is {label}"


@pytest.fixture
def directory() -> Iterator[Path]:
    with run_directory() as directory:
        yield directory


@pytest.mark.compiled_only
def test_no_check_that_begins_after_the_word_is_stored_passes(directory: Path, tmp_path: Path) -> None:
    switch = HaltSwitch.create(directory, tmp_path / "state", EPOCH)
    assert switch.words is not None
    told = Counters.create(LABELS, name="told", directory=directory)
    process = multiprocessing.get_context("fork").Process(target=check_orders, args=(directory,))
    process.start()
    try:
        for number in range(HALTS):
            wait_for_more(told, "passed", process)
            switch.halt(Reason.HALTED, f"test {number}")
            stored_ns = time.monotonic_ns()
            wait_for_more(told, "halted", process)
            passed = told["passed"]
            assert told["last_pass_ns"] <= stored_ns
            wait_for_more(told, "halted", process)
            assert told["passed"] == passed, "and it stays so"
            switch.resume(["operator"])
    finally:
        switch.words.set(Word.STOPPING)
        process.join()
    assert process.exitcode == 0
    print(f"{HALTS} halts between {told['passed']} orders that passed and {told['halted']} that did not")
    assert told["other"] == 0, "nothing but the halt stood in the way"


def halt_and_resume(directory: Path, state_dir: Path) -> None:
    """Halt and resume for ever; each step is counted before it is begun and after it is done."""
    switch = HaltSwitch.attach(directory, state_dir)
    steps = Counters.attach("steps", directory)
    if switch.state().halted:
        switch.resume(switch.state().reasons)
    while True:
        steps.add("halt begun")
        switch.halt(Reason.HALTED, "child")
        steps.add("halt done")
        steps.add("resume begun")
        switch.resume(["operator"])
        steps.add("resume done")


@pytest.mark.compiled_only
def test_whoever_halts_or_resumes_may_be_killed_at_any_moment(directory: Path, tmp_path: Path) -> None:
    """What was done stays done; what was begun leaves a whole latch, and never a latch that no gate sees."""
    state_dir = tmp_path / "state"
    switch = HaltSwitch.create(directory, state_dir, EPOCH)
    moments = random.Random(SEED)
    print(f"seed {SEED}")
    found = dict.fromkeys(("after halt", "in halt", "after resume", "in resume"), 0)
    for number in range(KILLS):
        steps = Counters.create(STEPS, name="steps", directory=directory)
        process = multiprocessing.get_context("fork").Process(
            target=halt_and_resume, args=(directory, state_dir)
        )
        process.start()
        deadline_s = time.monotonic() + HANGS_S
        while not steps["halt begun"]:
            assert time.monotonic() < deadline_s
        process.join(moments.uniform(0, KILL_AFTER_S_MAX))  # it does not end by itself: this is a moment
        process.kill()
        process.join()
        done = steps.snapshot()
        steps.segment.unlink()
        state, latched = switch.state(), switch.path.exists()
        where = f"kill {number} of seed {SEED}: {done}, word {state.word}, latch {latched}"
        assert "unreadable" not in state.reasons, where
        if done["halt begun"] > done["halt done"]:
            found["in halt"] += 1
            assert latched or not state.word, where  # the latch comes first
        elif done["resume begun"] > done["resume done"]:
            found["in resume"] += 1
            assert state.word or not latched, where  # and goes first
        elif done["halt done"] > done["resume begun"]:
            found["after halt"] += 1
            assert state.word, where
            assert latched, where
        else:
            found["after resume"] += 1
            assert not state.halted, where
    print(found)
    assert found["in halt"] > 0
    assert found["in resume"] > 0
