"""One plan through its states: what to send next, and when a state is over.

Each state has one method. It sends what it can, and moves the plan on when nothing is left to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import Catalog
from engine.execution.config import ExecutionConfig, LegOrder
from engine.execution.intake import index_of_conversion, leg_size_e6
from engine.execution.plan import Leg, Plan, PlanInput, PlanState
from engine.execution.ports import Rate
from engine.execution.sender import Sender, Wish
from engine.execution.tracked import Role, TrackedOrder
from engine.execution.unwind import exit_price_e4, tradable_surplus_e6, unwind_wish
from engine.execution.visible import depth_within_e6
from engine.execution.waves import fits_at_once, last_leg_ns, next_wave
from engine.ids import index_set
from engine.reasons import Reason

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_ALL_AT_ONCE: Final = LegOrder.ALL_AT_ONCE
_BALANCED, _CLOSED, _CONVERTED, _FINAL = (
    PlanInput.BALANCED,
    PlanInput.CLOSED,
    PlanInput.CONVERTED,
    PlanInput.FINAL,
)
_FINAL_SETS, _NOT_CONVERTED = PlanInput.FINAL_SETS, PlanInput.NOT_CONVERTED
_CONVERTING, _DONE, _LEGS, _SELLING = PlanState.CONVERTING, PlanState.DONE, PlanState.LEGS, PlanState.SELLING
_STATES: Final = len(PlanState)
_SETTLING, _UNWINDING = PlanState.SETTLING, PlanState.UNWINDING
_DEADLINE, _LEG_MISSED, _NAKED_SALE, _NONE = (
    Reason.DEADLINE,
    Reason.LEG_MISSED,
    Reason.NAKED_SALE,
    Reason.NONE,
)
_ORDER_RATE: Final = Reason.ORDER_RATE
_LEG, _SALE, _UNWIND = Role.LEG, Role.SALE, Role.UNWIND

Rows = npt.NDArray[np.void]
Step = Callable[[Plan, int], None]
Watch = Callable[[Plan, TrackedOrder], None]
Refresh = Callable[[int, int], None]  # of a venue's market: bring its row of the books up to date


class PlanWorker:
    """Moves plans on. ``watch`` is told of every order made; ``refresh`` is called before a book is read."""

    def __init__(
        self,
        catalog: Catalog,
        books: Rows,
        sender: Sender,
        rate: Rate,
        config: ExecutionConfig,
        watch: Watch,
        refresh: Refresh | None = None,
    ) -> None:
        self._catalog = catalog
        self._books = books
        self._sender = sender
        self._rate = rate
        self._config = config
        self._watch = watch
        self._refresh = refresh
        self._together = config.leg_order == _ALL_AT_ONCE
        self._steps: Mapping[PlanState, Step] = MappingProxyType(
            {
                _LEGS: self._send_legs,
                _SETTLING: self._settle,
                _CONVERTING: self._convert,
                _SELLING: self._sell,
                _UNWINDING: self._unwind,
            }
        )

    def prepare(self, plan: Plan) -> None:
        """Put the legs of a new plan in order, and note what trading each back would need now."""
        plan.unsent = plan.mains
        for leg in plan.mains:
            self._look_at(leg)
            leg.exit_e4 = exit_price_e4(self._books, leg)
        plan.is_at_once = self._together and fits_at_once(self._rate, plan.mains)
        if not plan.is_at_once:
            plan.unsent.sort(key=lambda leg: (self._visible_e6(leg), leg.index))

    def advance(self, plan: Plan, now_ns: int) -> None:
        """Do everything that can be done now: each round changes the state or is the last."""
        for _ in range(_STATES):
            before = plan.state
            if before != _DONE:
                self._steps[before](plan, now_ns)
            if plan.state == before:
                break

    def _look_at(self, leg: Leg) -> None:
        if self._refresh is not None:
            self._refresh(leg.venue, leg.slot)

    def _book(self, leg: Leg) -> np.void:
        self._look_at(leg)
        row: np.void = self._books[leg.slot]
        return row

    def _visible_e6(self, leg: Leg) -> int:
        return depth_within_e6(self._book(leg), leg.direction, leg.asked.outcome, leg.limit_e4)

    def _send_legs(self, plan: Plan, now_ns: int) -> None:
        while plan.unsent and plan.stopped == _NONE and plan.is_closed():
            deadline_ns = plan.asked.deadline_ns
            if now_ns > deadline_ns:
                plan.stopped = _DEADLINE
            elif plan.is_at_once:
                self._send_first(plan, plan.unsent, now_ns)
            elif not plan.orders and last_leg_ns(self._rate, plan.mains, now_ns) > deadline_ns:
                plan.stopped = _ORDER_RATE
            else:
                wave = next_wave(self._rate, plan.unsent if self._together else plan.unsent[:1], now_ns)
                if not wave.legs:
                    plan.wake_ns = min(plan.wake_ns, wave.next_ns, deadline_ns + 1)
                    return
                self._send_first(plan, wave.legs, now_ns)
        if plan.is_closed():
            plan.move(_CLOSED)

    def _send_first(self, plan: Plan, legs: list[Leg], now_ns: int) -> None:
        plan.unsent = [leg for leg in plan.unsent if leg not in legs]
        plan.stopped = self._send_sized(plan, legs, now_ns)

    def _send_sized(self, plan: Plan, legs: list[Leg], now_ns: int) -> Reason:
        """Send legs, none larger than what every leg before them was filled."""
        most = min([leg.done_e6 for leg in plan.mains if leg.orders], default=plan.wanted_e6)
        sizes = [leg_size_e6(self._catalog, leg, min(most, leg.size_e6)) for leg in legs]
        if not all(sizes):
            return _LEG_MISSED
        wishes = [_leg_wish(leg, size, _LEG) for leg, size in zip(legs, sizes, strict=True)]
        return self._send(plan, legs, wishes, now_ns)

    def _settle(self, plan: Plan, now_ns: int) -> None:  # noqa: ARG002 - all steps are called alike
        if plan.is_final():
            has_sets = plan.converts and plan.sets_e6 > 0
            plan.move(_FINAL_SETS if has_sets else _FINAL)

    def _convert(self, plan: Plan, now_ns: int) -> None:
        if plan.conversion is None:
            members = index_set(index_of_conversion(self._catalog, plan.legs))
            slot = plan.mains[0].slot
            plan.conversion = self._sender.send_conversion(plan, slot, members, plan.sets_e6, now_ns)
            self._watch(plan, plan.conversion)
        if plan.conversion.is_closed:
            plan.move(_CONVERTED if plan.converted_e6 else _NOT_CONVERTED)

    def _sell(self, plan: Plan, now_ns: int) -> None:
        for leg in [] if plan.sales_sent else plan.sales:
            size = leg_size_e6(self._catalog, leg, plan.converted_e6)
            if size:
                epoch = int(self._book(leg)["epoch"])
                self._send(plan, [leg], [_leg_wish(leg, size, _SALE, epoch)], now_ns)
        plan.sales_sent = True
        if plan.is_final():
            plan.move(_FINAL)

    def _unwind(self, plan: Plan, now_ns: int) -> None:
        waits = False
        for leg in plan.legs:
            if any(not order.is_final for order in leg.unwinds):
                waits = True
            elif tradable_surplus_e6(self._catalog, plan, leg, self._config):
                waits |= self._try_unwind(plan, leg, now_ns)
        if not waits and plan.is_final():
            plan.move(_BALANCED)

    def _try_unwind(self, plan: Plan, leg: Leg, now_ns: int) -> bool:
        """Try once when it is time; whether the plan has to wait for this leg."""
        if now_ns >= leg.retry_ns:
            if leg.attempts >= self._config.unwind_attempts_max:
                return False
            leg.attempts += 1
            leg.retry_ns = now_ns + self._config.unwind_retry_ns
            self._look_at(leg)
            wish = unwind_wish(self._catalog, self._books, plan, leg, self._config)
            if wish is not None:
                self._send(plan, [leg], [wish], now_ns)
        plan.wake_ns = min(plan.wake_ns, leg.retry_ns)
        return True

    def _send(self, plan: Plan, legs: list[Leg], wishes: list[Wish], now_ns: int) -> Reason:
        orders, reason = self._sender.send_together(plan, wishes, now_ns)
        for leg, order in zip(legs, orders, strict=True):
            (leg.unwinds if order.role == _UNWIND else leg.orders).append(order)
            self._watch(plan, order)
            if reason == _NAKED_SALE and order.role == _UNWIND and leg.rules.nets_pairs:
                leg.buys_other = True  # the venue has netted what we meant to sell
        return reason


def _leg_wish(leg: Leg, size_e6: int, role: Role, epoch: int | None = None) -> Wish:
    asked = leg.asked
    return Wish(
        role=role,
        leg=leg.index,
        slot=asked.slot,
        generation=asked.generation,
        venue=asked.venue,
        direction=asked.direction,
        outcome=asked.outcome,
        tif=asked.tif,
        price_e4=leg.limit_e4,
        size_e6=size_e6,
        epoch=asked.epoch if epoch is None else epoch,
    )
