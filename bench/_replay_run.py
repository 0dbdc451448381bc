"""One measurement of ``bench.replay``, in a process of its own: ``python -m bench._replay_run WHAT PATH``."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from procs import kernels

kernels.set_cache_dir()  # before anything imports numba

from bench._plain import PlainBooks  # noqa: E402
from procs.check import Check  # noqa: E402
from procs.config_files import load_config  # noqa: E402
from procs.importers import open_source  # noqa: E402
from procs.paper import PaperOptions, run_recordings  # noqa: E402

KIB_A_MIB: Final = 1024


def check(path: Path) -> int:
    """Frames that ``pr3dict check`` reads in a file."""
    return Check(path).run().frames


def plain(path: Path) -> int:
    """Frames that the plain way reads in a file."""
    source = open_source(path)
    try:
        return PlainBooks().run(source.batches())
    finally:
        source.close()


def paper(path: Path) -> int:
    """Frames of a recording through every stage, at 1x latency."""
    options = PaperOptions(
        config=load_config(assignments=["engine.topology=inline"]), files=(path,), latency_scales=(1,)
    )
    return run_recordings("bench", options, lambda _: None).data.frames


WORK: Final[dict[str, Callable[[Path], int]]] = {"check": check, "plain": plain, "paper": paper}


def main(what: str, path: Path) -> None:
    """Do ``what`` once and write one JSON line about it.

    The kernels of feed and books are loaded before the clock starts; which ones those are depends on the
    venues of the file, so it is read once for that.
    """
    if what != "plain":
        check(path)
    began_s = time.perf_counter()
    frames = WORK[what](path)
    took_s = time.perf_counter() - began_s
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    print(json.dumps({"frames": frames, "s": took_s, "mib": peak_kib() / KIB_A_MIB, "switches": switches}))


def peak_kib() -> int:
    """Most memory that was resident. ``ru_maxrss`` would be that of whoever started us, if it was more."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
