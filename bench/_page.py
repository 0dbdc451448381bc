"""The tables of ``docs/benchmarks.md`` and of ``README.md``, made from what is kept in ``bench/results``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import _headlines
from bench._kept import RESULTS, load
from bench._machine import machine_line
from bench._result import OURS, Result, Row
from bench._show import factor, number, verdict
from procs.places import PACKAGES_ROOT

PAGE: Final = PACKAGES_ROOT / "docs" / "benchmarks.md"
README: Final = PACKAGES_ROOT / "README.md"
BEGIN: Final = "<!-- results: written by make docs from bench/results -->"
END: Final = "<!-- end of results -->"
MEMORY: Final = "peak_mib"  # the most of any run
TAILS: Final = ("p99_ns", "p99.9_ns", "max_ns")


def page(text: str, folder: Path = RESULTS) -> str:
    """The page ``text`` with its tables made anew."""
    return _between(text, [line for results in _kept_in(folder) for line in _machine(results)])


def readme(text: str, folder: Path = RESULTS) -> str:
    """``README.md`` with its figures made anew."""
    lines: list[str] = []
    for results in _kept_in(folder):
        machine = results[0].machine
        lines += ["", f"{machine['cpu']}, {machine['cores']} cores:", "", *_headlines.table(results)]
    return _between(text, lines[1:])


def write_pages(page_path: Path = PAGE, readme_path: Path = README, folder: Path = RESULTS) -> None:
    """Write the tables of both."""
    for path, made in ((page_path, page), (readme_path, readme)):
        path.write_text(made(path.read_text(encoding="utf-8"), folder), encoding="utf-8")


def _kept_in(folder: Path) -> list[list[Result]]:
    return [load(path) for path in sorted(folder.glob("*.json"))]


def _between(text: str, lines: Sequence[str]) -> str:
    """The text with other lines between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(lines)
    return f"{before}{BEGIN}\n\n{tables or 'Nothing is kept yet.'}\n\n{END}{after}"


def _machine(results: Sequence[Result]) -> Iterator[str]:
    yield f"### {results[0].machine['cpu']}, {results[0].machine['cores']} cores"
    yield ""
    for result in results:
        yield f"#### {result.bench}"
        yield ""
        yield f"{machine_line(result.machine)}. `python -m bench {result.bench}`."
        yield ""
        yield from _table(result)
        if result.missing:
            yield ""
            yield "; ".join(f"{peer}: {why}" for peer, why in result.missing.items()) + "."
        if result.claims:
            yield ""
            yield from (f"- {_bold(verdict(claim), not claim.holds)}" for claim in result.claims)
        if result.notes:
            yield ""
            yield from (f"- {note}" for note in result.notes)
        yield ""


def _table(result: Result) -> Iterator[str]:
    """A line for each row of ours: ratios first, each with the peer's median."""
    beside: dict[str, list[str]] = {}
    for what, who, figure, times in result.ratios():
        peer = result.row(what, who)
        assert peer is not None
        median = number(peer.spread(figure).median, figure)
        beside.setdefault(what, []).append(f"**{factor(times)}** {who} ({median})")
    yield "| what | times better than | ours: median (best, worst) | p99, p99.9, max (median) | disturbed |"
    yield "|---|---|---:|---:|---:|"
    for row in result.rows:
        if row.who == OURS:
            disturbed = f"{row.disturbed} of {len(row.runs)}" if row.disturbed else ""
            peers = "; ".join(beside.get(row.what, ()))
            yield f"| {row.what} | {peers} | {_spread(row)} | {_tail(row)} | {disturbed} |"


def _spread(row: Row) -> str:
    best, median, worst = (number(value, row.main) for value in row.spread(row.main))
    memory = f", {row.spread(MEMORY).worst:,.0f} MiB" if MEMORY in row.figures else ""
    return f"{median} ({best}, {worst}){memory}"


def _tail(row: Row) -> str:
    figures = [figure for figure in TAILS if figure in row.figures]
    return ", ".join(number(row.spread(figure).median, figure) for figure in figures)


def _bold(text: str, is_bold: bool) -> str:
    return f"**{text}**" if is_bold else text
