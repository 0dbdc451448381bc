"""``pr3dict shutdown``: every process of the engine ends, in its order, with or without an owner."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.errors import DeadlineExceeded
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.verbs import tell_outcome
from procs.control_client import ControlClient
from procs.control_wire import Body
from procs.control_words import ControlWords, Word
from procs.operator_refusals import Denied, RefusedByState
from procs.run_directory import living, owner_lives


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)
    parser.add_argument("--confirm", action="store_true", help="yes, all of it")
    parser.add_argument(
        "--expected-epoch", type=int, metavar="N", help="only when the engine still has this epoch"
    )


def run(args: argparse.Namespace) -> int:
    """Ask control to shut down; 4 without --confirm, 5 when the engine is not the one that was meant.

    Where control does not answer because the engine's owner has died, the word is set from here.
    """
    run_dir = engine_dirs(args).run_dir
    try:
        body = {"confirm": args.confirm, "expected_epoch": args.expected_epoch}
        outcome = ControlClient(run_dir).call("shutdown", body)
    except DeadlineExceeded:
        if owner_lives(run_dir) or not living(run_dir):
            raise
        outcome = _stop_orphans(run_dir, args.confirm, args.expected_epoch)
    tell_outcome(args, outcome, "shutting down" if outcome["changed"] else "shutting down already")
    return ExitCode.OK


def _stop_orphans(run_dir: Path, confirmed: bool, expected_epoch: int | None) -> Body:
    """Set the word that the processes follow; as control would have."""
    words = ControlWords.attach(run_dir)
    epoch = words.segment.epoch
    if expected_epoch not in (None, epoch):
        raise RefusedByState(f"this engine has epoch {epoch}, not {expected_epoch}: it was started again")
    if not confirmed:
        raise Denied("a shutdown stops every process of the engine: say it with --confirm")
    return {"changed": words.set(Word.STOPPING)}
