"""A result as people read it: ratios first, then the claims, then every row with its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bench._machine import machine_line
from bench._result import OURS, RATE, Claim, Result, Row

COUNTED: Final = ("instructions", "compiled", "lines", "compiled_lines")  # of ``bench.instructions``


def number(value: float, figure: str) -> str:
    """A value with its unit, to three digits or whole."""
    if figure.endswith(RATE):
        return f"{value / 1e6:,.2f} M/s" if value >= 1e6 else f"{value:,.0f} /s"
    if figure in COUNTED:
        return f"{value:,.0f}"
    if figure.endswith("ns"):
        return _time(value)
    if figure.endswith("mib"):
        return f"{value:,.1f} MiB"
    if figure.endswith("share"):
        return f"{value:.2%}"
    return f"{value:,.2f} s" if figure == "s" or figure.endswith("_s") else f"{value:,g}"


def _time(ns: float) -> str:
    for limit, divisor, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if ns < limit:
            scaled = ns / divisor
            return f"{scaled:,.0f} {unit}" if scaled >= 100 else f"{scaled:.3g} {unit}"
    return f"{ns / 1e9:,.2f} s"


def factor(times: float) -> str:
    """How many times better; below one, worse."""
    return f"{times:.1f}x" if times >= 1 else f"{times:.2g}x"


def verdict(claim: Claim) -> str:
    """One line of a claim."""
    sign = ">=" if claim.at_least else "<="
    word = "holds         " if claim.holds else "DOES NOT HOLD "
    return f"{word} {claim.text}: {claim.value:,.4g} {sign} {claim.limit:,.4g}"


def disturbed(row: Row) -> str:
    """What to say about the runs that were interrupted; empty when none was."""
    if not row.disturbed:
        return ""
    return f"disturbed: {row.disturbed} of {len(row.runs)} runs, {sum(row.switches)} switches"


def lines(result: Result) -> Iterator[str]:
    """The whole result."""
    yield f"== {result.bench}"
    yield f"   {machine_line(result.machine)}"
    ratios = result.ratios()
    if ratios:
        yield "ratios (median of interleaved pairs)"
        for what, peer, figure, times in ratios:
            yield f"  {factor(times):>8}  {what}: {figure} against {peer}"
    for peer, why in result.missing.items():
        yield f"  peer {peer}: {why}"
    if result.claims:
        yield "claims (of the best run, unless they are ratios)"
        yield from (f"  {verdict(claim)}" for claim in result.claims)
    yield "rows: best / median / worst of the runs"
    for row in result.rows:
        yield f"  {row.what} | {'ours' if row.who == OURS else row.who}   {disturbed(row)}".rstrip()
        for figure in row.figures:
            shown = " / ".join(number(value, figure) for value in row.spread(figure))
            yield f"      {figure:<18}{shown}"
    yield from (f"  note: {note}" for note in result.notes)


def compared(new: Sequence[Result], old: Sequence[Result]) -> Iterator[str]:
    """What has changed since: medians of our rows, and the ratios, which noise harms less."""
    before = {result.bench: result for result in old}
    for result in new:
        was = before.get(result.bench)
        if was is None:
            yield f"{result.bench}: not in the old results"
            continue
        yield f"{result.bench}: before {machine_line(was.machine)}"
        for row in result.rows:
            other = was.row(row.what, row.who)
            if row.who != OURS or other is None or row.main not in other.figures:
                continue
            now, then = row.spread(row.main).median, other.spread(row.main).median
            change = (now / then - 1) if then else 0.0
            shown = f"{number(then, row.main)} -> {number(now, row.main)} ({change:+.0%})"
            yield f"  {row.what} | {row.main}: {shown}"
        then_ratios = {(what, peer): times for what, peer, _, times in was.ratios()}
        for what, peer, _, times in result.ratios():
            if (what, peer) in then_ratios:
                yield f"  {what} | against {peer}: {factor(then_ratios[what, peer])} -> {factor(times)}"
