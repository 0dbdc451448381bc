"""``pr3dict book FILE MARKET [--at TIME]``: the book of one market in a recording, at a moment."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from engine.errors import ConfigError, UnknownMarket
from engine.units import NS_PER_S, units_to_decimal
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import right, show, table
from procs.importers import open_source
from procs.recording_merge import merge
from procs.replay import Book, Levels, Replay

NEAR_NAMES: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("file", type=Path, metavar="FILE", help="recording, or a file that an importer knows")
    parser.add_argument(
        "market", metavar="MARKET", help="kalshi:TICKER, polymarket:TOKEN, or the bare symbol"
    )
    parser.add_argument(
        "--at", metavar="TIME", help="ISO 8601, nanoseconds, or +SECONDS after the start (default: the end)"
    )
    parser.add_argument("--depth", type=int, default=20, metavar="N", help="levels shown a side (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, in full depth")


def run(args: argparse.Namespace) -> int:
    """Replay up to the moment and show the book."""
    source = open_source(args.file)
    header = source.header
    until_ns = None if args.at is None else moment_ns(args.at, header.start_ns)
    replay = Replay(header.markets)
    at_ns = 0
    for part in merge([source]):
        stop = part.stop
        if until_ns is not None:
            stop = min(stop, int(np.searchsorted(part.clock_ns, until_ns, side="right")))
        replay.feed(part.batch, part.clock_ns, part.start, stop)
        if stop > part.start:
            at_ns = int(part.clock_ns[stop - 1])
        if stop < part.stop:
            break
    slot = find_book(replay.books, args.market, args.file)
    _show(args, replay, slot, at_ns)
    return ExitCode.OK


def moment_ns(text: str, start_ns: int) -> int:
    """A moment as an operator writes it, in ns since 1970. ConfigError when it is none."""
    try:
        if text.startswith("+"):
            return start_ns + round(float(text[1:]) * NS_PER_S)
        if text.isdigit():
            return int(text)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--at {text}: not a time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1_000


def find_book(books: Sequence[Book], name: str, path: Path) -> int:
    """Slot of the book called ``name``. UnknownMarket names the nearest when there is none."""
    for slot, book in enumerate(books):
        if name in (book.name, book.symbol):
            return slot
    names = [book.name for book in books]
    near = difflib.get_close_matches(name, names, n=NEAR_NAMES, cutoff=0.4)
    near += [full for full in names if name and name.lower() in full.lower() and full not in near][
        :NEAR_NAMES
    ]
    hint = f"; near: {', '.join(near[:NEAR_NAMES])}" if near else f"; it has {len(names)} markets"
    raise UnknownMarket(f"{path}: no market {name!r}{hint}")


def _show(args: argparse.Namespace, replay: Replay, slot: int, at_ns: int) -> None:
    book = replay.books[slot]
    bids, asks = replay.levels(slot)
    trust = replay.trust(slot).name.lower()
    if args.json:
        document = {
            "market": book.name,
            "at_ns": at_ns,
            "trust": trust,
            "bids": [_texts(*level) for level in bids],
            "asks": [_texts(*level) for level in asks],
        }
        print(json.dumps(document, indent=2))
        return
    moment = datetime.fromtimestamp(at_ns / NS_PER_S, UTC).isoformat() if at_ns else "no time"
    moment = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat(sep=" ") if at_ns else "no time"
    columns = [right(head) for head in ("bid size", "bid", "ask", "ask size")]
    heading = f"{book.name}  {trust}  {moment}  {len(bids)} bids, {len(asks)} asks"
    show([heading, table(columns, _rows(bids[: args.depth], asks[: args.depth]))], sys.stdout)


def _rows(bids: Levels, asks: Levels) -> Iterator[list[str]]:
    for bid, ask in zip_longest(bids, asks):
        bid_cells = [text or "unknown" for text in reversed(_texts(*bid))] if bid else ["", ""]
        ask_cells = [text or "unknown" for text in _texts(*ask)] if ask else ["", ""]
        yield bid_cells + ask_cells


def _texts(price_e4: int, size_e6: int) -> list[str | None]:
    return [units_to_decimal(price_e4, 4), units_to_decimal(size_e6, 6) if size_e6 else None]
