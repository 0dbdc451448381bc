"""``pr3dict paper``: trade on paper, and say what came of it.

With ``--replay`` the recordings named are the input. Without it there are two inputs, kept apart: the
packaged recordings of real market data, and a synthetic session made from a seed, in which opportunities and
near misses are planted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

from engine.config import Config
from engine.errors import ConfigError
from procs import config_files, places
from procs.cli.arguments import add_config_arguments, add_record_inputs, speed
from procs.cli.exit_codes import tell
from procs.cli.render_json import paper_document
from procs.cli.render_paper import closing as closing_words
from procs.cli.render_paper import faults, summary
from procs.cli.render_progress import shown_on
from procs.cli.render_table import show
from procs.input_log import unused_folder
from procs.journal_file import JournalFile
from procs.paper import INLINE, PaperOptions, refuse_missing_roles, run_recordings, run_session
from procs.paper_processes import Where
from procs.paper_result import PaperResult
from procs.progress import OnProgress
from procs.recording import SUFFIX
from procs.refusals import JournalInUse
from procs.whole_file import refuse_overwriting, whole_file

SYNTHETIC_MARK: Final = ".synthetic"  # before the suffix of the session's decision log
SAMPLE_NAME: Final = "packaged sample"
REPLAY_NAME: Final = "replay"


class PaperInput(NamedTuple):
    """One input: recordings, or with no files the session; and where its decision log and journal go."""

    name: str
    files: tuple[Path, ...]
    decisions: Path | None
    journal: Path | None
    record_inputs: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "--replay",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="recordings to trade on, merged by time; default: the packaged sample, then a synthetic session",
    )
    parser.add_argument(
        "--align", choices=["start"], help="start: move the recordings in time to a common start"
    )
    parser.add_argument(
        "--speed",
        type=speed,
        default=None,
        metavar="X|max",
        help="times recorded time, e.g. 10; max (default): as fast as possible",
    )
    parser.add_argument(
        "--topology",
        metavar="NAME",
        help="two (default), roles: processes over shared memory and sockets; inline: one process",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="with several processes: where the engine can be looked at (status, latency, book, halt...)",
    )
    parser.add_argument("--decisions", type=Path, metavar="FILE", help="write a line for every decision")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="keep the journal of orders and fills")
    add_record_inputs(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything simulated")
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, no progress")


def run(args: argparse.Namespace) -> int:
    """Run every input and show its summary as soon as it is there; with ``--json`` all of them at the end."""
    config = _config(args)
    inputs = _inputs(args)
    results: list[PaperResult] = []
    for one in inputs:
        results.append(_run_input(one, args, config))
        if not args.json:
            show(summary(results[-1]), sys.stdout)
    found = faults(results)
    if args.json:
        print(json.dumps(paper_document(results, found, config.fingerprint()), indent=2))
    else:
        show([*_written(inputs), *closing_words(results)], sys.stdout)
    return tell(found)


def _config(args: argparse.Namespace) -> Config:
    assignments = list(args.set)
    if args.seed is not None:
        assignments.append(f"engine.seed={args.seed}")
    if args.topology is not None:
        assignments.append(f"engine.topology={args.topology}")
    config = config_files.load_config(args.config, assignments)
    _refuse_unfit(config, records_inputs=args.record_inputs is not None)
    return config


def _refuse_unfit(config: Config, *, records_inputs: bool) -> None:
    """ConfigError for a topology that leaves a stage out, or where nobody reads anything of his own."""
    refuse_missing_roles(config)
    if config.engine.topology == INLINE and records_inputs:
        raise ConfigError(f"--record-inputs: {INLINE} is one process, which its recording replays as it is")


def _inputs(args: argparse.Namespace) -> list[PaperInput]:
    """What to run. ConfigError without a sample, or when a decision log would overwrite an input; OSError."""
    if args.replay:
        inputs = [
            PaperInput(REPLAY_NAME, tuple(args.replay), args.decisions, args.journal, args.record_inputs)
        ]
    else:
        folder = places.samples_dir()
        samples = tuple(sorted(folder.glob(f"*{SUFFIX}")))
        if not samples:
            raise ConfigError(f"{folder}: no packaged recording (*{SUFFIX}); name some with --replay")
        kept = (args.decisions, args.journal, args.record_inputs)
        beside = [None if path is None else of_session(path) for path in kept]
        inputs = [
            PaperInput(SAMPLE_NAME, samples, *kept),
            PaperInput("", (), *beside),
        ]
    for one in inputs:
        for file in one.files:
            file.open("rb").close()  # a name that is not there must not cost anybody an older decision log
        if one.decisions is not None:
            refuse_overwriting(one.decisions, one.files, "decision log")
        if one.record_inputs is not None:
            unused_folder(one.record_inputs)
    return inputs


def of_session(path: Path) -> Path:
    """Where the session's decisions or journal go when ``path`` has those of the recordings."""
    return path.with_name(f"{path.stem}{SYNTHETIC_MARK}{path.suffix}")


def _run_input(one: PaperInput, args: argparse.Namespace, config: Config) -> PaperResult:
    with ExitStack() as stack:
        stream = None if args.json else sys.stderr
        on_progress: OnProgress = stack.enter_context(shown_on(stream, one.name or "seeded session"))
        options = PaperOptions(
            config=config,
            files=one.files,
            align_start=args.align == "start",
            speed=args.speed,
            where=Where(
                run_dir=args.run_dir,
                record_inputs=None if one.record_inputs is None else one.record_inputs.absolute(),
            ),
            decisions=None if one.decisions is None else stack.enter_context(whole_file(one.decisions)),
            journal=None if one.journal is None else stack.enter_context(closing(_new_journal(one.journal))),
        )
        if one.files:
            return run_recordings(one.name, options, on_progress)
        return run_session(config.engine.seed, options, on_progress)


def _new_journal(path: Path) -> JournalFile:
    """A journal without entries; JournalInUse when it has some: simulated venues know nothing of them."""
    journal = JournalFile(path)
    if journal.entries:
        journal.close()
        raise JournalInUse(f"{path}: it is the journal of another run, and the simulated venues begin anew")
    return journal


def _written(inputs: Sequence[PaperInput]) -> Iterator[str]:
    for one in inputs:
        if one.decisions is not None:
            yield f"decisions: {one.decisions}"
        if one.journal is not None:
            yield f"journal: {one.journal}"
