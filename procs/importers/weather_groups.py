"""Which temperature bins belong together, and whether they leave no gap, from their own wording.

Polymarket: "between 92-93°F", "89°F or below", "108°F or higher". Kalshi: B92.5 is 92 to 93, and of two T
bounds the lower means below it and the higher above it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from engine.catalog.market import GroupKind
from procs.importers.markets import Note

OPEN_LOW: Final = -(10**6)
OPEN_HIGH: Final = 10**6

_QUESTION: Final = re.compile(
    r"Will the (?P<extreme>highest|lowest) temperature in (?P<city>.+) be "
    r"(?:between (?P<low>-?\d+)-(?P<high>-?\d+)°F|(?P<below>-?\d+)°F or below|(?P<above>-?\d+)°F or higher)"
    r" on (?P<day>.+)\?"
)
_TICKER: Final = re.compile(r"(?P<event>.+)-(?P<kind>[BT])(?P<at>-?\d+(?:\.\d+)?)")
_T_BOUNDS: Final = 2


class Bin(NamedTuple):
    """First and last whole degree, both included."""

    low: int
    high: int


def question_bin(question: str) -> tuple[str, Bin] | None:
    """Event ("highest temperature in Austin on August 4") and bin; None for another wording."""
    found = _QUESTION.fullmatch(question)
    if found is None:
        return None
    event = f"{found['extreme']} temperature in {found['city']} on {found['day']}"
    if found["below"]:
        return event, Bin(OPEN_LOW, int(found["below"]))
    if found["above"]:
        return event, Bin(int(found["above"]), OPEN_HIGH)
    return event, Bin(int(found["low"]), int(found["high"]))


def ticker_event(ticker: str) -> str | None:
    """Event of a Kalshi temperature ticker; None for another spelling."""
    found = _TICKER.fullmatch(ticker)
    return found["event"] if found else None


def ticker_bins(tickers: Iterable[str]) -> list[Bin]:
    """Bins of the tickers of one event; without exactly two T bounds those are left out."""
    found = [match for ticker in tickers if (match := _TICKER.fullmatch(ticker))]
    bins = [_between(float(match["at"])) for match in found if match["kind"] == "B"]
    bounds = sorted(int(float(match["at"])) for match in found if match["kind"] == "T")
    if len(bounds) == _T_BOUNDS:
        bins += [Bin(OPEN_LOW, bounds[0] - 1), Bin(bounds[1] + 1, OPEN_HIGH)]
    return bins


def _between(centre: float) -> Bin:
    return Bin(int(centre - 0.5), int(centre + 0.5))


def leaves_no_gap(bins: Iterable[Bin]) -> bool:
    """Whether the bins cover every whole degree exactly once, both ends open."""
    reached = OPEN_LOW - 1
    for low, high in sorted(bins):
        if low != reached + 1 or high < low:
            return False
        reached = high
    return reached == OPEN_HIGH


class Groups:
    """Members of each event while a file is read; ``close`` writes what is certain into their notes."""

    def __init__(self) -> None:
        self._notes: dict[str, dict[str, Note]] = defaultdict(dict)
        self._bins: dict[str, dict[str, Bin]] = defaultdict(dict)

    def add(self, event: str, market: str, note: Note, bin_: Bin | None = None) -> None:
        """``market`` belongs to ``event``; ``bin_`` where its own wording gives it."""
        self._notes[event][note.symbol] = note
        if bin_ is not None:
            self._bins[event][market] = bin_

    def close(self) -> None:
        """Name the group of every member: exhaustive where the bins leave no gap."""
        for event, notes in self._notes.items():
            bins = list(self._bins[event].values()) or ticker_bins(notes)
            whole = leaves_no_gap(bins)
            for note in notes.values():
                note.group = event
                note.group_kind = GroupKind.EXACTLY_ONE if whole else GroupKind.AT_MOST_ONE
                note.group_size = len(bins) if whole else 0
