"""``pr3dict proc NAME``: one process of an engine whose run directory was made by its owner."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from procs import kernels
from procs.cli.arguments import add_record_inputs
from procs.cli.exit_codes import ExitCode
from procs.process import EngineProcess
from procs.run_directory import RunDirectory, read_description


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("name", metavar="NAME", help="of a process of the engine's topology")
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="of the engine")
    add_record_inputs(parser)


def run(args: argparse.Namespace) -> int:
    """Be that process until the engine ends, or SIGTERM."""
    description = read_description(args.run_dir)
    kernels.load(role.name.lower() for role in description.process(args.name).roles)
    if args.record_inputs is not None:
        description = replace(description, record_inputs=str(args.record_inputs.absolute()))
    directory = RunDirectory.join(args.run_dir, args.name)
    EngineProcess(directory, description, args.name).run()
    return ExitCode.OK
