"""A machine with weaker memory than any we run on, to prove the ring and table protocols on it.

Every core has a view: for each shared word, the oldest write it may still read. A relaxed load picks any
write from there on, at random; only an acquire (or an acquire fence after it) of a release takes over the
writer's view. So a missing fence or a weakened order shows as a stale or torn read within a few hundred
seeded schedules, although the processor under the test would never show it. There is no speculation: loads
happen in program order, as on x86 and on ARM after a control dependency that matters here.

Programs are ordinary functions that call plain kernels; at every shared access another one may take over. One
runs at a time, so that a seed gives one schedule.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType

import pytest

from shm import atomics_plain as real

# Counting coverage in the threads of a machine takes three times as long as they do, and all that they
# execute is executed by other tests, too.
uncounted = pytest.mark.no_cover
View = dict[int, int]
WAIT_S = 60.0
SWITCH_CHANCES = (
    0.01,
    0.03,
    0.1,
    0.3,
)  # one for each core of a run: beside a slow reader, a fast writer laps it
STALE_CHANCE = 0.5


@dataclass(slots=True)
class Write:
    """One write of a word: what it wrote, and what an acquire of it learns."""

    value: int
    view: View


@dataclass(slots=True)
class Core:
    """One thread of the machine."""

    switch_chance: float
    view: View = field(default_factory=dict)
    seen: View = field(default_factory=dict)  # by relaxed loads: an acquire fence takes it over
    released: View = field(default_factory=dict)  # as of the last release fence: relaxed stores carry it
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


def _join(into: View, other: View) -> None:
    for address, at in other.items():
        if into.get(address, -1) < at:
            into[address] = at


class Machine:
    """Runs programs over ``shared`` address ranges [start, end); all other memory is their own.

    ``broken`` names atomics to weaken: a fence is left out, an acquire or release made relaxed.
    """

    def __init__(
        self, seed: int, shared: Iterable[tuple[int, int]], broken: frozenset[str] = frozenset()
    ) -> None:
        self._random = random.Random(seed)
        self._shared = list(shared)
        self._broken = broken
        self._writes: dict[int, list[Write]] = {}
        self._cores: dict[int, Core] = {}
        self._fenced: View = {}  # by sequentially consistent fences
        self._live: list[Core] = []
        self._done = threading.Semaphore(0)
        self._failures: list[BaseException] = []

    def run(self, *programs: Callable[[], None]) -> None:
        """Run the programs to their end in one random schedule, then write the last values to real memory."""
        threads = [
            threading.Thread(target=self._core_main, args=(program,), daemon=True) for program in programs
        ]
        for thread in threads:
            thread.start()
            self._done.acquire(timeout=WAIT_S)  # it is at its first turn
        self._random.choice(self._live).turn.release()
        for thread in threads:
            thread.join(WAIT_S)
        if self._failures:
            raise self._failures[0]
        assert not any(thread.is_alive() for thread in threads), "a program of the machine does not end"
        for address, writes in self._writes.items():
            real.store_release(address, writes[-1].value)

    def _core_main(self, program: Callable[[], None]) -> None:
        core = Core(self._random.choice(SWITCH_CHANCES))
        self._cores[threading.get_ident()] = core
        self._live.append(core)
        self._done.release()
        core.turn.acquire(timeout=WAIT_S)
        try:
            program()
        except BaseException as error:  # noqa: BLE001 - handed to ``run``, which raises it
            self._failures.append(error)
        self._live.remove(core)
        if self._live:
            self._random.choice(self._live).turn.release()

    def _step(self) -> Core:
        """Perhaps let another core go first."""
        core = self._cores[threading.get_ident()]
        if self._random.random() < core.switch_chance:
            self.give_way()
        return core

    def give_way(self) -> None:
        """Let another core go first; a program that waits for another one says so with this."""
        core = self._cores[threading.get_ident()]
        others = [live for live in self._live if live is not core]
        if others:
            self._random.choice(others).turn.release()
            assert core.turn.acquire(timeout=WAIT_S), "the schedule stopped"

    def _history(self, address: int) -> list[Write]:
        return self._writes.setdefault(address, [Write(real.load_acquire(address), {})])

    def _is_shared(self, address: int) -> bool:
        return any(start <= address < end for start, end in self._shared)

    def _load(self, address: int, *, acquire: bool) -> int:
        address = int(address)
        if not self._is_shared(address):
            return real.load_acquire(address)
        core = self._step()
        history = self._history(address)
        oldest, newest = core.view.get(address, 0), len(history) - 1
        at = self._random.randint(oldest, newest) if self._random.random() < STALE_CHANCE else newest
        core.view[address] = at
        _join(core.view if acquire else core.seen, history[at].view)
        return history[at].value

    def _store(self, address: int, value: int, *, release: bool) -> None:
        address = int(address)
        if not self._is_shared(address):
            real.store_release(address, value)
            return
        core = self._step()
        history = self._history(address)
        core.view[address] = len(history)
        history.append(Write(int(value), dict(core.view) if release else core.released))

    def _compare_exchange(self, address: int, expected: int, desired: int) -> int:
        core = self._step()
        history = self._history(int(address))
        core.view[int(address)] = len(history) - 1  # a read-modify-write sees the last write there is
        _join(core.view, history[-1].view)
        if history[-1].value != int(expected):
            return 0
        core.view[int(address)] = len(history)
        history.append(Write(int(desired), dict(core.view)))
        return 1

    def _fetch_add(self, address: int, increment: int) -> int:
        before = self._history(int(address))[-1].value
        self._compare_exchange(address, before, before + int(increment))
        return before

    def _fence_seq_cst(self) -> None:
        """All these fences are in one order, and each sees what was done before those that precede it."""
        core = self._step()
        _join(core.view, core.seen)
        _join(core.view, self._fenced)
        _join(self._fenced, core.view)
        core.released = dict(core.view)

    def _fence_acquire(self) -> None:
        core = self._step()
        _join(core.view, core.seen)

    def _fence_release(self) -> None:
        core = self._step()
        core.released = dict(core.view)

    def atomics(self) -> dict[str, Callable[..., object]]:
        """The functions of ``shm.atomics`` that order anything, on this machine."""
        strong = {name: name not in self._broken for name in ("load_acquire", "store_release")}
        names: dict[str, Callable[..., object]] = {
            "load_acquire": lambda a: self._load(a, acquire=strong["load_acquire"]),
            "load_relaxed": lambda a: self._load(a, acquire=False),
            "store_release": lambda a, v: self._store(a, v, release=strong["store_release"]),
            "store_relaxed": lambda a, v: self._store(a, v, release=False),
            "store_seq_cst": lambda a, v: self._store(a, v, release=True),  # its fence is asked for apart
            "compare_exchange": self._compare_exchange,
            "fetch_add": self._fetch_add,
            "fence_seq_cst": self._fence_seq_cst,
            "fence_acquire": self._fence_acquire,
            "fence_release": self._fence_release,
            "pause": lambda: None,
        }
        return names | {name: lambda: None for name in self._broken if name.startswith("fence_")}

    @contextmanager
    def installed(self, *modules: ModuleType) -> Iterator[None]:
        """Put this machine's atomics under the plain kernels of ``modules``."""
        saved = [
            (module, name, getattr(module, name))
            for module in modules
            for name in self.atomics()
            if hasattr(module, name)
        ]
        try:
            for module, name, _ in saved:
                setattr(module, name, self.atomics()[name])
            yield
        finally:
            for module, name, original in saved:
                setattr(module, name, original)
