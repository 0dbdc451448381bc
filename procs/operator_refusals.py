"""Answers of a running engine that are no defect: not now, or not to you."""

from __future__ import annotations

from engine.errors import Pr3dictError


class RefusedByState(Pr3dictError):
    """Not in this state: halted, not running, served by another process already."""


class Denied(Pr3dictError):
    """What was asked needs more than was said: a confirmation, the reason of the halt by its name."""
