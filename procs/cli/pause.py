"""``pr3dict pause``: orders that open exposure are refused; orders that reduce it, and cancels, go on."""

from __future__ import annotations

import argparse

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.verbs import tell_outcome
from procs.control_client import ControlClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask control to pause."""
    outcome = ControlClient(engine_dirs(args).run_dir).call("pause")
    tell_outcome(args, outcome, "paused" if outcome["changed"] else "paused already")
    return ExitCode.OK
