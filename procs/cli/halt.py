"""``pr3dict halt``: no order leaves any more, through restarts and reboots, until somebody resumes.

The command does it itself, latch first, then the word that every gate reads before each order. The control
process is told afterwards and need not live.
"""

from __future__ import annotations

import argparse
import sys

from engine.errors import DeadlineExceeded
from engine.reasons import Reason
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs, operator
from procs.cli.exit_codes import ExitCode
from procs.cli.verbs import tell_outcome
from procs.control_client import ControlClient
from procs.halt import OPERATOR, HaltSwitch, WordFailed
from procs.run_directory import living
from shm.errors import ShmError

TELL_TIMEOUT_S = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)
    parser.add_argument("--text", default="", metavar="WHY", help="a sentence for whoever will resume")


def run(args: argparse.Namespace) -> int:
    """Latch, set the word, tell control."""
    dirs = engine_dirs(args)
    who = operator()
    try:
        switch = HaltSwitch.attach(dirs.run_dir, dirs.state_dir)
    except (ShmError, OSError) as error:  # of another build, or not ours
        HaltSwitch(dirs.state_dir, None).halt(Reason.HALTED, who, args.text)
        raise WordFailed(f"{error}: latched only, what runs there goes on: stop its processes") from error
    switch.halt(Reason.HALTED, who, args.text)
    running = switch.words is not None
    alive = living(dirs.run_dir)
    if alive and not running:
        said = f"{dirs.run_dir}: no control words, and {', '.join(alive)} run here"
        raise WordFailed(f"{said}: latched only, what runs there goes on: stop its processes")
    told = running and _tell_control(ControlClient(dirs.run_dir, TELL_TIMEOUT_S, 1), who, args.text)
    if running and not told:
        sys.stderr.write("pr3dict: control does not answer; the halt is in force without it\n")
    where = "latch and word" if running else "latch; no engine runs here, the next start will be halted"
    outcome = {"latch": str(switch.path), "engine": running, "control": told}
    tell_outcome(args, outcome, f"halted ({where}); lift it with: pr3dict resume --reason {OPERATOR}")
    return ExitCode.OK


def _tell_control(client: ControlClient, who: str, text: str) -> bool:
    try:
        client.ask("halt", {"who": who, "text": text})
    except DeadlineExceeded:
        return False
    return True
