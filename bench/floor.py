"""What the machine itself takes for the steps that everything else here is made of.

Nothing of the engine is measured: these are the figures that no code of ours can pass. A word handed from
core to core is the least that a hop costs; a load that finds its line in memory, or in the second cache, what
a message pays that comes after a pause, and a load of what was loaded a while ago, how soon it is so; a call
from Python into compiled code, a system call, a message through a TCP socket and a flush to the disk what a
stage pays that needs one. Two threads for the first, each on a core of its own, in compiled code that holds
no lock of Python's; everything else on one core.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench._orders import state_folder
from bench._result import OURS, Result
from bench._timing import interleave, per_call
from engine.direct import direct
from shm.atomics import address_of, load_acquire, store_release
from shm.jit import kernel

Words = NDArray[np.int64]

ROUNDS: Final = 20_000  # of a run from core to core
SPINS_MAX: Final = 500_000_000  # of one wait: the other thread has died
LINE_BYTES: Final = 64
LINE_WORDS: Final = LINE_BYTES // 8
ANSWER_BYTES: Final = 2 * LINE_BYTES  # no neighbour is fetched along with the question
LOADS: Final = 200_000
MEMORY_BYTES: Final = 256 << 20  # beyond every cache, also those of servers
SECOND_BYTES: Final = 256 << 10
FIRST_BYTES: Final = 4 << 10
AGAIN_BYTES: Final = 16 << 10
AGAIN_US: Final = (0, 100, 500, 2_500)
AGAIN_ROUNDS: Final = 100
SPIN: Final = 200  # counts between two looks at the clock
CALLS: Final = 2_000
FRAME_BYTES: Final = 400  # of a price_change with two changes, about
FLUSHES: Final = 3  # times the chunks of ``per_call``
PAGE_BYTES: Final = 4_096
SEED: Final = 20_261_129

HOP: Final = "a word from core to core"
MEMORY: Final = "a load that finds its line in memory"
SECOND: Final = "a load that finds its line in the second cache"
FIRST: Final = "a load that finds its line in the first cache"
AGAIN: Final = "a load of 16 KiB that were loaded {:g} ms before"
CALL: Final = "a compiled function that does nothing, called from Python"
METHOD: Final = "a method in Python that adds two fields"
SYSCALL: Final = "a system call"
SOCKET: Final = "a message of 400 bytes through a TCP socket, both ends on one core"
FLUSH: Final = "a write of a page and fdatasync, where journals are"


@kernel
def ask(question: int, answer: int, first: int, rounds: int, spins_max: int) -> int:
    """Write a number, wait for it to come back, and go on with the next; how many came."""
    for number in range(first, first + rounds):
        store_release(question, number)
        spins = 0
        while load_acquire(answer) != number:
            spins += 1
            if spins > spins_max:
                return number - first
    return rounds


@kernel
def reply(question: int, answer: int, first: int, rounds: int, spins_max: int) -> int:
    """Give back each number as it comes; how many came."""
    for number in range(first, first + rounds):
        spins = 0
        while load_acquire(question) != number:
            spins += 1
            if spins > spins_max:
                return number - first
        store_release(answer, number)
    return rounds


@kernel
def follow(places: Words, at: int, loads: int) -> int:
    """Go from place to place, each of which says where the next one is."""
    for _ in range(loads):
        at = places[at]
    return at


@kernel
def spin(rounds: int) -> int:
    """Count, and touch no memory."""
    found = 1
    for _ in range(rounds):
        found = (found * 5 + 1) & 0xFFFF
    return found


@kernel
def nothing(one: int, two: int, three: int, is_so: bool, four: int) -> int:
    """What a call costs is not what it does."""
    return one + two + three + four if is_so else 0


class Pair:
    """What a method of one line is about."""

    def __init__(self) -> None:
        self.one, self.two = 1, 2

    def total(self) -> int:
        """Both together."""
        return self.one + self.two


def hop(memory: Words, here: int, there: int) -> dict[str, float]:
    """Nanoseconds one way; RuntimeError when an answer is missing."""
    question = address_of(memory)
    answer, first = question + ANSWER_BYTES, int(memory[0]) + 1
    came: list[int] = []

    def other() -> None:
        os.sched_setaffinity(threading.get_native_id(), {there})
        came.append(reply(question, answer, first, ROUNDS, SPINS_MAX))

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(threading.get_native_id(), {here})
    try:
        thread = threading.Thread(target=other)
        thread.start()
        began_ns = time.perf_counter_ns()
        came.append(ask(question, answer, first, ROUNDS, SPINS_MAX))
        took_ns = time.perf_counter_ns() - began_ns
        thread.join()
    finally:
        os.sched_setaffinity(threading.get_native_id(), allowed)
    if came != [ROUNDS, ROUNDS]:
        raise RuntimeError(f"{came} answers of {ROUNDS}")
    return {"ns": took_ns / ROUNDS / 2}


def ring_of(n_bytes: int) -> Words:
    """One way through all lines of so much memory, in an order that nobody can foresee; seeded."""
    lines = n_bytes // LINE_BYTES
    order = np.random.default_rng(SEED).permutation(lines) * LINE_WORDS
    places = np.zeros(lines * LINE_WORDS, np.int64)
    places[order] = np.roll(order, -1)
    return places


def loads(places: Words) -> dict[str, float]:
    """Nanoseconds of a load that waits for the one before it."""
    began_ns = time.perf_counter_ns()
    end = follow(places, 0, LOADS)
    took_ns = time.perf_counter_ns() - began_ns
    if not 0 <= end < places.size:
        raise RuntimeError(f"the way leads to {end}")
    return {"ns": took_ns / LOADS}


def loads_again(places: Words, idle_us: int) -> dict[str, float]:
    """Nanoseconds of a load of what was loaded so long ago; the core has done nothing but count since.

    The median over rounds. What a core has in its first caches stays there as long as the core is ours alone.
    """
    lines = places.size // LINE_WORDS
    took_ns = []
    for _ in range(AGAIN_ROUNDS):
        until_ns = time.perf_counter_ns() + idle_us * 1_000
        while time.perf_counter_ns() < until_ns:
            spin(SPIN)
        began_ns = time.perf_counter_ns()
        end = follow(places, 0, lines)
        took_ns.append((time.perf_counter_ns() - began_ns) / lines)
        if end != 0:
            raise RuntimeError(f"the way leads to {end}")
    return {"ns": median(took_ns)}


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield near, far


def through(near: socket.socket, far: socket.socket, into: bytearray) -> int:
    """A message sent, and read at the other end."""
    near.send(into)
    return far.recv_into(into)


@contextmanager
def journal_like(folder: Path) -> Iterator[int]:
    """A file with room set aside, as a journal has it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, PAGE_BYTES)
        yield file.fileno()


def flush(file: int, page: bytes) -> None:
    """One page, over and over, made durable."""
    os.pwrite(file, page, 0)
    os.fdatasync(file)


def measure(result: Result) -> None:
    """Everything, on two cores where there are two."""
    allowed = os.sched_getaffinity(0)
    here, there = min(allowed), max(allowed)
    if here == there:
        result.missing[HOP] = "one core"
    else:
        words: Words = np.zeros(3 * LINE_WORDS, np.int64)
        interleave(result, HOP, {OURS: partial(hop, words, here, there)})
    for what, n_bytes in ((MEMORY, MEMORY_BYTES), (SECOND, SECOND_BYTES), (FIRST, FIRST_BYTES)):
        interleave(result, what, {OURS: partial(loads, ring_of(n_bytes))})
    for idle_us in AGAIN_US:
        again = partial(loads_again, ring_of(AGAIN_BYTES), idle_us)
        interleave(result, AGAIN.format(idle_us / 1_000), {OURS: again})
    called = direct(nothing, 0, 0, 0, True, 0)
    time_ns = time.time_ns()
    calls = {
        CALL: lambda: called(FRAME_BYTES, time_ns, 0, True, time_ns),
        METHOD: Pair().total,
        SYSCALL: os.getppid,
    }
    for what, act in calls.items():
        interleave(result, what, {OURS: partial(per_call, act, CALLS)})
    with connected() as (near, far):
        message = partial(through, near, far, bytearray(FRAME_BYTES))
        interleave(result, SOCKET, {OURS: partial(per_call, message, CALLS)})
    with state_folder() as folder, journal_like(folder) as file:
        durable = partial(flush, file, bytes(PAGE_BYTES))
        interleave(result, FLUSH, {OURS: partial(per_call, durable, FLUSHES)})
