"""``pr3dict import SRC... OUT``: other recorders' files into one recording of ours."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from procs.cli.arguments import positive
from procs.cli.exit_codes import ExitCode
from procs.importers.convert import Conversion, convert, open_imports
from procs.recording import LACKS, LEVEL_DEFAULT, Provenance
from procs.whole_file import refuse_overwriting, whole_file

_LEVEL_MAX = 22


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="file of another recorder")
    parser.add_argument("out", type=Path, metavar="OUT", help="recording to write, replaced when it exists")
    parser.add_argument("--source", default="", help="provenance: where the data came from")
    parser.add_argument("--licence", default="not stated", help="provenance: under which licence")
    parser.add_argument("--date", default="not stated", help="provenance: day or days of the data")
    parser.add_argument("--category", default="", help="category of the markets, where the source names none")
    parser.add_argument("--frames", type=positive, metavar="N", help="write the first N frames only")
    parser.add_argument(
        "--level",
        type=int,
        default=LEVEL_DEFAULT,
        choices=range(1, _LEVEL_MAX + 1),
        metavar=f"1..{_LEVEL_MAX}",
        help="zstd level",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Import and say what was written and what the sources lacked."""
    sources = open_imports(args.sources, args.category)
    refuse_overwriting(args.out, args.sources, "recording")
    names = args.source or ", ".join(path.name for path in args.sources)
    provenance = Provenance(names, args.licence, args.date)
    with whole_file(args.out) as file:
        done = convert(sources, provenance, file, level=args.level, frames_max=args.frames)
    _say(args, done)
    if done.damage is not None:
        sys.stderr.write(f"pr3dict: {done.damage}\n")
        return ExitCode.FAILURE
    return ExitCode.OK


def _say(args: argparse.Namespace, done: Conversion) -> None:
    size = args.out.stat().st_size
    header = done.header
    if args.json:
        document = {
            "out": str(args.out),
            "bytes": size,
            "frames": done.frames,
            "venue": header.venue,
            "kind": header.kind,
            "markets": len(header.markets),
            "lacks": list(header.lacks),
            "clock_steps_back": done.clock_steps_back,
            "damage": None if done.damage is None else str(done.damage),
        }
        print(json.dumps(document, indent=2))
        return
    print(
        f"{args.out}: {done.frames:,} frames, {len(header.markets)} markets, {size:,} bytes ({header.kind})"
    )
    if done.clock_steps_back:
        print(f"receive times that step back: {done.clock_steps_back:,}, kept as recorded")
    for name in header.lacks:
        print(f"the source lacks {name}: {LACKS[name]}")
