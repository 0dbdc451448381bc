"""What the kernel says of a process: memory, descriptors, threads, processor time, context switches."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
KIB: Final = 1024
# in /proc/PID/stat, counted from the field behind the command's name
_USER_TICKS, _SYSTEM_TICKS, _THREADS = 11, 12, 17


@dataclass(frozen=True, slots=True)
class ProcessNumbers:
    """``pss_bytes``: of shared pages only this process's share; ``heap_bytes``: of that, what no file has.

    None where we may not look.
    """

    resident_bytes: int
    pss_bytes: int | None
    heap_bytes: int | None
    open_fds: int | None
    threads: int
    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int


def process_numbers(pid: int, proc: Path = PROC) -> ProcessNumbers | None:
    """Numbers of a process; None when it has gone."""
    folder = proc / str(pid)
    try:
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
        switches = _switches(folder)
    except (OSError, IndexError, ValueError):
        return None
    memory = _memory(folder)
    a_second = os.sysconf("SC_CLK_TCK")
    return ProcessNumbers(
        resident_bytes=pages * os.sysconf("SC_PAGESIZE"),
        pss_bytes=memory.get("Pss"),
        heap_bytes=memory.get("Pss_Anon"),
        open_fds=_open_fds(folder),
        threads=int(fields[_THREADS]),
        user_s=int(fields[_USER_TICKS]) / a_second,
        system_s=int(fields[_SYSTEM_TICKS]) / a_second,
        voluntary_switches=switches[0],
        involuntary_switches=switches[1],
    )


def _keyed(path: Path) -> dict[str, int]:
    """Lines of ``Key: NUMBER ...``."""
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[key] = int(words[0])
    return found


def _switches(folder: Path) -> tuple[int, int]:
    """Voluntary and involuntary, over all threads: the kernel tells them of one thread each."""
    voluntary = involuntary = 0
    for thread in (folder / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found = _keyed(thread / "status")
            voluntary += found.get("voluntary_ctxt_switches", 0)
            involuntary += found.get("nonvoluntary_ctxt_switches", 0)
    return voluntary, involuntary


def _memory(folder: Path) -> dict[str, int]:
    """Bytes by the kernel's names; nothing where we may not look."""
    try:
        return {key: kib * KIB for key, kib in _keyed(folder / "smaps_rollup").items()}
    except OSError:
        return {}


def _open_fds(folder: Path) -> int | None:
    try:
        return len(list((folder / "fd").iterdir()))
    except OSError:
        return None
