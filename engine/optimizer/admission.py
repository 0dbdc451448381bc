"""What speaks against a signal before anything is computed."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.declared import is_contradicted
from engine.catalog.catalog import MarketFlag
from engine.jit import inlined, kernel
from engine.optimizer.levels import Rows
from engine.reasons import Reason
from engine.records import LEGS_MAX, Direction, MarketState, Outcome, TopFlag, Trust

_TRADABLE: Final = int(MarketFlag.IN_USE | MarketFlag.OPEN)
_OPEN: Final = int(MarketState.OPEN)
_LIVE: Final = int(Trust.LIVE)
_CROSSED, _NO_SIZE = int(TopFlag.CROSSED), int(TopFlag.SIZE_UNKNOWN)
_REASON_OF: Final = {int(reason): reason for reason in Reason}
_NONE: Final = int(Reason.NONE)
_DEADLINE_PASSED, _TOO_MANY_LEGS = int(Reason.DEADLINE_PASSED), int(Reason.TOO_MANY_LEGS)
_MARKET_CLOSED, _BOOK_NOT_LIVE = int(Reason.MARKET_CLOSED), int(Reason.BOOK_NOT_LIVE)
_TOP_DISAGREES, _BOOK_CROSSED = int(Reason.TOP_DISAGREES), int(Reason.BOOK_CROSSED)
_SIZE_UNKNOWN, _VERIFY_FAILED = int(Reason.SIZE_UNKNOWN), int(Reason.VERIFY_FAILED)
_OUTCOME_MAX, _DIRECTION_MAX, _CONVERT_MAX = int(max(Outcome)), int(max(Direction)), 2


def objection(deadline_ns: int, legs: Rows, books: Rows, markets: Rows, now_ns: int) -> Reason:
    """First of: deadline, legs (number, a market twice), then leg by leg no such leg, closed, not live, size.

    ``legs``: SIGNAL_LEG records of one signal; books and markets by slot.
    """
    return _REASON_OF[objection_code(deadline_ns, legs, books, markets, now_ns)]


@kernel
def objection_code(deadline_ns: int, legs: Rows, books: Rows, markets: Rows, now_ns: int) -> int:
    """The same as a number."""
    if now_ns > deadline_ns:
        return _DEADLINE_PASSED
    if not 0 < len(legs) <= LEGS_MAX:
        return _TOO_MANY_LEGS
    for number in range(len(legs)):
        for other in range(number):
            if legs[other]["slot"] == legs[number]["slot"]:
                return _TOO_MANY_LEGS
    for number in range(len(legs)):
        slot = legs[number]["slot"]
        if not 0 <= slot < min(len(books), len(markets)):
            return _MARKET_CLOSED
        if not _is_leg(legs[number], markets[slot]):
            return _VERIFY_FAILED
        reason = _leg_objection(legs[number], books[slot], markets[slot])
        if reason != _NONE:
            return reason
    return _NONE


@inlined
def _is_leg(leg: np.void, market: np.void) -> bool:
    """Whether a leg can be like this: outcome, direction and venue are indices into tables later."""
    if leg["venue"] != market["venue"]:
        return False
    if leg["outcome"] > _OUTCOME_MAX or leg["direction"] > _DIRECTION_MAX:
        return False
    return int(leg["convert"]) <= _CONVERT_MAX


@kernel
def _leg_objection(leg: np.void, book: np.void, market: np.void) -> int:
    flags = int(book["flags"])
    current = market["generation"] == leg["generation"] and book["generation"] == leg["generation"]
    if not current or book["market_state"] != _OPEN or int(market["flags"]) & _TRADABLE != _TRADABLE:
        return _MARKET_CLOSED
    if book["trust"] != _LIVE:
        return _BOOK_NOT_LIVE
    if is_contradicted(flags):
        return _TOP_DISAGREES
    if flags & _CROSSED != 0:
        return _BOOK_CROSSED
    return _SIZE_UNKNOWN if flags & _NO_SIZE != 0 else _NONE


def has_moved(legs: Rows, books: Rows) -> bool:
    """Whether a book has changed since the signal read it."""
    now = books[legs["slot"]]
    return bool((now["epoch"] != legs["epoch"]).any() or (now["update_count"] != legs["update_count"]).any())
