"""Sleeping on a word and being woken, with the kernel's real futex."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from shm import futex
from shm.atomics import address_of, read_word, write_word
from shm.futex import WAIT_NS_MAX, futex_wait, futex_wake, timespec_of, yield_core
from tests.plain_twin import PlainTwin


def test_another_value_does_not_sleep() -> None:
    word, longest = np.array([5], np.int64), timespec_of(WAIT_NS_MAX)
    assert futex_wait(address_of(word), 4, address_of(longest)) == -1


def test_only_the_low_half_is_compared() -> None:
    word, longest, shortest = np.array([(7 << 32) | 5], np.int64), timespec_of(WAIT_NS_MAX), timespec_of(1)
    assert futex_wait(address_of(word), (9 << 32) | 4, address_of(longest)) == -1
    assert futex_wait(address_of(word), (9 << 32) | 5, address_of(shortest)) == -1  # timed out


def test_nobody_sleeps_nobody_wakes() -> None:
    word = np.zeros(1, np.int64)
    assert futex_wake(address_of(word), 1) == 0


def test_a_sleeper_is_woken() -> None:
    word = np.zeros(2, np.int64)
    wait_ns = timespec_of(WAIT_NS_MAX)
    woken: list[int] = []

    def sleeper() -> None:
        while read_word(address_of(word)) == 0:
            write_word(address_of(word) + 8, 1)
            woken.append(futex_wait(address_of(word), 0, address_of(wait_ns)))

    thread = threading.Thread(target=sleeper)
    thread.start()
    while read_word(address_of(word) + 8) == 0:
        yield_core()
    while futex_wake(address_of(word), 1) == 0 and thread.is_alive():
        write_word(address_of(word), 1)
    write_word(address_of(word), 1)
    futex_wake(address_of(word), 1)
    thread.join()
    assert woken
    assert set(woken) <= {0, -1}


def test_a_core_can_be_yielded() -> None:
    assert yield_core() == 0


@pytest.mark.parametrize("timeout_ns", [0, -1, WAIT_NS_MAX + 1])
def test_a_wait_is_bounded(timeout_ns: int) -> None:
    with pytest.raises(ValueError, match="1 to"):
        timespec_of(timeout_ns)


def test_a_timespec_is_seconds_and_nanoseconds() -> None:
    assert timespec_of(futex.NS_PER_S).tolist() == [1, 0]
    assert timespec_of(999_999_999).tolist() == [0, 999_999_999]


def test_plain_and_compiled_answer_alike(plain_twin: PlainTwin) -> None:
    word, wait_ns = np.array([5], np.int64), timespec_of(1)
    for kernels in (futex, plain_twin("shm.futex")):
        assert kernels.futex_wait(address_of(word), 4, address_of(wait_ns)) == -1
        assert kernels.futex_wait(address_of(word), 5, address_of(wait_ns)) == -1
        assert kernels.futex_wake(address_of(word), 1) == 0
        assert kernels.yield_core() == 0
