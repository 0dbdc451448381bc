"""``pr3dict record --out FILE``: live market data into a recording, as it comes."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.catalog.defaults import FeeTable, market_with_defaults
from engine.catalog.market import MarketSpec
from engine.config import Config
from engine.errors import ConfigError
from engine.records import Venue
from procs import config_files, feed_loop
from procs.cli.arguments import add_config_arguments, positive
from procs.cli.exit_codes import ExitCode
from procs.credentials import credentials_folder
from procs.importers import open_source
from procs.live_feed import LiveFeed
from procs.recorder import ConnNumbers, RollingRecording, Tap
from procs.recording import VENUE_NAMES, VENUE_OF_NAME
from procs.registry import market_symbols

BYTES_PER_MB: Final = 1_000_000
BOOT_EPOCH: Final = 1  # of books that nobody trades on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="recording to write")
    parser.add_argument(
        "--market",
        action="append",
        default=[],
        metavar="VENUE:SYMBOL",
        help="polymarket:TOKEN or kalshi:TICKER; may be given again",
    )
    parser.add_argument(
        "--markets",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="recording whose markets to subscribe; may be given again",
    )
    parser.add_argument(
        "--for", dest="for_s", type=seconds, metavar="SECONDS", help="stop after this time (default: Ctrl-C)"
    )
    parser.add_argument("--polymarket-url", metavar="URL", help="in place of the configured address")
    parser.add_argument("--kalshi-url", metavar="URL", help="in place of the configured address")
    parser.add_argument(
        "--rotate", type=positive, default=1_000, metavar="MB", help="size of one file (default 1000)"
    )
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    """Record until told to stop; say what came of it."""
    config = _config(args)
    fees = config_files.load_fee_table(config)
    specs = _markets(args, config, fees)
    names = [name for spec in specs for name in _names(spec)]
    recording = RollingRecording(args.out, specs, names, args.rotate * BYTES_PER_MB, time.time_ns)
    feeds = _feeds(config, specs, fees, recording)
    with recording:
        if not args.json:
            sys.stderr.write(f"pr3dict: recording {len(specs)} markets into {args.out}; Ctrl-C ends it\n")
        feed_loop.run(feed_loop.serve([feed.shell for feed in feeds], asyncio.Event(), for_s=args.for_s))
    return _tell(args, feeds, recording)


def _config(args: argparse.Namespace) -> Config:
    assignments = list(args.set)
    for venue, url in ((Venue.POLYMARKET, args.polymarket_url), (Venue.KALSHI, args.kalshi_url)):
        if url is not None:
            assignments.append(f"venues.{VENUE_NAMES[venue]}.feed.ws_url={url}")
        # A recording is of one connection: what replays it takes every message for a new one.
        assignments.append(f"venues.{VENUE_NAMES[venue]}.feed.raced_sockets=1")
    return config_files.load_config(args.config, assignments)


def _markets(args: argparse.Namespace, config: Config, fees: FeeTable) -> list[MarketSpec]:
    """Markets of the recordings and those named, each once. ConfigError when there are none, or too many."""
    found: dict[tuple[Venue, str], MarketSpec] = {}
    for path in args.markets:
        for spec in open_source(path).header.markets:
            found.setdefault((spec.venue, spec.symbol), spec)
    for name in args.market:
        venue_name, colon, symbol = name.partition(":")
        if not (colon and symbol and venue_name in VENUE_OF_NAME):
            raise ConfigError(f"--market {name}: expected polymarket:TOKEN or kalshi:TICKER")
        venue = VENUE_OF_NAME[venue_name]
        direct = config.venues.of(venue).direct_member
        spec = market_with_defaults(fees, venue, symbol, time.time_ns(), direct_member=direct)
        found.setdefault((venue, symbol), spec)
    if not found:
        raise ConfigError("no market: name some with --market, or a recording that has some with --markets")
    if len(found) > config.engine.market_slots:
        raise ConfigError(f"{len(found)} markets, engine.market_slots is {config.engine.market_slots}")
    return list(found.values())


def _names(spec: MarketSpec) -> list[str]:
    return [f"{VENUE_NAMES[spec.venue]}:{symbol.decode()}" for symbol, _, _ in market_symbols(spec)]


def _feeds(
    config: Config, specs: Sequence[MarketSpec], fees: FeeTable, recording: RollingRecording
) -> list[LiveFeed]:
    folder = credentials_folder(config)
    numbers = ConnNumbers()

    def feed_of(venue: Venue, of_venue: Sequence[MarketSpec]) -> LiveFeed:
        return LiveFeed(
            venue,
            config,
            of_venue,
            fees,
            folder,
            boot_epoch=BOOT_EPOCH,
            now_ns=time.time_ns,
            wrap=lambda sink: Tap(venue, sink, recording.write, numbers),
            also=recording.on_clock,
        )

    by_venue = {venue: [spec for spec in specs if spec.venue is venue] for venue in VENUE_NAMES}
    return [feed_of(venue, of_venue) for venue, of_venue in by_venue.items() if of_venue]


def _tell(args: argparse.Namespace, feeds: Sequence[LiveFeed], recording: RollingRecording) -> int:
    """Say what was recorded; a venue that never let us in is a failure."""
    if args.json:
        document = {
            "out": [str(path) for path in recording.paths],
            "frames": recording.frames,
            "bytes": recording.bytes,
            "venues": {VENUE_NAMES[feed.venue]: _document(feed) for feed in feeds},
        }
        print(json.dumps(document, indent=2))
    else:
        files = f"{recording.paths[0]}" + (
            f" and {len(recording.paths) - 1} more" if recording.paths[1:] else ""
        )
        print(f"{files}: {recording.frames:,} frames, {recording.bytes:,} bytes")
        for feed in feeds:
            print(_line(feed))
    absent = [feed for feed in feeds if not feed.shell.counters.connects]
    for feed in absent:
        said = next((link.last_error for link in feed.shell.links if link.last_error), "no attempt was made")
        sys.stderr.write(f"pr3dict: {VENUE_NAMES[feed.venue]}: never connected ({said})\n")
    return ExitCode.FAILURE if absent else ExitCode.OK


def _document(feed: LiveFeed) -> dict[str, object]:
    counters = dataclasses.asdict(feed.shell.counters)
    counters["closes"] = {str(code): count for code, count in sorted(feed.shell.counters.closes.items())}
    return {"books": len(feed.store.rows), "books_live": feed.live_books(), **counters}


def _line(feed: LiveFeed) -> str:
    counters = feed.shell.counters
    return (
        f"{VENUE_NAMES[feed.venue]}: {counters.frames:,} frames, {counters.connects:,} connections "
        f"({counters.refused:,} attempts failed), {counters.garbage:,} unreadable, "
        f"{counters.resyncs:,} requests for books, {feed.live_books()} of {len(feed.store.rows)} books live"
    )
