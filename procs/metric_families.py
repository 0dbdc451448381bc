"""Families of metrics about processes and rings, from what was read of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from procs.found_segments import RingNumbers
from procs.health import ProcessHealth, ProcessState
from procs.metric_names import PREFIX
from procs.process_numbers import ProcessNumbers, process_numbers
from shm.layout import ReaderState

Rows = list[tuple[tuple[str, ...], float]]  # values of the labels, and the value

NS: Final = 1e9
NOT_BEATING: Final = frozenset({"absent", "stopped", "silent", "gone"})
CONDITIONS: Final = (*(state.name.lower() for state in ProcessState), "silent", "gone")

_PROCESS: Final = ("process",)
_RING: Final = ("ring",)
_READER: Final = ("ring", "reader")


def gauges_of(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """Family of gauges, one a row."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counters_of(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """Family of counters, one a row; ``_total`` comes by itself."""
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def process_families(health: Sequence[ProcessHealth], now_ns: int, now_s: float) -> Iterator[Metric]:
    """What each process says of itself, and what is believed of it.

    ``now_ns`` is of CLOCK_MONOTONIC, ``now_s`` since 1970.
    """
    conditions = {process.name: process.condition(now_ns) for process in health}
    up: Rows = [((name,), condition not in NOT_BEATING) for name, condition in conditions.items()]
    yield gauges_of("process_up", "1 while a process beats in time", _PROCESS, up)
    states: Rows = [
        ((name, each), condition == each) for name, condition in conditions.items() for each in CONDITIONS
    ]
    yield gauges_of("process_condition", "1 for the state a process is in", (*_PROCESS, "state"), states)

    started = [process for process in health if process.state is not ProcessState.ABSENT]
    ages: Rows = [((process.name,), (now_ns - process.heartbeat_ns) / NS) for process in started]
    yield gauges_of("process_heartbeat_age_seconds", "Time since the last heartbeat", _PROCESS, ages)
    starts: Rows = [((process.name,), now_s - (now_ns - process.started_ns) / NS) for process in started]
    yield gauges_of("process_start_time_seconds", "When a process started, since 1970", _PROCESS, starts)
    for name, text in (
        ("passes", "Passes of the run loop"),
        ("work", "Messages and timers handled"),
        ("idle_sleeps", "Times the run loop had nothing to do and waited"),
    ):
        rows: Rows = [((process.name,), getattr(process, name)) for process in started]
        yield counters_of(f"process_{name}", text, _PROCESS, rows)


def kernel_families(health: Sequence[ProcessHealth]) -> Iterator[Metric]:
    """What the kernel says of the processes that run."""
    alive: list[tuple[str, ProcessNumbers]] = []
    for process in health:
        numbers = process_numbers(process.pid) if process.pid else None
        if numbers is not None:
            alive.append((process.name, numbers))
    for name, text, field in (
        ("resident_memory_bytes", "Memory in use", "resident_bytes"),
        ("proportional_memory_bytes", "Memory in use, of shared pages only its share", "pss_bytes"),
        ("open_fds", "Open file descriptors", "open_fds"),
        ("threads", "Threads", "threads"),
    ):
        found = [((process,), getattr(numbers, field)) for process, numbers in alive]
        yield gauges_of(f"process_{name}", text, _PROCESS, [row for row in found if row[1] is not None])
    for name, text, label, fields in (
        ("cpu_seconds", "Processor time used", "mode", {"user": "user_s", "system": "system_s"}),
        (
            "context_switches",
            "Times another thread was given the core",
            "kind",
            {"voluntary": "voluntary_switches", "involuntary": "involuntary_switches"},
        ),
    ):
        rows: Rows = [
            ((process, value), getattr(numbers, field))
            for process, numbers in alive
            for value, field in fields.items()
        ]
        yield counters_of(f"process_{name}", text, (*_PROCESS, label), rows)


def ring_families(found: Iterable[RingNumbers]) -> Iterator[Metric]:
    """How far rings are, what they refused, and how far their gating readers are behind."""
    rings = list(found)
    capacity: Rows = [((ring.name,), ring.capacity_cells) for ring in rings]
    yield gauges_of("ring_capacity_cells", "Cells of a ring", _RING, capacity)
    for name, text in (
        ("cells", "Cells published"),
        ("messages", "Messages published"),
        ("fenced", "Times a silent gating reader was fenced"),
    ):
        rows: Rows = [((ring.name,), getattr(ring, name)) for ring in rings]
        yield counters_of(f"ring_{name}", text, _RING, rows)
    refused: Rows = [((ring.name, cause), times) for ring in rings for cause, times in ring.refusals.items()]
    text = "Publications refused: too large, no room, or nobody left to read"
    yield counters_of("ring_refusals", text, (*_RING, "cause"), refused)
    yield from _reader_families(rings)


def _reader_families(rings: Sequence[RingNumbers]) -> Iterator[Metric]:
    readers = [((ring.name, reader.name), reader) for ring in rings for reader in ring.readers]
    lag: Rows = [(at, reader.lag_cells) for at, reader in readers]
    yield gauges_of("ring_reader_lag_cells", "Cells that a gating reader has not read yet", _READER, lag)
    fenced: Rows = [(at, reader.state is ReaderState.FENCED) for at, reader in readers]
    yield gauges_of("ring_reader_fenced", "1 while a gating reader is fenced", _READER, fenced)
    for name, text in (
        ("lost_cells", "Cells overwritten before a gating reader came to them"),
        ("lost_messages", "Messages overwritten before a gating reader came to them"),
        ("laps", "Times a gating reader was lapped"),
        ("garbled", "Messages dropped because their checksum was wrong"),
    ):
        rows: Rows = [(at, getattr(reader, name)) for at, reader in readers]
        yield counters_of(f"ring_reader_{name}", text, _READER, rows)
