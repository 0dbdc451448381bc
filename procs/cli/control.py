"""``pr3dict control``: serve the operator's commands for one run directory until told to end."""

from __future__ import annotations

import argparse
import json
from contextlib import closing

from engine.units import NS_PER_MS
from procs.cli.engine_arguments import EngineDirs, add_engine_arguments, add_watched, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.side_process import keep_off_pinned_cores
from procs.cli.until_told import until_told
from procs.control import LOOK_EVERY_NS, ControlServer
from procs.control_wire import CONTROL_SOCKET, EVENTS_SOCKET
from procs.private_directory import make_private
from procs.run_directory import CONTROL
from procs.sign_of_life import SignOfLife

POLL_MS = LOOK_EVERY_NS // NS_PER_MS + 1  # requests wake it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser, json=False)
    add_watched(parser)
    parser.add_argument("--epoch", type=int, default=0, metavar="N", help="boot epoch told with each reply")


def run(args: argparse.Namespace) -> int:
    """Serve; say on stdout, as one JSON line, where."""
    dirs = engine_dirs(args)
    keep_off_pinned_cores(dirs.run_dir)
    with until_told() as is_told, closing(_server(dirs, args.epoch)) as server:
        names = {"control": CONTROL_SOCKET, "events": EVENTS_SOCKET}
        print(json.dumps({what: str(dirs.run_dir / name) for what, name in names.items()}), flush=True)
        with SignOfLife(dirs.run_dir, CONTROL, watched=args.watched) as sign:
            while not is_told():
                sign.give()
                server.poll(POLL_MS)
    return ExitCode.OK


def _server(dirs: EngineDirs, epoch: int) -> ControlServer:
    return ControlServer(make_private(dirs.run_dir), dirs.state_dir, epoch)
