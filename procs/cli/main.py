"""The ``pr3dict`` command: finds the subcommand, runs it, turns its end into an exit code.

A subcommand is a module with ``add_arguments(parser)`` and ``run(args) -> int``. It is imported when it is
used, after the kernel cache directory has been set, so that ``pr3dict --help`` answers at once.
People read stdout; machines read it with ``--json``; what goes wrong is one line on stderr.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple, NoReturn, Protocol, cast

from procs import kernels
from procs.cli.exit_codes import ExitCode, exit_code_of, message_of

PROGRAM: Final = "pr3dict"


class Command(NamedTuple):
    """One row of the command table."""

    name: str
    module: str
    help: str
    uses_kernels: bool = False


class CommandModule(Protocol):
    """What the module of a subcommand offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of the subcommand."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; answer an ExitCode. Raises errors of ``engine.errors`` for what the user can mend."""


COMMANDS: Final = (
    Command("paper", "procs.cli.paper", "trade on paper: market data in, orders to simulated venues", True),
    Command(
        "check",
        "procs.cli.check",
        "replay recordings through codec and book, compare with the venue's word",
        True,
    ),
    Command(
        "book", "procs.cli.book", "show the book of one market, in a recording or a running engine", True
    ),
    Command(
        "funnel", "procs.cli.funnel", "count what was seen in a recording and why it was not traded", True
    ),
    Command("run", "procs.cli.run", "the engine on live market data, trading on paper", True),
    Command("proc", "procs.cli.proc", "one process of an engine, as its owner starts it", True),
    Command(
        "replay-inputs",
        "procs.cli.replay_inputs",
        "play each agent of a run alone on what it read, and compare",
        True,
    ),
    Command("venue-sim", "procs.cli.venue_sim", "serve both venues' market data on loopback", True),
    Command("status", "procs.cli.status", "show a running engine: its processes, halted or paused, by whom"),
    Command("latency", "procs.cli.latency", "where the time of a running engine goes, stage by stage"),
    Command("positions", "procs.cli.positions", "what a running engine holds, and its cash"),
    Command("health", "procs.cli.health", "ask control whether the engine is fit; for probes"),
    Command("pause", "procs.cli.pause", "refuse orders that open exposure"),
    Command("resume", "procs.cli.resume", "lift a pause, and a halt when its reason is named"),
    Command("halt", "procs.cli.halt", "stop every order, through restarts, until somebody resumes"),
    Command("shutdown", "procs.cli.shutdown", "end every process of a running engine"),
    Command("tail", "procs.cli.tail", "print what changes in a running engine, a line each"),
    Command("control", "procs.cli.control", "serve the operator's commands for one run directory"),
    Command("monitor", "procs.cli.monitor", "serve the metrics of one run directory to Prometheus"),
    Command("doctor", "procs.cli.doctor", "is this host fit to run the engine?"),
    Command("bench", "bench.__main__", "measure the engine on this machine, beside what it replaces", True),
    Command("record", "procs.cli.record", "record live market data as it comes", True),
    Command("import", "procs.cli.import_", "turn other recorders' files into our recording format"),
    Command("journal", "procs.cli.journal", "show what the journal of an executor says"),
    Command("config", "procs.cli.config", "print and check the effective configuration"),
)


EPILOG: Final = """\
exit codes:
  0  done                            3  timeout
  1  ran, and found a failure        4  denied
  2  usage or configuration          5  refused by the present state

Run 'pr3dict COMMAND --help' for the options of a command.
"""


class _OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line; the usage is behind --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _version() -> str:
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "(not installed)"


def _top_parser() -> argparse.ArgumentParser:
    width = max(len(command.name) for command in COMMANDS)
    table = "\n".join(f"  {command.name:<{width}}  {command.help}" for command in COMMANDS)
    parser = _OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [-h] [--version] COMMAND ...",
        description=f"A trading engine for prediction markets.\n\ncommands:\n{table}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _find(name: str | None, parser: argparse.ArgumentParser) -> Command:
    """Row of the command table; ends the program with a line that says which name was meant."""
    rows = {command.name: command for command in COMMANDS}
    if name is None:
        parser.error("which command? " + ", ".join(rows))
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=1)
        parser.error(f"unknown command '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    return rows[name]


def _import(name: str) -> CommandModule:
    """Import the module of a subcommand; numba must have been pointed to our cache.

    What that makes stays until the end: looking for garbage in it, now and at each collection to come, took
    an eighth of the processor time of a start.
    """
    is_new = name not in sys.modules
    if is_new:
        gc.disable()
    try:
        return cast(CommandModule, importlib.import_module(name))
    finally:
        if is_new:
            gc.freeze()
            gc.enable()


def _dispatch(argv: Sequence[str]) -> int:
    """Run the subcommand that ``argv`` names; SystemExit for help and for arguments that do not parse."""
    top = _top_parser()
    chosen = top.parse_args(argv)
    command = _find(chosen.command, top)
    directory = kernels.set_cache_dir()
    module = _import(command.module)
    parser = _OneLineParser(
        prog=f"{PROGRAM} {command.name}", description=f"{PROGRAM} {command.name}: {command.help}."
    )
    module.add_arguments(parser)
    args = parser.parse_args(chosen.rest)
    if command.uses_kernels and not (directory / kernels.STAMP).exists():
        _compile_first()
    return module.run(args)


def _compile_first() -> None:
    """Say that kernels have to be compiled, and compile them all, not one by one at their first calls."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") == "0":
        sys.stderr.write(f"{PROGRAM}: compiling the kernels, once after a change of the sources...\n")
        kernels.warm()


def _close_output() -> None:
    """Stop the interpreter from flushing into a closed pipe once more on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """A stream that our parent closed is None here; what is said to nobody goes nowhere."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pr3dict`` with ``argv`` (default: the process's own arguments) and answer its exit code."""
    _open_closed_streams()
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _close_output()
        return ExitCode.OUTPUT_CLOSED
    except Exception as error:
        mapped = exit_code_of(error)
        if mapped is None:
            raise  # a defect of ours keeps its traceback
        sys.stderr.write(f"{PROGRAM}: {message_of(error)}\n")
        return mapped
    return code


if __name__ == "__main__":
    sys.exit(main())
