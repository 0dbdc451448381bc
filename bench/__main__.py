"""``python -m bench [NAME...]``: run the measurements, all of them or those named.

A bench is a module of this package with ``main() -> int``: it prints what it measured, on which machine,
and answers 0 unless its own claim failed. Options behind the name of a single bench are that bench's own.
What takes long runs only when it is named.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from typing import Final

from procs import kernels

LONG: Final = frozenset({"long_run"})


def bench_names(package: str = "bench") -> list[str]:
    """Names of all benches, sorted."""
    folders = importlib.import_module(package).__path__
    return sorted(found.name for found in pkgutil.iter_modules(folders) if not found.name.startswith("_"))


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Our own arguments, and those of the one bench that is named first."""
    return (argv[:1], argv[1:]) if len(argv) > 1 and argv[1].startswith("-") else (argv, ())


def main(argv: Sequence[str] | None = None, package: str = "bench") -> int:
    """Run benches one after another; 1 when one of them failed, 2 when there is none of that name."""
    names = bench_names(package)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run measurements.")
    all_but = f"default: all but {', '.join(LONG)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}; {all_but}")
    args, own = _split(sys.argv[1:] if argv is None else argv)
    chosen = parser.parse_args(args).names or [name for name in names if name not in LONG]
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
        bench = importlib.import_module(f"{package}.{name}")
        failed |= (bench.main(own) if own else bench.main()) != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
