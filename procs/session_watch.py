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
from procs.paper_result import PlantedOutcome

_NOTHING = Optimum(0, 0, 0, ())


@dataclass(slots=True)
class _Traded:
    """Fills of one planting: size by market, cash in less cash out, fees."""

    size_e6: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    cash_micros: int = 0
    fees_micros: int = 0
    reasons: set[int] = field(default_factory=set)


class SessionWatch:
    """Attributes decisions and fills to plantings by market and time; windows of a market do not overlap."""

    def __init__(self, plantings: Sequence[Planting], catalog: Catalog) -> None:
        self._plantings = plantings
        self._traded = [_Traded() for _ in plantings]
        self._slots: list[frozenset[int]] = []
        self._of_slot: dict[int, list[int]] = defaultdict(list)
        for index, planting in enumerate(plantings):
            found = (catalog.find(venue, symbol) for venue, symbol in planting.markets)
            slots = frozenset(ref.slot for ref in found if ref is not None)
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
        """Note a trade of a planted market; conversions and payments are not trades."""
        if int(report["kind"]) != ReportKind.FILLED:
            return
        index = self._find(int(report["slot"]), int(report["venue_ns"]))
        if index is None:
            return
        traded = self._traded[index]
        cash = int(report["cash_micros"])
        traded.size_e6[int(report["slot"])] += int(report["fill_size_e6"])
        traded.cash_micros += -cash if int(report["direction"]) == Direction.BUY else cash
        traded.fees_micros += int(report["fee_micros"])

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


def _outcome(planting: Planting, traded: _Traded, slots: frozenset[int]) -> PlantedOutcome:
    expected = planting.expected
    optimum = expected.optimum or _NOTHING
    sizes = [traded.size_e6.get(slot, 0) for slot in slots]
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
    )
