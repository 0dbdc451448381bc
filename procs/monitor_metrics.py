"""All metrics of an engine, made from its run directory at the moment of a scrape.

Hot processes know no metrics library: they add to words in shared memory, and this reads the words. Latencies
are folded into classic buckets of 1, 2 and 5 times powers of ten, from a microsecond to ten seconds. A value
is counted under a bound only when the whole of its own bucket (1 part in 64) lies under it, so that a latency
is never told as smaller than it was; sums are of bucket middles.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from procs.build_id import build_id
from procs.control_words import Word
from procs.engine_status import EngineView
from procs.found_segments import (
    FoundSegment,
    attached_counters,
    attached_histograms,
    found_segments,
    ring_numbers,
)
from procs.metric_families import (
    NS,
    Rows,
    counters_of,
    gauges_of,
    kernel_families,
    process_families,
    ring_families,
)
from procs.metric_names import PREFIX, metric_name, source_of
from shm.histogram import bucket_top
from shm.layout import HISTOGRAM_BUCKETS

BOUNDS_NS: Final = (*(step * 10**power for power in range(3, 10) for step in (1, 2, 5)), 10**10)

_TOPS: Final[NDArray[np.int64]] = np.array([bucket_top(at) for at in range(HISTOGRAM_BUCKETS)], np.int64)
_BOTTOMS: Final = np.concatenate(([0], _TOPS[:-1] + 1))
_MIDDLES: Final[NDArray[np.float64]] = _BOTTOMS + (_TOPS - _BOTTOMS) / 2
_WHOLE_BUCKETS: Final = np.searchsorted(_TOPS, BOUNDS_NS, side="right")  # whose top is at the bound or below


_STAGE: Final = ("source", "stage")


class EngineCollector(Collector):
    """Metrics of the engine in ``directory``."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self._directory = directory
        self._state_dir = state_dir
        self._counters = attached_counters()
        self._histograms = attached_histograms()

    def collect(self) -> Iterator[Metric]:
        """Yield every family, read now."""
        segments = found_segments(self._directory)
        view = EngineView(self._directory, self._state_dir)
        yield from _build()
        yield from _control(view)
        health = [] if view.health is None else view.health.read()
        yield from process_families(health, time.monotonic_ns(), time.time())
        yield from kernel_families(health)
        yield from ring_families(ring_numbers(segments))
        yield from self._counter_families(segments)
        yield from self._latencies(segments)
        failures = self._counters.failures + self._histograms.failures
        text = "Times a segment of the run directory could not be attached"
        yield counters_of("monitor_attach_failures", text, (), [((), failures)])

    def _counter_families(self, segments: list[FoundSegment]) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for segment, counters in self._counters.refresh(segments):
            for label, value in counters.snapshot().items():
                name = metric_name(label)
                kind = "gauge" if name.is_gauge else "counter"
                sample = name.family if name.is_gauge else f"{name.family}_total"
                family = families.setdefault(sample, Metric(name.family, name.text, kind))
                labels = {"source": source_of(segment), **name.labels}
                family.add_sample(sample, labels, value / name.divisor)
        yield from families.values()

    def _latencies(self, segments: list[FoundSegment]) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            f"{PREFIX}stage_latency_seconds", "Time by stage; sums are of bucket middles", labels=_STAGE
        )
        backwards: Rows = []
        for segment, histograms in self._histograms.refresh(segments):
            for label in histograms.labels:
                counts = histograms[label].counts.copy()
                place = (segment, label)
                seconds.add_metric(place, fold(counts), float(counts @ _MIDDLES) / NS)
                backwards.append((place, histograms[label].below_zero))
        yield seconds
        yield counters_of("clock_steps_back", "Latencies that came out below zero", _STAGE, backwards)


def fold(counts: NDArray[np.int64]) -> list[tuple[str, float]]:
    """Classic cumulative buckets in seconds of a histogram's counts in ns, with +Inf last."""
    cumulative = np.concatenate(([0], np.cumsum(counts)))
    folded = [
        (repr(bound / NS), float(cumulative[whole]))
        for bound, whole in zip(BOUNDS_NS, _WHOLE_BUCKETS, strict=True)
    ]
    return [*folded, ("+Inf", float(cumulative[-1]))]


def _build() -> Iterator[Metric]:
    try:
        released = version("pr3dict")
    except PackageNotFoundError:
        released = "unknown"
    text = "Always 1; version and sources that the monitor runs"
    yield gauges_of("build_info", text, ("version", "build"), [((released, build_id()), 1)])


def _control(view: EngineView) -> Iterator[Metric]:
    halt = view.switch.state()
    yield gauges_of("halted", "1 while no order may leave, by word or latch", (), [((), halt.halted)])
    text = "1 for each reason that has to be named to resume"
    yield gauges_of("halt_reason", text, ("reason",), [((reason,), 1) for reason in halt.reasons])
    for word, text in (
        (Word.PAUSED, "1 while orders that open exposure are refused"),
        (Word.STOPPING, "1 when the engine was told to end"),
    ):
        is_set = view.words is not None and view.words.is_set(word)
        yield gauges_of(word.name.lower(), text, (), [((), is_set)])
