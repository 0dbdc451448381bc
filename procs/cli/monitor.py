"""``pr3dict monitor``: the Prometheus endpoint of a run directory, until told to end."""

from __future__ import annotations

import argparse
import json
from contextlib import closing

from procs.cli.engine_arguments import add_engine_arguments, add_watched, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.side_process import keep_off_pinned_cores
from procs.cli.until_told import until_told
from procs.monitor import HOST, PATH, Monitor
from procs.run_directory import MONITOR
from procs.sign_of_life import SignOfLife

WAIT_S = 0.25  # a scrape wakes it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser, json=False)
    add_watched(parser)
    parser.add_argument("--port", type=int, metavar="P", help="default: monitor.port; 0: any free one")


def run(args: argparse.Namespace) -> int:
    """Serve; say on stdout, as one JSON line, where."""
    dirs = engine_dirs(args)
    keep_off_pinned_cores(dirs.run_dir)
    port = dirs.config.monitor.port if args.port is None else args.port
    with until_told() as is_told, closing(Monitor(dirs.run_dir, dirs.state_dir, port)) as monitor:
        print(json.dumps({"metrics": f"http://{HOST}:{monitor.port}{PATH}"}), flush=True)
        with SignOfLife(dirs.run_dir, MONITOR, watched=args.watched) as sign:
            while not is_told():
                sign.give()
                monitor.poll(WAIT_S)
    return ExitCode.OK
