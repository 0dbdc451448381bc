"""What a process does while it waits and does not sleep: it goes the way of an opportunity that is none.

What a core has not run for half a millisecond its caches may have lost, and then the same instructions take
three to five times as long (docs/benchmarks.md). So a process keeps a second set of its own stages, over
rings, tables and books in memory that nobody else maps, with a catalog of markets that no venue has
(``procs.drill_scene``), and every so often a frame goes all the way through it: the code is that of the
real stages, and nothing else is. It ends where money begins: orders are not drilled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields, replace
from itertools import cycle
from typing import Final

import numpy as np

from engine.catalog.defaults import FeeTable
from engine.config import Config, MinEdges, Role
from engine.records import (
    ACCOUNT_ROW,
    ORDER_EVENT,
    PLAN_HEAD,
    SIGNAL_HEAD,
    DecisionStage,
    OrderStatus,
)
from engine.units import CASH_MAX_MICROS, SIDE_SIZE_MAX_E6, SIZE_ONE_E6
from procs.agent import Agent
from procs.drill_scene import (
    CHEAP,
    OPEN_FOR_NS,
    PAIR,
    SLOTS,
    VENUES,
    Beat,
    Frames,
    Offer,
    Rows,
    markets,
    relations,
)
from procs.kept_warm import Array, KeptWarm
from procs.ladder import EngineTime, ladder_over, rungs_of
from procs.parts import EngineParts, Scene
from procs.stages import Stages
from procs.wires import LOG_READER, RingFull, Wires
from shm.histogram import Histograms
from shm.layout import offset_of
from shm.reader import Reader
from shm.ring import cell_index

CELLS: Final = 64  # of a ring: what nobody reads needs no room, and the caches should not see much of it
EPOCH: Final = 1
CASH_MICROS: Final = 1_000_000_000_000
CAPITAL_COST_PPM: Final = 100  # a year: markets stay open for ten
_EDGES: Final = tuple(field.name for field in fields(MinEdges))
_DECIDING: Final = (DecisionStage.STRATEGY, DecisionStage.OPTIMIZER)
_HEARING: Final = (Role.STRATEGY, Role.OPTIMIZER)
_SIGNAL_ID: Final = offset_of(ORDER_EVENT, "signal_id") // 8
_PLAN_ID: Final = offset_of(ORDER_EVENT, "plan_id") // 8
# In the order of the pipeline; each takes from the one before.
DRILLED: Final = (Role.FEED, Role.BOOK, Role.STRATEGY, Role.OPTIMIZER)
BEGINNINGS: Final = (Role.FEED, Role.STRATEGY)  # what these take can be made up
ROUNDS: Final = 3  # of beats between two opportunities: the end of one takes as long as several frames
LOGS_EVERY: Final = 8  # beats
BEATS: Final = (
    *(Beat(venue, offer) for venue in VENUES for offer in (Offer.CHEAP, Offer.GONE)),
    *(Beat(venue, offer) for _ in range(ROUNDS) for venue in VENUES for offer in (Offer.MORE, Offer.LESS)),
)


def drilled(roles: Collection[Role]) -> tuple[Role, ...]:
    """The piece of the pipeline that a process of ``roles`` drills: it begins with one of BEGINNINGS."""
    for beginning in BEGINNINGS:
        if beginning in roles:
            rest = DRILLED[DRILLED.index(beginning) :]
            ends = next((at for at, role in enumerate(rest) if role not in roles), len(rest))
            return rest[:ends]
    return ()


def may_drill(config: Config, roles: Collection[Role], *, has_time: bool) -> bool:
    """Whether a process of ``roles`` does; ``has_time``: live, awake, and nobody else needs its core."""
    return has_time and config.engine.drill_every_ns > 0 and drilled(roles) != ()


def permissive(config: Config) -> Config:
    """The same, with room for what is drilled: neither age nor limits nor the edge asked for stop it."""
    edges = replace(config.strategy.min_edge_micros, **dict.fromkeys(_EDGES, 0))
    strategy = replace(
        config.strategy,
        min_edge_micros=edges,
        min_size_e6=SIZE_ONE_E6,
        capital_cost_rate_ppm=CAPITAL_COST_PPM,
        book_age_max_ns=OPEN_FOR_NS,
        leg_skew_max_ns=OPEN_FOR_NS,
        deadline_ns=OPEN_FOR_NS,
    )
    risk = replace(
        config.risk,
        order_size_max_e6=SIDE_SIZE_MAX_E6,
        order_notional_max_micros=CASH_MAX_MICROS,
        position_max_e6=SIDE_SIZE_MAX_E6,
        market_exposure_max_micros=CASH_MAX_MICROS,
        event_exposure_max_micros=CASH_MAX_MICROS,
        book_age_max_ns=OPEN_FOR_NS,
    )
    optimizer = replace(config.optimizer, slots=SLOTS, worst_loss_max_micros=CASH_MAX_MICROS)
    engine = replace(config.engine, market_slots=SLOTS)
    return replace(config, engine=engine, strategy=strategy, risk=risk, optimizer=optimizer)


class Drill:
    """A second set of the stages of ``roles``, of which a frame goes through it as often as ``config`` says.

    ``now`` is engine time. ``beats`` counts frames, ``plans`` and ``signals`` what came of them at the end.
    Beside each frame the memory that the real stages work on (``scratch``) is read (``procs.kept_warm``).
    A drill that fails is over, and says why in ``failure``; nothing else comes of it.
    """

    def __init__(
        self, config: Config, roles: Collection[Role], time: EngineTime, scratch: Iterable[Array] = ()
    ) -> None:
        self.beats = self.signals = self.plans = 0
        self.failure: Exception | None = None
        self._kept = KeptWarm(scratch)
        self._now, self._every_ns, self._due_ns = time.now, config.engine.drill_every_ns, 0
        self._wires = Wires.create(VENUES, SLOTS, cells_max=CELLS)
        own = drilled(roles)
        self._stages = self._make_stages(permissive(config), own, time)
        self._sinks = self._stages.sinks()
        self._frames, self._rows = Frames(), Rows(EPOCH)
        self._beats: Iterator[Beat] = cycle(BEATS)
        self._behind: list[Agent] = [
            agent for agent in (self._stages.strategy, self._stages.optimizer) if agent is not None
        ]
        self._ends_in_plans = self._stages.optimizer is not None
        self._end, self._others = self._readers(own)
        self._heads = self._end.records(PLAN_HEAD if self._ends_in_plans else SIGNAL_HEAD)
        self._event = np.zeros(1, ORDER_EVENT)
        self._event["status"], self._event["plan_done"] = OrderStatus.CANCELLED, 1
        self._event_words = self._event.view(np.int64).data
        self._n_cells = 0  # at the end, that nobody has said of that they are done with
        self._open()

    def turn(self) -> None:
        """Where it is time for it: a frame and what comes of it, or the end of that.

        No more than one of these at a time: there may be real work.
        """
        now_ns = self._now()
        if now_ns < self._due_ns or self.failure is not None:
            return
        self._due_ns = (
            now_ns + self._every_ns // 2 + now_ns % self._every_ns
        )  # by no beat that a venue could have
        try:
            if self._n_cells > 0:
                self._finish()
            else:
                self._bring()
            self._kept.read()
        except Exception as error:  # noqa: BLE001 - nothing of it may end a process that trades
            self.failure = error

    def _bring(self) -> None:
        """A frame, or the row and the top that would come of it; then the turns that it causes."""
        beat, now = next(self._beats), self._now
        if self._sinks:
            self._sinks[beat.venue].on_frame(self._frames.of(beat), now(), 0)
        else:
            self._write(PAIR * VENUES.index(beat.venue) + CHEAP, beat.offer)
        for agent in self._behind:
            agent.do_work(now())
        self._n_cells = self._wires.take(self._end, "what comes of a drill")
        self.beats += 1
        if self.beats % LOGS_EVERY == 0:
            for reader in self._others:
                reader.poll()

    def _write(self, slot: int, offer: Offer) -> None:
        row, top = self._rows.next(slot, self._now(), offer)
        venue = VENUES[slot // PAIR]
        self._wires.books[venue].write(slot, row)
        self._wires.tops[venue].publish(top)

    def _finish(self) -> None:
        """Say of every plan, or signal, that it is done with, and have that heard."""
        ended = 0
        for cell in range(self._n_cells):
            if cell_index(int(self._end.tags[cell])) == 0:
                self._say_done(self._heads[cell])
                ended += 1
        self._n_cells = 0
        if self._ends_in_plans:
            self.plans += ended
        else:
            self.signals += ended
        for agent in self._behind:
            agent.do_work(self._now())

    def _say_done(self, head: np.void) -> None:
        signal_id = int(head["signal_id"])
        self._event_words[_SIGNAL_ID] = signal_id
        self._event_words[_PLAN_ID] = int(head["plan_id"]) if self._ends_in_plans else signal_id
        if not self._wires.events.publish(self._event):
            raise RingFull("events: the ring has no room for the end of a drill")

    def _make_stages(self, config: Config, own: Collection[Role], time: EngineTime) -> Stages:
        now_ns, wires = self._now(), self._wires
        scene = Scene(markets(now_ns), relations(), FeeTable(schedule=()), now_ns)
        labels = rungs_of(own)
        ladder = ladder_over(Histograms.create(labels), own, self._now) if labels else None
        parts = EngineParts(config, scene, wires, own, EPOCH, ladder=ladder)
        wires.catalog.publish(parts.catalog, range(SLOTS))
        return Stages(parts, own, fused=time, leads=True)

    def _readers(self, own: Collection[Role]) -> tuple[Reader, list[Reader]]:
        """Who takes what comes out at the end, and who reads what would fill up."""
        wires = self._wires
        others = [wires.decisions[stage].resume(LOG_READER, 0) for stage in _DECIDING]
        others += [wires.events.resume(role.name.lower(), 0) for role in _HEARING if role not in own]
        if self._ends_in_plans:
            return wires.plans.resume("executor", 0), others
        return wires.signals.resume("optimizer", 0), others

    def _open(self) -> None:
        """Cash, and a quiet book of every market."""
        account = np.zeros(1, ACCOUNT_ROW)
        account["cash_micros"] = CASH_MICROS
        for venue in VENUES:
            self._wires.accounts.write(int(venue), account)
        now_ns = self._now()
        for agent in self._stages.in_order():
            agent.on_start(now_ns)
        if self._sinks:
            for venue, frame in self._frames.opening():
                self._sinks[venue].on_frame(frame, now_ns, 0)
        else:
            for slot in range(SLOTS):
                self._write(slot, Offer.GONE)
        for agent in self._behind:
            agent.do_work(now_ns)
