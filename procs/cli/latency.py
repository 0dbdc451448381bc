"""``pr3dict latency``: where the time of a running engine goes, stage by stage."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import Column, paragraph, right, show, table
from procs.cli.render_values import NOTHING, count, short_time
from procs.found_segments import attached_histograms, found_segments
from procs.operator_refusals import RefusedByState
from shm.histogram import PERCENTILES_PPM

Row = dict[str, str | int]
FIGURES = (*PERCENTILES_PPM, "max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read every histogram of the run directory; 5 when there is none."""
    directory = engine_dirs(args).run_dir
    rows = list(_rows(directory))
    if not rows:
        raise RefusedByState(f"{directory}: no engine runs here (no histograms)")
    if args.json:
        print(json.dumps({"pr3dict_latency": 1, "stages": rows}, indent=2))
    else:
        columns = [Column("of"), Column("stage"), right("count"), *(right(name) for name in FIGURES)]
        kept = "each figure is the top of its bucket: at most 1 part in 64 above the truth"
        show([table(columns, [_cells(row) for row in rows]), "", paragraph(kept)], sys.stdout)
    return ExitCode.OK


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
