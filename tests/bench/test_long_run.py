"""The long run: what it calls flat, what it refuses, and a short one of it with the whole engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench._engine import parked
from bench._long_recording import write_long_recording
from bench.long_run import GROWTH_MIB_MAX, Course, Sample, course, ring_faults, row_of, soak
from engine.config import Wait
from procs.check import Check
from procs.config_files import load_config
from procs.found_segments import ReaderNumbers, RingNumbers
from shm.layout import ReaderState

MIB = 1 << 20


def seen(heap_mib_min: float = 0.0, fds: int = 20, more_fds: int = 0, for_s: int = 100) -> Course:
    """A process watched for half an hour, whose heap grows steadily, and whose descriptors do at the end.

    ``for_s``: how long before the end it has ``more_fds``.
    """
    samples = [
        Sample(
            at_s,
            pss=int((90 + at_s / 60) * MIB),
            heap=int((50 + heap_mib_min * at_s / 60) * MIB),
            fds=fds + (more_fds if at_s > 1_800 - for_s else 0),
            cpu_s=0.25 * at_s,
        )
        for at_s in range(120, 1_801, 10)
    ]
    return course("trade", samples)


def test_a_flat_process_is_flat_whatever_others_share_with_it() -> None:
    flat = seen()
    assert flat.faults() == []
    assert flat.slope_kib_min == pytest.approx(1024, rel=0.01)
    assert flat.cpu == pytest.approx(0.25)
    assert (flat.first.pss, flat.last.pss) == (92 * MIB, 120 * MIB)


def test_a_heap_that_grows_and_descriptors_that_stay_open_are_faults() -> None:
    over_28_minutes = GROWTH_MIB_MAX / 25
    assert seen(heap_mib_min=over_28_minutes / 2).faults() == []
    assert "the heap grew by" in seen(heap_mib_min=over_28_minutes * 2).faults()[0]
    assert seen(more_fds=1).faults() == ["trade: descriptors grew from 20 to 21"]
    assert seen(more_fds=-1).faults() == []
    assert seen(more_fds=1, for_s=10).faults() == [], "a file that is open at the moment of a look"


def test_what_a_ring_lost_is_a_fault() -> None:
    reader = ReaderNumbers("executor", ReaderState.JOINED, 0, 0, 0, 0, 0)
    quiet = RingNumbers("plans", 4096, 10, 5, {"size": 0, "full": 0, "fenced": 0}, 0, (reader,))
    assert ring_faults(quiet) == []
    lost = ReaderNumbers("executor", ReaderState.FENCED, 0, 9, 4, 1, 0)
    bad = RingNumbers("plans", 4096, 10, 5, {"size": 0, "full": 2, "fenced": 0}, 1, (lost,))
    assert ring_faults(bad) == [
        "plans: refused 2 (full)",
        "plans: fenced 1",
        "plans: executor lost 4 messages",
    ]


def test_a_process_is_a_row() -> None:
    [run] = row_of(seen()).runs
    assert (run["pss_begin_mib"], run["pss_middle_mib"], run["pss_end_mib"]) == (92.0, 106.0, 120.0)
    assert run["pss_slope_kib_min"] == pytest.approx(1024)
    assert (run["descriptors_begin"], run["descriptors_end"]) == (20, 20)


def test_every_process_parks_with_the_setting_for_it() -> None:
    config = load_config(assignments=[parked()])
    as_shipped = load_config().topologies["two"].processes
    changed = config.topologies["two"].processes
    assert [process.wait for process in changed] == [Wait.FUTEX] * len(as_shipped)
    assert [(one.name, one.roles, one.core) for one in changed] == [
        (one.name, one.roles, one.core) for one in as_shipped
    ]


@pytest.mark.compiled_only
def test_the_long_recording_is_sound_and_as_long_as_asked(tmp_path: Path) -> None:
    report = Check(write_long_recording(tmp_path / "long.ndjson.zst", 20.0)).run()
    assert report.frames > 1_000
    assert (report.rejected, report.seq_gaps) == (0, 0)


@pytest.mark.compiled_only
@pytest.mark.soak
def test_half_a_minute_of_it_loses_nothing(tmp_path: Path) -> None:
    """Memory need not have settled by then."""
    courses, faults, notes = soak(0.5, 10.0, tmp_path, tmp_path / "samples.ndjson")
    assert [fault for fault in faults if "the heap grew" not in fault] == []
    assert any('"strategy_tops"' in note for note in notes)
    names = {one.name for one in courses}
    assert names == {"market", "trade", "venues", "control", "monitor", "owner", "nursery", "venue-sim"}
    assert len((tmp_path / "samples.ndjson").read_text().splitlines()) == len(names) * 11
