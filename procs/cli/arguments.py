"""Kinds of argument that more than one command takes."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Final

AS_FAST_AS_POSSIBLE: Final = "max"


def positive(text: str) -> int:
    """A whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return value


def speed(text: str) -> float | None:
    """A multiple of recorded time; None for ``max``."""
    if text == AS_FAST_AS_POSSIBLE:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"expected a number above 0, or {AS_FAST_AS_POSSIBLE}")
    return value


def add_record_inputs(parser: argparse.ArgumentParser) -> None:
    """Declare the option that has every agent's inputs written down."""
    parser.add_argument(
        "--record-inputs",
        type=Path,
        metavar="DIR",
        help="write down what each agent reads and writes, for replay-inputs",
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that change settings."""
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="TOML files over the shipped settings, later ones stronger",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="one setting, e.g. risk.open_orders_max=10",
    )
