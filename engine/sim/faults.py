"""Bad days, planned: what goes wrong with which request, report and trade, from a seed or from a script.

Rates are in ppm. A script names requests by their number (NEW and CONVERT, from 1, in order of sending)
and wins over the rates. The plan only decides; the venue does the harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from engine.sim.seeded import below, chance, draw
from engine.typed_tree import bounded
from engine.units import NS_PER_S, PPM


class Fault(IntFlag):
    """What can go wrong."""

    NONE = 0
    REJECT = 1  # the venue refuses a good order
    LOSE_REQUEST = 2  # it never arrives; we are told UNKNOWN
    LOSE_REPORT = 4  # everything the venue says of it at once is lost; we are told UNKNOWN
    DUPLICATE = 8  # a report arrives twice
    DELAY = 16  # a report arrives late
    REORDER = 32  # a report overtakes, or is overtaken
    PARTIAL = 64  # others were faster: only part of the liquidity is left
    FAIL_TRADE = 128  # matched, and void at settlement
    FAIL_CONVERT = 256  # the conversion is refused


_REQUEST_FAULTS: Final = (
    Fault.REJECT,
    Fault.LOSE_REQUEST,
    Fault.LOSE_REPORT,
    Fault.PARTIAL,
    Fault.FAIL_CONVERT,
)
_REPORT_FAULTS: Final = (Fault.DUPLICATE, Fault.DELAY, Fault.REORDER)
_REQUEST_WORD: Final = 11
_REPORT_WORD: Final = 12
_TRADE_WORD: Final = 13
_SHARE_WORD: Final = 14


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Probability of each fault in ppm, and how late a late report is at most."""

    reject_ppm: int = bounded(0, 0, PPM)
    lose_request_ppm: int = bounded(0, 0, PPM)
    lose_report_ppm: int = bounded(0, 0, PPM)
    duplicate_ppm: int = bounded(0, 0, PPM)
    delay_ppm: int = bounded(0, 0, PPM)
    reorder_ppm: int = bounded(0, 0, PPM)
    partial_ppm: int = bounded(0, 0, PPM)
    fail_trade_ppm: int = bounded(0, 0, PPM)
    fail_convert_ppm: int = bounded(0, 0, PPM)
    delay_max_ns: int = bounded(5 * NS_PER_S, 1, 3_600 * NS_PER_S)
    silence_ns: int = bounded(5 * NS_PER_S, 1, 3_600 * NS_PER_S)  # until a lost answer is called UNKNOWN


class FaultPlan:
    """Decides the faults of one venue's run."""

    def __init__(self, seed: int, rates: FaultRates, script: Mapping[int, Fault] | None = None) -> None:
        self.rates = rates
        self._seed = seed
        self._script = dict(script or {})
        self._rate_ppm = {fault: _rate(rates, fault) for fault in (*_REQUEST_FAULTS, *_REPORT_FAULTS)}

    def of_request(self, request_number: int) -> Fault:
        """Faults of the n-th request."""
        if request_number in self._script:
            return self._script[request_number]
        return self._drawn(_REQUEST_FAULTS, _REQUEST_WORD, request_number)

    def of_report(self, request_number: int, report_number: int) -> Fault:
        """Faults of one report; those scripted for a request hold for all its reports."""
        if request_number in self._script:
            return self._script[request_number] & (Fault.DUPLICATE | Fault.DELAY | Fault.REORDER)
        return self._drawn(_REPORT_FAULTS, _REPORT_WORD, report_number)

    def fails_trade(self, request_number: int, trade_id: int) -> bool:
        """Whether this trade will be void."""
        if request_number in self._script:
            return Fault.FAIL_TRADE in self._script[request_number]
        return chance(draw(self._seed, _TRADE_WORD, trade_id), self.rates.fail_trade_ppm)

    def delay_ns(self, report_number: int) -> int:
        """How late a delayed report is."""
        return 1 + below(draw(self._seed, _SHARE_WORD, report_number), self.rates.delay_max_ns)

    def partial_e6(self, request_number: int, size_e6: int) -> int:
        """What others left of ``size_e6`` for a request with PARTIAL: less than all of it."""
        return below(draw(self._seed, _SHARE_WORD, request_number, size_e6), max(size_e6, 1))

    def _drawn(self, faults: tuple[Fault, ...], word: int, number: int) -> Fault:
        drawn = Fault.NONE
        for fault in faults:
            if chance(draw(self._seed, word, int(fault), number), self._rate_ppm[fault]):
                drawn |= fault
        return drawn


def _rate(rates: FaultRates, fault: Fault) -> int:
    rate: int = getattr(rates, f"{str(fault.name).lower()}_ppm")
    return rate


NO_FAULTS: Final = FaultPlan(0, FaultRates())
