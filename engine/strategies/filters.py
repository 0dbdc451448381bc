"""Filters on the books of a candidate: are they to be trusted, open, sound, fresh, and two-sided enough."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.book.declared import is_contradicted
from engine.catalog.catalog import MarketFlag
from engine.config import StrategyConfig
from engine.execution.terms import side_taken
from engine.jit import inlined
from engine.optimizer.levels import Rows
from engine.reasons import Reason
from engine.records import MarketState, Side, SignalKind, TopFlag, Trust

TERMS: Final = np.dtype(
    [
        ("capital_rate_ppm", "<i8"),  # a year
        ("book_age_max_ns", "<i8"),
        ("leg_skew_max_ns", "<i8"),
        ("deadline_ns", "<i8"),
        ("min_size_e6", "<i8"),
        ("max_legs", "<i8"),
        ("min_edge_micros", "<i8", (max(SignalKind) + 1,)),
    ]
)


class State(NamedTuple):
    """What a scan reads, by slot."""

    markets: Rows  # MARKET_ROW
    books: Rows  # BOOK_ROW
    terms: Rows  # [1] TERMS


NOT_LIVE: Final = int(Reason.BOOK_NOT_LIVE)
CLOSED: Final = int(Reason.MARKET_CLOSED)
DISAGREES: Final = int(Reason.TOP_DISAGREES)
CROSSED: Final = int(Reason.BOOK_CROSSED)
MIRROR: Final = int(Reason.MIRROR_BOOK)
STALE: Final = int(Reason.BOOK_STALE)
APART: Final = int(Reason.LEGS_TOO_FAR_APART)
ONE_SIDED: Final = int(Reason.ONE_SIDED)
SIZE_UNKNOWN: Final = int(Reason.SIZE_UNKNOWN)

_LIVE: Final = int(Trust.LIVE)
_OPEN: Final = int(MarketState.OPEN)
_TRADABLE: Final = int(MarketFlag.IN_USE | MarketFlag.OPEN)
_CROSSED: Final = int(TopFlag.CROSSED)
_UNKNOWN: Final = int(TopFlag.SIZE_UNKNOWN)
_ASK: Final = int(Side.ASK)


def terms_of(config: StrategyConfig) -> Rows:
    """TERMS of a configuration, as an array of one."""
    terms: Rows = np.zeros(1, TERMS)
    terms["capital_rate_ppm"] = config.capital_cost_rate_ppm
    for name in ("book_age_max_ns", "leg_skew_max_ns", "deadline_ns", "min_size_e6", "max_legs"):
        terms[name] = getattr(config, name)
    for kind in SignalKind:
        terms[0]["min_edge_micros"][kind] = config.min_edge_micros.of(kind)
    return terms


@inlined
def distrust(legs: Rows, n_legs: int, state: State) -> int:
    """Reason not to believe the books of these SIGNAL_LEG records, 0 when none.

    Not live, closed, another best price than the venue declared with the last frame, or crossed.
    """
    closed = False
    disagrees = False
    crossed = False
    for leg in range(n_legs):
        slot = legs[leg]["slot"]
        book = state.books[slot]
        market = state.markets[slot]
        if book["trust"] != _LIVE or book["generation"] != legs[leg]["generation"]:
            return NOT_LIVE
        is_open = market["flags"] & _TRADABLE == _TRADABLE and book["market_state"] == _OPEN
        closed = closed or not is_open or market["generation"] != legs[leg]["generation"]
        disagrees = disagrees or is_contradicted(int(book["flags"]))
        crossed = crossed or book["flags"] & _CROSSED != 0
    if closed:
        return CLOSED
    if disagrees:
        return DISAGREES
    return CROSSED if crossed else 0


@inlined
def staleness(legs: Rows, n_legs: int, state: State, now_ns: int) -> int:
    """Reason by age: the oldest book against now, then against the newest; 0 when fresh."""
    terms = state.terms[0]
    oldest = now_ns
    newest = 0
    for leg in range(n_legs):
        heard = int(state.books[legs[leg]["slot"]]["recv_ns"])
        oldest = min(oldest, heard)
        newest = max(newest, heard)
    # the limits are taken from the times: a difference of times that are garbage may pass 2**63
    if oldest < now_ns - int(terms["book_age_max_ns"]):
        return STALE
    return APART if oldest < newest - int(terms["leg_skew_max_ns"]) else 0


@inlined
def emptiness(legs: Rows, n_legs: int, state: State) -> int:
    """Reason when a leg finds nothing on its side, or a size that the data never had; 0 when neither."""
    unknown = False
    for leg in range(n_legs):
        book = state.books[legs[leg]["slot"]]
        asks = side_taken(int(np.int64(legs[leg]["direction"])), int(np.int64(legs[leg]["outcome"]))) == _ASK
        if (book["n_asks"] if asks else book["n_bids"]) == 0:
            return ONE_SIDED
        unknown = unknown or book["flags"] & _UNKNOWN != 0
    return SIZE_UNKNOWN if unknown else 0
