"""``pr3dict health``: asks the control process whether everything is fit; made for probes."""

from __future__ import annotations

import argparse
import json
import sys
from typing import cast

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_status import Tree, process_table
from procs.cli.render_table import show, verdict
from procs.control_client import ControlClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when every process is ready and nothing is halted, 1 when not, 3 when control is silent."""
    document = ControlClient(engine_dirs(args).run_dir).call("health")
    fit = document["ok"] is True
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        said = "fit" if fit else "halted" if document["halted"] else "not fit"
        processes = cast(list[Tree], document["processes"])
        show([verdict(said, good=fit), *([process_table(processes)] if processes else [])], sys.stdout)
    return ExitCode.OK if fit else ExitCode.FAILURE
