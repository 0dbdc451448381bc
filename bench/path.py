"""From a frame in a feed's callback to the book others see, to a signal, and to a plan at the executor.

The stages of a live engine over rings and tables in shared memory, as its processes run them: feed and books
are one compiled call (``procs.fused_feed``), in which a strategy that is here decides; ladders count. The
strategy takes turns all the time, so that what became of its signals is taken in between two frames. While
they wait processes drill as those of a live engine do that do not sleep (``procs.drill``); beside the
book and the plans stands the same without.
A frame in each interval by a schedule that is never reset; its time of receipt travels with it, and the far
end takes it from its own clock. Every second frame of a market makes a pair an opportunity, and each of these
becomes one signal or one plan, unless the far end was away for so long that it is gone by then: that is
counted (``missed``). The plain ways get the same frames.

- To the book: from before the callback until a compiled reader on the other core has the row whole.
- To a signal, one core: from before the callback until it has come back, and the signal is in its ring.
- To an order intent: feed, books and strategy here, until a compiled reader of the ring of signals has one
  whole on the other core; the optimizer's is compiled as well. A signal has legs with side, price and size.
  What allocation of cash, the gate and the journal take afterwards is not in it.
- To a plan: feed and books here, strategy and optimizer on the other core: allocation is in it. What each
  stage took of it, by the stamps that a plan carries, has rows of its own. With a frame each 4 ms, and each
  0.5 ms: what a core has not used for so long it may have forgotten (``bench.floor``).
- From a plan to its order requests, one core: what the executor does (``bench._orders``), gate and journal
  with its flush included. Beside it the flush alone, of as many bytes; what is not the flush has a row of its
  own, and so have the whole turn, the turns with the venue's answers, and a turn without work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bench import _scene
from bench._orders import Desk, Flush, Took, state_folder
from bench._plain_path import PlainCore, PlainPath
from bench._result import OURS, Result, Row, claim, claim_ratio
from bench._timing import interleave
from bench._trade_side import DRILLS, ENGINE_TIME, STAGES, Signals, engine_ns, join
from engine.config import Role
from engine.records import Venue
from procs.drill import Drill
from procs.parts import VENUES
from procs.wires import Wires

PAIRS: Final = 50
ROUNDS: Final = 8  # of a run to plans: half of them make some
SIGNAL_ROUNDS: Final = 28
CHANGES: Final = 2_000  # of a run to a book
BOOK_INTERVAL_US: Final = 500
SIGNAL_INTERVAL_US: Final = 500
PLAN_INTERVAL_US: Final = 4_000
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
PLANS: Final = 700  # of a run to orders
PLANS_INTERVAL_US: Final = 2_500
IDLE_TURNS: Final = 2_000
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p99.9_ns": 0.999, "max_ns": 1.0}
WARM_SHARE: Final = 100
SEEN_MIN: Final = 0.1  # what is overtaken before it is looked at is gone: such runs are disturbed ones
VISIBLE: Final = "frame callback to book visible"
SIGNAL: Final = "frame callback to signal in the ring, one core"
INTENT: Final = "frame callback to order intent (signal) at the other core"
PLAN: Final = "frame callback to plan at the executor, two cores"
PLAN_OFTEN: Final = "frame callback to plan at the executor, two cores, a frame each 0.5 ms"
ORDERS: Final = "plan in the ring to order requests in the venues' rings, one core"
ORDERS_OWN: Final = "plan to order requests, without the journal's flush"
ORDERS_TURN: Final = "the executor's turn with a plan"
ORDERS_END: Final = "the executor's turns with six reports, to the end of the plan"
ORDERS_IDLE: Final = "an executor's turn without work"
FLUSH: Final = "the flush alone: one write and fdatasync of as many bytes"
STAGES_CALLED: Final = ("to its book", "from there to the signal", "to the plan", "to its reader")
WAITING: Final = "the same without drills"
PLAIN: Final = "orjson, dictionaries, multiprocessing.Queue twice"
PLAIN_CORE: Final = "orjson, dictionaries, one process"
# p50, p99; that of an order intent is made of both, with allocation and without.
CLAIMS: Final = {VISIBLE: (1_500, 4_000), INTENT: (4_000, 12_000), PLAN: (4_000, 12_000)}
TIMES_MIN: Final = 10.0
OWN_MAX_NS: Final = 200_000
IDLE_MAX_NS: Final = 10_000
MARKET_DATA: Final = (Role.FEED, Role.BOOK)

Given = TypeVar("Given")
Gave = TypeVar("Gave")


class Market:
    """Feed and books of the engine in ``folder``, fused; with its strategy where the role is given."""

    def __init__(self, folder: Path, roles: tuple[Role, ...] = MARKET_DATA) -> None:
        Wires.create(VENUES, 2 * PAIRS, folder).release()
        _, stages = join(folder, PAIRS, roles)
        self.feeds, self.sinks = stages.feeds, stages.sinks()
        self.books = stages.books
        self.strategy = stages.strategy
        self.drill = Drill(_scene.config_of(1), roles, ENGINE_TIME, stages.scratch())
        self.drills = True
        self._next_round = 0
        for agent in stages.in_order():
            agent.on_start(engine_ns())

    def open(self) -> None:
        """A book for every market."""
        for frame in _scene.opening(2 * PAIRS):
            self.on_frame(frame)

    def on_frame(self, frame: bytes) -> int:
        """What the callback of a socket does; nanoseconds it took."""
        recv_ns = engine_ns()
        self.sinks[Venue.POLYMARKET].on_frame(frame, recv_ns, 0)
        return engine_ns() - recv_ns

    def turn(self) -> None:
        """The strategy's, where it is here, then a drill's, as of a process that has nothing to do."""
        if self.strategy is not None:
            self.strategy.do_work(engine_ns())
        if self.drills:
            self.drill.turn()

    def rounds(self, rounds: int, pairs: int) -> list[bytes]:
        """Frames of the next rounds over the first market of so many pairs."""
        found = []
        for _ in range(rounds):
            is_cheap = self._next_round % 2 == 0
            self._next_round += 1
            found += [_scene.change(2 * pair, is_cheap=is_cheap) for pair in range(pairs)]
        return found


class FarEnd:
    """A process of ``bench._trade_side``."""

    def __init__(self, way: str, folder: Path, core: int) -> None:
        command = [sys.executable, "-m", "bench._trade_side", way, str(folder), str(core), str(PAIRS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")

    def run(self, send: Callable[[], None], expected: int, *, drills: bool = True) -> dict[str, float]:
        """Ages of what comes while ``send`` sends; RuntimeError when most of it is missing."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{expected} {DRILLS if drills else 'waits'}\n")
        self._process.stdin.flush()
        self._expect("go")
        send()
        got = json.loads(self._line())
        seen = len(got["ages"])
        if seen < expected * SEEN_MIN:
            raise RuntimeError(f"{seen} came of {expected}")
        missed_share = 1 - seen / expected
        return {
            **tails(got["ages"]),
            "missed_share": missed_share,
            "switches": got["switches"],
            **got["stages"],
        }

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _expect(self, word: str) -> None:
        said = self._line()
        if said != word:
            raise RuntimeError(f"the far end said {said!r} and not {word!r}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def tails(ages: list[int]) -> dict[str, float]:
    """Figures of a run, without its first percent."""
    kept = sorted(ages[len(ages) // WARM_SHARE :])
    return {name: float(kept[int((len(kept) - 1) * part)]) for name, part in TAILS.items()}


def paced(
    frames: Sequence[Given],
    interval_us: int,
    on_frame: Callable[[Given], Gave],
    idle: Callable[[], object] = lambda: None,
) -> list[Gave]:
    """Hand out a frame in each interval, and go on with ``idle`` between; what each gave."""
    start_ns = time.monotonic_ns()
    given = []
    for number, frame in enumerate(frames):
        while time.monotonic_ns() - start_ns < number * interval_us * 1_000:
            idle()
        given.append(on_frame(frame))
    return given


def to_plan(
    market: Market, far: FarEnd, rounds: int, interval_us: int, *, drills: bool = True
) -> dict[str, float]:
    """One run to plans."""
    frames = market.rounds(rounds, PAIRS)
    market.drills = drills
    return far.run(lambda: _send(market, frames, interval_us), len(frames) // 2, drills=drills)


def to_intent(market: Market, far: FarEnd) -> dict[str, float]:
    """One run to signals at the other core."""
    frames = market.rounds(SIGNAL_ROUNDS, PAIRS)
    return far.run(lambda: _send(market, frames, SIGNAL_INTERVAL_US), len(frames) // 2)


def to_signal(market: Market, signals: Signals) -> dict[str, float]:
    """One run to signals in the ring when the callback has come back; RuntimeError when one is missing."""

    def on_frame(frame: bytes) -> int | None:
        took_ns = market.on_frame(frame)
        return took_ns if signals.poll() else None

    frames = market.rounds(SIGNAL_ROUNDS, PAIRS)
    ages = _ages(paced(frames, SIGNAL_INTERVAL_US, on_frame, market.turn))
    if len(ages) != len(frames) // 2:
        raise RuntimeError(f"{len(ages)} signals of {len(frames) // 2} opportunities")
    return tails(ages)


def to_book(market: Market, far: FarEnd, *, drills: bool = True) -> dict[str, float]:
    """One run to a row of one book that somebody watches."""
    frames = market.rounds(CHANGES, 1)
    market.drills = drills
    send = partial(_send, market, frames, BOOK_INTERVAL_US)
    return far.run(send, len(frames))  # the latest is all that one sees


def _send(market: Market, frames: list[bytes], interval_us: int) -> None:
    paced(frames, interval_us, market.on_frame, market.turn)


def _ages(given: list[int | None]) -> list[int]:
    return [age for age in given if isinstance(age, int)]


def plainly(market: Market, plain: PlainPath | PlainCore, rounds: int, interval_us: int) -> dict[str, float]:
    """One run of a plain way."""
    return tails(_ages(paced(market.rounds(rounds, PAIRS), interval_us, plain.on_frame)))


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for rings and tables, in memory where there is room for it."""
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


@contextmanager
def engine(way: str, core: int, roles: tuple[Role, ...] = MARKET_DATA) -> Iterator[tuple[Market, FarEnd]]:
    """An engine of which ``roles`` are here, and whose far end is ``way``, on ``core``."""
    with run_folder() as folder:
        market = Market(folder, roles)
        far = FarEnd(way, folder, core)
        try:
            market.open()
            yield market, far
        finally:
            far.close()


def measure(result: Result) -> None:
    """To the book, to a signal here and there, then to a plan, beside the plain ways."""
    allowed = os.sched_getaffinity(0)
    here, there = min(allowed), max(allowed)
    os.sched_setaffinity(0, {here})
    try:
        with engine("watch", there) as (market, far):
            ours = partial(to_book, market, far)
            interleave(result, VISIBLE, {OURS: ours, WAITING: partial(ours, drills=False)})
        _measure_one_core(result)
        _measure_orders(result)
        _measure_two_cores(result, there)
    finally:
        os.sched_setaffinity(0, allowed)
    for what, (p50_ns, p99_ns) in CLAIMS.items():
        claim(result, what, "p50_ns", p50_ns)
        claim(result, what, "p99_ns", p99_ns)
    claim(result, ORDERS_OWN, "p50_ns", OWN_MAX_NS)
    claim(result, ORDERS_IDLE, "p50_ns", IDLE_MAX_NS)
    for what in (INTENT, PLAN):
        claim_ratio(result, what, PLAIN, TIMES_MIN)


def pairs() -> tuple[list[bytes], dict[str, str]]:
    """A book of each market, and the other token of its pair."""
    pair_of = {_scene.yes_token(number): _scene.yes_token(number ^ 1) for number in range(2 * PAIRS)}
    return list(_scene.opening(2 * PAIRS)), pair_of


def _measure_one_core(result: Result) -> None:
    with run_folder() as folder:
        market, plain = Market(folder, (*MARKET_DATA, Role.STRATEGY)), PlainCore(*pairs())
        signals = Signals(folder)
        market.open()
        ways = {
            OURS: partial(to_signal, market, signals),
            PLAIN_CORE: partial(plainly, market, plain, SIGNAL_ROUNDS, SIGNAL_INTERVAL_US),
        }
        interleave(result, SIGNAL, ways)


class Orders:
    """Runs of plans to orders, and what they took beside that."""

    def __init__(self, market: Market, desk: Desk, flush: Flush) -> None:
        self._market, self._desk, self._flush = market, desk, flush
        self.beside: dict[str, list[dict[str, float]]] = {
            what: [] for what in (ORDERS_OWN, ORDERS_TURN, ORDERS_END, ORDERS_IDLE)
        }

    def run(self) -> dict[str, float]:
        """One run: a pair becomes cheap, a plan buys it, and it is gone again."""
        took = paced(range(PLANS), PLANS_INTERVAL_US, self._one, self._desk.turn)
        self._note(ORDERS_OWN, [one.to_orders_ns - one.flush_ns for one in took])
        self._note(ORDERS_TURN, [one.turn_ns for one in took])
        self._note(ORDERS_END, [one.answers_ns for one in took])
        self._note(ORDERS_IDLE, [self._desk.turn() for _ in range(IDLE_TURNS)])
        return tails([one.to_orders_ns for one in took])

    def flush(self) -> dict[str, float]:
        """One run of the flush alone."""
        n_bytes = self._desk.plan_bytes
        return tails(paced(range(PLANS), PLANS_INTERVAL_US, lambda _: self._flush.one(n_bytes)))

    def _one(self, number: int) -> Took:
        cheap = 2 * (number % PAIRS)
        self._market.on_frame(_scene.change(cheap, is_cheap=True))
        took = self._desk.one(number % PAIRS)
        self._market.on_frame(_scene.change(cheap, is_cheap=False))
        return took

    def _note(self, what: str, ages: list[int]) -> None:
        self.beside[what].append(tails(ages))


def _measure_orders(result: Result) -> None:
    with run_folder() as folder, state_folder() as state:
        market = Market(folder)
        orders = Orders(market, Desk(folder, state, PAIRS), Flush(state))
        market.open()
        interleave(result, ORDERS, {OURS: orders.run, FLUSH: orders.flush})
        switches = result.rows[-2].switches
    for what, runs in orders.beside.items():
        result.rows.append(Row(what, OURS, runs[-len(switches) :], list(switches)))


def _part_stages(result: Result, what: str) -> None:
    """Rows for what the stages took of plans: medians, which need not add up to that of the whole."""
    whole = [row for row in result.rows if row.what == what and row.who in (OURS, WAITING)]
    for stage, called in zip(STAGES, STAGES_CALLED, strict=True):
        for row in whole:
            runs = [{"p50_ns": run.pop(stage)} for run in row.runs]
            result.rows.append(Row(f"{what}: {called}", row.who, runs, list(row.switches)))


def _measure_two_cores(result: Result, there: int) -> None:
    plain = PlainPath(*pairs(), there)
    with engine("signals", there, (*MARKET_DATA, Role.STRATEGY)) as (market, far):
        beside = partial(plainly, market, plain, SIGNAL_ROUNDS, SIGNAL_INTERVAL_US)
        interleave(result, INTENT, {OURS: partial(to_intent, market, far), PLAIN: beside})
    with engine("trade", there) as (market, far):
        beside = partial(plainly, market, plain, ROUNDS, PLAN_INTERVAL_US)
        rarely = partial(to_plan, market, far, ROUNDS, PLAN_INTERVAL_US)
        waiting = partial(rarely, drills=False)
        interleave(result, PLAN, {OURS: rarely, WAITING: waiting, PLAIN: beside})
        _part_stages(result, PLAN)
        often = partial(to_plan, market, far, SIGNAL_ROUNDS, SIGNAL_INTERVAL_US)
        interleave(result, PLAN_OFTEN, {OURS: often, WAITING: partial(often, drills=False)})
        _part_stages(result, PLAN_OFTEN)
    plain.close()
