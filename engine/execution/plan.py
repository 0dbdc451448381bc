"""A plan on its way: legs, what came of them, and the states it passes, as a table.

    LEGS -> SETTLING -> [CONVERTING -> SELLING ->] UNWINDING -> DONE

LEGS: orders for the legs are out, or still to be sent. SETTLING: every order is closed; trades that may
still fail are waited for. CONVERTING, SELLING: only plans with a conversion. UNWINDING: what does not
belong to a whole set is traded back; with nothing to trade back it is left at once. In DONE the position
is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from engine.execution.semantics import RULES, VenueRules
from engine.execution.tracked import Role, Token, TrackedOrder, TradeState
from engine.facts import HeadFacts, LegFacts, head_facts, leg_facts
from engine.reasons import Reason
from engine.records import NO_PRICE, Direction, Outcome
from engine.units import INT64_MAX, PRICE_ONE_E4

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_BUY, _SELL = Direction.BUY, Direction.SELL
_NO, _YES = Outcome.NO, Outcome.YES
_LEG_MISSED, _NONE, _PARTLY_FILLED, _UNWIND_FAILED = (
    Reason.LEG_MISSED,
    Reason.NONE,
    Reason.PARTLY_FILLED,
    Reason.UNWIND_FAILED,
)
_UNWOUND: Final = Reason.UNWOUND
_UNWIND: Final = Role.UNWIND
_FAILED: Final = TradeState.FAILED


class PlanState(IntEnum):
    """Where a plan is."""

    LEGS = 0
    SETTLING = 1
    CONVERTING = 2
    SELLING = 3
    UNWINDING = 4
    DONE = 5


class PlanInput(IntEnum):
    """What moves a plan on."""

    CLOSED = 0  # nothing is to be sent and no order is open
    FINAL = 1  # and no trade can fail any more
    FINAL_SETS = 2  # the same, and there are sets to convert
    CONVERTED = 3
    NOT_CONVERTED = 4
    BALANCED = 5  # nothing beyond whole sets, or nothing that can be done about it


PLAN_TRANSITIONS: Final[Mapping[tuple[PlanState, PlanInput], PlanState]] = MappingProxyType(
    {
        (PlanState.LEGS, PlanInput.CLOSED): PlanState.SETTLING,
        (PlanState.SETTLING, PlanInput.FINAL): PlanState.UNWINDING,
        (PlanState.SETTLING, PlanInput.FINAL_SETS): PlanState.CONVERTING,
        (PlanState.CONVERTING, PlanInput.CONVERTED): PlanState.SELLING,
        (PlanState.CONVERTING, PlanInput.NOT_CONVERTED): PlanState.UNWINDING,
        (PlanState.SELLING, PlanInput.FINAL): PlanState.UNWINDING,
        (PlanState.UNWINDING, PlanInput.BALANCED): PlanState.DONE,
    }
)


def plan_step(state: PlanState, event: PlanInput) -> PlanState | None:
    """State after ``event``; None when it cannot happen there."""
    return PLAN_TRANSITIONS.get((state, event))


class LegUse(IntEnum):
    """``PLAN_LEG.convert``."""

    PLAIN = 0
    TO_CONVERT = 1
    FROM_CONVERSION = 2


_TO_CONVERT, _FROM_CONVERSION = int(LegUse.TO_CONVERT), int(LegUse.FROM_CONVERSION)


@dataclass(slots=True, eq=False)
class Leg:
    """One PLAN_LEG, price and size rounded to what its venue accepts.

    ``asked``: the record as plain integers, with ``slot`` and ``venue`` of its market, ``direction`` and
    ``token``, which is what it trades. ``is_sale``: it sells what a conversion gives.
    """

    record: np.void
    index: int
    limit_e4: int
    size_e6: int
    orders: list[TrackedOrder] = field(default_factory=list)
    unwinds: list[TrackedOrder] = field(default_factory=list)
    attempts: int = 0  # to unwind
    retry_ns: int = 0
    exit_e4: int = NO_PRICE  # worst price that trading it all back needed when the plan began
    buys_other: bool = False  # unwinding by buying the other outcome: the venue has netted the holding
    is_settled: bool = False  # its market has paid
    asked: LegFacts = field(init=False)
    slot: int = field(init=False)
    venue: int = field(init=False)
    direction: int = field(init=False)
    token: Token = field(init=False)
    is_sale: bool = field(init=False)

    def __post_init__(self) -> None:
        self.asked = asked = leg_facts(self.record)
        self.slot, self.venue, self.direction = asked.slot, asked.venue, asked.direction
        self.token = asked.slot, asked.generation, asked.outcome
        self.is_sale = asked.convert == _FROM_CONVERSION

    @property
    def rules(self) -> VenueRules:
        """Order semantics of its venue."""
        return RULES[self.venue]

    @property
    def done_e6(self) -> int:
        """Traded as planned, void trades left out."""
        return sum(order.net_e6 for order in self.orders)

    @property
    def undone_e6(self) -> int:
        """Traded back (of a sale: sold in further attempts)."""
        return sum(order.net_e6 for order in self.unwinds)

    @property
    def entry_e4(self) -> int:
        """Average price so far, in the leg's favour rounded down; its limit when nothing was traded."""
        size = self.done_e6
        cash = sum(order.cash_micros for order in self.orders)
        return cash * PRICE_ONE_E4 // size if size else self.limit_e4


class PlanResult(NamedTuple):
    """How a plan ended.

    ``positions``: what it changed, a sold inventory is negative; ``surplus``: what belongs to no whole set.
    """

    plan_id: int
    reason: Reason
    sets_e6: int
    positions: tuple[tuple[Token, int], ...]
    surplus: tuple[tuple[Token, int], ...]
    cash_micros: int  # received less paid, fees included
    fees_micros: int


@dataclass(slots=True, eq=False)
class Plan:
    """A PLAN message in work. ``orders`` holds every order it ever had, in order of making.

    ``asked``: the head as plain integers, with ``plan_id``.
    """

    head: np.void
    legs: list[Leg]
    state: PlanState = PlanState.LEGS
    orders: list[TrackedOrder] = field(default_factory=list)
    unsent: list[Leg] = field(default_factory=list)  # in order of sending
    is_at_once: bool = False  # all legs leave together, or none
    conversion: TrackedOrder | None = None
    sales_sent: bool = False
    stopped: Reason = _NONE  # why not every leg was sent, or filled
    wake_ns: int = INT64_MAX  # when an unwind is to be tried again, or the rate admits the next leg
    asked: HeadFacts = field(init=False)
    plan_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.asked = head_facts(self.head)
        self.plan_id = self.asked.plan_id

    @property
    def mains(self) -> list[Leg]:
        """Legs that make the sets."""
        return [leg for leg in self.legs if not leg.is_sale]

    @property
    def sales(self) -> list[Leg]:
        """Legs that sell what the conversion gives."""
        return [leg for leg in self.legs if leg.is_sale]

    @property
    def converts(self) -> bool:
        """Whether it ends in a conversion."""
        return any(leg.asked.convert == _TO_CONVERT for leg in self.legs)

    @property
    def wanted_e6(self) -> int:
        """Sets it set out for, after rounding."""
        return min(leg.size_e6 for leg in self.mains)

    @property
    def sets_e6(self) -> int:
        """Whole sets held: the least of any leg."""
        return min(leg.done_e6 - leg.undone_e6 for leg in self.mains)

    @property
    def converted_e6(self) -> int:
        """Sets that went through the conversion."""
        done = self.conversion is not None and self.conversion.is_closed and self.conversion.filled_e6
        return self.conversion.size_e6 if done and self.conversion is not None else 0

    def surplus_e6(self, leg: Leg) -> int:
        """What a leg has beyond whole sets, or has not sold of what it got."""
        if leg.is_settled:
            return 0
        if leg.is_sale:
            return max(self.converted_e6 - leg.done_e6 - leg.undone_e6, 0)
        kept = self.converted_e6 if self.converts else max(self.sets_e6, 0)
        return max(leg.done_e6 - leg.undone_e6 - kept, 0)

    def is_closed(self) -> bool:
        """No order is open."""
        return all(order.is_closed for order in self.orders)

    def is_final(self) -> bool:
        """No order is open and no trade can fail."""
        return all(order.is_final for order in self.orders)

    def move(self, event: PlanInput) -> None:
        """Change state; an illegal step is a mistake of ours (ValueError)."""
        after = plan_step(self.state, event)
        if after is None:
            raise ValueError(f"plan {self.plan_id}: {event.name} cannot follow {self.state.name}")
        self.state = after

    def result(self) -> PlanResult:
        """Sum of all trades that stand."""
        cash = fees = 0
        held: dict[Token, int] = {}
        for buys, token, size, paid, fee in self._standing():
            sign = 1 if buys else -1
            held[token] = held.get(token, 0) + sign * size
            cash -= sign * paid + fee
            fees += fee
        cash += self._net_pairs(held)
        surplus = tuple((leg.token, self.surplus_e6(leg)) for leg in self.legs if self.surplus_e6(leg))
        positions = tuple(sorted((token, size) for token, size in held.items() if size))
        sets = self.converted_e6 if self.converts else max(self.sets_e6, 0)
        return PlanResult(self.plan_id, self._reason(surplus), sets, positions, surplus, cash, fees)

    def _standing(self) -> Iterator[tuple[bool, Token, int, int, int]]:
        for order in self.orders:
            for trade in order.trades.values():
                if trade.state != _FAILED:
                    yield trade.buys, trade.token, trade.size_e6, trade.cash_micros, trade.fee_micros

    def _net_pairs(self, held: dict[Token, int]) -> int:
        """Take pairs of YES and NO out of ``held`` where the venue does; answers the dollars they made."""
        cash = 0
        nets = {leg.slot for leg in self.legs if leg.rules.nets_pairs}
        for slot, generation in {(token[0], token[1]) for token in held if token[0] in nets}:
            yes, no = (slot, generation, int(_YES)), (slot, generation, int(_NO))
            pairs = max(min(held.get(yes, 0), held.get(no, 0)), 0)
            if pairs:
                held[yes] -= pairs
                held[no] -= pairs
                cash += pairs  # a contract of 1e6 pays 1e6 micro-dollars
        return cash

    def _reason(self, surplus: tuple[tuple[Token, int], ...]) -> Reason:
        traded = any(order.net_e6 for order in self.orders)
        if not traded:
            return self.stopped if self.stopped != _NONE else _LEG_MISSED
        if surplus and any(leg.attempts for leg in self.legs if self.surplus_e6(leg)):
            return _UNWIND_FAILED
        if any(order.role == _UNWIND and order.net_e6 for order in self.orders):
            return _UNWOUND
        sets = self.converted_e6 if self.converts else self.sets_e6
        return _NONE if sets >= self.wanted_e6 and not surplus else _PARTLY_FILLED


def opposite(direction: int) -> Direction:
    """BUY of SELL, SELL of BUY."""
    return _SELL if direction == _BUY else _BUY
