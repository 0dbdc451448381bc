"""Progress on stderr while a run goes on: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from procs.cli.render_values import count, gain, moment, plural, share
from procs.progress import OnProgress, Progress, Sparse, ignore

BAR_STEP_NS: Final = 100_000_000  # ten times a second is as often as anybody looks


@contextmanager
def shown_on(stream: TextIO | None, name: str) -> Iterator[OnProgress]:
    """Callable that shows progress of the input ``name``; with no stream it shows nothing."""
    if stream is None:
        yield ignore
        return
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        yield Sparse(lambda progress: _write(stream, progress_line(name, progress)), time.monotonic_ns)
        return
    with Bars(*_columns(), console=console, transient=True) as bars:
        yield Sparse(_Bar(bars, name), time.monotonic_ns, BAR_STEP_NS)


def _columns() -> list[ProgressColumn]:
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[said]}", markup=False),
        TimeRemainingColumn(compact=True),
    ]


class _Bar:
    """One bar; a phase that follows another begins it anew."""

    def __init__(self, bars: Bars, name: str) -> None:
        self._bars = bars
        self._name = name
        self._task = bars.add_task(name, total=None, said="")
        self._phase = ""

    def __call__(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._bars.reset(self._task, description=f"{self._name}, {progress.phase}")
        self._bars.update(
            self._task,
            total=progress.frames_total,
            completed=progress.frames,
            said=f"{count(progress.frames)} frames, {_traded(progress)}",
        )


def progress_line(name: str, progress: Progress) -> str:
    """One line for a log: ``sample, 1x latency: 5,000 frames (50.0 %) to 2026-...; 2 plans, ...``."""
    total = progress.frames_total
    part = f" ({share(progress.frames, total)})" if total else ""
    seen = f"{plural(progress.frames, 'frame')}{part}"
    until = f" to {moment(progress.now_ns)}" if progress.now_ns else ""
    return f"{name}, {progress.phase}: {seen}{until}; {_traded(progress)}"


def _traded(progress: Progress) -> str:
    plans, fills = plural(progress.plans, "plan"), plural(progress.fills, "fill")
    return f"{plans}, {fills}, realised {gain(progress.realised_micros)}"


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
