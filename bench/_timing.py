"""Runs of work in one process: ours and the peers' in turn, each with its involuntary switches."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from bench._result import Result, Row

RUNS: Final = 5
CHUNKS: Final = 20

Measure = Callable[[], dict[str, float]]


def switched() -> int:
    """Times this process was taken off its core against its will."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector out of a measurement: what there is, is frozen."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def interleave(
    result: Result, what: str, ways: Mapping[str, Measure], runs: int | None = None, *, warm: bool = True
) -> None:
    """Measure each way in turn, ``runs`` times over, and add a row for each to the result.

    Before that, ``warm``, each is measured once for nothing: kernels are loaded, caches filled.
    A way answers the figures of one run, and by the name of ``switches`` involuntary switches of other
    processes, if it has any.
    """
    rows = {who: Row(what, who) for who in ways}
    for way in ways.values() if warm else ():
        way()
    with no_collection():
        for _ in range(RUNS if runs is None else runs):
            for who, way in ways.items():
                before = switched()
                run = way()
                rows[who].switches.append(switched() - before + int(run.pop("switches", 0)))
                rows[who].runs.append(run)
    result.rows += rows.values()


def per_call(act: Callable[[], object], calls: int) -> dict[str, float]:
    """Nanoseconds of one call: the median of CHUNKS chunks of ``calls``, and the fastest of them."""
    act()
    took = []
    for _ in range(CHUNKS):
        began_ns = time.perf_counter_ns()
        for _ in range(calls):
            act()
        took.append((time.perf_counter_ns() - began_ns) / calls)
    return {"ns": statistics.median(took), "fastest_chunk_ns": min(took)}
