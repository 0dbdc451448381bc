"""``pr3dict status``: the processes of a running engine, whether it is halted or paused, and by whom."""

from __future__ import annotations

import argparse
import json
import sys
import time

from engine.errors import DeadlineExceeded
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_status import status_parts
from procs.cli.render_table import show
from procs.control_client import ControlClient
from procs.engine_status import EngineView

ASK_TIMEOUT_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read the run directory and show it; the control process need not live."""
    dirs = engine_dirs(args)
    document = EngineView(dirs.run_dir, dirs.state_dir).document(time.monotonic_ns())
    client = ControlClient(dirs.run_dir, ASK_TIMEOUT_S, 1)
    document["control"] = dirs.run_dir.is_dir() and _answers(client)
    document["run_dir"] = str(dirs.run_dir)
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        show(status_parts(document), sys.stdout)
    return ExitCode.OK


def _answers(client: ControlClient) -> bool:
    try:
        client.ask("health")
    except DeadlineExceeded:
        return False
    return True
