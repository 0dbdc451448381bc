"""``pr3dict run``: the engine on live market data, trading on paper, until it is told to end."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from engine.config import Config
from engine.errors import ConfigError
from procs import config_files
from procs.cli.arguments import add_record_inputs
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import tell
from procs.cli.record import seconds
from procs.cli.render_json import paper_document
from procs.cli.render_paper import faults, summary
from procs.cli.render_progress import shown_on
from procs.cli.render_table import show
from procs.paper import INLINE, PaperOptions, refuse_missing_roles, run_live
from procs.paper_processes import Where
from procs.progress import OnProgress
from procs.whole_file import refuse_overwriting

TOPOLOGY = "two"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "--markets",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="recordings whose headers name the markets to trade",
    )
    parser.add_argument("--topology", metavar="NAME", help=f"processes of the engine (default {TOPOLOGY})")
    parser.add_argument(
        "--for", dest="for_s", type=seconds, metavar="SECONDS", help="stop after this time (default: Ctrl-C)"
    )
    parser.add_argument("--polymarket-url", metavar="URL", help="in place of the configured address")
    parser.add_argument("--kalshi-url", metavar="URL", help="in place of the configured address")
    parser.add_argument("--decisions", type=Path, metavar="FILE", help="write a line for every decision")
    add_record_inputs(parser)
    parser.add_argument("--port", type=int, metavar="P", help="of the metrics; default: monitor.port")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run until ``--for`` is over, Ctrl-C, SIGTERM or ``shutdown``; then show what came of it."""
    if not args.markets:
        raise ConfigError("no market: name recordings whose markets are to be traded with --markets")
    config = _config(args)
    dirs = engine_dirs(args)
    state_dir = args.state_dir or config_files.state_dir(config)  # never that of an engine that is there
    if args.decisions is not None:
        refuse_overwriting(args.decisions, args.markets, "decision log")
        args.decisions.open("ab").close()  # an engine that is taken over goes on with it
    with ExitStack() as stack:
        on_progress: OnProgress = stack.enter_context(shown_on(None if args.json else sys.stderr, "engine"))
        options = PaperOptions(
            config=config,
            where=Where(
                dirs.run_dir,
                state_dir.absolute(),
                config.monitor.port if args.port is None else args.port,
                None if args.decisions is None else args.decisions.absolute(),
                None if args.record_inputs is None else args.record_inputs.absolute(),
            ),
        )
        result = run_live(args.markets, options, time.time_ns(), _until(args.for_s), on_progress)
    found = faults([result])
    if args.json:
        print(json.dumps(paper_document([result], found, config.fingerprint()), indent=2))
    else:
        show(summary(result), sys.stdout)
    return tell(found)


def _config(args: argparse.Namespace) -> Config:
    assignments = [f"engine.topology={args.topology or TOPOLOGY}", *args.set]
    for name in ("polymarket", "kalshi"):
        url = getattr(args, f"{name}_url")
        if url is not None:
            assignments.append(f"venues.{name}.feed.ws_url={url}")
    config = config_files.load_config(args.config, assignments)
    if config.engine.topology == INLINE:
        raise ConfigError(f"engine.topology: {INLINE} is for replays; name one of several processes")
    refuse_missing_roles(config)
    return config


def _until(for_s: float | None) -> Callable[[], bool]:
    """Whether it is time to end: a signal has come, or the time is over."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del number, frame
        asked = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, ask)
    end_s = None if for_s is None else time.monotonic() + for_s
    return lambda: asked or (end_s is not None and time.monotonic() >= end_s)
