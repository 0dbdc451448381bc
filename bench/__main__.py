"""``python -m bench [NAME...]``: run the measurements, all of them or those named.

A bench is a module of this package with ``main() -> int``: it prints what it measured, on which machine,
and answers 0 unless its own claim failed.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from procs import kernels


def bench_names(package: str = "bench") -> list[str]:
    """Names of all benches, sorted."""
    folders = importlib.import_module(package).__path__
    return sorted(found.name for found in pkgutil.iter_modules(folders) if not found.name.startswith("_"))


def main(argv: Sequence[str] | None = None, package: str = "bench") -> int:
    """Run benches one after another; 1 when one of them failed, 2 when there is none of that name."""
    names = bench_names(package)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run measurements.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}; default: all")
    chosen = parser.parse_args(argv).names or names
    unknown = sorted(set(chosen) - set(names))
    if unknown or not chosen:
        sys.stderr.write(
            f"bench: no bench named {', '.join(unknown) or 'anything'}; there are: {', '.join(names)}\n"
        )
        return 2
    kernels.set_cache_dir()
    failed = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        failed |= importlib.import_module(f"{package}.{name}").main() != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
