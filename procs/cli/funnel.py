"""``pr3dict funnel FILE``: how far the candidates of a decision log or a recording came, and why not further.

A recording is run through the whole engine once, at 1x latency; a decision log has it all already.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ConfigError
from procs import config_files
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import tell
from procs.cli.render_funnel import funnel_sections
from procs.cli.render_json import funnel_document
from procs.cli.render_paper import faults
from procs.cli.render_progress import shown_on
from procs.cli.render_table import show
from procs.decision_log import Funnel, Keep, at_venue, is_decision_log, read_funnel, with_edge
from procs.live_view import LiveView
from procs.paper import PaperOptions, run_recordings
from procs.recording import VENUE_OF_NAME

FIRST_LINE_BYTES_MAX = 4_096  # of a decision log; the first line of anything else is not looked at
ONE_LATENCY = (1,)
EDGES = ("gross", "net")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="decision log of paper, or a recording; without it the latest decisions of a running engine",
    )
    parser.add_argument(
        "--edge",
        choices=EDGES,
        help="of a decision log: only candidates with an edge above zero before (gross) or after fees (net)",
    )
    parser.add_argument(
        "--venue", choices=sorted(VENUE_OF_NAME), help="of a decision log: only this venue's markets"
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Count and show."""
    if args.file is None:
        return _run_live(args)
    config = config_files.load_config(args.config, args.set)
    with args.file.open("rb") as file:
        if is_decision_log(file.readline(FIRST_LINE_BYTES_MAX)):
            file.seek(0)
            funnel, damage = read_funnel(file, str(args.file), _kept(args))
            return _show(args, funnel, [] if damage is None else [str(damage)])
    if args.edge or args.venue:
        raise ConfigError(f"{args.file}: --edge and --venue need a decision log (paper --decisions LOG)")
    options = PaperOptions(config=config, files=(args.file,), latency_scales=ONE_LATENCY)
    with shown_on(None if args.json else sys.stderr, args.file.name) as on_progress:
        result = run_recordings(args.file.name, options, on_progress)
    return _show(args, result.funnel, faults([result]))


def _run_live(args: argparse.Namespace) -> int:
    """Count what the rings of a running engine still hold."""
    directory = engine_dirs(args).run_dir
    if args.edge or args.venue:
        raise ConfigError(f"{directory}: --edge and --venue need a decision log (paper --decisions LOG)")
    funnel, before = LiveView(directory).funnel()
    if before:
        sys.stderr.write(f"pr3dict: {before:,} decisions before these are in the rings no more\n")
    args.file = directory
    return _show(args, funnel, [])


def _kept(args: argparse.Namespace) -> list[Keep]:
    kept = [with_edge(args.edge)] if args.edge else []
    return [*kept, at_venue(args.venue)] if args.venue else kept


def _show(args: argparse.Namespace, funnel: Funnel, found: Sequence[str]) -> int:
    if args.json:
        print(json.dumps(funnel_document(str(args.file), funnel, found), indent=2))
    else:
        show(funnel_sections(funnel, with_kinds=True), sys.stdout)
    return tell(found)
