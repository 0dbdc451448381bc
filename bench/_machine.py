"""The fingerprint of a machine: what a figure is worth nothing without."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from procs.host_facts import Host

UNKNOWN: Final = "unknown"


def fingerprint(host: Host | None = None) -> dict[str, object]:
    """Of this machine, now: the load is that before the measurement."""
    host = Host() if host is None else host
    cores = sorted(os.sched_getaffinity(0))
    siblings = sorted(host.siblings(cores[0]) & set(cores))
    return {
        "cpu": host.cpu_says("model name", "Hardware") or platform.machine(),
        "cores": len(cores),
        "smt_siblings": len(siblings) > 1,
        "governor": host.cpu(f"cpu{cores[0]}/cpufreq/scaling_governor") or UNKNOWN,
        "clock": host.read("devices", "system", "clocksource", "clocksource0", "current_clocksource")
        or UNKNOWN,
        "virtual": "hypervisor" in host.cpu_flags(),
        "kernel": platform.release().partition("-")[0],  # what builders append says nothing
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "load": round(os.getloadavg()[0], 2),
        "measured": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def machine_name(machine: Mapping[str, object]) -> str:
    """Name of the file of its results: words of the processor, number of cores."""
    words = re.sub(r"\(.*?\)|@.*|\b(processor|cpu)\b", " ", str(machine["cpu"]), flags=re.IGNORECASE)
    plain = "-".join(re.findall(r"[a-z0-9.]+", words.lower()))
    return f"{plain or UNKNOWN}-{machine['cores']}-cores"


def machine_line(machine: Mapping[str, object]) -> str:
    """The fingerprint in one line."""
    kind = "virtual machine, " if machine["virtual"] else ""
    smt = "with SMT siblings" if machine["smt_siblings"] else "no SMT siblings"
    return (
        f"{machine['cpu']}, {kind}{machine['cores']} cores ({smt}), governor {machine['governor']}, "
        f"clock {machine['clock']}, Linux {machine['kernel']}, Python {machine['python']}, "
        f"numba {machine['numba']}, numpy {machine['numpy']}; load {machine['load']} before, "
        f"{machine['measured']} UTC"
    )
