"""Kinds of argument that more than one command takes."""

from __future__ import annotations

import argparse
import math
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
