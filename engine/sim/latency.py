"""How long a request takes to a venue, and its answer back: seeded, per venue and per market.

A distribution is a lognormal given by its median and its 99th percentile, kept as a table of STRATA
equally likely times in integer nanoseconds. The table is made with decimal arithmetic, so it is the same
on every machine.

A recording shows a book when *we* received it, which is later than the venue had it. An order that is matched
against the recorded book therefore needs that age on top of its own way: configure the request time as both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from engine.sim.seeded import below, draw

STRATA: Final = 512
TABLES_MAX: Final = 1024  # distinct distributions kept ready
LATENCY_NS_MAX: Final = 3_600 * 10**9

_Z_E9: Final = tuple(round(NormalDist().inv_cdf((index + 0.5) / STRATA) * 10**9) for index in range(STRATA))
_Z99_E9: Final = round(NormalDist().inv_cdf(0.99) * 10**9)
_EXACT: Final = Context(prec=28)
_REQUEST_WORD: Final = 1
_REPORT_WORD: Final = 2


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Median and 99th percentile in ns; equal ones make a constant. ValueError unless 0 <= p50 <= p99."""

    p50_ns: int
    p99_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.p50_ns <= self.p99_ns <= LATENCY_NS_MAX:
            raise ValueError(f"latency p50 {self.p50_ns} ns, p99 {self.p99_ns} ns: expected 0 <= p50 <= p99")
        if self.p50_ns == 0 < self.p99_ns:
            raise ValueError("a latency whose median is 0 is always 0")

    def at(self, bits: int) -> int:
        """Time in ns for 64 drawn bits."""
        return _table(self.p50_ns, self.p99_ns)[below(bits, STRATA)]


@lru_cache(maxsize=TABLES_MAX)
def _table(p50_ns: int, p99_ns: int) -> tuple[int, ...]:
    if p50_ns == p99_ns:
        return (p50_ns,) * STRATA
    spread = _EXACT.divide(_EXACT.ln(_EXACT.divide(Decimal(p99_ns), Decimal(p50_ns))), Decimal(_Z99_E9))
    return tuple(
        int(_EXACT.multiply(Decimal(p50_ns), _EXACT.exp(_EXACT.multiply(spread, Decimal(z))))) for z in _Z_E9
    )


@dataclass(frozen=True, slots=True)
class Route:
    """Both ways of one venue or market."""

    request: Lognormal
    report: Lognormal


class LatencyModel:
    """Times of one venue. ``markets`` overrides ``route`` by slot; ``scale`` multiplies everything."""

    def __init__(
        self, seed: int, route: Route, markets: Mapping[int, Route] | None = None, scale: int = 1
    ) -> None:
        if scale < 1:
            raise ValueError(f"latency scale {scale} is below 1")
        self._seed = seed
        self._route = route
        self._markets = dict(markets or {})
        self._scale = scale

    def request_ns(self, slot: int, request_number: int) -> int:
        """Time from our sending to the venue's matching of the n-th request."""
        bits = draw(self._seed, _REQUEST_WORD, request_number)
        return self._markets.get(slot, self._route).request.at(bits) * self._scale

    def report_ns(self, slot: int, report_number: int) -> int:
        """Time from the venue's matching to our receiving of its n-th report."""
        bits = draw(self._seed, _REPORT_WORD, report_number)
        return self._markets.get(slot, self._route).report.at(bits) * self._scale
