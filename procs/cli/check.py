"""``pr3dict check FILE...``: recordings through codec and book, compared with the venue's own words."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.errors import ConfigError
from procs.check import BookDump, Check, CheckReport
from procs.cli.exit_codes import ExitCode

# Column heads, and the field or the text of a report under each.
COLUMNS: Final = (
    ("kind", "kind"),
    ("frames", "frames"),
    ("rejected", "rejected"),
    ("updates", "updates"),
    ("markets", "markets"),
    ("gaps", "seq_gaps"),
    ("resyncs", "resyncs"),
    ("crossed", "crossed"),
    ("tob ok", "tob_checked"),
    ("mismatch", "tob_mismatch"),
    ("unsynced", "tob_unsynced"),
    ("ticker", "ticker_agree"),
    ("late", "ticker_late"),
    ("never", "ticker_never"),
)
_BREAKS_SHOWN: Final = 20
TABLE_CHARS: Final = 250  # wider than any terminal: rows are never folded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="recording, or a file that an importer knows"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--dump", type=Path, metavar="OUT.json", help="write the last known levels of every market"
    )


def run(args: argparse.Namespace) -> int:
    """Check each file; exit 1 when one is damaged, or holds something rejected or unexplained."""
    reports: list[CheckReport] = []
    books: dict[str, BookDump] = {}
    for path in args.files:
        check = Check(path)
        reports.append(_run_with_progress(check, quiet=args.json))
        if args.dump is not None:
            books.update(check.dump())
    if args.dump is not None:
        _write_dump(args.dump, books)
    if args.json:
        print(json.dumps({"files": [dataclasses.asdict(report) for report in reports]}, indent=2))
    else:
        _print(reports)
    for report in reports:
        if report.damage is not None:
            sys.stderr.write(f"pr3dict: {report.damage}\n")
    return ExitCode.FAILURE if any(report.failed for report in reports) else ExitCode.OK


def _write_dump(path: Path, books: dict[str, BookDump]) -> None:
    if path.is_dir():
        raise ConfigError(f"{path}: is a directory")
    path.write_text(json.dumps(books, indent=1) + "\n", encoding="utf-8")


def _run_with_progress(check: Check, *, quiet: bool) -> CheckReport:
    """Run a check, counting frames on a terminal's stderr."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return check.run()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,} frames"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(Path(check.report.path).name, total=None)
        return check.run(lambda frames: progress.update(task, completed=frames))


def _print(reports: Sequence[CheckReport]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", no_wrap=True)
    for head, _ in COLUMNS:
        table.add_column(head, justify="left" if head == "kind" else "right", no_wrap=True)
    table.add_column("trust", no_wrap=True)
    for report in reports:
        cells = [getattr(report, name) for _, name in COLUMNS]
        texts = [cell if isinstance(cell, str) else f"{cell:,}" for cell in cells]
        trust = ", ".join(f"{name} {count}" for name, count in report.trust.items() if count)
        table.add_row(Path(report.path).name, *texts, trust)
    Console(width=TABLE_CHARS).print(table)
    for report in reports:
        for line in _notes(report):
            print(f"{Path(report.path).name}: {line}")


def _notes(report: CheckReport) -> Iterator[str]:
    """What does not fit into the table."""
    for rule, count in report.tob_explained.items():
        yield f"{count:,} declarations explained: {rule}"
    if report.tob_unsynced:
        share = report.tob_unsynced_agree / report.tob_unsynced
        yield f"without an opening snapshot {share:.1%} of {report.tob_unsynced:,} declarations agree"
    for found in report.breaks[:_BREAKS_SHOWN]:
        yield f"{found.reason} at line {found.line}, seq {found.seq}, {found.market}"
    if len(report.breaks) > _BREAKS_SHOWN:
        yield f"and {len(report.breaks) - _BREAKS_SHOWN:,} more sequence breaks"
    if report.mirror_broken:
        yield f"{report.mirror_broken:,} times the two tokens of a market disagreed for more than one frame"
    if report.clock_steps_back:
        yield f"{report.clock_steps_back:,} frames bear a time before that of an earlier frame"
    if report.last_error is not None:
        yield f"rejected: {report.last_error}"
