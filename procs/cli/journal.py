"""``pr3dict journal FILE``: what the journal of an executor says; whoever writes it is not disturbed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import RenderableType

from engine.execution.order import TERMINAL
from engine.execution.recovery import Past, recover
from engine.execution.tracked import TrackedOrder
from engine.ledger.ledger import Account, Dispute, Key, Position
from engine.reasons import label
from engine.records import Direction, OrderStatus, Outcome, Venue
from procs.cli.exit_codes import ExitCode
from procs.cli.render_reasons import sentence_of
from procs.cli.render_table import Column, pairs, right, section, show, table, wrapping
from procs.cli.render_values import contracts, count, dollars
from procs.journal_file import read_entries

DOCUMENT_VERSION: Final = 1
VENUE: Final = "the venue's word"
SETTLEMENT: Final = "settlement"

Tree = dict[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("file", type=Path, metavar="FILE", help="journal of an executor or of a paper run")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Read and show."""
    entries, torn_bytes = read_entries(args.file)
    past = recover(entries)
    if args.json:
        print(json.dumps(journal_document(str(args.file), past, torn_bytes), indent=2))
    else:
        show(_sections(past, torn_bytes), sys.stdout)
    return ExitCode.OK


def journal_document(source: str, past: Past, torn_bytes: int) -> Tree:
    """Document of ``pr3dict journal --json``."""
    return {
        "pr3dict_journal": DOCUMENT_VERSION,
        "file": source,
        "entries": past.entries,
        "torn_bytes": torn_bytes,
        "boot_epoch": past.boot_epoch,
        "halted": past.is_halted,
        "stopped_by": label(past.stopped_by) if past.stopped_by else "",
        "accounts": {_name(venue): _account(account) for venue, account in past.ledger.accounts.items()},
        "positions": [_position(past, key, held) for key, held in _held(past)],
        "disputes": [_dispute(past, key, one) for key, one in past.ledger.disputes().items()],
        "plans": len(past.plans),
        "open_plans": [plan.plan_id for plan in past.open_plans],
        "orders": len(past.orders),
        "orders_in_doubt": [_order(past, order) for order in _in_doubt(past)],
    }


def _account(account: Account) -> Tree:
    return {
        "opening_micros": account.opening_micros,
        "cash_micros": account.cash_micros,
        "fees_micros": account.fees_micros,
    }


def _position(past: Past, key: Key, held: Position) -> Tree:
    venue, slot, generation = key
    yes, no = held.size_e6
    return {
        "venue": _name(venue),
        "market": _market(past, key),
        "slot": slot,
        "generation": generation,
        "yes_e6": yes,
        "no_e6": no,
        "cost_micros": sum(held.cost_micros),
    }


def _dispute(past: Past, key: Key, one: Dispute) -> Tree:
    return {
        "venue": _name(key[0]),
        "market": _market(past, key),
        "stated_micros": one.stated_micros,
        "expected_micros": one.expected_micros,
        "believed_micros": one.believed_micros,
    }


def _order(past: Past, order: TrackedOrder) -> Tree:
    request = order.request
    return {
        "order_id": order.order_id,
        "plan_id": int(request["plan_id"]),
        "venue": _name(int(request["venue"])),
        "market": _market(past, _key(order)),
        "slot": int(request["slot"]),
        "direction": Direction(int(request["direction"])).name.lower(),
        "outcome": Outcome(int(request["outcome"])).name.lower(),
        "price_e4": int(request["price_e4"]),
        "size_e6": order.size_e6,
        "filled_e6": order.filled_e6,
        "status": order.status.name.lower(),
        "waits_for": _waits_for(order),
    }


def _sections(past: Past, torn_bytes: int) -> Iterator[RenderableType]:
    yield f"{count(past.entries)} entries, boot epoch {past.boot_epoch}"
    if torn_bytes:
        yield f"{count(torn_bytes)} bytes behind them are no whole entry: a crash left them"
    if past.is_halted:
        yield "halted: nothing but cancels leaves"
    if past.stopped_by:
        yield f"stopped: {sentence_of(label(past.stopped_by))}"
    yield section("Accounts", table(_ACCOUNT_COLUMNS, [*_account_rows(past)]))
    if any(_held(past)):
        yield section("Holdings", table(_HOLDING_COLUMNS, [*_holding_rows(past)]))
    if past.ledger.disputes():
        yield section("Settlements that differ", table(_DISPUTE_COLUMNS, [*_dispute_rows(past)]))
    if any(_in_doubt(past)):
        yield section("Orders in doubt", table(_ORDER_COLUMNS, [*_order_rows(past)]))
    plans = f"{count(len(past.plans))}, {count(len(past.open_plans))} not done"
    yield section("Work", pairs([("plans", plans), ("orders", count(len(past.orders)))]))


_ACCOUNT_COLUMNS: Final = (Column("venue"), right("opening"), right("cash"), right("fees"))
_HOLDING_COLUMNS: Final = (Column("venue"), wrapping("market"), right("YES"), right("NO"), right("cost"))
_DISPUTE_COLUMNS: Final = (
    *(Column("venue"), wrapping("market")),
    *(right("the venue states"), right("the holdings give"), right("counted")),
)
_ORDER_COLUMNS: Final = (
    *(right("order"), right("plan"), Column("venue"), wrapping("market"), Column("does")),
    *(right("size"), right("filled"), Column("status"), Column("waits for")),
)


def _account_rows(past: Past) -> Iterator[tuple[str, ...]]:
    for venue, held in past.ledger.accounts.items():
        amounts = held.opening_micros, held.cash_micros, held.fees_micros
        yield _name(venue), *(dollars(amount) for amount in amounts)


def _holding_rows(past: Past) -> Iterator[tuple[str, ...]]:
    for key, held in _held(past):
        sizes = (contracts(size) for size in held.size_e6)
        yield _name(key[0]), _market(past, key), *sizes, dollars(sum(held.cost_micros))


def _dispute_rows(past: Past) -> Iterator[tuple[str, ...]]:
    for key, one in past.ledger.disputes().items():
        amounts = one.stated_micros, one.expected_micros, one.believed_micros
        yield _name(key[0]), _market(past, key), *(dollars(amount) for amount in amounts)


def _order_rows(past: Past) -> Iterator[tuple[str, ...]]:
    for order in _in_doubt(past):
        request = order.request
        names = Direction(int(request["direction"])).name, Outcome(int(request["outcome"])).name
        yield (
            *(str(order.order_id), str(int(request["plan_id"])), _name(int(request["venue"]))),
            *(_market(past, _key(order)), f"{names[0].lower()} {names[1]}"),
            *(contracts(order.size_e6), contracts(order.filled_e6)),
            *(order.status.name.lower(), _waits_for(order)),
        )


def _held(past: Past) -> Iterator[tuple[Key, Position]]:
    return ((key, held) for key, held in past.ledger.positions.items() if not held.flat)


def _in_doubt(past: Past) -> Iterator[TrackedOrder]:
    """Orders that are not over, or of which a trade may still fail."""
    for _, order in past.orders.values():
        if not order.is_final and order.status != OrderStatus.DENIED:
            yield order


def _waits_for(order: TrackedOrder) -> str:
    return SETTLEMENT if order.status in TERMINAL else VENUE


def _key(order: TrackedOrder) -> Key:
    names = "venue", "slot", "generation"
    venue, slot, generation = (int(order.request[name]) for name in names)
    return venue, slot, generation


def _market(past: Past, key: Key) -> str:
    """The market's own name; its slot where an older journal has none."""
    name = past.markets.get(key)
    return f"slot {key[1]}" if name is None else name.decode(errors="replace")


def _name(venue: int) -> str:
    return Venue(venue).name.lower()
