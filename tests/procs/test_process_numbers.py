"""Numbers of processes: of this one against what Python knows, and of folders made by hand."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from procs.process_numbers import ProcessNumbers, process_numbers


def test_this_process_is_as_it_knows_itself() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    main = resource.getrusage(resource.RUSAGE_THREAD)  # of the others some have ended, and are not counted
    numbers = process_numbers(os.getpid())
    assert numbers is not None
    assert numbers.pss_bytes is not None
    assert numbers.open_fds is not None
    assert numbers.pss_bytes > 0
    assert 1 << 20 < numbers.resident_bytes <= used.ru_maxrss * 1024 + (64 << 20)
    assert numbers.user_s >= used.ru_utime - 0.02, "ticks are a hundredth of a second"
    assert numbers.voluntary_switches >= main.ru_nvcsw
    with Path(os.devnull).open("rb"):
        more = process_numbers(os.getpid())
    assert more is not None
    assert more.open_fds == numbers.open_fds + 1


def made(proc: Path) -> Path:
    folder = proc / "7"
    (folder / "fd").mkdir(parents=True)
    for thread, switches in ((7, 10), (8, 2)):
        (folder / "task" / str(thread)).mkdir(parents=True)
        (folder / "task" / str(thread) / "status").write_text(
            f"Name:\tx\nThreads:\t2\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t5\n"
        )
    (folder / "task" / "9").mkdir()
    rest = " ".join(str(field) for field in range(4, 53))
    (folder / "stat").write_text(f"7 (a) b) (c) S {rest}\n")
    (folder / "statm").write_text("100 10 5 1 0 20 0\n")
    (folder / "smaps_rollup").write_text(
        "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 9 kB\nPss:   4 kB\nPss_Anon: 3 kB\n"
    )
    for fd in range(3):
        (folder / "fd" / str(fd)).touch()
    return folder


def test_fields_are_counted_from_behind_the_name(tmp_path: Path) -> None:
    made(tmp_path)
    a_second = os.sysconf("SC_CLK_TCK")
    assert process_numbers(7, tmp_path) == ProcessNumbers(
        resident_bytes=10 * os.sysconf("SC_PAGESIZE"),
        pss_bytes=4096,
        heap_bytes=3072,
        open_fds=3,
        threads=20,
        user_s=14 / a_second,
        system_s=15 / a_second,
        voluntary_switches=12,
        involuntary_switches=10,
    )


def test_what_may_not_be_looked_at_is_unknown(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder / "smaps_rollup").unlink()
    for fd in range(3):
        (folder / "fd" / str(fd)).unlink()
    (folder / "fd").rmdir()
    numbers = process_numbers(7, tmp_path)
    assert numbers is not None
    assert (numbers.pss_bytes, numbers.open_fds) == (None, None)


def test_one_that_has_gone_is_none(tmp_path: Path) -> None:
    assert process_numbers(8, tmp_path) is None
    folder = made(tmp_path)
    (folder / "statm").write_text("")
    assert process_numbers(7, tmp_path) is None
