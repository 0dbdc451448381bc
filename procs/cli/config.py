"""``pr3dict config check``: read every configuration file as the engine would, print what is in force.

A FILE is a layer over the shipped settings. A file of relations or of fee schedules is recognised by its
top-level key and checked as such, beside the shipped one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from engine.catalog.defaults import FeeTable
from engine.catalog.relations import RelationBook
from engine.config import Config, Mode
from procs import config_files
from procs.cli.config_match import run_match
from procs.cli.exit_codes import ExitCode

PAIRS_SHOWN: Final = 40
RELATIONS_KEY: Final = "relation"
FEES_KEY: Final = "schedule"


class _Files(NamedTuple):
    """The files of one invocation, by what they hold."""

    layers: list[Path]
    relations: list[Path]
    fees: list[Path]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read, verify and print", description="Read, verify and print.")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="TOML over the shipped settings")
    check.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. risk.open_orders_max=10"
    )
    check.add_argument("--live", action="store_true", help="the settings of live trading, not of paper")
    check.set_defaults(act=_check)
    pairs = actions.add_parser(
        "match", help="propose relations", description="Pairs of markets of two venues that may be the same."
    )
    pairs.add_argument("files", nargs="+", type=Path, metavar="RECORDING", help="recordings in our format")
    pairs.add_argument("--pairs", type=int, default=PAIRS_SHOWN, metavar="N", help="show at most N pairs")
    pairs.set_defaults(act=_match)
    for action in (check, pairs):
        action.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Do what the action says; ConfigError for the first mistake."""
    act: Callable[[argparse.Namespace], int] = args.act
    return act(args)


def _match(args: argparse.Namespace) -> int:
    return run_match(args.files, max(args.pairs, 0), args.json)


def _check(args: argparse.Namespace) -> int:
    files = _sorted_by_content(args.files)
    config = config_files.load_config(files.layers, args.set, Mode.LIVE if args.live else Mode.PAPER)
    relations = [config_files.load_relations(config), *map(config_files.read_relations, files.relations)]
    fees = [config_files.load_fee_table(config), *map(config_files.read_fee_table, files.fees)]
    if args.json:
        print(json.dumps(_document(config, relations, fees), indent=2))
    else:
        print("\n".join(_lines(config, relations, fees)))
    return ExitCode.OK


def _sorted_by_content(paths: Sequence[Path]) -> _Files:
    sorted_files = _Files([], [], [])
    for path in paths:
        tree = config_files.read_toml(path)
        if RELATIONS_KEY in tree:
            sorted_files.relations.append(path)
        elif FEES_KEY in tree:
            sorted_files.fees.append(path)
        else:
            sorted_files.layers.append(path)
    return sorted_files


def _document(
    config: Config, relations: Sequence[RelationBook], fees: Sequence[FeeTable]
) -> dict[str, object]:
    return {
        "hash": config.fingerprint(),
        "config": config.tree(),
        "relations": _relation_counts(relations),
        "fee_schedules": sum(len(table.schedule) for table in fees),
    }


def _relation_counts(books: Sequence[RelationBook]) -> dict[str, int]:
    relations = [relation for book in books for relation in book.relation]
    approved = sum(bool(relation.approved_by) for relation in relations)
    return {"approved": approved, "unapproved": len(relations) - approved}


def _lines(config: Config, relations: Sequence[RelationBook], fees: Sequence[FeeTable]) -> Iterator[str]:
    settings = list(_flat(config.tree(), ""))
    width = max(len(key) for key, _ in settings)
    for key, value in settings:
        yield f"{key:<{width}}  {value}"
    counts = _relation_counts(relations)
    yield ""
    yield f"relations      {counts['approved']} approved, {counts['unapproved']} not approved"
    yield f"fee schedules  {sum(len(table.schedule) for table in fees)}"
    yield f"hash           {config.fingerprint()}"


def _flat(tree: Mapping[str, object], path: str) -> Iterator[tuple[str, str]]:
    """Key paths and values of a tree, one line each."""
    for key, value in tree.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _flat(value, place)
        else:
            yield place, json.dumps(value)
