"""What speaks against a signal before anything is computed."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.declared import is_contradicted
from engine.catalog.catalog import MarketFlag
from engine.optimizer.levels import Rows
from engine.reasons import Reason
from engine.records import LEGS_MAX, MarketState, TopFlag, Trust

_TRADABLE: Final = MarketFlag.IN_USE | MarketFlag.OPEN


def objection(head: np.void, legs: Rows, books: Rows, markets: Rows, now_ns: int) -> Reason:
    """First of: deadline, legs (number, a market twice), then leg by leg closed, not live, crossed, size.

    ``head``: SIGNAL_HEAD, ``legs``: its SIGNAL_LEG records; books and markets by slot.
    """
    if now_ns > head["deadline_ns"]:
        return Reason.DEADLINE_PASSED
    if not 0 < len(legs) <= LEGS_MAX or len(set(legs["slot"].tolist())) != len(legs):
        return Reason.TOO_MANY_LEGS
    for leg in legs:
        reason = _leg_objection(leg, books[leg["slot"]], markets[leg["slot"]])
        if reason is not Reason.NONE:
            return reason
    return Reason.NONE


def _leg_objection(leg: np.void, book: np.void, market: np.void) -> Reason:
    current = market["generation"] == leg["generation"] == book["generation"]
    is_open = book["market_state"] == MarketState.OPEN and int(market["flags"]) & _TRADABLE == _TRADABLE
    if not current or not is_open:
        return Reason.MARKET_CLOSED
    if book["trust"] != Trust.LIVE:
        return Reason.BOOK_NOT_LIVE
    if is_contradicted(int(book["flags"])):
        return Reason.TOP_DISAGREES
    if int(book["flags"]) & TopFlag.CROSSED:
        return Reason.BOOK_CROSSED
    if int(book["flags"]) & TopFlag.SIZE_UNKNOWN:
        return Reason.SIZE_UNKNOWN
    return Reason.NONE


def has_moved(legs: Rows, books: Rows) -> bool:
    """Whether a book has changed since the signal read it."""
    now = books[legs["slot"]]
    return bool((now["epoch"] != legs["epoch"]).any() or (now["update_count"] != legs["update_count"]).any())
