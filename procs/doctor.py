"""Is this host fit to run the engine? One finding for each thing that has cost somebody a day.

``fail`` is what the engine cannot start with, or must not; ``warn`` what it runs with and pays for.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from engine.config import Config, ProcessConfig, Wait
from engine.errors import ConfigError
from procs import kernels
from procs.build_id import build_id
from procs.control_wire import CONTROL_SOCKET, socket_address
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessState
from procs.host_facts import Host, free_bytes, nearest
from procs.monitor import HOST
from procs.placement import place
from procs.private_directory import require_private
from shm.errors import ShmError
from shm.waiting import ANY_CORE, Policy

MIB: Final = 1 << 20
RUN_BYTES_MIN: Final = 256 * MIB  # rings and tables of both venues with room for the next engine's
STATE_BYTES_MIN: Final = 64 * MIB
STATE_BYTES_SOON: Final = 1024 * MIB
MEMORY_BYTES_SOON: Final = 1024 * MIB
FILES_SOON: Final = 4_096
LOCKED_BYTES_SOON: Final = 64 * MIB
FAST_CLOCKS: Final = frozenset({"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"})
STEADY_TSC: Final = frozenset({"constant_tsc", "nonstop_tsc"})
IMPORTED: Final = ("numba", "numpy", "engine", "procs")  # in each process
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "hugetlbfs"})


_WAITS: Final = {Policy.SPIN: "spins", Policy.YIELD: "yields", Policy.PARK: "sleeps"}


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and why that matters."""

    what: str
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. ``cores``: those this process may use."""

    config: Config
    run_dir: Path
    state_dir: Path
    host: Host
    cores: frozenset[int]


def examine(patient: Patient) -> list[Finding]:
    """Every finding, in the order of CHECKS."""
    return [finding for check in CHECKS for finding in check(patient)]


def patient_here(config: Config, run_dir: Path, state_dir: Path) -> Patient:
    """This host."""
    return Patient(config, run_dir, state_dir, Host(), frozenset(os.sched_getaffinity(0)))


def _processes(patient: Patient) -> Sequence[ProcessConfig]:
    return patient.config.topologies[patient.config.engine.topology].processes


def _ok(what: str, text: str) -> Finding:
    return Finding(what, Level.OK, text)


def _warn(what: str, text: str) -> Finding:
    return Finding(what, Level.WARN, text)


def _fail(what: str, text: str) -> Finding:
    return Finding(what, Level.FAIL, text)


def _numbers(cores: frozenset[int] | set[int]) -> str:
    return ", ".join(str(core) for core in sorted(cores)) or "none"


def _cores(patient: Patient) -> Iterator[Finding]:
    what, name = "cores", patient.config.engine.topology
    pinned = {process.core for process in _processes(patient) if process.core >= 0}
    spinning = sum(process.wait is Wait.SPIN for process in _processes(patient))
    n_cores = len(patient.cores)
    if not pinned <= patient.cores:
        absent = _numbers(pinned - patient.cores)
        yield _fail(
            what, f"topology {name} pins to core {absent}; this process may use {_numbers(patient.cores)}"
        )
    elif spinning >= n_cores > 0 and spinning > 1:
        yield _warn(
            what, f"{spinning} spinning processes on {n_cores} cores leave none to the rest of the host"
        )
    else:
        yield _ok(what, f"{n_cores} usable; topology {name} pins to {_numbers(pinned)}, {spinning} spin")


def _siblings(patient: Patient) -> Iterator[Finding]:
    what = "siblings"
    pinned = [process.core for process in _processes(patient) if process.core >= 0]
    threads = {core: patient.host.siblings(core) for core in patient.cores}
    shared = sorted({tuple(sorted(all_of)) for all_of in threads.values() if len(all_of) > 1})
    crowded = [pair for pair in shared if sum(core in pair for core in pinned) > 1]
    if crowded:
        yield _warn(what, f"threads {crowded[0]} are one core, and more than one of them is pinned to")
    elif shared:
        yield _warn(what, f"{len(shared)} cores have several threads: what runs on one slows the other down")
    else:
        yield _ok(what, "no two usable threads share a core, as far as the kernel says")


def _isolated(patient: Patient) -> Iterator[Finding]:
    isolated = patient.host.cpu("isolated")
    if isolated:
        yield _ok("isolated", f"cores {isolated} are kept for us (isolcpus)")
    else:
        yield _warn("isolated", "no isolated cores: the scheduler may put others beside a hot process")


def _clock(patient: Patient) -> Iterator[Finding]:
    what = "clock"
    source = patient.host.read("devices/system/clocksource/clocksource0/current_clocksource")
    if not source:
        yield _warn(what, "the kernel does not say which clock it reads")
    elif source not in FAST_CLOCKS:
        yield _warn(
            what, f"{source}: each reading is a system call of a microsecond; tsc or kvm-clock is none"
        )
    elif patient.host.cpu_flags() and not patient.host.cpu_flags() >= STEADY_TSC:
        lacking = ", ".join(sorted(STEADY_TSC - patient.host.cpu_flags()))
        yield _warn(what, f"{source}, but the processor does not promise {lacking}: cycle counts drift")
    else:
        yield _ok(what, f"{source}, read without a system call")


def _governor(patient: Patient) -> Iterator[Finding]:
    governor = patient.host.cpu("cpu0/cpufreq/scaling_governor")
    if governor and governor != "performance":
        yield _warn(
            "frequency", f"governor {governor}: a core that was idle is slow at first; use performance"
        )
    else:
        yield _ok("frequency", governor or "left to the processor")


def _limits(_patient: Patient) -> Iterator[Finding]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    enough = files in (resource.RLIM_INFINITY,) or files >= FILES_SOON
    said = "any number of" if files == resource.RLIM_INFINITY else f"{files:,}"
    tell = _ok if enough else _warn
    yield tell("files", f"{said} open files allowed" + ("" if enough else f"; raise it to {FILES_SOON:,}"))
    locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if locked == resource.RLIM_INFINITY or locked >= LOCKED_BYTES_SOON:
        yield _ok("locked memory", "enough to keep the rings in memory")
    else:
        yield _warn(
            "locked memory", f"{locked // MIB} MiB may be locked: under pressure rings are swapped out"
        )


def _waiting(patient: Patient) -> Iterator[Finding]:
    """How each process of the topology waits here, on which core, and why."""
    engine = patient.config.engine
    places = place(patient.config.topologies[engine.topology].processes, patient.cores)
    said = (
        f"{name} {_WAITS[one.policy]}{'' if one.core == ANY_CORE else f' on core {one.core}'} ({one.why})"
        for name, one in places.items()
    )
    yield _ok("waiting", f"topology {engine.topology}: {'; '.join(said)}")


def _real_time(patient: Patient) -> Iterator[Finding]:
    """The engine asks for no real-time priority; who gives it one should know the bounds."""
    allowed = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    most = "any" if allowed == resource.RLIM_INFINITY else str(allowed)
    kept = patient.host.read_proc("sys", "kernel", "sched_rt_runtime_us")
    if kept == "-1":
        yield _warn("real time", "a process of real-time priority may keep a core from everybody for ever")
    else:
        bound = f", for {kept} us of each second" if kept else ""
        yield _ok("real time", f"not asked for; priority up to {most} is allowed{bound}")


def _memory(patient: Patient) -> Iterator[Finding]:
    available = patient.host.memory_available_bytes()
    if available is not None and available < MEMORY_BYTES_SOON:
        yield _warn(
            "memory", f"{available // MIB:,} MiB available, the engine likes {MEMORY_BYTES_SOON // MIB:,}"
        )
    else:
        yield _ok("memory", "unknown" if available is None else f"{available // MIB:,} MiB available")


def _huge_pages(patient: Patient) -> Iterator[Finding]:
    setting = patient.host.read("kernel/mm/transparent_hugepage/enabled")
    chosen = setting.partition("[")[2].partition("]")[0]
    if chosen == "always":
        yield _warn("huge pages", "always: the kernel may stop a process to put pages together; use madvise")
    else:
        yield _ok("huge pages", chosen or "none in this kernel")


def _run_directory(patient: Patient) -> Iterator[Finding]:
    what, directory = "run directory", patient.run_dir
    try:
        socket_address(directory, CONTROL_SOCKET)
        if directory.exists():
            require_private(directory)
    except ConfigError as error:
        yield _fail(what, str(error))
        return
    if not directory.exists() and not os.access(nearest(directory), os.W_OK | os.X_OK):
        yield _fail(what, f"{directory}: cannot be made in {nearest(directory)}")
        return
    kind, free = patient.host.file_system(directory), free_bytes(directory)
    if free < RUN_BYTES_MIN:
        yield _fail(
            what, f"{directory}: {free // MIB:,} MiB free, rings and tables need {RUN_BYTES_MIN // MIB}"
        )
    elif kind not in IN_MEMORY:
        yield _warn(
            what, f"{directory}: on {kind or 'an unknown file system'}, not in memory: stores wait for a disk"
        )
    else:
        yield _ok(what, f"{directory}: {kind}, {free // MIB:,} MiB free, closed to others")


def _state_directory(patient: Patient) -> Iterator[Finding]:
    what, directory = "state directory", patient.state_dir
    if not os.access(nearest(directory), os.W_OK | os.X_OK) or not nearest(directory).is_dir():
        yield _fail(what, f"{directory}: cannot be written: no halt and no journal would last")
        return
    kind, free = patient.host.file_system(directory), free_bytes(directory)
    if free < STATE_BYTES_MIN:
        yield _fail(what, f"{directory}: {free // MIB:,} MiB free: the journal would stop trading soon")
    elif kind in IN_MEMORY:
        yield _warn(what, f"{directory}: on {kind}: halt and journal are gone after a reboot")
    elif free < STATE_BYTES_SOON:
        yield _warn(what, f"{directory}: {free // MIB:,} MiB free")
    else:
        yield _ok(what, f"{directory}: {free // MIB:,} MiB free")


def _kernels(_patient: Patient) -> Iterator[Finding]:
    if (kernels.set_cache_dir() / kernels.STAMP).exists():
        yield _ok("kernels", "compiled")
    else:
        yield _warn(
            "kernels", "not compiled for these sources: the first start takes minutes; run make kernels"
        )


def _cached(module: str) -> Path:
    """Where the byte code of a module would be."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, "it is in the lock"
    return Path(str(spec.cached))


def _byte_code(_patient: Patient) -> Iterator[Finding]:
    """Whether a start reads compiled modules, or compiles the sources of all it imports."""
    absent = [name for name in IMPORTED if not _cached(name).exists()]
    if not absent:
        yield _ok("byte code", "kept")
    else:
        why = "PYTHONDONTWRITEBYTECODE is set" if sys.dont_write_bytecode else "the next start keeps it"
        yield _warn(
            "byte code",
            f"none of {', '.join(absent)}: each process takes seconds more to start; {why}",
        )


def _ports(patient: Patient) -> Iterator[Finding]:
    what, port = "monitor port", patient.config.monitor.port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if _engine_runs(patient.run_dir):
                yield _ok(what, f"{HOST}:{port}: taken, and an engine runs here")
            else:
                yield _fail(what, f"{HOST}:{port}: {error.strerror}; see monitor.port")
            return
    yield _ok(what, f"{HOST}:{port}: free" if port else "any free one")


def _engine_runs(directory: Path) -> bool:
    try:
        health = HealthTable.attach(directory).read()
    except (ShmError, OSError):
        return False
    return any(
        process.condition(process.heartbeat_ns) not in ("absent", "stopped", "gone") for process in health
    )


def _halt(patient: Patient) -> Iterator[Finding]:
    try:
        state = HaltSwitch.attach(patient.run_dir, patient.state_dir).state()
    except ShmError as error:
        yield _fail("halt", f"{error}")
        return
    if state.halted:
        yield _warn("halt", f"halted by {', '.join(state.reasons)}: no order leaves until somebody resumes")
    else:
        yield _ok("halt", "not halted")


def _build(patient: Patient) -> Iterator[Finding]:
    """Whether what runs in the run directory was built from other sources."""
    try:
        health = HealthTable.attach(patient.run_dir)
    except FileNotFoundError:
        yield _ok("build", "no engine runs here")
        return
    except (ShmError, OSError) as error:
        yield _fail("build", str(error))
        return
    builds = {process.build for process in health.read() if process.state is not ProcessState.ABSENT}
    own = build_id()
    others = builds - {own}
    if others:
        yield _fail("build", f"this is build {own}, in the run directory is {', '.join(sorted(others))}")
    else:
        yield _ok("build", own)


CHECKS: Final[tuple[Callable[[Patient], Iterator[Finding]], ...]] = (
    _cores,
    _siblings,
    _isolated,
    _clock,
    _governor,
    _waiting,
    _real_time,
    _limits,
    _memory,
    _huge_pages,
    _run_directory,
    _state_directory,
    _kernels,
    _byte_code,
    _ports,
    _halt,
    _build,
)
