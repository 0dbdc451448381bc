"""No wake is lost on a machine with weak memory, and without either fence some are."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from shm.atomics import address_of
from shm.doorbell import SEQUENCE_AT, SLEEPING_AT, Doorbell
from shm.futex import timespec_of
from shm.layout import DOORBELL
from tests.plain_twin import PlainTwin
from tests.shm.orders import Orders
from tests.shm.weak_memory import Machine, uncounted

SEEDS = 300
ROUNDS = 6
TRIES_MAX = 2000

pytestmark = uncounted


@pytest.fixture(scope="module")
def plain(plain_twin: PlainTwin) -> ModuleType:
    return plain_twin("shm.doorbell")


class Trial:
    """A producer that publishes numbers and rings for each, an owner that sleeps when it has seen all."""

    def __init__(self, plain: ModuleType, seed: int, broken: str) -> None:
        self.plain = plain
        self.bell = Doorbell.create()
        self.words = np.zeros(16, np.int64)
        self.word = address_of(self.words)
        shared = [(self.bell.address, self.bell.address + DOORBELL.itemsize), (self.word, self.word + 8)]
        self.machine = Machine(seed, shared, frozenset([broken]))
        self.atomics = self.machine.atomics()
        self.told = 0
        self.slept = 0
        self.lost = 0

    def produce(self) -> None:
        """Publish each number, then ring."""
        for number in range(1, ROUNDS + 1):
            self.atomics["store_release"](self.word, number)
            self.told += self.plain.ring_bell(self.bell.address)

    def own(self) -> None:
        """Take numbers as they come; asleep, only a bell wakes."""
        seen = 0
        while seen < ROUNDS and not self.lost:
            ticket = self.plain.prepare(self.bell.address)
            found = self.atomics["load_acquire"](self.word)
            if found == seen:
                self.slept += 1
                self.sleep(ticket)
            self.plain.stay_awake(self.bell.address)
            seen = int(found)  # type: ignore[call-overload]

    def sleep(self, ticket: int) -> None:
        """Wait for the word to change, as the futex does; whoever waits when all was said waits for ever."""
        for _ in range(TRIES_MAX):
            if self.atomics["load_acquire"](self.bell.address + SEQUENCE_AT) != ticket:
                return
            self.machine.give_way()
        self.lost += 1

    def run(self) -> Trial:
        with self.machine.installed(self.plain):
            self.machine.run(self.produce, self.own)
        return self


def test_no_wake_is_lost(plain: ModuleType) -> None:
    trials = [Trial(plain, seed, "").run() for seed in range(SEEDS)]
    assert sum(trial.lost for trial in trials) == 0
    assert sum(trial.slept for trial in trials) > SEEDS // 10
    assert sum(trial.told for trial in trials) > SEEDS // 10


def test_without_its_fences_a_wake_is_lost(plain: ModuleType) -> None:
    assert any(Trial(plain, seed, "fence_seq_cst").run().lost for seed in range(SEEDS))


def test_what_the_other_side_follows_is_ordered(plain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine above runs loads in order; a processor that does not needs these orders as well."""
    owned = Doorbell.create()
    bell = owned.address
    sequence, sleeping = bell + SEQUENCE_AT, bell + SLEEPING_AT
    orders = Orders(monkeypatch, plain)
    plain.ring_bell(bell)
    assert orders.take_all() == [("fence_seq_cst", 0)], "what was published, before the look at the flag"
    seen = plain.prepare(bell)
    assert orders.take_all() == [
        ("load_acquire", sequence),
        ("store_seq_cst", sleeping),
        ("fence_seq_cst", 0),
    ], "the flag, before the look at the rings"
    timespec = timespec_of(1)
    plain.sleep(bell, seen, address_of(timespec))
    assert orders.take_all() == [("store_release", sleeping), ("load_acquire", sequence)], "what was rung for"
    plain.stay_awake(bell)
    assert orders.take_all() == [("store_release", sleeping)]
