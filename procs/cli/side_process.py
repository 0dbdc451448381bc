"""What processes beside an engine's own do for it: they keep off the cores that these are pinned to."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from engine.errors import Pr3dictError
from procs.placement import take_place
from procs.run_directory import read_description
from shm.waiting import ANY_CORE


def keep_off_pinned_cores(run_dir: Path) -> None:
    """Run where nobody of the engine in ``run_dir`` is pinned, if there is one and it has left a core."""
    with suppress(Pr3dictError, OSError):
        take_place(ANY_CORE, read_description(run_dir, any_build=True).processes)
