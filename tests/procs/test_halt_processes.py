"""A gate in one process, halted by another: no check that begins after the word is stored may pass."""

from __future__ import annotations

import multiprocessing
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
