"""``pr3dict venue-sim``: both venues' market-data WebSockets on loopback, over recordings or a session."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvloop

from engine.errors import ConfigError
from procs import places
from procs.cli.arguments import speed
from procs.cli.exit_codes import ExitCode
from procs.recording import SUFFIX
from procs.venue_sim.faults import read_plan
from procs.venue_sim.kalshi_auth import ANY_ID, PublicKey, read_public_key
from procs.venue_sim.rehearsal import Rehearsal
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.venue_sim.tape import Tape, recorded_tape, seeded_tape

EVERY_BOOK: Final = "all"
FROM_STDIN: Final = Path("-")
PORT_MAX: Final = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="recordings (default: the packaged sample)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="serve the synthetic session of this seed")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default 127.0.0.1")
    parser.add_argument("--polymarket-port", type=_port, default=0, metavar="P", help="0: any that is free")
    parser.add_argument("--kalshi-port", type=_port, default=0, metavar="P", help="0: any that is free")
    parser.add_argument(
        "--align", choices=["start"], help="start: move the recordings in time to a common start"
    )
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="X|max",
        help="times recorded time (default 1); max: as fast as the clients read",
    )
    parser.add_argument(
        "--start-when-subscribed",
        type=_count,
        default=1,
        metavar="N|all",
        help="connections that must have subscribed at each venue with frames (default 1); all: every book",
    )
    parser.add_argument(
        "--wait-for-readers", action="store_true", help="stand still while a venue has no subscriber"
    )
    parser.add_argument(
        "--faults",
        type=Path,
        metavar="PLAN.toml|-",
        help="what goes wrong, and when; -: as lines of JSON on stdin ask for it",
    )
    parser.add_argument("--once", action="store_true", help="close with 1000 when everything was sent")
    parser.add_argument(
        "--kalshi-public-key",
        action="append",
        default=[],
        metavar="[ID=]PEM",
        help="check Kalshi handshakes with this key; may be repeated",
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"expected a port, 0 to {PORT_MAX}, got {text!r}")
    return int(text)


def _count(text: str) -> int | None:
    if text == EVERY_BOOK:
        return None
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number, or {EVERY_BOOK}, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, or with ``--once`` to the end; the last line has the counts."""
    with ExitStack() as opened:
        options = _options(args)
        tape = _tape(args, opened)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(tape, options, asked=args.faults == FROM_STDIN))


def _options(args: argparse.Namespace) -> SimOptions:
    return SimOptions(
        host=args.host,
        polymarket_port=args.polymarket_port,
        kalshi_port=args.kalshi_port,
        speed=args.speed,
        once=args.once,
        start_when_subscribed=args.start_when_subscribed,
        wait_for_readers=args.wait_for_readers,
        faults=() if args.faults in (None, FROM_STDIN) else read_plan(args.faults),
        kalshi_keys=_keys(args.kalshi_public_key),
    )


def _keys(named: Sequence[str]) -> dict[str, PublicKey]:
    keys: dict[str, PublicKey] = {}
    for text in named:
        key_id, sign, name = text.rpartition("=")
        if (key_id or ANY_ID) in keys:
            raise ConfigError(f"--kalshi-public-key {text}: a second key for the same id")
        keys[key_id if sign else ANY_ID] = read_public_key(Path(name))
    return keys


def _tape(args: argparse.Namespace, opened: ExitStack) -> Tape:
    if args.seed is not None:
        if args.files:
            raise ConfigError("--seed and recordings: one or the other")
        return seeded_tape(args.seed)
    files = args.files or sorted(places.samples_dir().glob(f"*{SUFFIX}"))
    return recorded_tape(files, opened, align_start=args.align == "start")


async def _serve(tape: Tape, options: SimOptions, *, asked: bool) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    sim = VenueSim(tape, options)
    await sim.open()
    _say({"ready": True, "endpoints": sim.endpoints, "playing": tape.name})
    tasks = {asyncio.create_task(_play(sim, options, stopped)), asyncio.create_task(stopped.wait())}
    if asked:
        tasks.add(asyncio.create_task(_rehearse(sim, stopped)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # a defect of ours keeps its traceback
    finally:
        for task in tasks:
            task.cancel()
        sim.close()
    _say({"played": sim.played, "venues": {name: asdict(log) for name, log in sim.logs.items()}})
    if sim.damage is not None:
        sys.stderr.write(f"pr3dict: {sim.damage}\n")
        return ExitCode.FAILURE
    return ExitCode.OK


async def _play(sim: VenueSim, options: SimOptions, stopped: asyncio.Event) -> None:
    """Play to the end, after which the venues go on with the last books, unless it is for ``once``."""
    await sim.play()
    if not options.once:
        await stopped.wait()


async def _rehearse(sim: VenueSim, stopped: asyncio.Event) -> None:
    """Do what stdin asks for; that it ends does not end the venues."""
    await Rehearsal(sim, _say).follow(sys.stdin.buffer)
    await stopped.wait()


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
