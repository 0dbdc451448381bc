"""Each finding of the doctor on a host that has the fault, and on one that has not."""

from __future__ import annotations

import importlib
import json
import os
import py_compile
import resource
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config import MonitorConfig, ProcessConfig, Role, TopologyConfig, Wait
from engine.reasons import Reason
from procs import doctor, kernels
from procs.cli.main import main
from procs.config_files import load_config
from procs.doctor import MIB, Finding, Level, Patient, examine, patient_here
from procs.halt import HaltSwitch
from procs.health import HealthTable
from procs.host_facts import Host
from tests.procs.served import EPOCH

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A host with nothing wrong, four cores, its folders not made yet."""
    host = Host(tmp_path / "proc", tmp_path / "sys")
    cpu = host.sys / "devices/system/cpu"
    for core in range(4):
        write(cpu / f"cpu{core}/topology/thread_siblings_list", str(core))
    write(cpu / "isolated", "2-3")
    write(cpu / "cpu0/cpufreq/scaling_governor", "performance")
    write(host.sys / "devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")
    write(host.sys / "kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    write(host.proc / "cpuinfo", "flags : constant_tsc nonstop_tsc\n")
    write(host.proc / "meminfo", "MemAvailable: 9000000 kB\n")
    write(host.proc / "self/mounts", f"a / ext4 rw 0 0\nb {tmp_path}/run tmpfs rw 0 0\n")
    (tmp_path / "run").mkdir(mode=0o700)
    config = replace(load_config(), monitor=MonitorConfig(port=0))
    return Patient(config, tmp_path / "run", tmp_path / "state", host, frozenset(range(4)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(patient: Patient, what: str) -> Finding:
    (finding,) = [finding for finding in examine(patient) if finding.what == what]
    return finding


def said(patient: Patient, what: str) -> tuple[Level, str]:
    finding = found(patient, what)
    return finding.level, finding.text


def test_a_fit_host_has_nothing_worse_than_ok(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 9_000 * MIB)
    monkeypatch.setattr(kernels, "STAMP", ".")  # the folder itself is there
    monkeypatch.setattr(doctor, "IMPORTED", ())
    assert {finding.what: finding.text for finding in examine(patient) if finding.level is not OK} == {}
    assert len(examine(patient)) == 18


def pinned(patient: Patient, *cores: int, wait: Wait = Wait.SPIN) -> Patient:
    processes = tuple(
        ProcessConfig(name=f"p{core}", roles=(list(Role)[at],), core=core, wait=wait)
        for at, core in enumerate(cores)
    )
    engine = replace(patient.config.engine, topology="probe")
    topologies = {"probe": TopologyConfig(processes=processes)}
    return replace(patient, config=replace(patient.config, engine=engine, topologies=topologies))


def test_cores(patient: Patient) -> None:
    assert said(pinned(patient, 2, 3), "cores") == (OK, "4 usable; topology probe pins to 2, 3, 2 spin")
    absent = pinned(patient, 2, 7)
    assert said(absent, "cores") == (FAIL, "topology probe pins to core 7; this process may use 0, 1, 2, 3")
    crowded = pinned(replace(patient, cores=frozenset({0, 1})), 0, 1)
    assert found(crowded, "cores").level is WARN
    parking = pinned(replace(patient, cores=frozenset({0, 1})), 0, 1, wait=Wait.FUTEX)
    assert found(parking, "cores").level is OK


def test_how_each_process_waits_is_said_with_the_reason(patient: Patient) -> None:
    level, text = said(pinned(patient, 0, 1), "waiting")
    assert level is OK
    assert text == (
        "topology probe: p0 spins on core 0 (as configured: a core of its own); "
        "p1 spins on core 1 (as configured: a core of its own)"
    )
    assert "p0 yields on core 0 (2 processes share core 0" in said(two_on_one(patient), "waiting")[1]
    few = replace(pinned(patient, 0, 1, 2), cores=frozenset({0, 1}))
    assert said(few, "waiting")[1].count("sleeps") == 3
    assert "(3 processes would spin on 2 cores)" in said(few, "waiting")[1]
    assert said(pinned(patient, 0, wait=Wait.FUTEX), "waiting")[1].endswith(
        "p0 sleeps on core 0 (as configured)"
    )


def two_on_one(patient: Patient) -> Patient:
    first = pinned(patient, 0)
    [process] = first.config.topologies["probe"].processes
    both = TopologyConfig(processes=(process, replace(process, name="other", roles=(Role.LEDGER,))))
    return replace(first, config=replace(first.config, topologies={"probe": both}))


def test_real_time(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (7, 7))
    assert said(patient, "real time") == (OK, "not asked for; priority up to 7 is allowed")
    write(patient.host.proc / "sys/kernel/sched_rt_runtime_us", "950000\n")
    assert said(patient, "real time")[1].endswith("up to 7 is allowed, for 950000 us of each second")
    write(patient.host.proc / "sys/kernel/sched_rt_runtime_us", "-1\n")
    assert said(patient, "real time")[0] is WARN
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    write(patient.host.proc / "sys/kernel/sched_rt_runtime_us", "950000\n")
    assert "up to any is allowed" in said(patient, "real time")[1]


def test_siblings(patient: Patient) -> None:
    assert found(patient, "siblings").level is OK
    for core in (2, 3):
        write(patient.host.sys / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list", "2-3")
    assert "1 cores have several threads" in found(patient, "siblings").text
    assert "threads (2, 3) are one core" in found(pinned(patient, 2, 3), "siblings").text
    assert "1 cores have several threads" in found(pinned(patient, 1, 3), "siblings").text


@pytest.mark.parametrize(
    ("name", "text", "what", "level", "why"),
    [
        ("devices/system/cpu/isolated", "\n", "isolated", WARN, "no isolated cores"),
        ("devices/system/clocksource/clocksource0/current_clocksource", "hpet", "clock", WARN, "hpet: each"),
        ("devices/system/clocksource/clocksource0/current_clocksource", "", "clock", WARN, "does not say"),
        (
            "devices/system/clocksource/clocksource0/current_clocksource",
            "kvm-clock",
            "clock",
            OK,
            "kvm-clock",
        ),
        ("devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "frequency", WARN, "powersave"),
        ("kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "huge pages", WARN, "always"),
        ("kernel/mm/transparent_hugepage/enabled", "", "huge pages", OK, "none in this kernel"),
    ],
)
def test_settings_of_the_kernel(
    patient: Patient, name: str, text: str, what: str, level: Level, why: str
) -> None:
    write(patient.host.sys / name, text)
    finding = found(patient, what)
    assert (finding.level, why in finding.text) == (level, True), finding.text


def test_a_cycle_counter_that_may_stop_is_a_warning(patient: Patient) -> None:
    write(patient.host.proc / "cpuinfo", "flags : constant_tsc\n")
    assert said(patient, "clock") == (
        WARN, "tsc, but the processor does not promise nonstop_tsc: cycle counts drift"
    )  # fmt: skip


def test_limits_and_memory(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 1_024))
    assert said(patient, "files") == (WARN, "1,024 open files allowed; raise it to 4,096")
    assert said(patient, "locked memory")[0] is WARN
    write(patient.host.proc / "meminfo", "MemAvailable: 500000 kB\n")
    assert said(patient, "memory") == (WARN, "488 MiB available, the engine likes 1,024")
    (patient.host.proc / "meminfo").unlink()
    assert said(patient, "memory") == (OK, "unknown")


def test_the_run_directory(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 256 * MIB)
    assert found(patient, "run directory").level is OK
    on_disk = replace(patient, run_dir=patient.run_dir.parent / "on_disk")
    assert said(on_disk, "run directory") == (
        WARN,
        f"{on_disk.run_dir}: on ext4, not in memory: stores wait for a disk",
    )
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 10 * MIB)
    assert said(patient, "run directory")[0] is FAIL
    assert "10 MiB free, rings and tables need 256" in found(patient, "run directory").text
    patient.run_dir.chmod(0o755)
    assert said(patient, "run directory") == (
        FAIL,
        f"{patient.run_dir}: open to others (mode 755); chmod 700 it",
    )


def test_a_run_directory_too_long_for_a_socket_fails(patient: Patient) -> None:
    deep = replace(patient, run_dir=patient.run_dir / ("d" * 100))
    assert "longer than the 107 bytes of a socket's address" in found(deep, "run directory").text


def test_the_state_directory(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = replace(patient, state_dir=patient.run_dir / "state")
    assert "gone after a reboot" in found(in_memory, "state directory").text
    for free, level in ((10 * MIB, FAIL), (500 * MIB, WARN), (2_000 * MIB, OK)):
        monkeypatch.setattr(doctor, "free_bytes", lambda _, free=free: free)
        assert found(patient, "state directory").level is level
    patient.state_dir.touch()
    assert said(patient, "state directory")[0] is FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_folders_that_cannot_be_made(patient: Patient) -> None:
    closed = patient.run_dir.parent / "closed"
    closed.mkdir(mode=0o500)
    barred = replace(patient, run_dir=closed / "run", state_dir=closed / "state")
    assert found(barred, "run directory").level is FAIL
    assert found(barred, "state directory").level is FAIL


@pytest.mark.parametrize("refuses", [True, False])
def test_byte_code_that_is_not_kept_is_a_warning(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    monkeypatch.setattr(doctor, "IMPORTED", ("kept", "lost"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", refuses)
    for name in ("kept", "lost"):
        write(tmp_path / f"{name}.py", "")
    py_compile.compile(str(tmp_path / "kept.py"))
    importlib.invalidate_caches()
    level, text = said(patient, "byte code")
    assert level is WARN
    assert text.startswith("none of lost: ")
    assert ("PYTHONDONTWRITEBYTECODE" in text) == refuses
    py_compile.compile(str(tmp_path / "lost.py"))
    assert said(patient, "byte code") == (OK, "kept")


def test_kernels_that_are_not_compiled_are_a_warning(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "STAMP", "no such stamp")
    assert found(patient, "kernels").level is WARN


def test_the_port_of_the_monitor(patient: Patient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = replace(patient.config, monitor=MonitorConfig(port=port))
        engaged = replace(patient, config=config)
        assert said(engaged, "monitor port") == (
            FAIL,
            f"127.0.0.1:{port}: Address already in use; see monitor.port",
        )
        table = HealthTable.create(("monitor",), patient.run_dir, EPOCH)
        table.writer("monitor").start(["monitor"], EPOCH, "spin", 0)
        assert said(engaged, "monitor port") == (OK, f"127.0.0.1:{port}: taken, and an engine runs here")
    assert said(engaged, "monitor port") == (OK, f"127.0.0.1:{port}: free")


def test_a_halt_is_a_warning(patient: Patient) -> None:
    HaltSwitch.create(patient.run_dir, patient.state_dir, EPOCH).halt(Reason.HALTED, "ada")
    assert said(patient, "halt") == (
        WARN,
        "halted by operator: no order leaves until somebody resumes",
    )


def test_an_engine_of_another_build_fails(patient: Patient) -> None:
    table = HealthTable.create(("feed",), patient.run_dir, EPOCH)
    assert found(patient, "build").level is OK
    table.writer("feed").start(["feed"], EPOCH, "spin", 0)
    assert found(patient, "build").level is OK
    table.table.rows[0]["build"] = b"0" * 16
    assert found(patient, "build").level is FAIL
    assert "in the run directory is 0000000000000000" in found(patient, "build").text
    (patient.run_dir / "health").chmod(0o644)
    assert found(patient, "build").level is FAIL


def test_the_command_says_it_and_ends_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    dirs = [
        "--run-dir",
        str(tmp_path / "run"),
        "--state-dir",
        str(tmp_path / "state"),
        "--set",
        "monitor.port=0",
    ]
    assert main(["doctor", *dirs, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    levels = {finding["what"]: finding["level"] for finding in document["findings"]}
    assert levels["run directory"] == "fail"
    (tmp_path / "run").chmod(0o700)
    assert main(["doctor", *dirs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= len(levels)
    assert any("run directory" in line for line in lines)


def test_this_host_is_examined(tmp_path: Path) -> None:
    here = patient_here(load_config(), tmp_path / "run", tmp_path / "state")
    assert here.cores == os.sched_getaffinity(0)
    assert all(finding.text and finding.text == " ".join(finding.text.split()) for finding in examine(here))
