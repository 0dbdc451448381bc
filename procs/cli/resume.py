"""``pr3dict resume``: lift a pause, and a halt when its reason is named."""

from __future__ import annotations

import argparse
from typing import cast

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.verbs import tell_outcome
from procs.control_client import ControlClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)
    parser.add_argument(
        "--reason",
        nargs="+",
        action="extend",
        default=[],
        metavar="REASON",
        help="each reason of the halt, as 'pr3dict status' shows it",
    )


def run(args: argparse.Namespace) -> int:
    """Ask control to resume; 4 when a reason of the halt is not named, 5 when there is nothing to lift."""
    outcome = ControlClient(engine_dirs(args).run_dir).call("resume", {"reasons": args.reason})
    lifted = cast(list[str], outcome["lifted"])
    what = [f"halt by {', '.join(lifted)}"] if lifted else []
    what += ["pause"] if outcome["unpaused"] else []
    tell_outcome(args, outcome, f"lifted: {' and '.join(what)}")
    return ExitCode.OK
