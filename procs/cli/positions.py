"""``pr3dict positions``: what a running engine holds, its cash, and settlements that differ."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np
from rich.console import RenderableType

from engine.records import ACCOUNT_ROW, POSITION_ROW
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import Column, paragraph, right, section, show, table
from procs.cli.render_values import contracts, dollars, gain
from procs.live_view import LiveView

NUMBERS = tuple(name for name in POSITION_ROW.names or () if name not in ("slot", "generation"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)
    parser.add_argument("--all", action="store_true", help="also those that are closed")


def run(args: argparse.Namespace) -> int:
    """Read the tables of the run directory; 5 when no engine has any there."""
    view = LiveView(engine_dirs(args).run_dir)
    positions = [(name, row) for name, row in view.positions() if args.all or row["yes_e6"] or row["no_e6"]]
    disputes = list(view.disputes())
    accounts = [(venue.name.lower(), row) for venue, row in view.accounts()]
    if args.json:
        document = {
            "pr3dict_positions": 1,
            "positions": [{"market": name, **_numbers(row, NUMBERS)} for name, row in positions],
            "disputes": [
                {"market": name, **_numbers(row, ("stated_micros", "expected_micros"))}
                for name, row in disputes
            ],
            "accounts": {name: _numbers(row, ACCOUNT_ROW.names or ()) for name, row in accounts},
        }
        print(json.dumps(document, indent=2))
        return ExitCode.OK
    held = _positions(positions) if positions else paragraph("none")
    columns = [Column("venue"), right("cash"), right("fees paid")]
    cash = table(columns, [[name, *_cash(row)] for name, row in accounts])
    disputed = [section("Settlements that differ", _disputes(disputes))] if disputes else []
    show([section("Positions", held), *disputed, section("Accounts", cash)], sys.stdout)
    return ExitCode.OK


def _numbers(row: np.void, names: Sequence[str]) -> dict[str, int]:
    return {name: int(row[name]) for name in names}


def _positions(positions: Sequence[tuple[str, np.void]]) -> RenderableType:
    columns = [Column("market"), right("YES"), right("NO"), right("cost"), right("realised"), right("fees")]
    return table(columns, [_cells(name, row) for name, row in positions])


def _disputes(disputes: Sequence[tuple[str, np.void]]) -> RenderableType:
    columns = [Column("market"), right("the venue states"), right("the holdings give")]
    amounts = ("stated_micros", "expected_micros")
    return table(columns, [[name, *(dollars(int(row[at])) for at in amounts)] for name, row in disputes])


def _cells(name: str, row: np.void) -> list[str]:
    cost = int(row["cost_yes_micros"]) + int(row["cost_no_micros"])
    return [
        name,
        contracts(int(row["yes_e6"])),
        contracts(int(row["no_e6"])),
        dollars(cost),
        gain(int(row["realised_micros"])),
        dollars(int(row["fees_micros"])),
    ]


def _cash(row: np.void) -> list[str]:
    return [dollars(int(row["cash_micros"])), dollars(int(row["fees_micros"]))]
