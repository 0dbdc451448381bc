"""What the machine itself takes: the steps are the ones that are named."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from bench import floor
from bench._orders import state_folder
from bench._result import Result
from shm.atomics import address_of


def test_a_way_goes_through_every_line_before_it_comes_back() -> None:
    places = floor.ring_of(64 * floor.LINE_BYTES)
    at, seen = 0, []
    for _ in range(64):
        seen.append(at)
        at = int(places[at])
    assert at == 0
    assert sorted(seen) == list(range(0, places.size, floor.LINE_WORDS))
    assert floor.follow(places, 0, 63) == seen[-1]


def test_what_is_sent_is_what_is_read_and_what_is_flushed_is_in_the_file() -> None:
    message = bytearray(range(200))
    with floor.connected() as (near, far):
        assert floor.through(near, far, message) == 200
    assert message == bytearray(range(200))
    with state_folder() as folder, floor.journal_like(folder) as file:
        floor.flush(file, b"\5" * floor.PAGE_BYTES)
        assert os.pread(file, 9_999, 0) == b"\5" * floor.PAGE_BYTES


@pytest.mark.compiled_only
def test_a_thread_that_nobody_answers_gives_up() -> None:
    words = np.zeros(3 * floor.LINE_WORDS, np.int64)
    at = address_of(words)
    assert floor.ask(at, at + floor.ANSWER_BYTES, 1, 5, 1_000) == 0
    assert floor.reply(at, at + floor.ANSWER_BYTES, 1, 5, 1_000) == 1, "the first question is still there"


@pytest.mark.compiled_only
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_every_number_comes_back_from_the_other_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "ROUNDS", 50)
    words = np.zeros(3 * floor.LINE_WORDS, np.int64)
    cores = sorted(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    for turn in (1, 2):
        assert floor.hop(words, cores[0], cores[1])["ns"] > 0
        assert words[0] == words[floor.ANSWER_BYTES // 8] == 50 * turn
    assert os.sched_getaffinity(0) == before


@pytest.mark.compiled_only
def test_each_row_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ROUNDS": 20,
        "LOADS": 100,
        "MEMORY_BYTES": 1 << 16,
        "SECOND_BYTES": 1 << 14,
        "FIRST_BYTES": 1 << 10,
        "AGAIN_BYTES": 1 << 10,
        "AGAIN_US": (0, 1),
        "AGAIN_ROUNDS": 2,
        "CALLS": 2,
        "FLUSHES": 1,
    }.items():
        monkeypatch.setattr(floor, name, value)
    result = Result("floor", {})
    began_s = time.monotonic()
    floor.measure(result)
    wanted = [floor.HOP, floor.MEMORY, floor.SECOND, floor.FIRST]
    wanted += [floor.AGAIN.format(0), floor.AGAIN.format(0.001)]
    wanted += [floor.CALL, floor.METHOD, floor.SYSCALL, floor.SOCKET, floor.FLUSH]
    assert [row.what for row in result.rows] == [what for what in wanted if what not in result.missing]
    elapsed_ns = (time.monotonic() - began_s) * 1e9
    assert all(0 < run["ns"] < elapsed_ns for row in result.rows for run in row.runs)


def test_the_way_through_memory_is_none_that_hardware_foresees() -> None:
    far = floor.ring_of(64 << 20)
    assert np.median(np.abs(np.diff(far[:: floor.LINE_WORDS]))) > 1_000, "neighbours are far apart"
