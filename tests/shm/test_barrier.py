"""Barriers against a dictionary, and the promise they make on a machine with weak memory."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm import barrier as module
from shm.atomics import address_of
from shm.barrier import Barrier
from shm.errors import LayoutMismatch, RingRefused, SegmentExists
from shm.layout import BARRIER, BARRIER_READERS_MAX, ReaderState
from tests.plain_twin import PlainTwin
from tests.shm.weak_memory import Machine, uncounted

NAMES = ("strategy", "optimizer", "executor")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), st.just(0)),
        st.tuples(st.sampled_from(["join", "confirm", "drop"]), st.integers(0, len(NAMES) - 1)),
    ),
    max_size=30,
)
SEEDS = 100
VERSIONS = 12
TRIES_MAX = 2000


@given(STEPS)
def test_against_a_dictionary(steps: list[tuple[str, int]]) -> None:
    barrier = Barrier.create(NAMES)
    confirmed = dict.fromkeys(NAMES, 0)
    joined: dict[str, module.BarrierReader] = {}
    version = 0
    for what, number in steps:
        name = NAMES[number]
        if what == "announce":
            version += 1
            barrier.announce(version)
        elif what == "join" and name in joined:
            with pytest.raises(RingRefused, match=f"'{name}' has joined this barrier already, or"):
                barrier.reader(name)
        elif what == "join" and name in confirmed:
            joined[name] = barrier.reader(name)
        elif what == "confirm" and name in joined:
            assert joined[name].announced() == version
            assert joined[name].has_news(version - 1)
            assert not joined[name].has_news(version)
            assert joined[name].confirm(version) == (name in confirmed)
            if name in confirmed:
                confirmed[name] = version
        elif what == "drop":
            barrier.drop(name)
            confirmed.pop(name, None)
        assert barrier.passed() == min(confirmed.values(), default=version)


def test_a_reader_holds_back_before_it_has_joined() -> None:
    barrier = Barrier.create(NAMES)
    barrier.announce(5)
    for name in NAMES[1:]:
        assert barrier.reader(name).confirm(5)
    assert barrier.passed() == 0
    late = barrier.reader(NAMES[0])
    assert (late.announced(), barrier.passed()) == (5, 0)
    assert late.confirm(4)
    assert barrier.passed() == 4


def test_a_barrier_without_readers_waits_for_nobody() -> None:
    barrier = Barrier.create(())
    barrier.announce(3)
    assert barrier.passed() == 3


def test_a_dropped_reader_is_told_and_does_not_come_back() -> None:
    barrier = Barrier.create(NAMES[:1])
    reader = barrier.reader(NAMES[0])
    barrier.announce(2)
    barrier.drop(NAMES[0])
    assert barrier.passed() == 2
    assert not reader.confirm(2)
    assert int(barrier.header["readers"]["confirmed"][0]) == 0
    with pytest.raises(RingRefused):
        barrier.reader(NAMES[0])


@pytest.mark.parametrize(
    ("readers", "why"),
    [
        (("a", "a"), "each named once"),
        ([str(number) for number in range(BARRIER_READERS_MAX + 1)], "up to 32 readers"),
        (("",), "1 to 32 ASCII"),
        (("x" * 33,), "1 to 32 ASCII"),
        (("\u00e9",), "1 to 32 ASCII"),
    ],
)
def test_refused_declarations(readers: list[str], why: str) -> None:
    with pytest.raises(RingRefused, match=why):
        Barrier.create(readers)


def test_as_many_readers_as_there_is_room_for() -> None:
    names = [f"{number:032d}" for number in range(BARRIER_READERS_MAX)]
    barrier = Barrier.create(names)
    barrier.announce(9)
    for name in names:
        assert barrier.passed() == 0
        barrier.reader(name).confirm(9)
    assert (barrier.passed(), barrier.readers) == (9, tuple(names))


def test_only_declared_readers_come() -> None:
    barrier = Barrier.create(NAMES[:2])
    for call in (barrier.reader, barrier.drop):
        with pytest.raises(RingRefused, match="'ledger' is not a reader of this barrier; declared: s"):
            call("ledger")


def test_another_process_confirms(tmp_path: Path) -> None:
    mine = Barrier.create(NAMES[:1], name="catalog", directory=tmp_path, epoch=4)
    other = Barrier.attach("catalog", tmp_path, epoch=4)
    mine.announce(7)
    reader = other.reader(NAMES[0])
    assert (reader.announced(), other.readers) == (7, NAMES[:1])
    assert reader.confirm(7)
    assert mine.passed() == 7
    with pytest.raises(LayoutMismatch, match="epoch"):
        Barrier.attach("catalog", tmp_path, epoch=5)


@given(STEPS)
def test_plain_and_compiled_leave_the_same_words(plain_twin: PlainTwin, steps: list[tuple[str, int]]) -> None:
    plain = plain_twin("shm.barrier")
    barriers = [Barrier.create(NAMES), Barrier.create(NAMES)]
    for version, (what, number) in enumerate(steps):
        answers = []
        for kernels, barrier in zip((module, plain), barriers, strict=True):
            address = barrier.address
            reader = address + module.READERS_AT + number * 128
            if what == "announce":
                answers.append(kernels.announce(address, version))
            elif what == "join":
                answers.append(kernels.change_state(reader, module.DECLARED, module.JOINED))
            elif what == "confirm":
                answers.append(kernels.confirm(reader, kernels.announced(address)))
            else:
                answers.append(kernels.change_state(reader, module.JOINED, module.FENCED))
            answers.append(kernels.passed(address))
        assert answers[:2] == answers[2:]
    assert np.array_equal(barriers[0].segment.words(), barriers[1].segment.words())


def conduct(plain: ModuleType, seed: int, broken: str = "") -> int:
    """A writer with one shared word, and a reader that keeps a copy of it; how often the writer went on.

    Nothing orders the two words but the barrier: what was announced is seen, what was confirmed is let go.
    """
    barrier = Barrier.create(("reader",))
    barrier.reader("reader")
    reader = barrier.address + module.READERS_AT
    words = np.zeros(32, np.int64)
    word, copy = address_of(words), address_of(words) + 128
    shared = [(barrier.address, barrier.address + BARRIER.itemsize), (word, word + 256)]
    machine = Machine(seed, shared, frozenset([broken]))
    atomics = machine.atomics()
    went_on = [0]

    def write() -> None:
        for version in range(1, VERSIONS):
            atomics["store_relaxed"](word, version)
            plain.announce(barrier.address, version)
            for _ in range(TRIES_MAX):
                if plain.passed(barrier.address) == version:
                    assert atomics["load_relaxed"](copy) == version, "confirmed, and still in use"
                    went_on[0] += 1
                    break
                machine.give_way()

    def read() -> None:
        for _ in range(TRIES_MAX):
            version = plain.announced(barrier.address)
            found = atomics["load_relaxed"](word)
            assert found == version or found == version + 1, "older than what was announced"
            if found == version:
                atomics["store_relaxed"](copy, found)
                plain.confirm(reader, version)
            if version == VERSIONS - 1:
                break
            machine.give_way()

    with machine.installed(plain):
        machine.run(write, read)
    return went_on[0]


@pytest.fixture(scope="module")
def plain(plain_twin: PlainTwin) -> ModuleType:
    return plain_twin("shm.barrier")


@uncounted
def test_what_has_passed_is_in_use_nowhere(plain: ModuleType) -> None:
    assert sum(conduct(plain, seed) for seed in range(SEEDS)) == SEEDS * (VERSIONS - 1)


@uncounted
@pytest.mark.parametrize("broken", ["store_release", "load_acquire"])
def test_the_machine_notices_a_broken_order(plain: ModuleType, broken: str) -> None:
    def fails(seed: int) -> bool:
        try:
            conduct(plain, seed, broken)
        except AssertionError:
            return True
        return False

    assert any(fails(seed) for seed in range(SEEDS))


def test_states_of_readers_are_those_of_rings() -> None:
    assert (module.DECLARED, module.JOINED, module.FENCED) == (
        ReaderState.DECLARED,
        ReaderState.JOINED,
        ReaderState.FENCED,
    )


def test_a_new_writer_goes_on_and_its_readers_hold_it_back(tmp_path: Path) -> None:
    first = Barrier.create_or_adopt(NAMES[:2], name="catalog", epoch=1, directory=tmp_path)
    quick, slow = (Barrier.attach("catalog", tmp_path).reader(name) for name in NAMES[:2])
    first.announce(5)
    assert quick.confirm(5)
    assert slow.confirm(4)
    with pytest.raises(SegmentExists, match="its owner lives"):
        Barrier.create_or_adopt(NAMES[:2], name="catalog", epoch=2, directory=tmp_path)
    first.segment.close()  # died
    with pytest.raises(LayoutMismatch, match="catalog: readers are"):
        Barrier.create_or_adopt(NAMES, name="catalog", epoch=2, directory=tmp_path)
    second = Barrier.create_or_adopt(NAMES[:2], name="catalog", epoch=2, directory=tmp_path)
    assert second.passed() == 0
    second.announce(1)
    assert (quick.announced(), quick.has_news(5)) == (6, True), "no version comes twice"
    assert quick.confirm(quick.announced())
    assert second.passed() == 0, "one is still at what the dead writer announced"
    assert slow.confirm(5)
    assert second.passed() == 0
    assert slow.confirm(6)
    assert second.passed() == 1


def test_a_restarted_reader_holds_back_from_where_it_was(tmp_path: Path) -> None:
    mine = Barrier.create(NAMES[:2], name="catalog", directory=tmp_path)
    mine.announce(3)
    reader = Barrier.attach("catalog", tmp_path).resume(NAMES[0])
    assert reader.confirm(3)
    for call in (mine.resume, mine.reader):
        with pytest.raises(RingRefused, match="catalog: its reader lives"):
            call(NAMES[0])
    del reader  # died
    mine.announce(4)
    with pytest.raises(RingRefused, match="has joined this barrier already"):
        mine.reader(NAMES[0])
    again = mine.resume(NAMES[0])
    assert mine.resume(NAMES[1]).confirm(4)
    assert mine.passed() == 3
    assert again.confirm(4)
    assert mine.passed() == 4
    del again
    mine.drop(NAMES[0])
    with pytest.raises(RingRefused, match="was dropped from this barrier"):
        mine.resume(NAMES[0])


def test_in_private_memory_no_reader_comes_back() -> None:
    barrier = Barrier.create(NAMES[:1])
    barrier.resume(NAMES[0])
    with pytest.raises(RingRefused, match="has joined this barrier already"):
        barrier.resume(NAMES[0])
