"""Which engine a command speaks to: its run directory and its state directory."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path
from typing import NamedTuple

from engine.config import Config
from procs import config_files
from procs.cli.arguments import add_config_arguments
from procs.run_directory import described_state_dir


class EngineDirs(NamedTuple):
    """Folders of one engine, and the settings they were taken from."""

    run_dir: Path
    state_dir: Path
    config: Config


def add_engine_arguments(parser: argparse.ArgumentParser, *, json: bool = True) -> None:
    """Declare the options that say which engine is meant."""
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="default: paths.run_dir of the settings")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="default: that of the engine that runs there, else paths.state_dir of the settings",
    )
    add_config_arguments(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def add_watched(parser: argparse.ArgumentParser) -> None:
    """Declare the option by which an owner asks one of its processes for signs of life."""
    parser.add_argument(
        "--watched", action="store_true", help="say in the run directory that it is at work; its owner asks"
    )


def engine_dirs(args: argparse.Namespace) -> EngineDirs:
    """Folders that the options, or else the settings, name; ConfigError when there is no default."""
    config = config_files.load_config(args.config, args.set)
    run_dir = config_files.run_dir(config) if args.run_dir is None else args.run_dir
    state_dir = args.state_dir or described_state_dir(run_dir) or config_files.state_dir(config)
    return EngineDirs(run_dir.absolute(), state_dir.absolute(), config)


def operator() -> str:
    """Who runs this command, as far as the system knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # no entry for this uid
        name = "?"
    return f"{name} (uid {os.getuid()})"
