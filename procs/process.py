"""One process of an engine: the stages of its roles over the segments of a run directory.

What it needs to know stands in the directory's description. A replay is conducted: one process at a time has
the turn (``procs.pace``). Live, every process turns as it likes, and rings the others when it has done
something. A replay's ends when the run has ended, by SIGTERM, or when whoever started it has gone; a live one
as ``procs.ending`` says. Then it leaves what it found beside the segments.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

import orjson
import uvloop

from engine import typed_tree
from engine.config import ProcessConfig, Role
from engine.errors import ConfigError
from engine.reasons import Reason
from engine.units import PPM
from procs.book_notes import NoteWriter
from procs.boot_epoch import next_boot_epoch
from procs.control_words import ControlWords
from procs.drill import Drill, drilled, may_drill
from procs.ending import Ending
from procs.findings import Findings, SourceFound
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessState
from procs.host import Host
from procs.inputs import UndamagedFrames, named_input
from procs.journal_file import JournalFile
from procs.ladder import EngineTime, Ladder, make_ladder
from procs.pace import Conductor, EngineClock, Seats, at_once
from procs.pacer import Pacer
from procs.parts import VENUES, EngineParts
from procs.placement import has_core, place, take_place
from procs.run_directory import (
    PROCESSES_LOCK,
    Description,
    FolderLock,
    RunDirectory,
    bell_name,
    owner_lives,
)
from procs.session_watch import SessionWatch
from procs.sockets import FeedSockets, VenueSockets
from procs.stages import Stages
from procs.tapes import RecordingTapes, Tapes
from procs.telemetry import Telemetry
from procs.wards import FOUND_SUFFIX, JOURNAL_SUFFIX
from procs.whole_file import whole_file
from procs.wires import Wires
from shm.doorbell import Doorbell
from shm.loop_turns import LoopTurns
from shm.mirror import Mirror
from shm.reader import EVERY_MESSAGE
from shm.segment import Segment
from shm.waiting import PARK_NS, YIELDS_BEFORE_PARK, Idler, Policy

BEAT_EVERY_NS: Final = 100_000_000
LOOK_EVERY_NS: Final = 1_000_000_000
LOG_AT_ONCE: Final = 4  # of some 80 us each on a slow core: so long a message on its way waits for the log
STEPS_MAX: Final = 64  # of a replay between two looks at the sockets


class EngineProcess:
    """The process ``name`` of the engine described in ``directory``."""

    def __init__(self, directory: RunDirectory, description: Description, name: str) -> None:
        config = description.process(name)
        self._name = name
        self._path = directory.path
        self._description = description
        self._is_live = description.input.live
        self._files = ExitStack()
        if self._is_live:
            self._hold_state()
        self._halt = HaltSwitch.attach(self._path, Path(description.state_dir))
        if self._halt.words is None:
            raise ConfigError(f"{self._path}: the control words are missing: nobody could halt this process")
        self._given = named_input(description.input, description.config)
        self._clock = self._engine_clock()
        boot_epoch = next_boot_epoch(Path(description.state_dir))
        wires = Wires.join(VENUES, self._path, config.roles, boot_epoch)
        start_ns = self._clock.now_ns() if self._is_live else self._given.scene.start_ns
        self._tapes = self._make_tapes(wires, boot_epoch, start_ns)
        ladder = self._ladder(config, boot_epoch)
        scene, roles = self._given.scene, config.roles
        self._parts = EngineParts(description.config, scene, wires, roles, boot_epoch, self._tapes, ladder)
        self._stages = Stages(
            self._parts,
            config.roles,
            latency_scale=description.latency_scale,
            decisions=self._decision_log(config),
            watch=SessionWatch(self._given.plantings, self._parts.catalog),
            journal=self._journal(config),
            halt=self._halt,
            now_ns=start_ns,
            fused=self._fused_time(),
            has_ended=self._has_ended,
            leads=self._is_live,
            log_at_once=LOG_AT_ONCE if self._is_live else EVERY_MESSAGE,
        )
        self._seats = Seats.attach(description.seats, self._path)
        self._bells = [Doorbell.attach(bell_name(seat), self._path) for seat in description.seats]
        seat = self._seats.seat(name)
        self._bell = self._bells[seat.number]
        self._bell.stay_awake()  # the one before may have died in its sleep
        self._segments = self._joined()
        self._others = [bell for bell in self._bells if bell is not self._bell]
        self._seat = seat.number
        self._conducts = seat.number == description.conductor and not self._is_live
        on_told = (lambda: None) if self._is_live else self._bells[description.conductor].ring
        self._conductor: Conductor | None = None
        self._frames: UndamagedFrames | None = None
        self._feeds: FeedSockets | None = None
        self._place(config)
        self._drill = self._make_drill(config)
        self._telemetry = self._make_telemetry(config.roles, boot_epoch)
        agents, by_news = self._stages.in_order(), self._goes_by_news()
        self._host = Host(agents, self._clock, seat, self._taken, on_told, by_news=by_news)
        self._was_degraded = False
        self._slept = self._turns = self._looked_ns = 0
        self._stop_asked = False
        self._was_idle = False  # in the last turn
        self._frames_heard = 0
        self._beat_ns = 0
        self._ending = self._make_ending(self._halt.words) if self._is_live else None

    def _on_garbled(self, line: str) -> None:
        """A message was not what was published: halt every order, and say why."""
        self._halt.latch(Reason.MESSAGE_GARBLED, self._name, line)
        self._health.set_state(self._state(), line)

    def _make_ending(self, words: ControlWords) -> Ending:
        ended_well = HealthTable.attach(self._path).ended_well
        return Ending(self._description, self._name, self._path, words, self._leave_off, ended_well)

    def _joined(self) -> list[Segment]:
        """Segments beside the rings that must stay what they are: without control nobody could halt us."""
        assert self._halt.words is not None, "it was refused without them"
        known = [self._halt.words.segment, self._clock.segment, self._seats.segment]
        return [*known, *(bell.segment for bell in self._bells)]

    def _engine_clock(self) -> EngineClock:
        clock = EngineClock.attach(self._path)
        if self._is_live:
            clock.run_live()
        return clock

    def _fused_time(self) -> EngineTime | None:
        """Time for feeds and books that are one; they are not where the inputs of each are recorded."""
        if self._description.record_inputs:
            return None
        return self._clock.live_time() if self._is_live else EngineTime(self._clock.now_ns)

    def _has_ended(self) -> bool:
        """Whether a replay is over: the conductor says so before its venues hang up."""
        if self._is_live:
            return False
        self._clock.now_ns()
        return self._clock.ended

    def _hold_state(self) -> None:
        """No other engine may begin with this state while we go on without our owner."""
        lock = Path(self._description.state_dir) / PROCESSES_LOCK
        self._files.callback(FolderLock(lock, "another engine", shared=True).release)

    def _make_tapes(self, wires: Wires, boot_epoch: int, start_ns: int) -> Tapes:
        """Logs of what the agents here read, where they are asked for."""
        description = self._description
        if not description.record_inputs:
            return Tapes(wires)
        folder = Path(description.record_inputs)
        tapes = RecordingTapes(wires, folder, description, self._name, boot_epoch, start_ns)
        self._files.callback(tapes.close)
        return tapes

    def _place(self, config: ProcessConfig) -> None:
        """Take the core and the way to wait; who waits for its turn in a replay leaves the core to others."""
        cores = os.sched_getaffinity(0)
        places = place(self._description.processes, cores)
        placed = places[self._name]
        self._policy, self._yields, self._has_core = Policy.PARK, 0, False
        if self._is_live:
            self._has_core = has_core(self._name, places, cores)
            take_place(placed.core, self._description.processes)
            self._policy, self._yields = placed.policy, YIELDS_BEFORE_PARK
        roles = [role.name.lower() for role in config.roles]
        self._health = HealthTable.attach(self._path).writer(self._name)
        self._health.start(roles, self._parts.boot_epoch, self._policy.value, time.monotonic_ns())
        self._parts.wires.alarm.halt = self._on_garbled

    def _make_drill(self, config: ProcessConfig) -> Drill | None:
        """Where inputs are recorded nobody drills: that takes stages that are fused as these are not."""
        engine_config = self._description.config
        has_time = self._has_core and self._goes_by_news()
        if not may_drill(engine_config, config.roles, has_time=has_time):
            return None
        return Drill(engine_config, config.roles, self._clock.live_time(), self._stages.scratch())

    def _make_telemetry(self, roles: Collection[Role], boot_epoch: int) -> Telemetry:
        """Its counters are the same however a process waits: one that is begun again takes them over."""
        drill, stores = self._drill, self._parts.stores
        drills = (lambda: 0 if drill is None else drill.beats) if drilled(roles) else None
        return Telemetry(self._name, self._stages, stores, self._path, boot_epoch, drills)

    def _goes_by_news(self) -> bool:
        """Whether agents are called as soon as there is something for them: who sleeps is woken for all."""
        is_awake = self._policy is not Policy.PARK
        return self._is_live and is_awake and not self._description.record_inputs

    def run(self) -> None:
        """Turn until the run ends or somebody asks to stop, then leave what was found."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
        with self._files as opened:
            self._host.start()
            gc.collect()
            gc.freeze()
            self._health.set_state(ProcessState.READY)
            if self._description.runs_a_loop(self._name):
                uvloop.run(self._run_with_sockets(opened))
            else:
                self._run_alone()
            self._health.set_state(ProcessState.STOPPING)
            self._host.close()
            self._tell_counts()
            self._leave(self._stages.findings().with_parts(Findings(source=self._source_found())))
        self._health.set_state(ProcessState.STOPPED)

    def _run_alone(self) -> None:
        idler = Idler(self._policy, self._bell, yields=self._yields)
        is_news = False  # a turn is due before the core is given to somebody else; what nobody takes is none
        while not self._is_over():
            if self._work():
                idler.worked()
                is_news = False
                continue
            is_news = not is_news and self._host.wait()
            if not is_news:
                idler.idle(self._due_in_ns)
                self._slept = idler.slept

    def _due_in_ns(self) -> int:
        """When there is something to do by the clock; in a replay the turn comes with the time."""
        return max(self._host.due_ns - self._clock.now_ns(), 1) if self._is_live else PARK_NS

    async def _run_with_sockets(self, opened: ExitStack) -> None:
        def work() -> int:
            self._slept = turns.slept
            if self._is_over():
                turns.stop()
            return self._work()

        turns = LoopTurns(work, self._policy, self._bell, yields=self._yields, due_in_ns=self._due_in_ns)
        venues = VenueSockets(self._description.input, self._path, opened) if self._conducts else None
        if self._stages.feeds:
            self._feeds = FeedSockets(
                self._description.config,
                self._given.scene.markets,
                self._stages.feeds,
                self._stages.sinks(),
                self._clock.now_ns,
                turns.nudge,
            )
        opening = asyncio.create_task(self._open_sockets(venues, opened, turns))
        opening.add_done_callback(lambda _: turns.stop())  # it ends by failing, or with us
        try:
            await turns.run()
        finally:
            if venues is not None:
                venues.close()
            if self._feeds is not None:
                self._stages.close_sockets()
                await self._feeds.close()
            opening.cancel()
            await asyncio.wait([opening])
        if not opening.cancelled():
            opening.result()  # raises what kept the sockets from opening, or failed in them

    async def _open_sockets(self, venues: VenueSockets | None, opened: ExitStack, turns: LoopTurns) -> None:
        if venues is not None:
            await venues.open()
            self._conductor = self._make_conductor(opened, venues, turns)
            turns.nudge()
        if self._feeds is None:
            await asyncio.Event().wait()  # the venues are open until the run ends
            return
        if self._is_live:
            self._feeds.open()
            wires = self._parts.wires
            for venue, notes in wires.notes.items():
                rows = Mirror(wires.books[venue])
                self._feeds.watch(venue, rows, NoteWriter(notes), self._parts.catalog, wires)
        else:
            await self._feeds.open_simulated(self._path)
        await self._feeds.wait_failed()

    def _work(self) -> int:
        if self._conductor is not None and not self._conductor.ended:
            return self._conduct(self._conductor)
        worked = int(self._host.turn())
        if self._is_live:
            worked += self._heard()
        self._was_idle = not worked
        if self._is_live:
            if self._feeds is not None:
                worked += self._feeds.look(self._clock.now_ns())
            if worked:
                for bell in self._others:
                    bell.ring()
            elif self._drill is not None:
                self._drill.turn()
        return worked

    def _heard(self) -> int:
        """Frames since the last turn: what they brought is published, and others wait to be told."""
        frames = sum(feed.frames for feed in self._stages.feeds.values())
        heard, self._frames_heard = frames - self._frames_heard, frames
        self._host.work += heard
        return heard

    def _conduct(self, conductor: Conductor) -> int:
        """Go on with the replay until another process has to do something; our own turns are taken here."""
        steps = 0
        while steps < STEPS_MAX and not conductor.ended and conductor.step():
            if conductor.seat == self._seat:
                self._host.turn()
            steps += 1
        return steps

    def _is_over(self) -> bool:
        self._turns += 1
        has_owner = self._look_around()
        if self._ending is None:
            return self._stop_asked or self._clock.ended or not has_owner
        if not self._ending.is_leaving and not self._stop_asked:
            return False
        now_ns = time.monotonic_ns()
        if self._stop_asked:
            self._stop_asked = False
            self._ending.terminate(now_ns)
        return self._ending.is_over(now_ns, self._is_done)

    def _look_around(self) -> bool:
        """Now and then: tell that we live, look after the folder, whether the engine's owner lives, the end.

        Whether it does, as far as that matters here.
        """
        now_ns = time.monotonic_ns()
        if now_ns - self._beat_ns < BEAT_EVERY_NS:
            return True
        self._beat_ns = now_ns
        ended = self._tapes.on_clock(now_ns)
        if ended:
            self._health.set_state(self._state(), ended)

        self._health.beat(now_ns, self._turns, self._host.work, self._slept)
        if self._ending is not None:
            self._ending.look(now_ns)
        if now_ns - self._looked_ns < LOOK_EVERY_NS:
            return True
        self._looked_ns = now_ns
        gone = (one.path for one in self._segments if not one.is_current())
        lost = self._parts.wires.lost() or next(gone, None)
        if lost is not None:
            raise ConfigError(f"{lost}: deleted or replaced under a running engine")
        self._tell_counts()
        self._tell_state()
        self._tell_drill()
        return self._is_live or owner_lives(self._path)

    def _state(self) -> ProcessState:
        """What was said last of a process that works."""
        if self._ending is not None and self._ending.is_leaving:
            return ProcessState.STOPPING
        return ProcessState.DEGRADED if self._was_degraded else ProcessState.READY

    def _leave_off(self) -> None:
        """Open nothing more: the engine is ending."""
        self._health.set_state(ProcessState.STOPPING)
        self._stages.stop(self._clock.now_ns())

    def _is_done(self) -> bool:
        return self._was_idle and self._stages.are_done

    def _tell_counts(self) -> None:
        if self._feeds is not None:
            self._telemetry.sockets = self._feeds.counters
        self._telemetry.tell()

    def _tell_state(self) -> None:
        """Live, a process without market data is not fit."""
        if self._feeds is None or self._ending is None or self._ending.is_leaving:
            return
        state, error = self._feeds.state()
        if state is ProcessState.READY and self._was_degraded:
            error = "market data is back"  # what was said before stays otherwise
        self._was_degraded = state is ProcessState.DEGRADED
        self._health.set_state(state, error)

    def _tell_drill(self) -> None:
        """One that failed is over; without it all goes on, slower. What market data lacks is more urgent."""
        drill = self._drill
        if drill is not None and drill.failure is not None and not self._was_degraded:
            self._drill = None
            self._health.set_state(self._state(), f"drills have ended: {drill.failure!r}")

    def _make_conductor(self, opened: ExitStack, venues: VenueSockets, turns: LoopTurns) -> Conductor:
        self._frames = UndamagedFrames(self._given.frames(opened))
        loop, speed_ppm = asyncio.get_running_loop(), self._description.speed_ppm
        return Conductor(
            self._clock,
            self._seats,
            self._frames,
            venues.deliver,
            self._given.scene.start_ns,
            lambda seat: self._bells[seat].ring(),
            lambda: self._seats.frames() >= venues.written,
            wait_s=Pacer(speed_ppm / PPM).wait_s if speed_ppm else at_once,
            wake_in=lambda wait_s: loop.call_later(wait_s, turns.nudge),
        )

    def _taken(self) -> int:
        if self._feeds is not None:
            return self._feeds.taken
        return sum(feed.frames for feed in self._stages.feeds.values())

    def _ladder(self, config: ProcessConfig, boot_epoch: int) -> Ladder:
        """Live, it is counted how long the stages take; in a replay the clock stands still meanwhile.

        Nor where inputs are recorded: a stamp of its own clock is nothing that an agent could play back.
        """
        if not self._is_live or self._description.record_inputs:
            return Ladder()
        return make_ladder(self._name, config.roles, self._path, boot_epoch, self._clock.live_time().now)

    def _journal(self, config: ProcessConfig) -> JournalFile | None:
        """Live, the executor's journal is a file of this engine: its simulated venues began with it."""
        if Role.EXECUTOR not in config.roles or not self._is_live:
            return None
        path = Path(self._description.state_dir) / f"journal-{self._description.boot_epoch:06}"
        return self._files.enter_context(closing(JournalFile(path)))

    def _decision_log(self, config: ProcessConfig) -> BinaryIO | None:
        """Appended to: one that is begun again goes on with it."""
        if Role.LEDGER not in config.roles or not self._description.decisions:
            return None
        return self._files.enter_context(Path(self._description.decisions).open("ab"))

    def _source_found(self) -> SourceFound | None:
        if self._conductor is None or self._frames is None:
            return None
        damage = self._frames.damage
        return SourceFound(
            frames=self._conductor.sent,
            first_ns=self._conductor.first_ns,
            last_ns=self._conductor.last_ns,
            damage="" if damage is None else str(damage),
        )

    def _leave(self, found: Findings) -> None:
        if self._stages.executor is not None:
            with whole_file(self._path / f"{self._name}{JOURNAL_SUFFIX}") as file:
                file.write(self._stages.journal_content())
        with whole_file(self._path / f"{self._name}{FOUND_SUFFIX}") as file:
            file.write(orjson.dumps(typed_tree.dump(found)))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stop_asked = True
        self._bell.ring()
