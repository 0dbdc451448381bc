"""``pr3dict latency``: where the time of a running engine goes, of all by stage, or of single plans."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from engine.records import SignalKind
from procs.cli.arguments import positive
from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import Column, paragraph, right, show, table
from procs.cli.render_values import NOTHING, count, moment, short_time
from procs.found_segments import attached_histograms, found_segments
from procs.ladder import RECENT_NAME, Rung, recent_plans
from procs.operator_refusals import RefusedByState
from shm.histogram import PERCENTILES_PPM

Row = dict[str, str | int]
FIGURES = (*PERCENTILES_PPM, "max")
NOT_YET: Final = -1
# The stamps between which a plan's stages lie.
STEPS: Final = {
    Rung.RECEIVE_BOOK: ("recv_ns", "book_ns"),
    Rung.BOOK_SIGNAL: ("book_ns", "signal_ns"),
    Rung.SIGNAL_PLAN: ("signal_ns", "plan_ns"),
    Rung.PLAN_ORDER: ("plan_ns", "sent_ns"),
    Rung.RECEIVE_ORDER: ("recv_ns", "sent_ns"),
    Rung.ORDER_ACK: ("sent_ns", "ack_ns"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "--last", type=positive, metavar="N", help="the last N plans that became orders, each with its stages"
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read every histogram of the run directory, or the table of plans; 5 when there is none."""
    directory = engine_dirs(args).run_dir
    if args.last is not None:
        _show_plans(directory, args.last, as_json=args.json)
    else:
        _show_stages(directory, as_json=args.json)
    return ExitCode.OK


def _show_stages(directory: Path, *, as_json: bool) -> None:
    rows = list(_rows(directory))
    if not rows:
        raise RefusedByState(f"{directory}: no engine runs here (no histograms)")
    if as_json:
        print(json.dumps({"pr3dict_latency": 1, "stages": rows}, indent=2))
        return
    columns = [Column("of"), Column("stage"), right("count"), *(right(name) for name in FIGURES)]
    kept = "each figure is the top of its bucket: at most 1 part in 64 above the truth"
    show([table(columns, [_cells(row) for row in rows]), "", paragraph(kept)], sys.stdout)


def _show_plans(directory: Path, last: int, *, as_json: bool) -> None:
    try:
        plans = [_plan(plan) for plan in recent_plans(directory)[-last:]]
    except FileNotFoundError as error:
        raise RefusedByState(f"{directory}: no engine runs here (no {RECENT_NAME})") from error
    if as_json:
        print(json.dumps({"pr3dict_latency": 1, "plans": plans}, indent=2))
        return
    columns = [Column("sent"), Column("plan"), Column("kind"), *(right(name) for name in STEPS)]
    rows = [_plan_cells(plan) for plan in plans]
    added = "the first four add up to receive_order; order_ack is of the plan's first order"
    show([table(columns, rows), "", paragraph(added if rows else "no plan became an order yet")], sys.stdout)


def _plan(plan: np.void) -> Row:
    """What one plan took by stage; -1 for an order of which nothing was heard yet."""
    times = {step: int(plan[end]) - int(plan[begin]) for step, (begin, end) in STEPS.items()}
    if not int(plan["ack_ns"]):
        times[Rung.ORDER_ACK] = NOT_YET
    kind = int(plan["kind"])
    return {
        "plan": int(plan["plan_id"]),
        "signal": int(plan["signal_id"]),
        "kind": SignalKind(kind).name.lower() if kind in list(SignalKind) else str(kind),
        "sent_ns": int(plan["sent_ns"]),
        **{f"{step}_ns": value for step, value in times.items()},
    }


def _plan_cells(plan: Row) -> list[str]:
    times = [int(plan[f"{step}_ns"]) for step in STEPS]
    shown = [NOTHING if value == NOT_YET else short_time(value) for value in times]
    return [moment(int(plan["sent_ns"])), str(plan["plan"]), str(plan["kind"]), *shown]


def _rows(directory: Path) -> Iterator[Row]:
    for name, histograms in attached_histograms().refresh(found_segments(directory)):
        for label in histograms.labels:
            summary = histograms[label].summary()
            figures = {f"{figure}_ns": value for figure, value in summary.items() if figure != "count"}
            below = histograms[label].below_zero
            yield {"of": name, "stage": label, "count": summary["count"], **figures, "below_zero": below}


def _cells(row: Row) -> list[str]:
    n_values = int(row["count"])
    figures = [short_time(int(row[f"{name}_ns"])) if n_values else NOTHING for name in FIGURES]
    return [str(row["of"]), str(row["stage"]), count(n_values), *figures]
