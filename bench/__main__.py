"""``python -m bench [NAME...]``, or ``pr3dict bench``: run the measurements, all of them or those named.

A bench is a module of this package with ``measure(result)``, which adds rows and claims to the result, and
optionally ``add_arguments(parser)``; then it is ``measure(result, args)``. Exit 1 when a claim does not hold.
What takes long, or changes with the code only, runs only when it is named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from bench import _kept, _page, _show
from bench._machine import fingerprint
from bench._result import Result
from engine.errors import ConfigError
from procs import kernels
from procs.cli.exit_codes import ExitCode, exit_code_of, message_of

PACKAGE: Final = "bench"
LONG: Final = frozenset({"instructions", "load", "long_run"})

Measure = Callable[..., None]


class _OneLineParser(argparse.ArgumentParser):
    """Complains in one line, as everything here does."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}")


def bench_names(package: str = PACKAGE) -> list[str]:
    """Names of all benches, sorted."""
    folders = importlib.import_module(package).__path__
    return sorted(found.name for found in pkgutil.iter_modules(folders) if not found.name.startswith("_"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of a single bench stand behind ``--``."""
    names = bench_names()
    all_but = f"default: all but {', '.join(sorted(LONG))}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}; {all_but}")
    parser.add_argument("--json", action="store_true", help="one document; what people read goes to stderr")
    parser.add_argument(
        "--save", action="store_true", help="keep the results, for the page and for --compare"
    )
    parser.add_argument("--compare", type=Path, metavar="OLD", help="file of results kept before")
    parser.add_argument(
        "--page",
        action="store_true",
        help="measure nothing, write the tables of docs/benchmarks.md and README.md",
    )


def run(args: argparse.Namespace, package: str = PACKAGE) -> int:
    """Run benches one after another; 1 when a claim of one does not hold. ConfigError for unknown names."""
    if args.page:
        _page.write_pages()
        return ExitCode.OK
    chosen, own = _split(args.names, package)
    old = _kept.load(args.compare) if args.compare else []
    out = sys.stderr if args.json else sys.stdout
    results = []
    for name in chosen:
        result = measured(name, own, package)
        results.append(result)
        print("\n".join(_show.lines(result)), file=out, flush=True)
        if args.save:
            print(f"kept in {_kept.save([result])}", file=out, flush=True)
    for line in _show.compared(results, old) if args.compare else ():
        print(line, file=out)
    if args.json:
        print(json.dumps([result.document() for result in results], indent=2))
    return ExitCode.FAILURE if any(result.failed for result in results) else ExitCode.OK


def _split(words: Sequence[str], package: str) -> tuple[list[str], list[str]]:
    """Names of the benches to run, and options of the one that is named; ConfigError."""
    first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    known = bench_names(package)
    names, own = list(words[:first]), list(words[first:])
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(f"no bench named {', '.join(unknown)}; there are: {', '.join(known)}")
    if own and len(names) != 1:
        raise ConfigError(f"{own[0]}: options of a bench need exactly one bench named before them")
    return names or [name for name in known if name not in LONG], own


def measured(name: str, own: Sequence[str] = (), package: str = PACKAGE) -> Result:
    """Run one bench, with its own options."""
    bench = importlib.import_module(f"{package}.{name}")
    result = Result(name, fingerprint())
    measure: Measure = bench.measure
    began_s = time.monotonic()
    if hasattr(bench, "add_arguments"):
        parser = _OneLineParser(prog=f"bench {name}")
        bench.add_arguments(parser)
        measure(result, parser.parse_args(own))
    elif own:
        raise ConfigError(f"{own[0]}: the bench {name} has no options")
    else:
        measure(result)
    result.machine["took_s"] = round(time.monotonic() - began_s, 1)
    return result


def main(argv: Sequence[str] | None = None, package: str = PACKAGE) -> int:
    """``python -m bench``."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run measurements.")
    add_arguments(parser)
    kernels.set_cache_dir()
    try:
        args, own = parser.parse_known_args(argv)
        args.names += own  # here they need no ``--`` before them
        return run(args, package)
    except ConfigError as error:
        sys.stderr.write(f"bench: {message_of(error)}\n")
        return exit_code_of(error) or ExitCode.FAILURE


if __name__ == "__main__":
    sys.exit(main())
