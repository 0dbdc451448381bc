"""How far a run has come: the record it hands out, and who gets to see how many of them.

A run reports often, because reporting is cheap for it; ``Sparse`` lets through what a person can read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.units import NS_PER_S

SPARSE_STEP_NS: Final = 5 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. ``phase`` names what is running, e.g. ``1x latency``.

    ``frames_total`` is None when nobody has counted; ``now_ns`` is the virtual clock (ns since 1970).
    """

    phase: str
    frames: int
    frames_total: int | None
    now_ns: int
    plans: int
    fills: int
    realised_micros: int


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing to anybody."""
    del progress


class Sparse:
    """Lets through the first report of each phase, its last frame, and one every ``step_ns`` between.

    ``clock_ns`` is a monotonic clock of real time.
    """

    def __init__(self, show: OnProgress, clock_ns: Callable[[], int], step_ns: int = SPARSE_STEP_NS) -> None:
        self._show = show
        self._clock_ns = clock_ns
        self._step_ns = step_ns
        self._phase = ""
        self._due_ns = 0
        self._ended = False

    def __call__(self, progress: Progress) -> None:
        """Take one report."""
        now_ns = self._clock_ns()
        if progress.phase != self._phase:
            self._phase, self._due_ns, self._ended = progress.phase, now_ns, False
        ends = progress.frames == progress.frames_total
        if now_ns < self._due_ns and (self._ended or not ends):
            return
        self._due_ns, self._ended = now_ns + self._step_ns, ends
        self._show(progress)
