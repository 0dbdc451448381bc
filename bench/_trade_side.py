"""The far ends of ``bench.path``, each in a process of its own, as ``python -m bench._trade_side``.

``trade``: strategy and optimizer of a real engine over the rings and tables in FOLDER, and in the executor's
place a reader that notes how old each plan is when it comes, and says that it is done. ``signals``: the same
in the optimizer's place, for the signals of a strategy that is not here. ``watch``: a compiled reader of one
row of a table of books. All answer each line on stdin with a line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench._clock import ticks  # noqa: E402
from bench._scene import START_NS, config_of, market_of, pair_of  # noqa: E402
from bench._timing import switched  # noqa: E402
from engine.config import Role  # noqa: E402
from engine.optimizer.warm import warm as warm_optimizer  # noqa: E402
from engine.records import (  # noqa: E402
    ACCOUNT_ROW,
    BOOK_ROW,
    ORDER_EVENT,
    PLAN_HEAD,
    SIGNAL_HEAD,
    DecisionStage,
    OrderStatus,
    Venue,
)
from engine.strategies.warm import warm as warm_strategies  # noqa: E402
from engine.units import PPM  # noqa: E402
from procs.agent import Agent  # noqa: E402
from procs.config_files import load_fee_table  # noqa: E402
from procs.drill import Drill  # noqa: E402
from procs.host import Host  # noqa: E402
from procs.ladder import EngineTime, make_ladder  # noqa: E402
from procs.pace import EngineClock, Seats  # noqa: E402
from procs.parts import VENUES, EngineParts, Scene  # noqa: E402
from procs.stages import Stages  # noqa: E402
from procs.wires import Wires  # noqa: E402
from shm.atomics import address_of, load_acquire, pause, store_relaxed  # noqa: E402
from shm.cells import poll  # noqa: E402
from shm.jit import kernel  # noqa: E402
from shm.layout import WORD_BYTES  # noqa: E402
from shm.reader import EVERY_MESSAGE  # noqa: E402
from shm.ring import Reader, cell_index  # noqa: E402
from shm.table import Table, fetch_row, row_address  # noqa: E402

EPOCH: Final = 2
DRILLS: Final = "drills"  # of a line on stdin, behind how many are expected
STAMPS: Final = ("recv_ns", "book_ns", "signal_ns", "plan_ns")  # of a plan, in their order
STAGES: Final = (
    "to_book_ns",
    "to_signal_ns",
    "to_plan_ns",
    "to_executor_ns",
)  # between them, and to its reader
TRADING: Final = (Role.STRATEGY, Role.OPTIMIZER)
CASH_MICROS: Final = 1_000_000_000_000
POLLS_IN_KERNEL: Final = 20_000
DEADLINE_S: Final = 20.0
SILENT_S: Final = 3.0
RECV_NS_WORD: Final = int(BOOK_ROW.fields["recv_ns"][1]) // 8 if BOOK_ROW.fields is not None else 0

Words = NDArray[np.int64]


def engine_ns() -> int:
    """Engine time of both sides: the monotonic clock, which all share, from the day of the scene on."""
    return START_NS + time.monotonic_ns()


ENGINE_TIME: Final = EngineTime(engine_ns, START_NS)


def join(folder: Path, pairs: int, roles: tuple[Role, ...]) -> tuple[Wires, Stages]:
    """Stages of ``roles`` over the rings and tables in ``folder``, as a live process of an engine has them.

    Feed and books are fused, and each stage keeps its ladder.
    """
    wires, parts = parts_of(folder, pairs, roles)
    return wires, Stages(parts, roles, fused=ENGINE_TIME, leads=True)


def parts_of(folder: Path, pairs: int, roles: tuple[Role, ...]) -> tuple[Wires, EngineParts]:
    """What those stages are made of."""
    config = config_of(2 * pairs)
    markets = [market_of(number) for number in range(2 * pairs)]
    scene = Scene(markets, [pair_of(number) for number in range(pairs)], load_fee_table(config), START_NS)
    wires = Wires.join(VENUES, folder, roles, EPOCH)
    ladder = make_ladder(roles[-1].name.lower(), roles, folder, EPOCH, engine_ns)
    return wires, EngineParts(config, scene, wires, roles, EPOCH, ladder=ladder)


@kernel
def hear(ring: int, cursor: int, out: int, tags: int, room: int, offset_ns: int, heard_ns: int) -> int:
    """Poll a ring until something has come, a bounded number of times; its cells, or 0.

    ``heard_ns``: address of a word for when it was there whole, and of two behind it that the clock needs.
    """
    for _ in range(POLLS_IN_KERNEL):
        cells = poll(ring, cursor, out, tags, room, EVERY_MESSAGE)
        if cells != 0:
            store_relaxed(heard_ns, ticks(0, heard_ns + WORD_BYTES) + offset_ns)
            return cells
        pause()
    return 0


class Taken(NamedTuple):
    """When the frame was received of which something came, when that was said, and when we had it.

    ``stages``: of a plan, what each stage took by the stamps it carries, in the order of STAGES.
    """

    recv_ns: int
    said_ns: int
    now_ns: int
    stages: tuple[int, ...] = ()


class Taker:
    """Takes plans or signals in the place of the stage they are for, and says of each that it is done with.

    ``executor`` are wires whose writer of events we are.
    """

    def __init__(self, reader: Reader, layout: np.dtype[np.void], executor: Wires) -> None:
        self._reader, self._heads = reader, reader.records(layout)
        self._ids = [name for name in ("plan_id", "signal_id") if name in (layout.names or ())]
        self._said = "plan_ns" if "plan_id" in self._ids else "signal_ns"
        self._executor = executor
        self._event = np.zeros(1, ORDER_EVENT)
        self._heard_ns = np.zeros(3, np.int64)

    def poll(self) -> list[Taken]:
        """What has come since the last look."""
        return self._taken(self._reader.poll(), engine_ns())

    def hear(self) -> list[Taken]:
        """The same, of a bounded number of looks in compiled code; found when that code has it whole."""
        reader, heard_ns = self._reader, self._heard_ns
        places = reader.ring_address, reader.address, address_of(reader.words), address_of(reader.tags)
        cells = hear(*places, reader.room_cells, START_NS, address_of(heard_ns))
        return self._taken(cells, int(heard_ns[0]))

    def _taken(self, cells: int, now_ns: int) -> list[Taken]:
        heads = [cell for cell in range(max(cells, 0)) if cell_index(int(self._reader.tags[cell])) == 0]
        rows = [self._heads[cell] for cell in heads]
        found = [
            Taken(int(row["recv_ns"]), int(row[self._said]), now_ns, self._stages(row, now_ns))
            for row in rows
        ]
        for cell in heads:
            self._done(self._heads[cell])
        return found

    def _stages(self, head: np.void, now_ns: int) -> tuple[int, ...]:
        if "plan_id" not in self._ids:
            return ()
        stamps = [*(int(head[name]) for name in STAMPS), now_ns]
        return tuple(later - earlier for earlier, later in pairwise(stamps))

    def _done(self, head: np.void) -> None:
        event = self._event
        for name in self._ids:
            event[name] = head[name]
        if "plan_id" not in self._ids:
            event["plan_id"] = head["signal_id"]  # of the plan that would have come of it
        event["slot"], event["venue"] = head["slot"], Venue.POLYMARKET
        event["status"], event["plan_done"] = OrderStatus.CANCELLED, 1
        if not self._executor.events.publish(event):
            raise RuntimeError("no room for an event")


class Signals:
    """Who takes signals where the optimizer and the executor would be, and reads what else would fill up."""

    def __init__(self, folder: Path) -> None:
        wires = Wires.join(VENUES, folder, (Role.OPTIMIZER, Role.EXECUTOR), EPOCH)
        self._taker = Taker(wires.signals.resume("optimizer", 0), SIGNAL_HEAD, wires)
        self._others = [
            wires.events.resume("optimizer", 0),
            wires.decisions[DecisionStage.STRATEGY].resume("log", 0),
        ]

    def begin(self) -> None:
        """What came before is done with."""
        self.poll()
        self.hear()

    def poll(self) -> list[Taken]:
        """As of ``Taker``; then, off the way, events and decisions."""
        found = self._taker.poll()
        for reader in self._others if found else ():
            reader.poll()
        return found

    def hear(self) -> list[Taken]:
        """As ``poll``, by a reader that is compiled as the optimizer's is (``procs.plan_turn``)."""
        found = self._taker.hear()
        for reader in self._others if found else ():
            reader.poll()
        return found

    def take(self, expected: int) -> list[int]:
        """Poll until so many have come, or none for SILENT_S; their ages in nanoseconds."""
        return ages_of(self.hear, expected)


def ages_of(poll: Callable[[], list[Taken]], expected: int) -> list[int]:
    """Poll until so many ages are there, or none has come for SILENT_S."""
    ages: list[int] = []
    deadline_s = time.monotonic() + SILENT_S
    while len(ages) < expected and time.monotonic() < deadline_s:
        found = poll()
        if found:
            deadline_s = time.monotonic() + SILENT_S
            ages += [one.now_ns - one.recv_ns for one in found]
    return ages


class PlanTaker:
    """In the executor's place: notes how old each plan is; then, off the way, reads what would fill up."""

    role = "executor"

    def __init__(self, taker: Taker, plans: Reader, logs: list[Reader]) -> None:
        self.readers = (plans,)
        self.taken: list[Taken] = []
        self._taker, self._logs = taker, logs

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Take the plans that came."""
        del now_ns
        found = self._taker.poll()
        self.taken += found
        for log in self._logs:
            log.poll()
        return len(found)

    def on_close(self) -> None:
        """Nothing to let go of."""


class Trade:
    """Strategy and optimizer in a process's own loop, and who takes their plans. ``drills``: meanwhile."""

    def __init__(self, folder: Path, pairs: int) -> None:
        # As the executor's writer it says what cash there is, and which plans are done.
        self._wires, stages = join(folder, pairs, TRADING)
        self._executor = Wires.join(VENUES, folder, (Role.EXECUTOR,), EPOCH)
        account = np.zeros(1, ACCOUNT_ROW)
        account["cash_micros"] = CASH_MICROS
        for venue in VENUES:
            self._executor.accounts.write(int(venue), account)
        plans = self._wires.plans.resume("executor", 0)
        logs = [
            self._wires.decisions[stage].resume("log", 0)
            for stage in (DecisionStage.STRATEGY, DecisionStage.OPTIMIZER)
        ]
        self._end = PlanTaker(Taker(plans, PLAN_HEAD, self._executor), plans, logs)
        clock, seats = EngineClock.create(), Seats.create(("trade",))
        clock.move(engine_ns(), PPM)
        clock.run_live()
        agents: list[Agent] = [*stages.in_order(), self._end]
        self._host = Host(agents, clock, seats.seat("trade"), by_news=True)
        self._drill = Drill(config_of(1), TRADING, ENGINE_TIME, stages.scratch())
        self.drills = True
        self._stages: list[tuple[int, ...]] = []
        self._host.start()

    def begin(self) -> None:
        """Take a turn: what came before is done with."""
        self.poll()

    def poll(self) -> list[Taken]:
        """One of a process that spins, and the plans that came of it."""
        if not self._host.turn():
            if self.drills:
                self._drill.turn()
            self._host.wait()
        found, self._end.taken = self._end.taken, []
        self._stages += [one.stages for one in found]
        return found

    def stages(self) -> dict[str, float]:
        """Medians of what each stage took, of the plans since the last time this was asked."""
        columns, self._stages = list(zip(*self._stages, strict=True)), []
        return {name: statistics.median(column) for name, column in zip(STAGES, columns, strict=False)}

    def take(self, expected: int) -> list[int]:
        """Work until so many plans have come, or none for SILENT_S; their ages in nanoseconds."""
        return ages_of(self.poll, expected)


@kernel
def watch(row: int, n_words: int, out: Words, ages: Words, seen: int, offset_ns: int, scratch: int) -> int:
    """Look at a row a bounded number of times, note the age of each new version; how many by now.

    ``out``: the row as it was read last, behind its sequence.
    """
    for _ in range(POLLS_IN_KERNEL):
        if load_acquire(row) == out[0]:
            pause()
            continue
        sequence, _ = fetch_row(row, n_words, out.ctypes.data + 8)
        now_ns = ticks(0, scratch) + offset_ns
        if sequence <= out[0]:
            continue
        out[0] = sequence
        if seen < ages.size:
            ages[seen] = now_ns - out[1 + RECV_NS_WORD]
            seen += 1
    return seen


class Watcher:
    """Sees a row of Polymarket's books as soon as it can."""

    def __init__(self, folder: Path) -> None:
        self._table = Table.attach("books.polymarket", BOOK_ROW, folder)
        self._out = np.zeros(1 + BOOK_ROW.itemsize // 8, np.int64)
        self._scratch = np.zeros(2, np.int64)
        self._look(np.zeros(1, np.int64), 0)

    def _look(self, ages: Words, seen: int) -> int:
        row = row_address(self._table.address, 0)
        return watch(row, self._out.size - 1, self._out, ages, seen, START_NS, address_of(self._scratch))

    def begin(self) -> None:
        """Look where the row stands now."""
        self._look(np.zeros(1, np.int64), 1)

    def take(self, expected: int) -> list[int]:
        """Ages of the next changes of the row in slot 0, without those that the next one overtook.

        Empty when not all of them happened.
        """
        ages, seen = np.zeros(expected, np.int64), 0
        end = int(self._out[0]) + 2 * expected  # the sequence goes up by two at each change
        deadline_s = time.monotonic() + DEADLINE_S
        while int(self._out[0]) < end and time.monotonic() < deadline_s:
            seen = self._look(ages, seen)
        return [int(age) for age in ages[:seen]] if int(self._out[0]) == end else []


class Side(Protocol):
    """A far end."""

    def begin(self) -> None:
        """What came before is done with."""
        ...

    def take(self, expected: int) -> list[int]:
        """Ages of what comes, in nanoseconds."""
        ...


def main(way: str, folder: Path, core: int, pairs: int) -> int:
    """Serve runs, until stdin is closed."""
    os.sched_setaffinity(0, {core})
    for warm in (warm_strategies, warm_optimizer):
        warm()
    sides: dict[str, Callable[[], Side]] = {
        "trade": lambda: Trade(folder, pairs),
        "signals": lambda: Signals(folder),
        "watch": lambda: Watcher(folder),
    }
    side = sides[way]()
    print("ready", flush=True)
    for line in sys.stdin:
        before = switched()
        expected, drills = line.split()
        if isinstance(side, Trade):
            side.drills = drills == DRILLS
        side.begin()
        if isinstance(side, Trade):
            side.stages()  # those of what came before
        print("go", flush=True)
        ages = side.take(int(expected))
        stages = side.stages() if isinstance(side, Trade) else {}
        print(json.dumps({"ages": ages, "switches": switched() - before, "stages": stages}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
