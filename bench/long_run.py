"""The long run: ``run`` in topology two against the simulated venues at ten times recorded speed, watched.

Every ten seconds each process is looked at from outside: memory (PSS, and the heap in it), descriptors,
processor time. From two minutes on, when caches and pools have been filled,

- the heap of a process of the engine (anonymous memory: what others map and unmap does not count in it) may
  not grow by more than GROWTH_MIB_MAX, between the medians of the first and of the last tenth of the samples;
- its descriptors may not become more, between the medians of the same tenths: what is open for a moment while
  it is looked at does not stay open;
- no message may have been lost or refused in a ring, no reader fenced or lapped.

``--minutes 30 --speed 10`` unless said; ``--samples FILE`` keeps every look as a line of JSON. Every process
parks when it has nothing to do, so that processor time is what the work costs, and not what waiting for it
does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench._engine import VENUE_SIM, RunningEngine, parked
from bench._long_recording import write_long_recording
from bench._result import OURS, Claim, Result, Row
from procs.found_segments import RingNumbers, attached_counters, found_segments, ring_numbers
from procs.process_numbers import ProcessNumbers, process_numbers

SAMPLE_S: Final = 10.0
WARM_S: Final = 120.0
WARM_PART: Final = 5  # of a run that is shorter than that five times over: this part of it
TENTH: Final = 10
GROWTH_MIB_MAX: Final = 2.0
SPARE_S: Final = 120.0  # recorded beyond the end, times speed
FLAT: Final = "heaps that grew, descriptors that stayed open, losses in rings"
MIB: Final = 1 << 20
KIB: Final = 1 << 10
LOSSES: Final = ("_lost_", "_laps", "_refused_messages")

# What is planted again every few minutes is bought again: neither cash nor a limit may end the trading.
RICH: Final = (
    "venues.polymarket.paper_cash_micros=1000000000000",
    "venues.kalshi.paper_cash_micros=1000000000000",
    "risk.position_max_e6=1000000000000",
    "risk.market_exposure_max_micros=1000000000000",
    "risk.event_exposure_max_micros=1000000000000",
    "risk.daily_loss_max_micros=1000000000000",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at a moment."""

    at_s: float
    pss: int
    heap: int
    fds: int
    cpu_s: float
    switches: int = 0  # involuntary, so far


@dataclass(frozen=True, slots=True)
class Course:
    """A process from two minutes on to the end, memory in bytes."""

    name: str
    first: Sample
    middle: Sample
    last: Sample
    slope_kib_min: float  # of PSS, least squares
    heap_growth: float
    fds: tuple[int, int]
    cpu: float  # of a core

    def faults(self) -> list[str]:
        """What is wrong with it; empty when its memory is flat and its descriptors are."""
        found = []
        if self.heap_growth > GROWTH_MIB_MAX * MIB:
            found.append(f"{self.name}: the heap grew by {self.heap_growth / MIB:.1f} MiB")
        if self.fds[1] > self.fds[0]:
            found.append(f"{self.name}: descriptors grew from {self.fds[0]} to {self.fds[1]}")
        return found


def course(name: str, samples: Sequence[Sample]) -> Course:
    """Sum a process up; ``samples`` are those behind the warm-up, two at least."""
    tenth = max(len(samples) // TENTH, 1)
    begin, end = samples[:tenth], samples[-tenth:]
    first, last = samples[0], samples[-1]
    slope = statistics.linear_regression([one.at_s for one in samples], [one.pss for one in samples]).slope
    return Course(
        name,
        first,
        samples[len(samples) // 2],
        last,
        slope * 60 / KIB,
        statistics.median(one.heap for one in end) - statistics.median(one.heap for one in begin),
        (statistics.median_low(one.fds for one in begin), statistics.median_low(one.fds for one in end)),
        (last.cpu_s - first.cpu_s) / (last.at_s - first.at_s),
    )


def sample(numbers: ProcessNumbers, at_s: float) -> Sample:
    """What is kept of a look at a process of ours."""
    pss, heap, fds = numbers.pss_bytes, numbers.heap_bytes, numbers.open_fds
    assert pss is not None, "the kernel does not tell us of a process of our own"
    assert heap is not None, "the kernel does not tell anonymous memory apart"
    assert fds is not None, "the kernel does not tell us the descriptors of a process of our own"
    return Sample(at_s, pss, heap, fds, numbers.user_s + numbers.system_s, numbers.involuntary_switches)


def watch(engine: RunningEngine, for_s: float) -> dict[str, list[Sample]]:
    """Samples of every process until the time is over; RuntimeError when one has ended or was begun again."""
    pids = engine.pids()
    samples: dict[str, list[Sample]] = {name: [] for name in pids}
    began_s = time.monotonic()
    at_s = 0.0
    while at_s <= for_s:
        time.sleep(max(began_s + at_s - time.monotonic(), 0.0))
        for name, pid in pids.items():
            numbers = process_numbers(pid)
            if numbers is None:
                raise RuntimeError(f"{name} has ended after {at_s:.0f} s")
            samples[name].append(sample(numbers, time.monotonic() - began_s))
        at_s += min(SAMPLE_S, for_s / TENTH)
    return samples


def ring_faults(ring: RingNumbers) -> list[str]:
    """Losses of a ring; a reader that only looks, or that may be lapped, counts its own."""
    found = [f"{ring.name}: refused {times} ({cause})" for cause, times in ring.refusals.items() if times]
    found += [f"{ring.name}: fenced {ring.fenced}"] if ring.fenced else []
    return found + [
        f"{ring.name}: {reader.name} lost {reader.lost_messages} messages"
        for reader in ring.readers
        if reader.lost_messages
    ]


def loss_faults(counters: dict[str, int]) -> list[str]:
    """Losses that the stages have counted: of a ring that overwrites, the lapped reader knows."""
    found = {label: value for label, value in counters.items() if any(word in label for word in LOSSES)}
    return [f"{label}: {value}" for label, value in found.items() if value]


def counted(engine: RunningEngine) -> dict[str, int]:
    """Every counter of the engine's processes."""
    segments = attached_counters().refresh(found_segments(engine.run_dir))
    return {label: value for _, counters in segments for label, value in counters.snapshot().items()}


def soak(
    minutes: float, speed: float, folder: Path, keep: Path | None = None
) -> tuple[list[Course], list[str], list[str]]:
    """Run and judge: courses of the processes, what was wrong, what else is worth saying.

    ``keep``: file for the samples.
    """
    recorded_s = (minutes * 60 + SPARE_S) * speed
    recording = write_long_recording(folder / "long.ndjson.zst", recorded_s)
    settings = (parked(), *RICH)
    with RunningEngine(recording, folder, speed=f"{speed:g}", settings=settings) as engine:
        engine.until(lambda: "monitor" in engine.pids() and engine.is_fit(), "an engine that is fit")
        samples = watch(engine, minutes * 60)
        counters = counted(engine)
        rings = list(ring_numbers(found_segments(engine.run_dir)))
        found, said = engine.end()
    warm_s = min(WARM_S, minutes * 60 / WARM_PART)
    courses = [course(name, [one for one in of if one.at_s >= warm_s]) for name, of in samples.items()]
    if keep is not None:
        lines = [{"process": name, **asdict(one)} for name, of in samples.items() for one in of]
        keep.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    faults = [fault for one in courses if one.name != VENUE_SIM for fault in one.faults()]
    faults += [fault for ring in rings for fault in ring_faults(ring)]
    faults += loss_faults(counters)
    notes = [
        f"rings: {', '.join(f'{ring.name} {ring.messages:,}' for ring in rings)}",
        f"counters: {json.dumps({label: value for label, value in counters.items() if value})}",
        f"result: {json.dumps(found)}",
        f"venues: {json.dumps(said)}",
    ]
    return courses, faults, notes


def row_of(one: Course) -> Row:
    """A process as a row: memory at the three moments, growth, descriptors, processor time."""
    run = {
        "share": one.cpu,
        "pss_begin_mib": one.first.pss / MIB,
        "pss_middle_mib": one.middle.pss / MIB,
        "pss_end_mib": one.last.pss / MIB,
        "heap_growth_mib": one.heap_growth / MIB,
        "pss_slope_kib_min": one.slope_kib_min,
        "descriptors_begin": one.fds[0],
        "descriptors_end": one.fds[1],
    }
    return Row(one.name, OURS, [run], [one.last.switches - one.first.switches])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this bench."""
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M", help="default 30")
    parser.add_argument(
        "--speed", type=float, default=10.0, metavar="X", help="times recorded time, default 10"
    )
    parser.add_argument("--samples", type=Path, metavar="FILE", help="keep every look, a line of JSON each")


def measure(result: Result, args: argparse.Namespace) -> None:
    """A row for each process; that nothing is wrong is the claim."""
    with tempfile.TemporaryDirectory(prefix="pr3dict-long-") as folder:
        courses, faults, notes = soak(args.minutes, args.speed, Path(folder), args.samples)
    result.rows += [row_of(one) for one in courses]
    result.notes += [f"{args.minutes:g} minutes at {args.speed:g}x recorded speed", *faults, *notes]
    result.notes.append(f"load {os.getloadavg()[0]:.1f} at the end")
    result.claims.append(Claim(FLAT, len(faults), 0, at_least=False))
