"""The summary of a paper run, in the order a trader asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from engine.records import Trust
from engine.units import PPM
from procs.cli import render_values as show
from procs.cli.render_funnel import funnel_sections, story
from procs.cli.render_table import (
    Column,
    pairs,
    paragraph,
    right,
    section,
    table,
    title,
    verdict,
    wrapping,
)
from procs.paper_result import DataSeen, KindCount, Outcome, PaperResult, PlantedOutcome, VenueAccount
from procs.recording import LACKS

FILES_SHOWN_MAX: Final = 8
SIZE_HEADINGS: Final = ("under 10", "10 to 99", "100 to 999", "1,000 up")  # of SIZE_CLASSES
NOT_A_CANDIDATE: Final = "not a candidate"
REAL: Final = "real recorded market data"
SYNTHETIC: Final = "SYNTHETIC: what it earns was planted"

TRUST_WORDS: Final[Mapping[str, str]] = {
    Trust.LIVE.name.lower(): "agrees with everything the venue said: tradable",
    Trust.UNSYNCED.name.lower(): "no opening snapshot: applied, checked and shown, never traded",
    Trust.SUSPECT.name.lower(): "in doubt: not traded until a newer snapshot",
    Trust.RESYNC.name.lower(): "being synchronised anew: not traded",
    Trust.DEAD.name.lower(): "gone: closed, or given up",
}


def summary(result: PaperResult) -> list[RenderableType]:
    """Everything about one input."""
    parts: list[RenderableType] = [
        "",
        title(f"{result.name} ({SYNTHETIC if result.synthetic else REAL})"),
        section("Data", _data(result.data)),
        section("Books at the end", _books(result.books_by_trust)),
        section("Opportunities", *_opportunities(result)),
        *_edges(result),
        *funnel_sections(result.funnel, with_kinds=False),
    ]
    if not any(outcome.fills for outcome in result.outcomes):
        parts.append(section("No trades", paragraph(story(result.funnel, result.relations_refused))))
    parts.append(section("Result by latency", *_outcomes(result)))
    parts.append(section("Cash", _cash(result.outcomes)))
    if result.planted:
        parts += _planted(result.planted)
    parts.append(section("Processing", _processing(result)))
    return parts


def _data(data: DataSeen) -> RenderableType:
    rejected, ignored = show.count(data.rejected_frames), show.count(data.ignored_frames)
    rows = [
        ("files", _files(data.files)),
        (
            "frames",
            f"{show.count(data.frames)} ({rejected} rejected, {ignored} of types without book content)",
        ),
        ("level writes", show.count(data.level_writes)),
        ("markets", show.count(data.markets)),
        ("time", _time(data)),
        ("sequence gaps", show.count(data.seq_gaps)),
    ]
    if data.aligned:
        rows.append(("aligned", "the files were moved in time to a common start"))
    for index, name in enumerate(data.lacks):
        rows.append(("" if index else "never recorded", LACKS.get(name, name)))
    if data.defaulted:
        rows.append(("defaults used", f"for so many markets: {', '.join(data.defaulted)}"))
    return pairs(rows)


def _files(files: Sequence[str]) -> str:
    if not files:
        return "none: made by the simulator"
    names = ", ".join(Path(name).name for name in files[:FILES_SHOWN_MAX])
    more = len(files) - FILES_SHOWN_MAX
    return names + (f" and {show.count(more)} more" if more > 0 else "")


def _time(data: DataSeen) -> str:
    if not data.frames:
        return show.NOTHING
    between = f"{show.moment(data.first_ns)} to {show.moment(data.last_ns)}"
    return f"{between} ({show.span(data.last_ns - data.first_ns)})"


def _books(by_trust: Mapping[str, int]) -> RenderableType:
    """Live ones first, then in the order of TRUST_WORDS."""
    words = [*TRUST_WORDS, *(trust for trust in by_trust if trust not in TRUST_WORDS)]
    rows = [
        (trust, show.count(by_trust[trust]), TRUST_WORDS.get(trust, ""))
        for trust in words
        if by_trust.get(trust)
    ]
    columns = (Column("trust"), right("markets"), wrapping("in words"))
    return table(columns, rows) if rows else paragraph("None: no market was seen.")


def _opportunities(result: PaperResult) -> Iterable[RenderableType]:
    rows = [(kind, *_kind_cells(found)) for kind, found in _kinds(result)]
    if not rows:
        yield paragraph("None was looked at.")
        return
    names = ("looked at", "signals", "plans", "complete", "unwound", "contracts", "profit planned")
    yield table((Column("kind"), *map(right, names)), rows)


def _kinds(result: PaperResult) -> list[tuple[str, KindCount]]:
    """What was found of each kind, and of all when there are several."""
    found = [(kind, count) for kind, count in result.kinds.items() if count != KindCount()]
    total = KindCount()
    for _, count in found:
        total.add(count)
    return [*found, ("all", total)] if len(found) > 1 else found


def _kind_cells(found: KindCount) -> tuple[str, ...]:
    numbers = (found.candidates, found.signals, found.plans, found.complete, found.unwound)
    profit = show.gain(found.profit_micros)
    return (*map(show.count, numbers), show.contracts(found.size_e6), profit)


def _edges(result: PaperResult) -> Iterable[RenderableType]:
    """How many had an edge, whatever stood in the way; and how large those were that had nothing in it."""
    kinds = _kinds(result)
    if not kinds:
        return
    names = ["looked at", "before fees", "after fees"]
    sized = any(count.signals for _, count in kinds)
    if sized:
        names += SIZE_HEADINGS
    rows = []
    for kind, count in kinds:
        numbers = [count.candidates, count.edge_gross, count.edge_net]
        if sized:
            numbers += count.signals_by_size.values()
        rows.append((kind, *map(show.count, numbers)))
    said = "Candidates with an edge at the best prices, before and after fees, whatever stood in the way"
    said += "; signals by contracts a leg." if sized else "."
    columns = (Column("kind"), *map(right, names))
    yield section("Edges and sizes" if sized else "Edges", table(columns, rows), paragraph(said))


Row = tuple[str, Callable[[Outcome], str]]
OUTCOME_ROWS: Final[tuple[Row, ...]] = (
    ("orders", lambda one: show.count(one.orders)),
    ("fills", lambda one: show.count(one.fills)),
    ("fees paid", lambda one: show.dollars(one.fees_micros, show.PROFIT_DECIMALS)),
    ("realised, after fees", lambda one: show.gain(one.realised_micros)),
    ("held: cost (locked)", lambda one: show.dollars(one.cost_held_micros, show.PROFIT_DECIMALS)),
    ("held: would bring now", lambda one: show.dollars(one.marked_micros, show.PROFIT_DECIMALS)),
    ("unrealised", lambda one: show.gain(one.unrealised_micros)),
    ("deepest drawdown", lambda one: show.share(one.drawdown_ppm, PPM) + " !" * one.drawdown_warns),
    ("profit and loss", lambda one: show.gain(one.realised_micros + one.unrealised_micros)),
)
# Shown when they say something of any run.
RARE_ROWS: Final[tuple[tuple[Row, Callable[[Outcome], object]], ...]] = (
    (("orders that came too late", lambda one: show.count(one.late_legs)), lambda one: one.late_legs),
    (("stopped by", lambda one: one.stopped_by or show.NOTHING), lambda one: one.stopped_by),
)


def _outcomes(result: PaperResult) -> Iterable[RenderableType]:
    """Profit and loss side by side, and how the orders ended."""
    outcomes = result.outcomes
    columns = (Column(""), *(right(f"{outcome.latency_scale}x") for outcome in outcomes))
    shown = [*OUTCOME_ROWS, *(row for row, matters in RARE_ROWS if any(map(matters, outcomes)))]
    yield table(columns, [(name, *map(cell, outcomes)) for name, cell in shown])
    statuses = result.order_statuses.items()
    said = ", ".join(f"{show.count(times)} {status}" for status, times in statuses if times)
    if said:
        yield paragraph(f"Orders at 1x: {said}.")
    if not any(outcome.orders for outcome in result.outcomes):
        yield paragraph("No order was sent: the same at any latency, and run at 1x only.")


def _cash(outcomes: Sequence[Outcome]) -> RenderableType:
    """Accounts at 1x, and those of another latency where ledger and venue differ."""
    rows: list[tuple[str | Text, ...]] = []
    for outcome in outcomes:
        for venue, account in outcome.accounts.items():
            if outcome is outcomes[0] or account.closing_micros != account.venue_says_micros:
                rows.append((venue, f"{outcome.latency_scale}x", *_account_cells(account)))
    names = ("at start", "fees", "at end", "venue says", "difference")
    return table((Column("venue"), right("latency"), *map(right, names)), rows)


def _account_cells(account: VenueAccount) -> tuple[str | Text, ...]:
    difference = account.closing_micros - account.venue_says_micros
    return (
        show.dollars(account.opening_micros),
        show.dollars(account.fees_micros),
        show.dollars(account.closing_micros),
        show.dollars(account.venue_says_micros),
        verdict(show.gain(difference, show.MICROS_DECIMALS) if difference else "none", good=not difference),
    )


def _planted(planted: Sequence[PlantedOutcome]) -> Iterable[RenderableType]:
    opportunities = [one for one in planted if one.expected_size_e6 or one.late_legs]
    near_misses = [one for one in planted if not (one.expected_size_e6 or one.late_legs)]
    if opportunities:
        columns = (
            Column(""),
            Column("planted"),
            *map(right, ("contracts", "profit", "fees")),
            wrapping("got"),
        )
        yield section("Planted opportunities", table(columns, map(_opportunity_cells, opportunities)))
    if near_misses:
        columns = (Column(""), Column("planted"), wrapping("must fail by"), wrapping("got"))
        yield section("Planted near misses", table(columns, map(_near_miss_cells, near_misses)))


def _opportunity_cells(one: PlantedOutcome) -> tuple[str | Text, ...]:
    expected = (one.expected_size_e6, one.expected_profit_micros, one.expected_fees_micros)
    same = one.as_expected and expected == (one.traded_size_e6, one.profit_micros, one.fees_micros)
    return (
        _ok(one),
        one.name,
        show.contracts(one.expected_size_e6),
        show.gain(one.expected_profit_micros, show.MICROS_DECIMALS),
        show.dollars(one.expected_fees_micros),
        "exactly that" if same else _came(one),
    )


def _near_miss_cells(one: PlantedOutcome) -> tuple[str | Text, ...]:
    """Of what was said about a near miss that failed as it had to, only what had to be said."""
    expected = " or ".join(one.expected_reasons) or NOT_A_CANDIDATE
    said = [reason for reason in one.reasons if reason in one.expected_reasons]
    return _ok(one), one.name, expected, _came(replace(one, reasons=tuple(said)) if one.as_expected else one)


def _ok(one: PlantedOutcome) -> Text:
    return verdict("ok", good=True) if one.as_expected else verdict("WRONG", good=False)


def _came(one: PlantedOutcome) -> str:
    """What came of a planting."""
    if not (one.traded_size_e6 or one.profit_micros or one.fees_micros):
        return "no trade: " + (", ".join(one.reasons) or NOT_A_CANDIDATE)
    profit = show.gain(one.profit_micros, show.MICROS_DECIMALS)
    return f"{show.contracts(one.traded_size_e6)} for {profit}, fees {show.dollars(one.fees_micros)}"


def _processing(result: PaperResult) -> RenderableType:
    return pairs(
        [
            ("decisions", show.count(result.decisions)),
            ("rate", f"{show.count(round(result.frames_per_s))} frames/s through all stages, at 1x"),
            ("took", show.span(round(result.wall_s * 1e9))),
            ("peak memory", show.memory(result.peak_rss_bytes)),
        ]
    )


def faults(results: Iterable[PaperResult]) -> list[str]:
    """One line for each thing that is not as it must be."""
    return [fault for result in results for fault in _faults_of(result)]


def _faults_of(result: PaperResult) -> Iterable[str]:
    if result.damage is not None:
        yield result.damage  # frames that stand for what it lost are among those that were rejected
    elif result.data.rejected_frames and not result.is_live:
        yield f"{result.name}: {show.unreadable(result.data.rejected_frames)}"
    for outcome in result.outcomes:
        for venue, account in outcome.accounts.items():
            difference = account.closing_micros - account.venue_says_micros
            if difference:
                where = f"{result.name}: {venue} at {outcome.latency_scale}x latency"
                yield f"{where}: our cash less the venue's is {show.gain(difference, show.MICROS_DECIMALS)}"
        where = f"{result.name} at {outcome.latency_scale}x latency"
        yield from (f"{where}: {difference}" for difference in outcome.differences)
    wrong = [planted.name for planted in result.planted if not planted.as_expected]
    yield from _wrong_plantings(result, result.name, wrong)
    for outcome in result.outcomes[1:]:
        where = f"{result.name} at {outcome.latency_scale}x latency"
        yield from _wrong_plantings(result, where, outcome.plantings_wrong)


def _wrong_plantings(result: PaperResult, where: str, wrong: Sequence[str]) -> Iterable[str]:
    if wrong:
        planted = f"{len(wrong)} of {show.plural(len(result.planted), 'planting')}"
        yield f"{where}: {planted} not as expected: {', '.join(wrong)}"


def closing(results: Sequence[PaperResult]) -> list[RenderableType]:
    """Last lines: one for each input."""
    rows = [(result.name, _verdict(result), _in_short(result)) for result in results]
    return [section("In short", table((Column(""), Column(""), wrapping("")), rows, headed=False))]


def _verdict(result: PaperResult) -> Text:
    if not any(True for _ in _faults_of(result)):
        return verdict("ok", good=True)
    sound = replace(result, damage=None, data=replace(result.data, rejected_frames=0))
    only_damage = not any(True for _ in _faults_of(sound))
    return verdict("DAMAGED" if only_damage else "NOT AS EXPECTED", good=False)


def _in_short(result: PaperResult) -> str:
    if not result.outcomes:
        return ""
    first = result.outcomes[0]
    profit = show.gain(first.realised_micros + first.unrealised_micros)
    said = [show.plural(first.fills, "fill"), f"{profit} after fees"]
    if result.planted:
        right_ones = sum(planted.as_expected for planted in result.planted)
        said.append(f"{right_ones} of {show.plural(len(result.planted), 'planting')} as expected")
    return ", ".join(said)
