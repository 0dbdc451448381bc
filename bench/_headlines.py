"""The five figures of ``README.md``, made from what is kept in ``bench/results``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from bench._result import Result, Row
from bench._show import factor, number

OURS_OTHERWISE: Final = "the same "  # without something: no peer


class Headline(NamedTuple):
    """A row of a bench as a user asks for it."""

    bench: str
    what: str  # the row
    asked: str


HEADLINES: Final = (
    Headline("path", "frame callback to book visible", "a frame, until another process can read its book"),
    Headline(
        "path",
        "frame callback to plan at the executor, two cores",
        "a frame, until its plan is where orders are made",
    ),
    Headline(
        "load",
        "socket in to books, sustained",
        "frames from a WebSocket into books, ten minutes, none lost",
    ),
    Headline(
        "scan",
        "one update, 10,000 markets, 1,000 relations",
        "one update among 10,000 markets and 1,000 relations, decided",
    ),
    Headline("sessions", "Kalshi deltas", "frames as Kalshi writes them, in memory, into books, one core"),
)


def table(results: Sequence[Result]) -> Iterator[str]:
    """A line for each headline of one machine; what has not been measured says so."""
    by_bench = {result.bench: result for result in results}
    yield "| what | median (best) of the runs | times better than | load | again |"
    yield "|---|---:|---|---:|---|"
    for headline in HEADLINES:
        result = by_bench.get(headline.bench)
        row = None if result is None else result.row(headline.what)
        again = f"`.venv/bin/pr3dict bench {headline.bench}`"
        if result is None or row is None:
            yield f"| {headline.asked} | not measured | | | {again} |"
        else:
            load = result.machine["load"]
            yield f"| {headline.asked} | {_median(row)} | {_beside(result, row)} | {load} | {again} |"


def _median(row: Row) -> str:
    best, median, _ = (number(value, row.main) for value in row.spread(row.main))
    return f"**{median}** ({best})"


def _beside(result: Result, row: Row) -> str:
    named = [(peer, times) for what, peer, _, times in result.ratios() if what == row.what]
    peers = [(peer, times) for peer, times in named if not peer.startswith(OURS_OTHERWISE)]
    return "; ".join(f"{factor(times)} {peer}" for peer, times in peers)
