"""Facts of a host, from trees made by hand and from this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from procs.host_facts import Host, core_list, free_bytes, nearest


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("0-3,8\n", {0, 1, 2, 3, 8}),
        ("5", {5}),
        ("", set()),
        ("(null)", set()),
        ("0-", {0}),
        ("1-x", set()),
        ("0-99999999", set()),
    ],
)
def test_core_lists(text: str, cores: set[int]) -> None:
    assert core_list(text) == cores


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_siblings_flags_and_memory(tmp_path: Path) -> None:
    host = Host(tmp_path / "proc", tmp_path / "sys")
    assert host.siblings(0) == {0}
    assert host.cpu_flags() == frozenset()
    assert host.memory_available_bytes() is None
    write(host.sys, "devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4\n")
    write(host.proc, "cpuinfo", "processor\t: 0\nflags\t\t: fpu constant_tsc\n\nflags\t\t: other\n")
    write(host.proc, "meminfo", "MemTotal: 9 kB\nMemAvailable:    4 kB\n")
    assert host.siblings(0) == {0, 4}
    assert host.cpu_flags() == {"fpu", "constant_tsc"}
    assert host.cpu_says("model name", "flags") == "fpu constant_tsc"
    assert host.cpu_says("model name") == ""
    assert host.memory_available_bytes() == 4096


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    host = Host(tmp_path / "proc")
    place = tmp_path / "with blank"
    place.mkdir()
    escaped = str(place).replace(" ", "\\040")
    mounts = f"/dev/a / ext4 rw 0 0\nb {tmp_path} xfs rw 0 0\ntmpfs {escaped} tmpfs rw 0 0\nodd\n"
    write(host.proc, "self/mounts", mounts)
    assert host.file_system(place / "not" / "there") == "tmpfs"
    assert host.file_system(tmp_path) == "xfs"
    assert host.file_system(Path("/")) == "ext4"
    assert Host(tmp_path / "none").file_system(place) == ""


def test_this_host() -> None:
    host = Host()
    assert host.file_system(Path("/proc")) == "proc"
    assert (host.memory_available_bytes() or 1) > 0
    assert min(os.sched_getaffinity(0)) in host.siblings(min(os.sched_getaffinity(0)))


def test_room_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert nearest(Path("/")) == Path("/")
    assert free_bytes(tmp_path / "a" / "b") > 0
