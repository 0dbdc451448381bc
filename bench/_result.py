"""The one shape of a measurement: rows of runs, ours and the peers', and the claims made about them.

A run is a mapping from figures to values. The name of a figure ends in its unit, and that says which way is
better: ``per_s`` is a rate, everything else is a cost (``p50_ns``, ``s``, ``mib``, ``share``). Best, median
and worst are of whole runs, never of parts of one. A ratio is the median over pairs of runs that were
measured one after the other, so that what slows the machine for some seconds slows both of a pair.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

OURS: Final = "pr3dict"
RATE: Final = "per_s"
MAIN_FIGURES: Final = (
    "p50_ns",
    "ns",
    RATE,
    "s",
    "share",
    "instructions",
)  # the first that a row has is what ratios are about


class Spread(NamedTuple):
    """Of the runs of one row."""

    best: float
    median: float
    worst: float


def is_rate(figure: str) -> bool:
    """Whether more is better."""
    return figure.endswith(RATE)


@dataclass(slots=True)
class Row:
    """What was measured of whom: its runs, each with the involuntary switches of its hot threads."""

    what: str
    who: str
    runs: list[dict[str, float]] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)

    @property
    def figures(self) -> list[str]:
        """Names of what a run says."""
        return list(self.runs[0]) if self.runs else []

    @property
    def main(self) -> str:
        """The figure that ratios are about."""
        return next(figure for figure in MAIN_FIGURES if figure in self.figures)

    @property
    def disturbed(self) -> int:
        """Runs in which a hot thread was taken off its core against its will."""
        return sum(count > 0 for count in self.switches)

    def spread(self, figure: str) -> Spread:
        """Best, median, worst of the runs."""
        values = sorted((run[figure] for run in self.runs), reverse=is_rate(figure))
        return Spread(values[0], statistics.median(values), values[-1])


def ratio(ours: Row, peer: Row, figure: str) -> float:
    """How many times better ours is: median of the pairs."""
    pairs = zip(ours.runs, peer.runs, strict=False)
    if is_rate(figure):
        return statistics.median(mine[figure] / max(other[figure], 1e-9) for mine, other in pairs)
    return statistics.median(other[figure] / max(mine[figure], 1e-9) for mine, other in pairs)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that has to hold: ``value`` is what was measured."""

    text: str
    value: float
    limit: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(slots=True)
class Result:
    """Everything one bench found out."""

    bench: str
    machine: dict[str, object]
    rows: list[Row] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # peer -> why it was not measured
    notes: list[str] = field(default_factory=list)

    def row(self, what: str, who: str = OURS) -> Row | None:
        """The row of that name; None when it was not measured."""
        return next((row for row in self.rows if (row.what, row.who) == (what, who)), None)

    def ratios(self) -> list[tuple[str, str, str, float]]:
        """(what, peer, figure, times better) for each row of a peer beside ours."""
        found = []
        for peer in self.rows:
            ours = self.row(peer.what)
            if peer.who != OURS and ours is not None and ours.main in peer.figures:
                found.append((peer.what, peer.who, ours.main, ratio(ours, peer, ours.main)))
        return found

    @property
    def failed(self) -> int:
        """How many claims do not hold."""
        return sum(not claim.holds for claim in self.claims)

    def document(self) -> dict[str, object]:
        """As JSON keeps it; ratios are in it for readers, and made anew from the rows by ``of_document``."""
        return {
            "bench": self.bench,
            "machine": self.machine,
            "ratios": [
                {"what": what, "peer": peer, "figure": figure, "times": times}
                for what, peer, figure, times in self.ratios()
            ],
            "claims": [
                {
                    "text": claim.text,
                    "value": claim.value,
                    "limit": claim.limit,
                    "at_least": claim.at_least,
                    "holds": claim.holds,
                }
                for claim in self.claims
            ],
            "rows": [
                {"what": row.what, "who": row.who, "runs": row.runs, "switches": row.switches}
                for row in self.rows
            ],
            "missing": self.missing,
            "notes": self.notes,
        }


def of_document(document: Mapping[str, object]) -> Result:
    """A result that was kept; ValueError when it is none."""
    try:
        rows, claims = _list(document["rows"]), _list(document["claims"])
        return Result(
            bench=str(document["bench"]),
            machine=dict(document["machine"]),  # type: ignore[call-overload]
            rows=[Row(**{key: row[key] for key in ("what", "who", "runs", "switches")}) for row in rows],
            claims=[
                Claim(**{key: claim[key] for key in ("text", "value", "limit", "at_least")})
                for claim in claims
            ],
            missing=dict(document["missing"]),  # type: ignore[call-overload]
            notes=list(document["notes"]),  # type: ignore[call-overload]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a result of a bench: {error}") from None


def _list(value: object) -> Sequence[dict[str, Any]]:
    if not isinstance(value, list):
        raise TypeError("rows and claims are lists")
    return value


def claim(result: Result, what: str, figure: str, limit: float) -> None:
    """Claim a bound on a figure of ours, in its best run: a floor for a rate, a ceiling for a cost."""
    row = result.row(what)
    if row is not None:
        best = row.spread(figure).best
        result.claims.append(Claim(f"{what}, {figure}", best, limit, is_rate(figure)))


def claim_ratio(result: Result, what: str, peer: str, times: float, figure: str = "") -> None:
    """Claim to be so many times better than the peers whose name begins so, where they were measured."""
    ours = result.row(what)
    for other in result.rows:
        if ours is not None and other.what == what and other.who != OURS and other.who.startswith(peer):
            chosen = figure or ours.main
            found = ratio(ours, other, chosen)
            result.claims.append(Claim(f"{what}, times {other.who} ({chosen})", found, times, True))
