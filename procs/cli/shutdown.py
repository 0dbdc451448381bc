"""``pr3dict shutdown``: every process of the engine ends, in the order of its supervisor."""

from __future__ import annotations

import argparse

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.verbs import tell_outcome
from procs.control_client import ControlClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)
    parser.add_argument("--confirm", action="store_true", help="yes, all of it")
    parser.add_argument(
        "--expected-epoch", type=int, metavar="N", help="only when the engine still has this epoch"
    )


def run(args: argparse.Namespace) -> int:
    """Ask control to shut down; 4 without --confirm, 5 when the engine is not the one that was meant."""
    body = {"confirm": args.confirm, "expected_epoch": args.expected_epoch}
    outcome = ControlClient(engine_dirs(args).run_dir).call("shutdown", body)
    tell_outcome(args, outcome, "shutting down" if outcome["changed"] else "shutting down already")
    return ExitCode.OK
