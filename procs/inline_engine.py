"""The whole engine in one process under a virtual clock: topology ``inline``.

Every stage is the agent that a process of its own would run, and they meet in the same rings and tables;
only the memory is private and one loop calls them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from engine.config import Config, Role
from engine.sim.session.build import Planting
from procs.desk import Desk
from procs.executor import ExecutorAgent
from procs.findings import Findings
from procs.inline import InlineRunner, VirtualClock
from procs.journal_file import JournalFile
from procs.parts import VENUES, EngineParts, Scene
from procs.recording_frames import Frame
from procs.session_watch import SessionWatch
from procs.source import SourceAgent
from procs.stages import Stages
from procs.wires import Wires

BOOT_EPOCH: Final = 1  # of a run that leaves nothing behind


class InlineEngine:
    """All stages around one catalog. ``run`` replays frames through them and lets what is pending happen.

    ``latency_scale`` stretches every simulated way; ``decisions`` receives the decision log,
    ``journal`` the journal, which otherwise is kept in memory;
    ``watch`` follows what becomes of ``plantings``.
    """

    def __init__(
        self,
        config: Config,
        scene: Scene,
        *,
        latency_scale: int = 1,
        decisions: BinaryIO | None = None,
        pace: Callable[[int], None] | None = None,
        plantings: Sequence[Planting] = (),
        journal: JournalFile | None = None,
    ) -> None:
        self.config = config
        self.wires = Wires.create(VENUES, config.engine.market_slots)
        self.parts = EngineParts(config, scene, self.wires, tuple(Role), BOOT_EPOCH, hears_sockets=False)
        self.catalog, self.registry, self.screened = (
            self.parts.catalog,
            self.parts.registry,
            self.parts.screened,
        )
        self.watch = SessionWatch(plantings, self.catalog)
        self.stages = Stages(
            self.parts,
            tuple(Role),
            latency_scale=latency_scale,
            decisions=decisions,
            watch=self.watch,
            journal=journal,
        )
        self.stores, self.feeds, self.venues = self.parts.stores, self.stages.feeds, self.stages.venues
        self._pace = pace
        self._start_ns = scene.start_ns

    @property
    def executor(self) -> ExecutorAgent:
        """The executor stage."""
        assert self.stages.executor is not None
        return self.stages.executor

    @property
    def desk(self) -> Desk:
        """Accounts, journal and gate."""
        return self.executor.desk

    def run(
        self,
        frames: Iterator[Frame],
        *,
        on_step: Callable[[SourceAgent, int], None] | None = None,
    ) -> SourceAgent:
        """Replay ``frames`` to their end and let everything pending happen.

        Answers the source with its counts.
        """
        source = SourceAgent(frames, self.feeds, self._pace)
        clock = VirtualClock(self._start_ns)
        runner = InlineRunner([source, *self.stages.in_order()], clock)
        runner.start()
        try:
            while runner.step():
                if on_step is not None:
                    on_step(source, clock.now_ns)
        finally:
            runner.close()
        return source

    def findings(self) -> Findings:
        """What the run found; every part is there."""
        return self.stages.findings()
