"""What the kernel says of a host: cores, clock, file systems. What is unknown is empty, and no error."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORES_NAMED_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Host:
    """Where to look; another root is another host."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def read(self, *parts: str) -> str:
        """Text of a file below /sys, "" when there is none."""
        return _read(self.sys.joinpath(*parts))

    def read_proc(self, *parts: str) -> str:
        """Text of a file below /proc, "" when there is none."""
        return _read(self.proc.joinpath(*parts))

    def cpu(self, name: str) -> str:
        """Text of a file below /sys/devices/system/cpu."""
        return self.read("devices", "system", "cpu", name)

    def siblings(self, core: int) -> frozenset[int]:
        """Hardware threads of the core that thread ``core`` belongs to; only itself when nobody says."""
        listed = self.cpu(f"cpu{core}/topology/thread_siblings_list")
        return core_list(listed) or frozenset({core})

    def cpu_says(self, *keys: str) -> str:
        """What the first processor says under the first of ``keys`` that it has, "" when under none."""
        for line in _read(self.proc / "cpuinfo").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in keys:
                return value.strip()
        return ""

    def cpu_flags(self) -> frozenset[str]:
        """Flags of the first processor."""
        return frozenset(self.cpu_says("flags").split())

    def memory_available_bytes(self) -> int | None:
        """Memory that a new process can have without swapping."""
        for line in _read(self.proc / "meminfo").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None

    def file_system(self, path: Path) -> str:
        """Type of the file system that holds ``path`` or the nearest folder of it that is there."""
        place = nearest(path)
        found = ("", "")
        for line in _read(self.proc / "self" / "mounts").splitlines():
            fields = line.split()
            if len(fields) > 2 and place.is_relative_to(_unescaped(fields[1])):
                found = max(found, (_unescaped(fields[1]), fields[2]), key=lambda mount: len(mount[0]))
        return found[1]


def nearest(path: Path) -> Path:
    """``path``, or the nearest folder above it that is there."""
    absolute = path.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.exists()), Path("/"))


def free_bytes(path: Path) -> int:
    """Bytes that this user can still write where ``path`` is or will be."""
    found = os.statvfs(nearest(path))
    return found.f_bavail * found.f_frsize


def core_list(text: str) -> frozenset[int]:
    """Cores of a list like ``0-3,8``; empty for anything else, and for "(null)", which the kernel may say."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return frozenset()
        start, stop = int(first), int(last or first) + 1
        if stop - start > CORES_NAMED_MAX:
            return frozenset()
        cores.update(range(start, stop))
    return frozenset(cores)


def _unescaped(path: str) -> str:
    """A path of /proc/self/mounts, where blanks stand as octal."""
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
