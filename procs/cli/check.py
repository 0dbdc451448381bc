"""``pr3dict check FILE...``: recordings through codec and book, compared with the venue's own words."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.errors import RecordingDamaged, RecordingFormat
from engine.records import Trust
from procs.check import BookDump, Check, CheckReport, SequenceBreak
from procs.cli.exit_codes import EXIT_CODES, ExitCode
from procs.cli.render_table import Column, paragraph, right, show, table
from procs.cli.render_values import unreadable
from procs.whole_file import refuse_overwriting, whole_file

UNREADABLE: Final = "unreadable"  # kind of a file that is damaged from the start
UNKNOWN: Final = "unknown"  # kind of a file in a format that nobody here knows
_BREAKS_SHOWN: Final = 20
_NAME_CHARS: Final = 24  # of a file in the tables: its end says more than its beginning


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
    """Check each file; the exit code is that of the worst.

    1 when one is damaged, or holds something rejected or unexplained; 2 when one is of an unknown format.
    """
    for path in args.files:
        path.open("rb").close()  # said now, and not after the files before it have been read
    began_s = time.perf_counter()
    if args.dump is None:
        reports = _check(args.files, {}, quiet=args.json)
    else:
        refuse_overwriting(args.dump, args.files, "dump")
        with whole_file(args.dump) as file:
            books: dict[str, BookDump] = {}
            reports = _check(args.files, books, quiet=args.json)
            file.write(json.dumps(books, indent=1).encode() + b"\n")
    took_s = time.perf_counter() - began_s
    if args.json:
        files = [dataclasses.asdict(report) for report in reports]
        print(json.dumps({"files": files, "seconds": round(took_s, 3)}, indent=2))
    else:
        _print(reports)
        frames = sum(report.frames for report in reports)
        rate = f"{frames / took_s:,.0f} a second, kernels loaded on the way included"
        print(f"\n{frames:,} frames in {took_s:.2f} s: {rate}")
    for report in reports:
        if report.failed:
            sys.stderr.write(f"pr3dict: {_complaint(report)}\n")
    return max(map(_exit_code, reports))


def _complaint(report: CheckReport) -> str:
    """What is wrong with a file that failed, in one line."""
    if report.damage is not None:
        return report.damage
    if report.rejected:
        place = f" at {report.unit} {report.rejected_line:,}," if report.rejected_line else ""
        return f"{report.path}: {unreadable(report.rejected)}, the last{place} for {report.last_error}"
    return (
        f"{report.path}: no rule explains {report.tob_mismatch:,} best prices that are not those of the book"
    )


def _exit_code(report: CheckReport) -> ExitCode:
    if report.kind == UNKNOWN:
        return EXIT_CODES[RecordingFormat]
    return ExitCode.FAILURE if report.failed else ExitCode.OK


def _check(files: Sequence[Path], books: dict[str, BookDump], *, quiet: bool) -> list[CheckReport]:
    """Report on each file, and put its books into ``books``; what is wrong with one ends that one only."""
    reports: list[CheckReport] = []
    for path in files:
        try:
            check = Check(path)
        except (RecordingDamaged, RecordingFormat) as error:
            kind = UNKNOWN if isinstance(error, RecordingFormat) else UNREADABLE
            reports.append(CheckReport(str(path), kind, damage=str(error)))
            continue
        reports.append(_run_with_progress(check, quiet=quiet))
        for name, book in check.dump().items():
            if name not in books or _is_known(book):
                books[name] = book
    return reports


def _is_known(book: BookDump) -> bool:
    """Whether a file has said what is in a book: one that only names it takes nothing from those before."""
    return book["trust"] != Trust.UNSYNCED.name.lower() or bool(book["bids"] or book["asks"])


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
    stream_heads = map(right, ("frames", "rejected", "updates", "markets", "gaps", "resyncs", "crossed"))
    word_heads = map(right, ("checked", "mismatch", "explained", "unsynced", "agree", "late", "never"))
    parts: list[RenderableType] = [
        table([Column("file"), Column("kind"), *stream_heads], map(_stream_row, reports)),
        "",
        table([Column("best prices"), *word_heads, Column("trust")], map(_word_row, reports)),
    ]
    said = [f"{_name(report)}: {line}" for report in reports for line in notes(report)]
    if said:
        parts += ["", *map(paragraph, said)]
    show(parts, sys.stdout)


def _name(report: CheckReport) -> str:
    name = Path(report.path).name
    return name if len(name) <= _NAME_CHARS else "..." + name[3 - _NAME_CHARS :]


def _stream_row(report: CheckReport) -> list[str]:
    """What came in."""
    breaks = report.seq_gaps + report.seq_restarts
    numbers = (
        report.frames,
        report.rejected,
        report.updates,
        report.markets,
        breaks,
        report.resyncs,
        report.crossed,
    )
    return [_name(report), report.kind, *(f"{number:,}" for number in numbers)]


def _word_row(report: CheckReport) -> list[str]:
    """How it compares with the venue's own words."""
    explained = sum(report.tob_explained.values())
    numbers = (report.tob_checked, report.tob_mismatch, explained, report.tob_unsynced)
    tickers = (report.ticker_agree, report.ticker_late, report.ticker_never)
    trust = ", ".join(f"{name} {count}" for name, count in report.trust.items() if count)
    return [_name(report), *(f"{number:,}" for number in (*numbers, *tickers)), trust]


def _place(found: SequenceBreak, unit: str) -> str:
    if found.line:
        return f"at {unit} {found.line:,}"
    return f"at frame {found.frame:,}" if found.frame else "at a frame that cannot be told"


def notes(report: CheckReport) -> Iterator[str]:
    """What does not fit into the table."""
    for rule, count in report.tob_explained.items():
        yield f"{count:,} declarations explained: {rule}"
    if report.tob_unsynced:
        share = report.tob_unsynced_agree / report.tob_unsynced
        yield f"without an opening snapshot {share:.1%} of {report.tob_unsynced:,} declarations agree"
    for found in report.breaks[:_BREAKS_SHOWN]:
        yield f"{found.reason} {_place(found, report.unit)}, seq {found.seq}, {found.market}"
    if len(report.breaks) > _BREAKS_SHOWN:
        yield f"and {len(report.breaks) - _BREAKS_SHOWN:,} more sequence breaks"
    if report.mirror_broken:
        yield f"{report.mirror_broken:,} times the two tokens of a market disagreed for more than one frame"
    if report.clock_steps_back:
        yield f"{report.clock_steps_back:,} frames bear a time before that of an earlier frame"
    if report.last_error is not None:
        yield f"rejected: {report.last_error}"
