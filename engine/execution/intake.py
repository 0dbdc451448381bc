"""From a PLAN message to legs that venues will accept, or the reason why not."""

from __future__ import annotations

from math import lcm

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import NO_GROUP, Catalog, MarketFlag
from engine.execution.plan import Leg, LegUse
from engine.execution.semantics import RULES, order_lot_e6, round_price_e4, round_size_e6
from engine.ids import INDEX_SET_MAX
from engine.reasons import Reason
from engine.records import LEGS_MAX, NO_PRICE, Direction, Outcome, Venue

Rows = npt.NDArray[np.void]
_OUTCOMES, _DIRECTIONS = frozenset(map(int, Outcome)), frozenset(map(int, Direction))


def read_legs(catalog: Catalog, records: Rows, out: list[Leg]) -> Reason:
    """Append the legs of PLAN_LEG ``records`` to ``out``, rounded against us; NONE when all are good.

    The legs that make the sets get one common size, the largest that all their venues accept.
    """
    if not 0 < len(records) <= LEGS_MAX:
        return Reason.TOO_MANY_LEGS
    for index, given in enumerate(records):
        record: np.void = np.array([given], records.dtype)[0]
        slot = int(record["slot"])
        if not 0 <= slot < catalog.capacity or not _is_current(catalog.rows[slot], record):
            return Reason.UNKNOWN_MARKET
        if int(record["outcome"]) not in _OUTCOMES or int(record["direction"]) not in _DIRECTIONS:
            return Reason.VERIFY_FAILED
        if int(record["tif"]) not in RULES[Venue(int(record["venue"]))].tifs:
            return Reason.VENUE_REJECTED
        row = catalog.rows[slot]
        price = round_price_e4(row, int(record["direction"]), int(record["outcome"]), int(record["limit_e4"]))
        if price == NO_PRICE:
            return Reason.PRICE_OFF_GRID
        out.append(Leg(record, index, price, int(record["size_e6"])))
    mains = [leg for leg in out if not leg.is_sale]
    if not mains or not _share_size(catalog, mains):
        return Reason.BELOW_MINIMUM_SIZE
    if len(mains) < len(out) or any(int(leg.record["convert"]) for leg in out):
        return Reason.NONE if index_of_conversion(catalog, out) else Reason.NOT_EXHAUSTIVE
    return Reason.NONE


def leg_size_e6(catalog: Catalog, leg: Leg, size_e6: int) -> int:
    """Largest size at most ``size_e6`` that the leg's venue accepts at its limit; 0 when none."""
    tif = int(leg.record["tif"])
    return round_size_e6(catalog.rows[leg.slot], leg.direction, tif, leg.limit_e4, size_e6)


def index_of_conversion(catalog: Catalog, legs: list[Leg]) -> tuple[int, ...]:
    """Members of the neg-risk group whose NO the plan buys to convert; empty when that is no conversion.

    All legs must be of one group of which exactly one wins, NO bought and YES of other members sold.
    """
    group = int(catalog.rows[legs[0].slot]["group"])
    members = catalog.group_members(group) if group != NO_GROUP else ()
    if not members or len(members) > INDEX_SET_MAX:
        return ()
    given = [leg.slot for leg in legs if _use(leg) == LegUse.TO_CONVERT]
    sold = [leg.slot for leg in legs if _use(leg) == LegUse.FROM_CONVERSION]
    good = all(
        int(catalog.rows[leg.slot]["flags"]) & MarketFlag.NEG_RISK
        and leg.slot in members
        and (leg.direction, int(leg.record["outcome"])) == _CONVERTIBLE.get(_use(leg))
        for leg in legs
    )
    if not good or not given or len({*given, *sold}) < len(legs):
        return ()
    return tuple(sorted(members.index(slot) for slot in given))


_CONVERTIBLE = {
    LegUse.TO_CONVERT: (Direction.BUY, Outcome.NO),
    LegUse.FROM_CONVERSION: (Direction.SELL, Outcome.YES),
}


def _use(leg: Leg) -> LegUse:
    return LegUse(int(leg.record["convert"]))


def _is_current(row: np.void, record: np.void) -> bool:
    names = ("generation", "venue")
    is_same = all(int(row[name]) == int(record[name]) for name in names)
    return is_same and bool(int(row["flags"]) & MarketFlag.IN_USE)


def _share_size(catalog: Catalog, mains: list[Leg]) -> bool:
    """Give all legs one size; False when there is none that every venue accepts."""
    lots = [
        order_lot_e6(catalog.rows[leg.slot], leg.direction, int(leg.record["tif"]), leg.limit_e4)
        for leg in mains
    ]
    lot = lcm(*lots)
    size = min(leg.size_e6 for leg in mains) // lot * lot
    for leg in mains:
        leg.size_e6 = size
    return size > 0 and all(leg_size_e6(catalog, leg, size) == size for leg in mains)
