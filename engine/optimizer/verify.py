"""The proof of a plan: every number recomputed from the books in exact arithmetic.

Nothing here calls a kernel that makes plans or of the fees; that is the point. A plan may be worse than the
truth (it rounds against us), never better. What does not add up is never sent.

Two checks: ``PlanCheck.proves`` is compiled and says yes or "not by me" (``engine.optimizer.proof``);
``PlanCheck.fault`` then asks ``exact_fault``, in fractions without bounds, which alone can refuse a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import ceil, isqrt
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.optimizer.proof import WALK, Stand, is_proven
from engine.optimizer.shadow import BookSide
from engine.records import (
    LEGS_MAX,
    TOP_LEVELS,
    Direction,
    Outcome,
    Side,
    SignalKind,
    TopFlag,
    Trust,
    Venue,
)
from engine.units import CASH_ONE_MICROS, PPM, PRICE_ONE_E4, SIZE_ONE_E6

Rows = npt.NDArray[np.void]
LeftOf = Callable[
    [BookSide, int, int], int
]  # (side, YES price, size shown) -> what of it is not ours already

_PPB: Final = 10**9
_POLYMARKET_UNIT_MICROS: Final = 10
_UNTRADED: Final = TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN
_TRADABLE: Final = MarketFlag.IN_USE | MarketFlag.OPEN
_ROOT_SCALE: Final = 10**9
_FOR_CONVERSION: Final = 1
_WHOLE_CENT: Final = SIZE_ONE_E6 * PRICE_ONE_E4 // 100
_FROM_CONVERSION: Final = 2
_BUY, _YES, _ASK, _BID = int(Direction.BUY), int(Outcome.YES), int(Side.ASK), int(Side.BID)
_VENUES: Final = max(Venue) + 1
_PAIRS: Final = (SignalKind.COMPLEMENT_BUY, SignalKind.CROSS_VENUE, SignalKind.IMPLICATION)


class _Level(NamedTuple):
    price_e4: int  # in the terms of the outcome
    size_e6: int


class _Undone(NamedTuple):
    loss: Fraction  # micro-dollars
    missing_e6: int  # what found nobody


def payoff_micros(head: np.void, legs: Rows, markets: Rows) -> int | None:
    """Guaranteed payoff of one set by what the legs are; None when they do not make a set of the plan's kind.

    Without a relation that a person approved, only what the venue itself says of a group holds.
    """
    kind, approved = int(head["kind"]), int(head["relation"]) >= 0
    shapes = {(int(leg["direction"]), int(leg["outcome"])) for leg in legs}
    slots = [int(leg["slot"]) for leg in legs]
    if len(legs) < 2 or len(set(slots)) != len(slots) or len(legs) != head["n_legs"]:
        return None
    pair = approved and len(legs) == 2
    if kind in _PAIRS:
        return CASH_ONE_MICROS if pair and {shape[0] for shape in shapes} == {Direction.BUY} else None
    if kind == SignalKind.COMPLEMENT_SELL:
        return -CASH_ONE_MICROS if pair and {shape[0] for shape in shapes} == {Direction.SELL} else None
    if kind == SignalKind.PARTITION_BUY_YES and shapes == {(Direction.BUY, Outcome.YES)}:
        return CASH_ONE_MICROS if approved or _is_whole_group(slots, markets) else None
    if kind == SignalKind.PARTITION_BUY_NO and shapes == {(Direction.BUY, Outcome.NO)}:
        exclusive = approved or _group_of(slots, markets, MarketFlag.AT_MOST_ONE) != NO_GROUP
        return (len(legs) - 1) * CASH_ONE_MICROS if exclusive else None
    if kind == SignalKind.NEG_RISK_CONVERT:
        return _conversion_micros(legs, slots, markets)
    return None


def _group_of(slots: list[int], markets: Rows, flag: MarketFlag) -> int:
    """The one group of all these markets, if each has the flag; else NO_GROUP."""
    groups = {int(markets[slot]["group"]) for slot in slots}
    flagged = all(int(markets[slot]["flags"]) & flag for slot in slots)
    return groups.pop() if flagged and len(groups) == 1 else NO_GROUP


def _is_whole_group(slots: list[int], markets: Rows) -> bool:
    group = _group_of(slots, markets, MarketFlag.EXHAUSTIVE)
    members = np.flatnonzero((markets["group"] == group) & (markets["flags"] & MarketFlag.IN_USE != 0))
    return group != NO_GROUP and set(slots) == {int(slot) for slot in members}


def _conversion_micros(legs: Rows, slots: list[int], markets: Rows) -> int | None:
    bought = 0
    for leg in legs:
        shape = (int(leg["direction"]), int(leg["outcome"]), int(leg["convert"]))
        if shape == (Direction.BUY, Outcome.NO, _FOR_CONVERSION):
            bought += 1
        elif shape != (Direction.SELL, Outcome.YES, _FROM_CONVERSION):
            return None
    converts = _group_of(slots, markets, MarketFlag.NEG_RISK) != NO_GROUP
    return (bought - 1) * CASH_ONE_MICROS if converts and bought > 0 else None


def model_fee(market: np.void, price_e4: int) -> Fraction:
    """Taker fee of one contract in micro-dollars before roundings; a root is taken low."""
    chance = Fraction(price_e4, PRICE_ONE_E4)
    spread = chance * (1 - chance)
    exponent = int(market["exponent_e3"])
    if exponent == 500:
        curve = Fraction(isqrt(int(spread * _ROOT_SCALE**2)), _ROOT_SCALE)
    else:
        curve = spread ** (exponent // 1_000)
    return Fraction(int(market["taker_rate_ppb"]), _PPB) * curve * CASH_ONE_MICROS


def order_fee_micros(market: np.void, taken: list[_Level], received: bool) -> int | None:
    """Least fee of one taker order that fills at these levels; None without a fee schedule."""
    kind = int(market["fee_kind"])
    if kind not in (FeeKind.POLYMARKET_CURVE, FeeKind.KALSHI_QUADRATIC):
        return None
    unit = _POLYMARKET_UNIT_MICROS if kind == FeeKind.POLYMARKET_CURVE else int(market["unit_micros"])
    fee = 0
    cash = Fraction(0)
    for level in taken:
        size = Fraction(level.size_e6, SIZE_ONE_E6)
        fee += ceil(model_fee(market, level.price_e4) * size / unit) * unit
        cash += size * level.price_e4 * CASH_ONE_MICROS / PRICE_ONE_E4
    if kind == FeeKind.KALSHI_QUADRATIC:
        revenue = int(cash) if received else -ceil(cash)
        fee += (revenue - fee) % int(market["precision_micros"])
    return fee


def _shapes(legs: Rows) -> Iterator[tuple[int, int, int, int]]:
    """(slot, generation, direction, outcome) of each leg."""
    names = ("slot", "generation", "direction", "outcome")
    return zip(*(legs[name].tolist() for name in names), strict=True)


def _shown(book: np.void, asks: bool) -> Iterator[tuple[int, int]]:
    """(YES price, size) of the levels of a book side."""
    name = "ask" if asks else "bid"
    count = int(book[f"n_{name}s"])
    return zip(book[f"{name}_e4"][:count].tolist(), book[f"{name}_size_e6"][:count].tolist(), strict=True)


def _levels(book: np.void, side: BookSide, outcome: int, left_of: LeftOf) -> Iterator[_Level]:
    """What a book side still offers, best first, in the terms of the outcome."""
    for price, size in _shown(book, side.side == Side.ASK):
        left = left_of(side, price, size)
        if left > 0:
            yield _Level(price if outcome == Outcome.YES else PRICE_ONE_E4 - price, left)


def _take(levels: Iterator[_Level], size_e6: int) -> tuple[list[_Level], int]:
    """Best levels up to a size, and what was not found."""
    taken: list[_Level] = []
    for level in levels:
        if size_e6 <= 0:
            break
        taken.append(_Level(level.price_e4, min(level.size_e6, size_e6)))
        size_e6 -= taken[-1].size_e6
    return taken, size_e6


def _cash(taken: list[_Level]) -> Fraction:
    """Notional in micro-dollars."""
    return Fraction(sum(level.size_e6 * level.price_e4 for level in taken), PRICE_ONE_E4)


class Ours(Protocol):
    """What plans in flight are about to take."""

    def covers(self, side: BookSide) -> bool:
        """Whether it is anything of this side."""

    def left_e6(self, side: BookSide, price_e4: int, size_e6: int) -> int:
        """What is not ours of a level at a YES price that shows ``size_e6``."""


class PlanCheck:
    """Checks plans against the books they stand on. ``fault`` answers what is wrong, "" when nothing is.

    Of a plan: ``heads`` is one PLAN_HEAD, ``legs`` are its PLAN_LEGs; ``free_cash``: by venue, before it.
    """

    def __init__(self, books: Rows, markets: Rows, worst_loss_max_micros: int) -> None:
        self._books = books
        self._markets = markets
        self._worst_loss_max = worst_loss_max_micros
        self._stand = Stand(
            books,
            markets,
            ours_e6=np.zeros((LEGS_MAX, TOP_LEVELS), np.int64),
            free_micros=np.zeros(_VENUES, np.int64),
            walked=np.zeros(WALK, np.int64),
        )
        self._n_hidden = 0  # rows of ``ours_e6`` that may not be zero

    def fault(
        self, heads: Rows, legs: Rows, capital_cost_ppm: int, free_cash: Mapping[int, int], ours: Ours
    ) -> str:
        """What is wrong with a plan."""
        if self.proves(heads, legs, capital_cost_ppm, free_cash, ours):
            return ""
        return self.exact_fault(heads[0], legs, capital_cost_ppm, free_cash, ours.left_e6)

    def proves(
        self, heads: Rows, legs: Rows, capital_cost_ppm: int, free_cash: Mapping[int, int], ours: Ours
    ) -> bool:
        """Whether the compiled proof goes through; it does for no plan with a fault."""
        if len(legs) > LEGS_MAX:
            return False
        for venue in range(_VENUES):
            self._stand.free_micros[venue] = free_cash.get(venue, 0)
        self._hide(legs, ours)
        return bool(is_proven(heads, legs, capital_cost_ppm, self._worst_loss_max, self._stand))

    def _hide(self, legs: Rows, ours: Ours) -> None:
        """Note what of the levels that the legs take is ours already."""
        if self._n_hidden:
            self._stand.ours_e6[: self._n_hidden] = 0
            self._n_hidden = 0
        for number, (slot, generation, direction, outcome) in enumerate(_shapes(legs)):
            takes_ask = (direction == _BUY) == (outcome == _YES)
            side = BookSide(slot, generation, _ASK if takes_ask else _BID)
            if ours.covers(side):
                self._n_hidden = number + 1
                for level, (price, size) in enumerate(_shown(self._books[slot], takes_ask)):
                    self._stand.ours_e6[number, level] = size - ours.left_e6(side, price, size)

    def exact_fault(
        self,
        head: np.void,
        legs: Rows,
        capital_cost_ppm: int,
        free_cash: Mapping[int, int],
        left_of: LeftOf,
    ) -> str:
        """The same in fractions; ``left_of``: what of a level is not ours."""
        payoff = payoff_micros(head, legs, self._markets)
        if payoff is None:
            return "the legs do not make a set of this kind"
        size = int(head["size_e6"])
        paid = received = sales = 0
        worst: dict[int, int] = {}
        unwind: list[_Undone] = []
        for leg in legs:
            problem = self._leg_fault(leg, size, left_of)
            if problem:
                return f"slot {leg['slot']}: {problem}"
            cash, fee = int(leg["cash_micros"]), int(leg["fee_micros"])
            if leg["direction"] == Direction.BUY:
                paid += cash + fee
                worst[int(leg["venue"])] = worst.get(int(leg["venue"]), 0) + cash + fee
            else:
                received += cash - fee
            if leg["convert"] == _FROM_CONVERSION:
                sales += cash - fee
            else:
                unwind.append(self._undo(leg))
        exact = (
            Fraction(payoff * size, SIZE_ONE_E6) + received - paid - Fraction(paid * capital_cost_ppm, PPM)
        )
        return self._totals_fault(head, exact, worst, free_cash, unwind, sales)

    def _totals_fault(
        self,
        head: np.void,
        profit: Fraction,
        cash: dict[int, int],
        free_cash: Mapping[int, int],
        unwind: list[_Undone],
        sales: int,
    ) -> str:
        stated = int(head["profit_micros"])
        if not 0 < stated <= profit:
            return f"profit {stated} is not above 0 and at most {float(profit):.0f}"
        if int(head["bound_micros"]) < stated:
            return "the bound is below the profit"
        if sum(cash.values()) > int(head["cash_micros"]):
            return "it costs more than the cash it holds"
        for venue, micros in cash.items():
            if micros > free_cash.get(venue, 0):
                return f"venue {venue} has not the cash"
        undone = [max(leg.loss, Fraction(0)) for leg in unwind]
        loss = sum(undone, Fraction(0)) - min(undone)
        if int(head["kind"]) == SignalKind.NEG_RISK_CONVERT:
            kept = min(leg.missing_e6 for leg in unwind) * (len(unwind) - 1)  # sets that pay all but one
            loss = max(loss, sum(undone, Fraction(0)) - kept, Fraction(sales - stated))
        if not loss <= int(head["worst_loss_micros"]) <= self._worst_loss_max:
            limits = f"{float(loss):.0f}..{self._worst_loss_max}"
            return f"worst loss {head['worst_loss_micros']} is not within {limits}"
        return ""

    def _leg_fault(self, leg: np.void, size_e6: int, left_of: LeftOf) -> str:
        book, market = self._books[leg["slot"]], self._markets[leg["slot"]]
        if any(int(book[name]) != int(leg[name]) for name in ("generation", "epoch", "update_count")):
            return "the book is not the one that was read"
        if book["trust"] != Trust.LIVE or int(book["flags"]) & _UNTRADED:
            return "the book is not to be traded"
        if int(market["flags"]) & _TRADABLE != _TRADABLE or market["generation"] != leg["generation"]:
            return "the market is not open"
        if leg["size_e6"] != size_e6 or size_e6 <= 0 or size_e6 % int(market["lot_e6"]):
            return f"size {leg['size_e6']} is not {size_e6} in whole lots"
        buys = leg["direction"] == Direction.BUY
        limit = int(leg["limit_e4"])
        if size_e6 < market["min_size_e6"] or (
            buys and size_e6 * limit < int(market["min_notional_micros"]) * PRICE_ONE_E4
        ):
            return "below the venue's minimum"
        if buys and leg["venue"] == Venue.POLYMARKET and size_e6 * limit % _WHOLE_CENT:
            return f"{size_e6} at {limit} does not cost whole cents"
        if not _on_grid(market, limit if leg["outcome"] == Outcome.YES else PRICE_ONE_E4 - limit):
            return f"limit {limit} is not on the grid"
        return self._cost_fault(leg, book, market, left_of)

    def _cost_fault(self, leg: np.void, book: np.void, market: np.void, left_of: LeftOf) -> str:
        side, buys = _side(leg, back=False), leg["direction"] == Direction.BUY
        taken, missing = _take(_levels(book, side, int(leg["outcome"]), left_of), int(leg["size_e6"]))
        if missing or not taken:
            return f"{missing} are not there"
        worst = taken[-1].price_e4
        if (worst > leg["limit_e4"]) if buys else (worst < leg["limit_e4"]):
            return f"limit {leg['limit_e4']} does not reach {worst}"
        cash = _cash(taken)
        if (leg["cash_micros"] < cash) if buys else (leg["cash_micros"] > cash):
            return f"cash {leg['cash_micros']} is better than {float(cash):.0f}"
        fee = order_fee_micros(market, taken, received=not buys)
        if fee is None or leg["fee_micros"] < fee:
            return f"fee {leg['fee_micros']} is below {fee}"
        return ""

    def _undo(self, leg: np.void) -> _Undone:
        """Loss of undoing a filled leg now, at least; missing depth is worth nothing, or costs a dollar."""
        book, market = self._books[leg["slot"]], self._markets[leg["slot"]]
        buys = leg["direction"] == Direction.BUY
        every = _levels(book, _side(leg, back=True), int(leg["outcome"]), lambda _side, _price, size: size)
        taken, missing = _take(every, int(leg["size_e6"]))
        fee = order_fee_micros(market, taken, received=bool(buys)) or 0
        if buys:
            paid = int(leg["cash_micros"]) + int(leg["fee_micros"])
            return _Undone(paid - max(_cash(taken) - fee, Fraction(0)), missing)
        received = int(leg["cash_micros"]) - int(leg["fee_micros"])
        return _Undone(_cash(taken) + fee + missing - received, missing)


def _side(leg: np.void, *, back: bool) -> BookSide:
    """Book side that a leg takes, or the one it would be undone on."""
    takes_ask = (leg["direction"] == Direction.BUY) == (leg["outcome"] == Outcome.YES)
    side = Side.ASK if takes_ask != back else Side.BID
    return BookSide(int(leg["slot"]), int(leg["generation"]), int(side))


def _on_grid(market: np.void, yes_price_e4: int) -> bool:
    ranges = zip(
        market["range_start_e4"].tolist(),
        market["range_end_e4"].tolist(),
        market["range_step_e4"].tolist(),
        strict=True,
    )
    inside = 0 < yes_price_e4 < PRICE_ONE_E4
    return inside and any(
        start <= yes_price_e4 <= end and (yes_price_e4 - start) % step == 0
        for start, end, step in list(ranges)[: int(market["n_ranges"])]
    )
