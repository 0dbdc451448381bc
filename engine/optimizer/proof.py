"""A second proof of a plan, compiled: yes, or "ask the exact one".

``is_proven`` asks what ``engine.optimizer.verify`` asks, of the same records, in integers of its own: nothing
here calls a kernel that made the plan or that estimates a fee. It says yes only to what that check would let
pass; all else (a fault, amounts so large that a product might not fit, a fee curve other than the common one)
it leaves to the check, which is exact without bounds and says in words what is wrong. So a plan is refused by
the check alone, and takes microseconds when there is nothing to refuse.

Money is compared at ten-thousandths of a micro-dollar ("tenths": size_e6 x price_e4), in which notionals are
whole.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.jit import kernel
from engine.records import LEGS_MAX, TOP_LEVELS, Direction, Outcome, SignalKind, TopFlag, Trust, Venue
from engine.units import INT64_MAX, PPM, PRICE_ONE_E4, SIZE_ONE_E6, muldiv_ceil

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]

SIZE_MAX_E6: Final = 10**11  # of a plan that is looked at here: 256 legs of it, in tenths, fit 63 bits
CASH_MAX_MICROS: Final = 10**11  # of a leg
LOSS_MAX_MICROS: Final = 10**14
RATE_MAX_PPB: Final = 10**9
CAPITAL_MAX_PPM: Final = 10**9
STEP_MAX_MICROS: Final = 10**6  # of the rounding of a fee or a balance

FEE_UNPROVEN: Final = -1
LOSS_UNPROVEN: Final = -1
NO_SET: Final = 0  # a set pays or costs at least a dollar

_LINEAR_E3: Final = 1_000
_FEE_DIVISOR: Final = 10**17  # rate in 1e-9 times p(1-p) in 1e-8
_POLYMARKET_UNIT_MICROS: Final = 10
_WHOLE_CENT: Final = SIZE_ONE_E6 * PRICE_ONE_E4 // 100
_FOR_CONVERSION: Final = 1
_FROM_CONVERSION: Final = 2
_BUY, _SELL = int(Direction.BUY), int(Direction.SELL)
_YES, _NO = int(Outcome.YES), int(Outcome.NO)
_LIVE: Final = int(Trust.LIVE)
_KALSHI_FEES, _POLYMARKET_FEES = int(FeeKind.KALSHI_QUADRATIC), int(FeeKind.POLYMARKET_CURVE)
_POLYMARKET, _KALSHI = int(Venue.POLYMARKET), int(Venue.KALSHI)
_UNTRADED: Final = int(TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN)
_IN_USE: Final = int(MarketFlag.IN_USE)
_TRADABLE: Final = int(MarketFlag.IN_USE | MarketFlag.OPEN)
_EXHAUSTIVE, _AT_MOST_ONE = int(MarketFlag.EXHAUSTIVE), int(MarketFlag.AT_MOST_ONE)
_NEG_RISK: Final = int(MarketFlag.NEG_RISK)
_COMPLEMENT_BUY, _COMPLEMENT_SELL = int(SignalKind.COMPLEMENT_BUY), int(SignalKind.COMPLEMENT_SELL)
_CROSS_VENUE, _IMPLICATION = int(SignalKind.CROSS_VENUE), int(SignalKind.IMPLICATION)
_BUY_YES, _BUY_NO = int(SignalKind.PARTITION_BUY_YES), int(SignalKind.PARTITION_BUY_NO)
_CONVERT: Final = int(SignalKind.NEG_RISK_CONVERT)


class Stand(NamedTuple):
    """What a plan is held against; only read, but for ``walked``."""

    books: Rows  # BOOK_ROW by slot
    markets: Rows  # MARKET_ROW by slot
    ours_e6: Ints  # [leg, level] of the side that a leg takes: what plans before this one are to take
    free_micros: Ints  # [venue] cash before this plan
    walked: Ints  # [WALK] scratch


NOTIONAL: Final = 0  # of ``walked``: tenths of the walk
FEE: Final = 1  # micro-dollars
WORST: Final = 2  # price_e4 of the last level, own terms
MISSING: Final = 3  # e6
WALK: Final = 4


@kernel
def _fill_fee(market: np.void, price_e4: int, size_e6: int, unit: int) -> int:
    """Least fee of one fill on the common curve, rate x p x (1 - p), in whole units."""
    rate = int(market["taker_rate_ppb"]) * (price_e4 * (PRICE_ONE_E4 - price_e4))
    micros = muldiv_ceil(rate, size_e6, _FEE_DIVISOR)
    return -(-micros // unit) * unit


@kernel
def _fee_unit(market: np.void) -> int:
    """Step of the fee of one fill; 0 where this file does not know the schedule."""
    rate, precision = int(market["taker_rate_ppb"]), int(market["precision_micros"])
    if not 0 <= rate <= RATE_MAX_PPB or (rate > 0 and market["exponent_e3"] != _LINEAR_E3):
        return 0
    if market["fee_kind"] == _POLYMARKET_FEES:
        return _POLYMARKET_UNIT_MICROS
    unit = int(market["unit_micros"])
    known = market["fee_kind"] == _KALSHI_FEES and 0 < unit <= STEP_MAX_MICROS
    return unit if known and 0 < precision <= STEP_MAX_MICROS else 0


@kernel
def _walk(leg: np.void, back: bool, size_e6: int, number: int, stand: Stand) -> None:
    """Take ``size_e6`` off the side that a leg takes, or is undone on, into ``walked``; one order's fee."""
    book, market = stand.books[leg["slot"]], stand.markets[leg["slot"]]
    buys = (leg["direction"] == _BUY) != back
    asks = buys == (leg["outcome"] == _YES)
    unit = _fee_unit(market)
    notional, fee, worst, left = 0, 0, -1, size_e6
    for level in range(min(int(book["n_asks"] if asks else book["n_bids"]), TOP_LEVELS)):
        offered = int(book["ask_size_e6"][level] if asks else book["bid_size_e6"][level])
        part = min(offered if back else offered - int(stand.ours_e6[number, level]), left)
        if part <= 0:
            continue
        price = int(book["ask_e4"][level] if asks else book["bid_e4"][level])
        worst = price if leg["outcome"] == _YES else PRICE_ONE_E4 - price
        if not 0 <= worst <= PRICE_ONE_E4:
            unit = 0
        notional += part * worst
        left -= part
        if unit > 0:
            fee += _fill_fee(market, worst, part, unit)
    if unit > 0 and market["fee_kind"] == _KALSHI_FEES:
        revenue = -(-notional // PRICE_ONE_E4) * -1 if buys else notional // PRICE_ONE_E4
        fee += (revenue - fee) % int(market["precision_micros"])
    stand.walked[NOTIONAL] = notional
    stand.walked[FEE] = fee if unit > 0 else FEE_UNPROVEN
    stand.walked[WORST] = worst
    stand.walked[MISSING] = left


@kernel
def _is_on_grid(market: np.void, yes_price_e4: int) -> bool:
    if not 0 < yes_price_e4 < PRICE_ONE_E4:
        return False
    for index in range(int(market["n_ranges"])):
        start, end = int(market["range_start_e4"][index]), int(market["range_end_e4"][index])
        step = int(market["range_step_e4"][index])
        if step > 0 and start <= yes_price_e4 <= end and (yes_price_e4 - start) % step == 0:
            return True
    return False


@kernel
def _is_tradable(leg: np.void, book: np.void, market: np.void) -> bool:
    """Whether the book is the one that was read, and it and the market are to be traded."""
    same = book["generation"] == leg["generation"] and market["generation"] == leg["generation"]
    read = book["epoch"] == leg["epoch"] and book["update_count"] == leg["update_count"]
    trusted = book["trust"] == _LIVE and int(book["flags"]) & _UNTRADED == 0
    return same and read and trusted and int(market["flags"]) & _TRADABLE == _TRADABLE


@kernel
def _is_orderable(leg: np.void, size_e6: int, market: np.void) -> bool:
    """Whether the venue would take an order of this size and limit."""
    lot, limit, buys = int(market["lot_e6"]), int(leg["limit_e4"]), leg["direction"] == _BUY
    if leg["size_e6"] != size_e6 or lot <= 0 or size_e6 % lot != 0 or size_e6 < market["min_size_e6"]:
        return False
    if not _is_on_grid(market, limit if leg["outcome"] == _YES else PRICE_ONE_E4 - limit):
        return False
    if not buys:
        return True
    notional = size_e6 * limit
    if leg["venue"] == _POLYMARKET and notional % _WHOLE_CENT != 0:
        return False
    return notional // PRICE_ONE_E4 >= int(market["min_notional_micros"])


@kernel
def _is_priced(leg: np.void, size_e6: int, number: int, stand: Stand) -> bool:
    """Whether the book offers the size within the limit, at no better cash and fee than it really has."""
    cash, fee, limit = int(leg["cash_micros"]), int(leg["fee_micros"]), int(leg["limit_e4"])
    if not (0 <= cash <= CASH_MAX_MICROS and 0 <= fee <= CASH_MAX_MICROS):
        return False
    _walk(leg, False, size_e6, number, stand)
    walked = stand.walked
    if walked[MISSING] > 0 or walked[WORST] < 0 or walked[FEE] == FEE_UNPROVEN or fee < walked[FEE]:
        return False
    if leg["direction"] == _BUY:
        return bool(walked[WORST] <= limit and cash * PRICE_ONE_E4 >= walked[NOTIONAL])
    return bool(walked[WORST] >= limit and cash * PRICE_ONE_E4 <= walked[NOTIONAL])


@kernel
def _undone_tenths(leg: np.void, size_e6: int, number: int, stand: Stand) -> int:
    """Loss of undoing a filled leg now, in tenths, at least 0; leaves in ``walked`` what finds nobody.

    LOSS_UNPROVEN where its fee is not known.
    """
    _walk(leg, True, size_e6, number, stand)
    if stand.walked[FEE] == FEE_UNPROVEN:
        return LOSS_UNPROVEN
    fee = int(stand.walked[FEE]) * PRICE_ONE_E4
    notional = int(stand.walked[NOTIONAL])
    cash, paid_fee = int(leg["cash_micros"]), int(leg["fee_micros"])
    if leg["direction"] == _BUY:
        return max((cash + paid_fee) * PRICE_ONE_E4 - max(notional - fee, 0), 0)
    missing = int(stand.walked[MISSING]) * PRICE_ONE_E4  # a dollar each: a micro-dollar for 1e-6
    return max(notional + fee + missing - (cash - paid_fee) * PRICE_ONE_E4, 0)


@kernel
def _is_alike(legs: Rows, direction: int, outcome: int) -> bool:
    """Whether all legs have this direction and, unless it is negative, this outcome."""
    for number in range(len(legs)):
        if legs[number]["direction"] != direction or (outcome >= 0 and legs[number]["outcome"] != outcome):
            return False
    return True


@kernel
def _is_group(legs: Rows, markets: Rows, flag: int, whole: bool) -> bool:
    """Whether all markets are of one group and have ``flag``; ``whole``: and are all of it."""
    group = markets[legs[0]["slot"]]["group"]
    if group == NO_GROUP:
        return False
    for number in range(len(legs)):
        market = markets[legs[number]["slot"]]
        in_use = int(market["flags"]) & _IN_USE != 0 or not whole
        if market["group"] != group or int(market["flags"]) & flag == 0 or not in_use:
            return False
    if not whole:
        return True
    members = 0
    for slot in range(len(markets)):
        if markets[slot]["group"] == group and int(markets[slot]["flags"]) & _IN_USE != 0:
            members += 1
    return members == len(legs)


@kernel
def _is_distinct(legs: Rows, n_slots: int) -> bool:
    """Whether every leg is in a market of its own, within the tables."""
    for number in range(len(legs)):
        slot = legs[number]["slot"]
        if not 0 <= slot < n_slots:
            return False
        for other in range(number):
            if legs[other]["slot"] == slot:
                return False
    return True


@kernel
def _converted_dollars(legs: Rows, markets: Rows) -> int:
    bought = 0
    for number in range(len(legs)):
        leg = legs[number]
        if leg["direction"] == _BUY and leg["outcome"] == _NO and leg["convert"] == _FOR_CONVERSION:
            bought += 1
        elif leg["direction"] != _SELL or leg["outcome"] != _YES or leg["convert"] != _FROM_CONVERSION:
            return NO_SET
    return bought - 1 if bought > 0 and _is_group(legs, markets, _NEG_RISK, False) else NO_SET


@kernel
def payoff_dollars(head: np.void, legs: Rows, markets: Rows) -> int:
    """Dollars that one set pays for certain, negative when it is given up; NO_SET when that is not proven."""
    kind, approved, n_legs = int(head["kind"]), int(head["relation"]) >= 0, len(legs)
    if not 2 <= n_legs <= LEGS_MAX or n_legs != head["n_legs"] or not _is_distinct(legs, len(markets)):
        return NO_SET
    pair = approved and n_legs == 2
    if kind in (_COMPLEMENT_BUY, _CROSS_VENUE, _IMPLICATION):
        return 1 if pair and _is_alike(legs, _BUY, -1) else NO_SET
    if kind == _COMPLEMENT_SELL:
        return -1 if pair and _is_alike(legs, _SELL, -1) else NO_SET
    if kind == _BUY_YES and _is_alike(legs, _BUY, _YES):
        return 1 if approved or _is_group(legs, markets, _EXHAUSTIVE, True) else NO_SET
    if kind == _BUY_NO and _is_alike(legs, _BUY, _NO):
        return n_legs - 1 if approved or _is_group(legs, markets, _AT_MOST_ONE, False) else NO_SET
    return _converted_dollars(legs, markets) if kind == _CONVERT else NO_SET


@kernel
def _is_loss_stated(head: np.void, legs: Rows, sales: int, loss_max_micros: int, stand: Stand) -> bool:
    """Whether no partial fill loses more than the plan says, and that is allowed."""
    size, stated = int(head["size_e6"]), int(head["worst_loss_micros"])
    total, least, stuck, undone = 0, INT64_MAX, size, 0
    for number in range(len(legs)):
        if legs[number]["convert"] == _FROM_CONVERSION:
            continue
        loss = _undone_tenths(legs[number], size, number, stand)
        if loss == LOSS_UNPROVEN:
            return False
        total += loss
        least = min(least, loss)
        stuck = min(stuck, int(stand.walked[MISSING]))
        undone += 1
    if undone == 0 or not 0 <= stated <= min(loss_max_micros, LOSS_MAX_MICROS):
        return False
    loss = total - least
    if head["kind"] == _CONVERT:
        kept = stuck * (undone - 1)  # sets that pay all but one
        loss = max(loss, total - kept * PRICE_ONE_E4, (sales - int(head["profit_micros"])) * PRICE_ONE_E4)
    return loss <= stated * PRICE_ONE_E4


@kernel
def _spent_micros(legs: Rows, venue: int) -> int:
    """Cash and fees of the purchases at a venue."""
    spent = 0
    for number in range(len(legs)):
        if legs[number]["direction"] == _BUY and legs[number]["venue"] == venue:
            spent += int(legs[number]["cash_micros"]) + int(legs[number]["fee_micros"])
    return spent


@kernel
def _received_micros(legs: Rows, converted_only: bool) -> int:
    """Cash less fees of the sales, or only of those that come after a conversion."""
    received = 0
    for number in range(len(legs)):
        counts = legs[number]["convert"] == _FROM_CONVERSION or not converted_only
        if legs[number]["direction"] != _BUY and counts:
            received += int(legs[number]["cash_micros"]) - int(legs[number]["fee_micros"])
    return received


@kernel
def _is_earned(head: np.void, legs: Rows, payoff: int, capital_cost_ppm: int, stand: Stand) -> bool:
    """Whether the plan earns what it says, and costs no more than it holds and than there is."""
    at_polymarket, at_kalshi = _spent_micros(legs, _POLYMARKET), _spent_micros(legs, _KALSHI)
    if at_polymarket > max(stand.free_micros[_POLYMARKET], 0):
        return False
    if at_kalshi > max(stand.free_micros[_KALSHI], 0):
        return False
    paid = at_polymarket + at_kalshi
    capital = muldiv_ceil(paid, capital_cost_ppm, PPM)
    earned = payoff * int(head["size_e6"]) + _received_micros(legs, False) - paid - capital
    stated = int(head["profit_micros"])
    return bool(0 < stated <= earned and stated <= head["bound_micros"] and paid <= head["cash_micros"])


@kernel
def is_proven(heads: Rows, legs: Rows, capital_cost_ppm: int, loss_max_micros: int, stand: Stand) -> bool:
    """Whether every number of the plan ``heads[0]`` with all of ``legs`` is proven."""
    head = heads[0]
    size = int(head["size_e6"])
    payoff = payoff_dollars(head, legs, stand.markets)
    if payoff == NO_SET or not 0 < size <= SIZE_MAX_E6 or not 0 <= capital_cost_ppm <= CAPITAL_MAX_PPM:
        return False
    for number in range(len(legs)):
        leg = legs[number]
        market = stand.markets[leg["slot"]]
        if leg["venue"] != _POLYMARKET and leg["venue"] != _KALSHI:
            return False
        if not _is_tradable(leg, stand.books[leg["slot"]], market) or not _is_orderable(leg, size, market):
            return False
        if not _is_priced(leg, size, number, stand):
            return False
        if leg["convert"] == _FROM_CONVERSION and leg["direction"] == _BUY:
            return False
    if not _is_earned(head, legs, payoff, capital_cost_ppm, stand):
        return False
    return _is_loss_stated(head, legs, _received_micros(legs, True), loss_max_micros, stand)
