"""``pr3dict book [FILE] MARKET``: the book of one market, of a recording or of a running engine."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from engine.errors import ConfigError, RecordingDamaged, UnknownMarket
from engine.records import Trust
from engine.units import NS_PER_S, units_to_decimal
from procs.cli.arguments import positive
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode, tell
from procs.cli.render_table import right, show, table
from procs.cli.render_values import unreadable
from procs.importers import Source, open_source
from procs.live_view import LiveMarket, LiveView
from procs.recording import RECV_NS_MAX, VENUE_NAMES
from procs.recording_merge import merge
from procs.replay import Levels, Replay

NEAR_NAMES: Final = 3


class ShownBook(NamedTuple):
    """What is shown of a book, best levels first."""

    name: str
    at_ns: int
    trust: str
    bids: Levels
    asks: Levels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="recording, or a file that an importer knows; without it the book of a running engine",
    )
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
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Replay up to the moment and show the book, or show that of a running engine."""
    if args.file is None:
        return _run_live(args)
    source = open_source(args.file)
    until_ns = RECV_NS_MAX if args.at is None else moment_ns(args.at, source.header.start_ns)
    replay = Replay(source.header.markets)
    damage = _feed(replay, source, until_ns)
    wrong = [damage] if damage else []
    if replay.rejected and not damage:
        wrong.append(f"{args.file}: {unreadable(replay.rejected)}")
    code = tell(wrong)
    slot = find_book(replay, args.market, args.file)
    levels = replay.levels(slot)
    trust = replay.trust(slot).name.lower()
    _show(args, ShownBook(replay.books[slot].name, replay.clock_ns, trust, *levels))
    return code


def _run_live(args: argparse.Namespace) -> int:
    """Show the best levels that the engine publishes; a running engine has no other moment than now."""
    if args.at is not None:
        raise ConfigError(f"--at {args.at}: a running engine shows its book as it is now; name a recording")
    directory = engine_dirs(args).run_dir
    view = LiveView(directory)
    names: dict[str, LiveMarket] = {}
    for market in view.markets():
        for symbol in filter(None, (market.symbol, market.yes_token)):
            names.setdefault(f"{market.venue.name.lower()}:{symbol}", market)
    market = names[_match(names, args.market, directory, f"it has {len(names)} names, for example")]
    row = view.book(market)
    shown = ShownBook(market.name, 0, "unsynced", [], []) if row is None else _of_row(market.name, row)
    _show(args, shown)
    return ExitCode.OK


def _of_row(name: str, row: np.void) -> ShownBook:
    """Best levels of a BOOK_ROW."""
    sides = []
    for side in ("bid", "ask"):
        n_levels = int(row[f"n_{side}s"])
        prices, sizes = row[f"{side}_e4"][:n_levels], row[f"{side}_size_e6"][:n_levels]
        sides.append([(int(price), int(size)) for price, size in zip(prices, sizes, strict=True)])
    trust = Trust(int(row["trust"])).name.lower()
    return ShownBook(name, int(row["recv_ns"]), trust, *sides)


def _feed(replay: Replay, source: Source, until_ns: int) -> str:
    """Replay what was received until then; damage is answered when it comes before that."""
    lost = ""
    try:
        for part in merge([source]):
            stop = min(part.stop, int(np.searchsorted(part.clock_ns, until_ns, side="right")))
            replay.feed(part.batch, part.clock_ns, part.start, stop)
            if stop < part.stop:
                return lost
            if part.batch.lost and not lost:
                lost = f"{source.name} {part.batch.lost}; frames are lost there"
    except RecordingDamaged as error:
        return str(error)
    return lost


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
    hint = f"it has {len({book.market for book in replay.books})} markets, for example"
    return slots[_match(slots, name, path, hint)]


def _match(names: Collection[str], name: str, path: Path, hint: str) -> str:
    """Full name of the market called ``name``, with or without its venue; UnknownMarket names the nearest."""
    for full in names:
        if name in (full, full.partition(":")[2]):
            return full
    near = difflib.get_close_matches(name, names, n=NEAR_NAMES, cutoff=0.4)
    near += [full for full in names if name.lower() in full.lower() and full not in near]
    said = "near" if near else hint
    raise UnknownMarket(f"{path}: no market {name!r}; {said}: {', '.join((near or [*names])[:NEAR_NAMES])}")


def _show(args: argparse.Namespace, book: ShownBook) -> None:
    if args.json:
        document = {
            "market": book.name,
            "at_ns": book.at_ns,
            "trust": book.trust,
            "bids": [_texts(*level) for level in book.bids],
            "asks": [_texts(*level) for level in book.asks],
        }
        print(json.dumps(document, indent=2))
        return
    at_ns = book.at_ns
    moment = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat(sep=" ") if at_ns else "no time"
    columns = [right(head) for head in ("bid size", "bid", "ask", "ask size")]
    heading = f"{book.name}  {book.trust}  {moment}  {len(book.bids)} bids, {len(book.asks)} asks"
    show([heading, table(columns, _rows(book.bids[: args.depth], book.asks[: args.depth]))], sys.stdout)


def _rows(bids: Levels, asks: Levels) -> Iterator[list[str]]:
    for bid, ask in zip_longest(bids, asks):
        bid_cells = [text or "unknown" for text in reversed(_texts(*bid))] if bid else ["", ""]
        ask_cells = [text or "unknown" for text in _texts(*ask)] if ask else ["", ""]
        yield bid_cells + ask_cells


def _texts(price_e4: int, size_e6: int) -> list[str | None]:
    return [units_to_decimal(price_e4, 4), units_to_decimal(size_e6, 6) if size_e6 else None]
