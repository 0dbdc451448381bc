"""One process of an engine: the stages of its roles over the segments of a run directory.

What it needs to know stands in the directory's description. It ends when the run has ended, by SIGTERM, or
when whoever started it has gone; then it leaves what it found beside the segments.
"""

from __future__ import annotations

import gc
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

import orjson

from engine import typed_tree
from engine.config import ProcessConfig, Role
from procs.boot_epoch import next_boot_epoch
from procs.findings import Findings, SourceFound
from procs.host import Host
from procs.inputs import UndamagedFrames, named_input
from procs.pace import Conductor, EngineClock, Seats
from procs.parts import VENUES, EngineParts
from procs.recording_frames import Frame
from procs.run_directory import Description, RunDirectory, bell_name
from procs.session_watch import SessionWatch
from procs.stages import Stages
from procs.whole_file import whole_file
from procs.wires import Wires
from shm.doorbell import Doorbell
from shm.waiting import Idler, Policy

FOUND_SUFFIX: Final = ".found.json"
JOURNAL_SUFFIX: Final = ".journal"
DECISIONS: Final = "decisions.ndjson"
CONDUCTOR_SEAT: Final = 0  # the feeds', first in the pipeline
TURNS_BETWEEN_LOOKS: Final = 64  # at whether the run, or its owner, has ended


class EngineProcess:
    """The process ``name`` of the engine described in ``directory``."""

    def __init__(self, directory: RunDirectory, description: Description, name: str) -> None:
        self.stop_asked = False
        self._conductor: Conductor | None = None
        self._frames: UndamagedFrames | None = None
        self._name = name
        self._path = directory.path
        config = description.process(name)
        self._given = named_input(description.input, description.config)
        self._parts = EngineParts(
            description.config,
            self._given.scene,
            Wires.attach(VENUES, self._path),
            config.roles,
            next_boot_epoch(Path(description.state_dir)),
        )
        self._files = ExitStack()
        self._stages = Stages(
            self._parts,
            config.roles,
            latency_scale=description.latency_scale,
            decisions=self._decision_log(config, description),
            watch=SessionWatch(self._given.plantings, self._parts.catalog),
        )
        self._clock = EngineClock.attach(self._path)
        self._seats = Seats.attach(description.seats, self._path)
        self._host = Host(
            self._stages.in_order(),
            self._clock,
            self._seats.seat(name),
            lambda: sum(feed.frames for feed in self._stages.feeds.values()),
            self._wake_conductor,
        )
        self._bells = [Doorbell.attach(bell_name(seat), self._path) for seat in self._seats.names]
        self._bell = self._bells[self._seats.names.index(name)]
        self._idler = Idler(Policy.PARK, self._bell, yields=0)  # who waits for its turn leaves the core

    def run(self) -> None:
        """Turn until the run ends or somebody asks to stop, then leave what was found."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
        with self._files as opened:
            self._conductor = self._make_conductor(opened)
            self._host.start()
            gc.collect()
            gc.freeze()
            self._turn_until_the_end()
            self._host.close()
        self._leave(self._stages.findings().with_parts(Findings(source=self._source_found())))

    def _turn_until_the_end(self) -> None:
        turns = 0
        owner = os.getppid()
        while not self.stop_asked:
            turns += 1
            worked = self._host.turn()
            if self._conductor is not None:
                worked |= self._conductor.step()
            if worked:
                self._idler.worked()
            else:
                self._idler.idle()
            if turns % TURNS_BETWEEN_LOOKS == 0 and (self._clock.ended or os.getppid() != owner):
                return

    def _make_conductor(self, opened: ExitStack) -> Conductor | None:
        """Whoever has the feeds replays the recording to them."""
        if not self._stages.feeds:
            return None

        def deliver(frame: Frame) -> None:
            self._stages.feeds[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)

        self._frames = UndamagedFrames(self._given.frames(opened))
        start_ns = self._given.scene.start_ns
        return Conductor(self._clock, self._seats, self._frames, deliver, start_ns, self._wake)

    def _wake(self, seat: int) -> None:
        self._bells[seat].ring()

    def _wake_conductor(self) -> None:
        self._bells[CONDUCTOR_SEAT].ring()

    def _decision_log(self, config: ProcessConfig, description: Description) -> BinaryIO | None:
        if Role.LEDGER not in config.roles or not description.logs_decisions:
            return None
        return self._files.enter_context((self._path / DECISIONS).open("wb"))

    def _source_found(self) -> SourceFound | None:
        if self._conductor is None or self._frames is None:
            return None
        damage = self._frames.damage
        return SourceFound(
            first_ns=self._conductor.first_ns,
            last_ns=self._conductor.last_ns,
            damage="" if damage is None else str(damage),
        )

    def _leave(self, found: Findings) -> None:
        if self._stages.executor is not None:
            with whole_file(self._path / f"{self._name}{JOURNAL_SUFFIX}") as file:
                file.write(self._stages.journal_bytes.getvalue())
        with whole_file(self._path / f"{self._name}{FOUND_SUFFIX}") as file:
            file.write(orjson.dumps(typed_tree.dump(found)))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop_asked = True
