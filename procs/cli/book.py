"""``pr3dict book FILE MARKET [--at TIME]``: the book of one market in a recording, at a moment."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from engine.errors import ConfigError, RecordingDamaged, UnknownMarket
from engine.units import NS_PER_S, units_to_decimal
from procs.cli.arguments import positive
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import right, show, table
from procs.importers import Source, open_source
from procs.recording import RECV_NS_MAX, VENUE_NAMES
from procs.recording_merge import merge
from procs.replay import Levels, Replay

NEAR_NAMES: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("file", type=Path, metavar="FILE", help="recording, or a file that an importer knows")
    parser.add_argument(
        "market",
        metavar="MARKET",
        help="kalshi:TICKER, polymarket:TOKEN, a market's name in the decision log, or the bare symbol",
    )
    parser.add_argument(
        "--at", metavar="TIME", help="ISO 8601, nanoseconds, or +SECONDS after the start (default: the end)"
    )
    parser.add_argument(
        "--depth", type=positive, default=20, metavar="N", help="levels shown a side (default 20)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, in full depth")


def run(args: argparse.Namespace) -> int:
    """Replay up to the moment and show the book."""
    source = open_source(args.file)
    until_ns = RECV_NS_MAX if args.at is None else moment_ns(args.at, source.header.start_ns)
    replay = Replay(source.header.markets)
    damage = _feed(replay, source, until_ns)
    if damage is not None:
        sys.stderr.write(f"pr3dict: {damage}\n")
    _show(args, replay, find_book(replay, args.market, args.file))
    return ExitCode.OK if damage is None else ExitCode.FAILURE


def _feed(replay: Replay, source: Source, until_ns: int) -> RecordingDamaged | None:
    """Replay what was received until then; damage is answered when it comes before that."""
    try:
        for part in merge([source]):
            stop = min(part.stop, int(np.searchsorted(part.clock_ns, until_ns, side="right")))
            replay.feed(part.batch, part.clock_ns, part.start, stop)
            if stop < part.stop:
                break
    except RecordingDamaged as error:
        return error
    return None


def moment_ns(text: str, start_ns: int) -> int:
    """A moment as an operator writes it, in ns since 1970. ConfigError when it is none."""
    try:
        if text.startswith("+"):
            at_ns = start_ns + round(float(text[1:]) * NS_PER_S)
        elif text.isdigit():
            at_ns = int(text)
        else:
            moment = datetime.fromisoformat(text)
            at_ns = round(_in_utc(moment).timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--at {text}: not a time") from error
    if not 0 <= at_ns <= RECV_NS_MAX:
        raise ConfigError(f"--at {text}: out of range")
    return at_ns


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def find_book(replay: Replay, name: str, path: Path) -> int:
    """Slot of the book called ``name``, with or without its venue; by a market's own name that of YES.

    UnknownMarket names the nearest when there is none.
    """
    slots: dict[str, int] = {}
    for slot, book in enumerate(replay.books):
        slots.setdefault(book.name, slot)
    for slot, book in enumerate(replay.books):
        if book.market < len(replay.specs):  # YES is the first of its books
            slots.setdefault(f"{VENUE_NAMES[book.venue]}:{replay.specs[book.market].symbol}", slot)
    for full, slot in slots.items():
        if name in (full, full.partition(":")[2]):
            return slot
    near = difflib.get_close_matches(name, slots, n=NEAR_NAMES, cutoff=0.4)
    near += [full for full in slots if name.lower() in full.lower() and full not in near]
    hint = "near" if near else f"it has {len({book.market for book in replay.books})} markets, for example"
    raise UnknownMarket(f"{path}: no market {name!r}; {hint}: {', '.join((near or [*slots])[:NEAR_NAMES])}")


def _show(args: argparse.Namespace, replay: Replay, slot: int) -> None:
    book, at_ns = replay.books[slot], replay.clock_ns
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
