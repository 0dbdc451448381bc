"""What became of each planting of a synthetic session, from decisions and fills as they happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.catalog.catalog import Catalog
from engine.reasons import Reason, label
from engine.records import Direction, ReportKind
from engine.sim.session.build import Planting
from engine.sim.session.optimum import Optimum
from engine.sim.session.scenario import Expected
from procs.paper_result import PlantedOutcome

_NOTHING = Optimum(0, 0, 0, ())


@dataclass(slots=True)
class _Leg:
    """What became of one market of a planting; times are the venue's, 0 never."""

    bought_e6: int = 0
    sold_e6: int = 0
    filled_ns: int = 0  # the last purchase
    refused_ns: int = 0  # the last order that found too little


@dataclass(slots=True)
class _Traded:
    """Fills of one planting: by market; cash in less cash out, fees."""

    legs: dict[int, _Leg] = field(default_factory=lambda: defaultdict(_Leg))
    cash_micros: int = 0
    fees_micros: int = 0
    reasons: set[int] = field(default_factory=set)


class SessionWatch:
    """Attributes decisions and fills to plantings by market and time; windows of a market do not overlap."""

    def __init__(self, plantings: Sequence[Planting], catalog: Catalog) -> None:
        self._plantings = plantings
        self._traded = [_Traded() for _ in plantings]
        self._slots: list[tuple[int, ...]] = []  # of the planting's markets, in their order
        self._of_slot: dict[int, list[int]] = defaultdict(list)
        for index, planting in enumerate(plantings):
            found = (catalog.find(venue, symbol) for venue, symbol in planting.markets)
            slots = tuple(ref.slot for ref in found if ref is not None)
            self._slots.append(slots)
            for slot in slots:
                self._of_slot[slot].append(index)

    def on_decision(self, decision: np.void) -> None:
        """Note the reason of a DECISION about what was planted; other kinds look at the same markets."""
        index = self._find(int(decision["slot"]), int(decision["decided_ns"]))
        if index is None or int(decision["reason"]) == Reason.NONE:
            return
        if int(decision["kind"]) in self._plantings[index].expected.kinds:
            self._traded[index].reasons.add(int(decision["reason"]))

    def on_report(self, report: np.void) -> None:
        """Note a trade of a planted market, or an order that came too late for one.

        Conversions and payments are not trades.
        """
        slot, at_ns = int(report["slot"]), int(report["venue_ns"])
        index = self._find(slot, at_ns)
        if index is None:
            return
        traded = self._traded[index]
        leg = traded.legs[slot]
        if int(report["kind"]) == ReportKind.REJECTED and int(report["reason"]) == Reason.FOK_UNFILLED:
            leg.refused_ns = at_ns
        if int(report["kind"]) != ReportKind.FILLED:
            return
        cash = int(report["cash_micros"])
        if int(report["direction"]) == Direction.BUY:
            leg.bought_e6 += int(report["fill_size_e6"])
            leg.filled_ns = at_ns
            traded.cash_micros -= cash
        else:
            leg.sold_e6 += int(report["fill_size_e6"])
            traded.cash_micros += cash
        traded.fees_micros += int(report["fee_micros"])

    def reasons(self) -> tuple[tuple[int, ...], ...]:
        """Reason codes noted for each planting, in the order of time."""
        return tuple(tuple(sorted(traded.reasons)) for traded in self._traded)

    def add_reasons(self, noted: Sequence[Sequence[int]]) -> None:
        """Take over what another watch of the same plantings has noted."""
        for traded, codes in zip(self._traded, noted, strict=True):
            traded.reasons.update(codes)

    def outcomes(self) -> tuple[PlantedOutcome, ...]:
        """One line for each planting, in the order of time."""
        rows = zip(self._plantings, self._traded, self._slots, strict=True)
        return tuple(_outcome(planting, traded, slots) for planting, traded, slots in rows)

    def _find(self, slot: int, at_ns: int) -> int | None:
        for index in self._of_slot.get(slot, ()):
            planting = self._plantings[index]
            if planting.at_ns <= at_ns <= planting.until_ns:
                return index
        return None


def _outcome(planting: Planting, traded: _Traded, slots: Sequence[int]) -> PlantedOutcome:
    expected = planting.expected
    legs = [traded.legs.get(slot, _Leg()) for slot in slots]
    late = [leg.refused_ns > 0 for leg in legs]
    optimum = _known(expected, late)
    sizes = [leg.bought_e6 + leg.sold_e6 for leg in legs]
    if any(late):
        sizes = [leg.bought_e6 - leg.sold_e6 for leg in legs]
    size = min(sizes, default=0)
    profit = traded.cash_micros - traded.fees_micros + expected.payoff_micros * size // 10**6
    even = max(sizes, default=0) == size
    if expected.optimum is None:
        said = traded.reasons & set(map(int, expected.reasons))
        fits = not any(sizes) and bool(said) == bool(expected.reasons)
        fits = fits and (bool(expected.reasons) or not traded.reasons)
    else:
        got = (size, profit, traded.fees_micros)
        fits = even and got == (optimum.size_e6, optimum.profit_micros, optimum.fees_micros)
        fits = fits and _in_time(planting, legs)
    return PlantedOutcome(
        name=planting.name,
        kinds=tuple(kind.name.lower() for kind in expected.kinds),
        expected_size_e6=optimum.size_e6,
        traded_size_e6=max(sizes, default=0) if not even else size,
        expected_profit_micros=optimum.profit_micros,
        profit_micros=profit,
        expected_fees_micros=optimum.fees_micros,
        fees_micros=traded.fees_micros,
        expected_reasons=tuple(reason.name.lower() for reason in expected.reasons),
        reasons=tuple(label(code) for code in sorted(traded.reasons)),
        as_expected=fits,
        late_legs=sum(late),
    )


def _known(expected: Expected, late: Sequence[bool]) -> Optimum:
    """What has to come of a planting of which these legs came too late: all of it, or a few round trips."""
    if not any(late):
        return expected.optimum or _NOTHING
    trips = [trip for trip, missed in zip(expected.round_trips, late, strict=False) if not missed]
    loss, fees = sum(trip.loss_micros for trip in trips), sum(trip.fees_micros for trip in trips)
    return Optimum(0, -loss, fees, ())


def _in_time(planting: Planting, legs: Sequence[_Leg]) -> bool:
    """Whether exactly the orders that came before their market's levels were gone have filled."""
    if not planting.gone_ns:
        return not any(leg.refused_ns for leg in legs)
    return all(
        (leg.filled_ns > 0) != (leg.refused_ns > 0)
        and leg.filled_ns < gone_ns
        and (not leg.refused_ns or leg.refused_ns >= gone_ns)
        for leg, gone_ns in zip(legs, planting.gone_ns, strict=True)
    )
