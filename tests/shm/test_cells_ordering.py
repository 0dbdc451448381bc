"""The ring protocol on a machine with weak memory: nothing torn, nothing out of order, every loss counted."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from shm import ring as rings
from shm import sums
from shm.layout import (
    CELL_HEADER_BYTES,
    ORDINAL_MASK,
    ORDINAL_SHIFT,
    PAYLOAD_BYTES,
    READER,
    RING,
    WORD_BYTES,
    Status,
    offset_of,
)
from tests.plain_twin import PlainTwin
from tests.shm.orders import Orders
from tests.shm.weak_memory import Machine, uncounted

Plain = tuple[ModuleType, ModuleType]
Ring = rings.OverwritingRing | rings.RefusingRing
Words = NDArray[np.int64]

pytestmark = [pytest.mark.plain_only, uncounted]

CAPACITY = 8
WORDS = PAYLOAD_BYTES[0] // 8
SEEDS = 100
REFUSING_SEEDS = 40
FENCING_SEEDS = 200
MESSAGES = 40
TRIES_MAX = 3000


@pytest.fixture(scope="module")
def plain(plain_twin: PlainTwin) -> Plain:
    """Plain copies of the kernels' modules."""
    return plain_twin("shm.cells"), plain_twin("shm.gating")


class Trial:
    """One ring, one writer that publishes MESSAGES messages, one reader that checks what it gets."""

    def __init__(self, cells: ModuleType, ring: Ring, reader: rings.Reader, machine: Machine) -> None:
        self.cells = cells
        self.ring = ring
        self.reader = reader
        self.machine = machine
        self.sent: list[int] = []
        self.received: list[int] = []

    def write(self) -> None:
        """Publish messages of 1 and 2 cells; a refused one is tried again."""
        words = np.zeros(2 * WORDS, np.int64)
        for message in range(MESSAGES):
            words[:] = 1000 * message + np.arange(2 * WORDS)
            for _ in range(TRIES_MAX):
                if self.cells.publish(self.ring.address, words.ctypes.data, 1 + message % 2, message) > 0:
                    self.sent.append(message)
                    break
                self.machine.give_way()

    def read(self) -> None:
        """Poll until the writer has finished."""
        for _ in range(TRIES_MAX):
            if self.poll() <= 0:
                self.machine.give_way()
            if len(self.sent) == MESSAGES:
                break

    def poll(self) -> int:
        """One poll of one message, checked whole."""
        out = np.full(2 * WORDS, -1, np.int64)
        tags = np.zeros(2, np.int64)
        n_cells: int = self.cells.poll(
            self.ring.address, self.reader.address, out.ctypes.data, tags.ctypes.data, 2, 1
        )
        if n_cells > 0:
            message = rings.message_flags(int(tags[0]))
            assert n_cells == 1 + message % 2, "part of a message was handed out"
            assert [rings.cell_index(int(tag)) for tag in tags[:n_cells]] == list(range(n_cells))
            assert out[: n_cells * WORDS].tolist() == [
                1000 * message + at for at in range(n_cells * WORDS)
            ], "torn"
            assert int(tags[0]) >> ORDINAL_SHIFT & ORDINAL_MASK == message
            self.received.append(message)
        return n_cells

    def settle(self) -> None:
        """After the run: read what is left, and hold the counts against what was sent."""
        for _ in range(MESSAGES):
            if self.poll() <= 0:
                break
        assert self.received == sorted(set(self.received)), "out of order, or twice"
        assert self.sent == list(range(MESSAGES))
        assert self.received[-1] == MESSAGES - 1
        assert self.reader.received_messages == len(self.received)
        assert self.reader.received_messages + self.reader.lost_messages == MESSAGES
        assert self.reader.received_cells + self.reader.lost_cells == self.ring.published_cells


def conduct(plain: Plain, seed: int, ring: Ring, reader: rings.Reader, broken: str) -> Trial:
    """Run writer and reader on a weak machine, in the schedule of ``seed``."""
    size = RING.itemsize + ring.capacity * (CELL_HEADER_BYTES + ring.payload_bytes + WORD_BYTES)
    machine = Machine(seed, [(ring.address, ring.address + size)], frozenset([broken]))
    trial = Trial(plain[0], ring, reader, machine)
    with machine.installed(*plain, sums):
        machine.run(trial.write, trial.read)
    return trial


def overwriting(plain: Plain, seed: int, broken: str = "") -> Trial:
    ring = rings.OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    return conduct(plain, seed, ring, ring.reader(), broken)


def refusing(plain: Plain, seed: int, broken: str = "", *, checked: bool = False) -> Trial:
    ring = rings.RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("reader",), checked=checked)
    return conduct(plain, seed, ring, ring.reader("reader", 0), broken)


def test_overwriting_ring_is_right_in_every_schedule(plain: Plain) -> None:
    laps = 0
    for seed in range(SEEDS):
        trial = overwriting(plain, seed)
        trial.settle()
        laps += trial.reader.laps
    assert laps > SEEDS, "the schedules hardly lap: the test proves nothing"


@pytest.mark.parametrize("checked", [False, True])
def test_refusing_ring_loses_nothing_in_any_schedule(plain: Plain, checked: bool) -> None:
    """Nor does a checked one take for garbage what is not all to be seen yet."""
    refused = 0
    for seed in range(REFUSING_SEEDS):
        trial = refusing(plain, seed, checked=checked)
        trial.settle()
        assert trial.reader.garbled == 0
        assert trial.received == trial.sent
        refused += trial.ring.refusals["full"]
    assert refused > REFUSING_SEEDS, "the schedules hardly fill the ring: the test proves nothing"


class Fencing:
    """A full ring that waits for two readers: the silent one is fenced while it reads, and overwritten."""

    def __init__(self, plain: Plain, seed: int, broken: str = "") -> None:
        self.cells, self.gating = plain
        self.ring = rings.RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("silent", "quick"))
        self.silent, self.quick = self.ring.reader("silent", 0), self.ring.reader("quick", 1_000)
        self.received: list[int] = []
        self.told = False
        for message in range(CAPACITY):
            self.publish(message)
        size = RING.itemsize + CAPACITY * (CELL_HEADER_BYTES + PAYLOAD_BYTES[0])
        shared = [(self.ring.address, self.ring.address + size)]
        machine = Machine(seed, shared, frozenset([broken]))
        with machine.installed(*plain):
            machine.run(self.write, self.read)

    def publish(self, message: int) -> None:
        words = np.full(WORDS, message, np.int64)
        assert self.cells.publish(self.ring.address, words.ctypes.data, 1, 0) == 1
        assert self.poll(self.quick) == [message] * WORDS

    def write(self) -> None:
        assert self.gating.fence_silent(self.ring.address, 500, 100) == 1
        for message in range(CAPACITY, 2 * CAPACITY):
            self.publish(message)

    def read(self) -> None:
        for _ in range(TRIES_MAX):
            if not (words := self.poll(self.silent)):
                break
            assert words == [words[0]] * WORDS, "torn"
            self.received.append(words[0])

    def poll(self, reader: rings.Reader) -> list[int]:
        """Words of the next message; none for a fenced reader, which a gating reader in this ring ends as."""
        out, tags = np.zeros(WORDS, np.int64), np.zeros(1, np.int64)
        for _ in range(TRIES_MAX):
            n_cells = self.cells.poll(
                self.ring.address, reader.address, out.ctypes.data, tags.ctypes.data, 1, 1
            )
            if n_cells == 1:
                return out.tolist()
            if n_cells == Status.READER_FENCED:
                self.told = True
                break
        return []

    def settle(self) -> None:
        assert self.told
        assert self.silent.laps == self.quick.laps == 0, "a fence was taken for a lap"
        assert self.received == list(range(len(self.received)))


def test_a_fenced_reader_is_told_so_in_every_schedule(plain: Plain) -> None:
    """Whoever sees its cell overwritten also sees that it was fenced: it takes a fence on either side."""
    received = set()
    for seed in range(FENCING_SEEDS):
        trial = Fencing(plain, seed)
        trial.settle()
        received.add(len(trial.received))
    assert received >= set(range(CAPACITY)), "the schedules hardly differ: the test proves nothing"


@pytest.mark.parametrize("broken", ["fence_release", "fence_acquire", "store_release", "load_acquire"])
def test_the_machine_notices_a_broken_order(plain: Plain, broken: str) -> None:
    """Without each of the four the protocol fails within the schedules above, so they prove that it holds."""

    def fails(seed: int) -> bool:
        try:
            overwriting(plain, seed, broken).settle()
        except AssertionError:
            return True
        return False

    assert any(fails(seed) for seed in range(SEEDS))


def test_what_another_core_waits_for_is_acquired_and_released(
    plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine above executes loads in order; a processor that does not needs these orders as well."""
    cells, gating = plain
    ring = rings.RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("gate",))
    reader, observer = ring.reader("gate", 0), ring.observer()
    position = reader.address + offset_of(READER, "position")
    state = reader.address + offset_of(READER, "state")
    head, epochs = (ring.address + offset_of(RING, field) for field in ("head", "adoptions"))
    cell = [ring.address + RING.itemsize + at * 64 for at in range(CAPACITY)]
    words = np.zeros(4 * WORDS, np.int64)
    source, tags = words.ctypes.data, np.zeros(4, np.int64)
    orders = Orders(monkeypatch, cells, gating)

    cells.publish(ring.address, source, 2, 0)
    assert orders.take() == ([], [cell[1], cell[0], head]), "the first cell last, then the head"
    for _ in range(3):
        cells.publish(ring.address, source, 2, 0)
    orders.take()
    assert cells.publish(ring.address, source, 1, 0) == Status.REFUSED_FULL
    assert orders.take() == ([state, position], [])
    assert cells.poll(ring.address, reader.address, source, tags.ctypes.data, 4, 1) == 2
    assert orders.take() == ([state, epochs, cell[0]], [position]), "freed after it was copied"
    cells.publish(ring.address, source, 1, 0)
    orders.take()

    own = observer.address
    assert cells.poll(ring.address, own, source, tags.ctypes.data, 4, 1) == 2
    lapped_at, safe = cell[0], cell[3]
    jumped = [lapped_at, own + 16, head, safe, epochs]
    assert orders.take() == ([own + 16, epochs, *jumped, cell[4]], [own, own])
    assert cells.join(ring.address, own, 0) == 1
    assert orders.take() == ([head, cell[0]], [own])
    assert gating.fence_silent(ring.address, 10, 1) == 1
    assert orders.take() == ([state], []), "before the heartbeat"
    assert cells.rejoin(ring.address, reader.address) == 1
    assert orders.take() == ([state, head, cell[0]], [position])


def test_fences_stand_between_a_cell_and_its_sequence(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the words of a message are relaxed, a fence keeps them on their side of the sequence."""
    cells, gating = plain
    ring = rings.OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    reader = ring.reader()
    state, epochs = reader.address + offset_of(READER, "state"), ring.address + offset_of(RING, "adoptions")
    words, tags = np.zeros(4 * WORDS, np.int64), np.zeros(4, np.int64)
    orders = Orders(monkeypatch, cells, gating)

    cells.publish(ring.address, words.ctypes.data, 1, 0)
    assert [name for name, _ in orders.take_all()] == ["fence_release", "store_release", "store_release"]
    cells.poll(ring.address, reader.address, words.ctypes.data, tags.ctypes.data, 4, 1)
    taken = [name for name, _ in orders.take_all()]
    assert taken == ["load_acquire"] * 3 + ["fence_acquire", "store_release"]
    cells.resolve(ring.address, 0)
    assert [name for name, _ in orders.take_all()] == ["load_acquire", "fence_acquire"]
    cells._recover(ring.address, reader.address)
    assert orders.take_all()[:2] == [("fence_acquire", 0), ("load_acquire", state)]
    cells.epoch_number(ring.address, 0)
    assert orders.take_all() == [("load_acquire", epochs)]
