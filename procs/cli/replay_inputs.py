"""``pr3dict replay-inputs``: play each agent of a run alone on what it read, and compare what it writes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import Column, right, show, table, verdict, wrapping
from procs.cli.render_values import count
from procs.replay_inputs import Played, logs_of, play_log

COLUMNS = (
    Column("agent"),
    right("start"),
    right("calls"),
    right("read"),
    right("written"),
    Column("played"),
    wrapping("log ends"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="that --record-inputs named")
    parser.add_argument("--agent", metavar="NAME", help="only this one, e.g. strategy or book-kalshi")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Play every log; exit 1 when an agent did not do what it did in the run."""
    played = [play_log(path) for path in logs_of(args.folder, args.agent)]
    if args.json:
        print(json.dumps({"played": [asdict(one) for one in played]}, indent=2))
    else:
        show([table(COLUMNS, [_cells(one) for one in played])], sys.stdout)
    differing = [one for one in played if one.difference]
    for one in differing:
        sys.stderr.write(f"pr3dict: {one.agent} of start {one.boot_epoch}: {one.difference}\n")
    return ExitCode.FAILURE if differing else ExitCode.OK


def _cells(one: Played) -> Sequence[str | Text]:
    figures = [str(one.boot_epoch), *(count(number) for number in (one.calls, one.inputs, one.outputs))]
    said = verdict("differs" if one.difference else "the same", good=not one.difference)
    return [one.agent, *figures, said, one.end or "whole"]
