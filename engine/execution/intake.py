"""From a PLAN message to legs that venues will accept, or the reason why not."""

from __future__ import annotations

from math import lcm

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import NO_GROUP, Catalog, MarketFlag
from engine.execution.plan import Leg, LegUse
from engine.execution.semantics import RULES, grid_limit_e4, lot_at_e6, round_size_e6, size_within_e6
from engine.facts import LegFacts, MarketFacts, leg_facts, market_facts
from engine.ids import INDEX_SET_MAX
from engine.reasons import Reason
from engine.records import LEGS_MAX, NO_PRICE, PLAN_LEG, Direction, Outcome

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_BUY, _SELL = Direction.BUY, Direction.SELL
_FROM_CONVERSION, _TO_CONVERT = LegUse.FROM_CONVERSION, LegUse.TO_CONVERT
_NO, _YES = Outcome.NO, Outcome.YES
_BELOW_MINIMUM_SIZE, _NONE, _NOT_EXHAUSTIVE, _PRICE_OFF_GRID = (
    Reason.BELOW_MINIMUM_SIZE,
    Reason.NONE,
    Reason.NOT_EXHAUSTIVE,
    Reason.PRICE_OFF_GRID,
)
_TOO_MANY_LEGS, _UNKNOWN_MARKET, _VENUE_REJECTED, _VERIFY_FAILED = (
    Reason.TOO_MANY_LEGS,
    Reason.UNKNOWN_MARKET,
    Reason.VENUE_REJECTED,
    Reason.VERIFY_FAILED,
)

Rows = npt.NDArray[np.void]
_IN_USE = int(MarketFlag.IN_USE)
_OUTCOMES, _DIRECTIONS = frozenset(map(int, Outcome)), frozenset(map(int, Direction))
_USES = frozenset(map(int, LegUse))


def read_legs(catalog: Catalog, records: Rows, out: list[Leg]) -> Reason:
    """Append the legs of PLAN_LEG ``records`` to ``out``, rounded against us; NONE when all are good.

    The legs that make the sets get one common size, the largest that all their venues accept.
    """
    if not 0 < len(records) <= LEGS_MAX:
        return _TOO_MANY_LEGS
    markets: list[MarketFacts] = []
    for index, record in enumerate(np.frombuffer(records.tobytes(), PLAN_LEG)):
        asked = leg_facts(record)
        if not 0 <= asked.slot < catalog.capacity:
            return _UNKNOWN_MARKET
        known = market_facts(catalog.rows[asked.slot])
        if not _is_current(known, asked):
            return _UNKNOWN_MARKET
        if asked.outcome not in _OUTCOMES or asked.direction not in _DIRECTIONS or asked.convert not in _USES:
            return _VERIFY_FAILED
        if asked.tif not in RULES[asked.venue].tifs:
            return _VENUE_REJECTED
        price = grid_limit_e4(known, asked.direction, asked.outcome, asked.limit_e4)
        if price == NO_PRICE:
            return _PRICE_OFF_GRID
        out.append(Leg(record, index, price, asked.size_e6))
        markets.append(known)
    mains = [(leg, markets[leg.index]) for leg in out if not leg.is_sale]
    if not mains or not _share_size(mains):
        return _BELOW_MINIMUM_SIZE
    if len(mains) < len(out) or any(leg.asked.convert for leg in out):
        return _NONE if index_of_conversion(catalog, out) else _NOT_EXHAUSTIVE
    return _NONE


def leg_size_e6(catalog: Catalog, leg: Leg, size_e6: int) -> int:
    """Largest size at most ``size_e6`` that the leg's venue accepts at its limit; 0 when none."""
    return round_size_e6(catalog.rows[leg.slot], leg.direction, leg.asked.tif, leg.limit_e4, size_e6)


def index_of_conversion(catalog: Catalog, legs: list[Leg]) -> tuple[int, ...]:
    """Members of the neg-risk group whose NO the plan buys to convert; empty when that is no conversion.

    All legs must be of one group of which exactly one wins, NO bought and YES of other members sold.
    """
    group = int(catalog.rows[legs[0].slot]["group"])
    members = catalog.group_members(group) if group != NO_GROUP else ()
    if not members or len(members) > INDEX_SET_MAX:
        return ()
    given = [leg.slot for leg in legs if _use(leg) == _TO_CONVERT]
    sold = [leg.slot for leg in legs if _use(leg) == _FROM_CONVERSION]
    good = all(
        int(catalog.rows[leg.slot]["flags"]) & MarketFlag.NEG_RISK
        and leg.slot in members
        and (leg.direction, leg.asked.outcome) == _CONVERTIBLE.get(_use(leg))
        for leg in legs
    )
    if not good or not given or len({*given, *sold}) < len(legs):
        return ()
    return tuple(sorted(members.index(slot) for slot in given))


_CONVERTIBLE = {
    _TO_CONVERT: (_BUY, _NO),
    _FROM_CONVERSION: (_SELL, _YES),
}


def _use(leg: Leg) -> LegUse:
    return LegUse(leg.asked.convert)


def _is_current(known: MarketFacts, asked: LegFacts) -> bool:
    is_same = (known.generation, known.venue) == (asked.generation, asked.venue)
    return is_same and known.flags & _IN_USE != 0


def _share_size(mains: list[tuple[Leg, MarketFacts]]) -> bool:
    """Give all legs one size; False when there is none that every venue accepts."""
    forms = [(known, leg.direction, leg.asked.tif, leg.limit_e4) for leg, known in mains]
    lot = lcm(*(lot_at_e6(*form) for form in forms))
    size = min(leg.size_e6 for leg, _ in mains) // lot * lot
    for leg, _ in mains:
        leg.size_e6 = size
    return size > 0 and all(size_within_e6(*form, size) == size for form in forms)
