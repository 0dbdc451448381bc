"""The clock of the benches: the counter where it is steady, elsewhere the monotonic clock."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from bench import _clock
from bench._machine import fingerprint, machine_line, machine_name
from bench.ring import stamp
from procs.host_facts import Host
from shm.atomics import address_of


def host(root: Path, flags: str, clocks: str) -> Host:
    places = {"cpuinfo": f"flags : {flags}\nmodel name : ACME 9\n"}
    clock = root / "sys/devices/system/clocksource/clocksource0"
    clock.mkdir(parents=True)
    (clock / "available_clocksource").write_text(clocks)
    (root / "proc").mkdir()
    for name, text in places.items():
        (root / "proc" / name).write_text(text)
    return Host(root / "proc", root / "sys")


@pytest.mark.parametrize(
    ("flags", "clocks", "steady"),
    [
        ("fpu constant_tsc nonstop_tsc", "tsc hpet", True),
        ("fpu constant_tsc nonstop_tsc", "kvm-clock", True),
        ("fpu constant_tsc", "tsc", False),
        ("fpu constant_tsc nonstop_tsc", "hpet acpi_pm", False),
        ("", "", False),
    ],
)
def test_only_a_steady_counter_is_used(tmp_path: Path, flags: str, clocks: str, steady: bool) -> None:
    found = _clock.calibrated(host(tmp_path, flags, clocks), calibration_s=0.0)
    assert (found.counter == 1) is steady
    assert found.name.startswith("counter" if steady else "monotonic")


@pytest.mark.compiled_only
def test_without_a_counter_a_stamp_is_the_monotonic_clock(tmp_path: Path) -> None:
    clock = _clock.calibrated(host(tmp_path, "", ""))
    before = time.monotonic_ns()
    found = stamp(clock.counter, clock.scratch)
    assert before <= found <= time.monotonic_ns()
    assert _clock.nanoseconds(1_000, clock.ns_of_tick) == 1_000


@pytest.mark.compiled_only
def test_the_counter_runs_as_the_monotonic_clock_does() -> None:
    clock = _clock.calibrated(calibration_s=0.05)
    began_ns, began = time.monotonic_ns(), stamp(clock.counter, clock.scratch)
    while time.monotonic_ns() - began_ns < 20_000_000:
        pass
    inside_ns = time.monotonic_ns() - began_ns
    counted = _clock.nanoseconds(stamp(clock.counter, clock.scratch) - began, clock.ns_of_tick)
    outside_ns = time.monotonic_ns() - began_ns
    assert 0.99 * inside_ns <= counted <= 1.01 * outside_ns


def test_a_fingerprint_says_what_a_figure_depends_on(tmp_path: Path) -> None:
    machine = fingerprint(host(tmp_path, "hypervisor", "tsc"))
    assert machine["cpu"] == "ACME 9"
    assert machine["virtual"] is True
    assert machine_line(machine).startswith(f"ACME 9, virtual machine, {machine['cores']} cores")
    assert machine_name({"cpu": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "cores": 4}) == (
        "intel-xeon-platinum-8375c-4-cores"
    )


def test_the_plain_clock_writes_what_the_systems_would() -> None:
    words = np.zeros(2, np.int64)
    before_ns = time.monotonic_ns()
    assert _clock._plain_clock_gettime(_clock.CLOCK_MONOTONIC, address_of(words)) == 0
    seconds, nanoseconds = words.tolist()
    assert before_ns <= seconds * _clock.NS_PER_S + nanoseconds <= time.monotonic_ns()
    assert 0 <= nanoseconds < _clock.NS_PER_S
