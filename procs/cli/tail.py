"""``pr3dict tail``: what the control process tells its subscribers, a line each, until told to end."""

from __future__ import annotations

import argparse
import json
from contextlib import closing

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.until_told import until_told
from procs.control_client import EventStream

WAIT_MS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser, json=False)


def run(args: argparse.Namespace) -> int:
    """Print each event as one JSON line; ``lost`` is how many never came, so far."""
    with until_told() as is_told, closing(EventStream(engine_dirs(args).run_dir)) as stream:
        while not is_told():
            _print_next(stream)
    return ExitCode.OK


def _print_next(stream: EventStream) -> None:
    event = stream.next(WAIT_MS)
    if event is not None:
        line = {"sequence": event.sequence, "lost": stream.lost, "event": event.kind, **event.body}
        print(json.dumps(line), flush=True)
