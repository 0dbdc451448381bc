"""Errors of processes that the present state refuses; they need nothing but the root of all errors."""

from __future__ import annotations

from engine.errors import Pr3dictError


class JournalInUse(Pr3dictError):
    """Another process writes this journal: two executors on one account would trade past each other."""
