"""The gate: the last check before an order leaves, independent of whoever made it. It fails closed.

One kernel reads the order, the limits, the market, the book and what is already in flight, and answers with
a reason. Checks run in the order below and the first that fails is the answer; an order that passes is
reserved at once, so two orders can never use the same cash or the same limit.

    halt -> market known, not seen before, in time -> book live, open, same epoch, fresh -> grid, lot, minimum
    -> order limits -> nothing sold that is not held -> pause, stop -> position, market, event, heat -> losses
    -> count, rate -> cash

A loss limit that equity has touched once stops the engine: nothing opens exposure any more, also when equity
is back above it, until somebody resumes. An order that only reduces a holding skips pause, stop, the exposure
limits and the loss limits: being unable to get out is not safety. Nothing skips a halt. A sale beyond the
holding is always refused: where a venue would make it a purchase of the other outcome, the order has to say
so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.declared import is_contradicted
from engine.catalog.catalog import MARKET_ROW, NO_GROUP, MarketFlag, MarketRows
from engine.direct import direct
from engine.facts import RequestFacts, request_facts
from engine.jit import kernel
from engine.reasons import Reason
from engine.records import BOOK_ROW, ORDER_REQUEST, Direction, MarketState, Outcome, RequestKind, Trust
from engine.risk.limits import GATE_LIMITS, GATE_MARKET, GATE_STATE, TOKEN_ONE, VENUES, RiskWords
from engine.risk.reservations import Reservation, move, one_row, reserve
from engine.units import INT64_MAX, NS_PER_S, PPM, PRICE_ONE_E4, muldiv_ceil

Rows = npt.NDArray[np.void]

_BUY: Final = int(Direction.BUY)
_NEW: Final = int(RequestKind.NEW)
_NO: Final = int(Outcome.NO)
_LIVE: Final = int(Trust.LIVE)
_OPEN: Final = int(MarketState.OPEN)
_TRADABLE: Final = int(MarketFlag.IN_USE | MarketFlag.OPEN)

ALONE: Final = -INT64_MAX - 1  # of no group: no sum of exposures is that, also not one that is wrong

# kernels see plain integers
_HALTED, _PAUSED = int(Reason.HALTED), int(Reason.PAUSED)
_UNKNOWN_MARKET, _DUPLICATE, _DEADLINE = (
    int(Reason.UNKNOWN_MARKET),
    int(Reason.DUPLICATE_INTENT),
    int(Reason.DEADLINE),
)
_DISAGREES: Final = int(Reason.TOP_DISAGREES)
_NOT_LIVE, _CLOSED, _STALE_EPOCH, _STALE = (
    int(Reason.BOOK_NOT_LIVE),
    int(Reason.MARKET_CLOSED),
    int(Reason.STALE_EPOCH),
    int(Reason.BOOK_STALE),
)
_OFF_GRID, _OFF_LOT = int(Reason.PRICE_OFF_GRID), int(Reason.SIZE_OFF_LOT)
_TOO_SMALL, _NOTIONAL_SMALL = int(Reason.BELOW_MINIMUM_SIZE), int(Reason.NOTIONAL_TOO_SMALL)
_SIZE_LIMIT, _NOTIONAL_LIMIT = int(Reason.ORDER_SIZE_LIMIT), int(Reason.ORDER_NOTIONAL_LIMIT)
_NAKED, _POSITION = int(Reason.NAKED_SALE), int(Reason.POSITION_LIMIT)
_MARKET, _EVENT, _HEAT = (
    int(Reason.MARKET_EXPOSURE_LIMIT),
    int(Reason.EVENT_EXPOSURE_LIMIT),
    int(Reason.PORTFOLIO_HEAT),
)
_DAILY, _DRAWDOWN = int(Reason.DAILY_LOSS), int(Reason.DRAWDOWN)
_OPEN_ORDERS, _RATE, _CASH = (
    int(Reason.OPEN_ORDER_LIMIT),
    int(Reason.ORDER_RATE),
    int(Reason.CASH_UNAVAILABLE),
)


@kernel
def on_grid(market: np.void, price_e4: int) -> bool:
    """Whether an order of this MARKET_ROW may carry the YES price: on a step, strictly inside (0, 1)."""
    if price_e4 <= 0 or price_e4 >= PRICE_ONE_E4:
        return False
    for index in range(market["n_ranges"]):
        start = market["range_start_e4"][index]
        inside = start <= price_e4 <= market["range_end_e4"][index]
        if inside and (price_e4 - start) % market["range_step_e4"][index] == 0:
            return True
    return False


@kernel
def _check_book(limits: np.void, book: np.void, generation: int, epoch: int, now_ns: int) -> int:
    if book["generation"] != generation or book["trust"] != _LIVE:
        return _NOT_LIVE
    if book["market_state"] != _OPEN:
        return _CLOSED
    if is_contradicted(int(book["flags"])):
        return _DISAGREES
    if book["epoch"] != epoch:
        return _STALE_EPOCH
    heard_ns, age_max_ns = int(book["recv_ns"]), int(limits["book_age_max_ns"])
    if heard_ns < now_ns - age_max_ns or heard_ns > now_ns + age_max_ns:  # one from the future is garbage
        return _STALE
    return 0


@kernel
def _check_shape(limits: np.void, market: np.void, request: np.void, notional_micros: int) -> int:
    """Grid, lot, minimum and maximum of the order by itself."""
    price = int(request["price_e4"])
    size = request["size_e6"]
    if not on_grid(market, PRICE_ONE_E4 - price if request["outcome"] == _NO else price):
        return _OFF_GRID
    if size <= 0 or size % market["lot_e6"] != 0:
        return _OFF_LOT
    if request["direction"] == _BUY:
        if size < market["min_size_e6"]:
            return _TOO_SMALL
        if notional_micros < market["min_notional_micros"]:
            return _NOTIONAL_SMALL
    if size > limits["order_size_max_e6"]:
        return _SIZE_LIMIT
    if notional_micros < 0 or notional_micros > limits["order_notional_max_micros"]:
        return _NOTIONAL_LIMIT
    return 0


@kernel
def drawdown_ppm(state: np.void) -> int:
    """Fall of equity from its highest value, in parts per million, rounded up."""
    peak = int(state["equity_peak_micros"])
    return muldiv_ceil(max(peak - int(state["equity_micros"]), 0), PPM, max(peak, 1))


@kernel
def loss_reason(limits: np.void, state: np.void) -> int:
    """The loss limit that equity as it is now has reached, 0 when none."""
    if state["day_start_micros"] - state["equity_micros"] >= limits["daily_loss_max_micros"]:
        return _DAILY
    fall = drawdown_ppm(state)
    return _DRAWDOWN if fall < 0 or fall >= limits["drawdown_stop_ppm"] else 0


@kernel
def _check_exposure(
    limits: np.void, state: np.void, held: np.void, outcome: int, size_e6: int, worst_micros: int, event: int
) -> int:
    """Limits on what would be held if everything in flight filled; ``event`` < 0 means it cannot be known."""
    if held["held_e6"][outcome] + held["buying_e6"][outcome] + size_e6 > limits["position_max_e6"]:
        return _POSITION
    if held["cost_micros"] + held["reserved_micros"] + worst_micros > limits["market_exposure_max_micros"]:
        return _MARKET
    if event < 0 or event + worst_micros > limits["event_exposure_max_micros"]:
        return _EVENT
    equity = int(state["equity_micros"])
    heat = muldiv_ceil(int(state["exposure_micros"]) + worst_micros, PPM, equity) if equity > 0 else -1
    if heat < 0 or heat > limits["heat_max_ppm"]:  # without equity, or over what can be counted
        return _HEAT
    return loss_reason(limits, state)


@kernel
def _refill(limits: np.void, state: np.void, venue: int, now_ns: int) -> None:
    """Advance the venue's rate bucket to ``now_ns``; a clock that steps back refills nothing."""
    passed = min(max(now_ns - state["tokens_ns"][venue], 0), NS_PER_S * 60)
    full = limits["orders_burst"][venue] * TOKEN_ONE
    gained = passed * limits["orders_per_second"][venue] // (NS_PER_S // TOKEN_ONE)
    state["tokens"][venue] = min(state["tokens"][venue] + gained, full)
    state["tokens_ns"][venue] = max(now_ns, state["tokens_ns"][venue])


@kernel
def rate_ready_ns(limits: np.void, state: np.void, venue: int, orders: int, now_ns: int) -> int:
    """When a venue's rate has let ``orders`` more leave, each as soon as it may; INT64_MAX: never."""
    _refill(limits, state, venue, now_ns)
    missing = orders * TOKEN_ONE - int(state["tokens"][venue])
    rate = int(limits["orders_per_second"][venue])
    if missing <= 0:
        return now_ns
    if rate <= 0 or limits["orders_burst"][venue] <= 0:
        return INT64_MAX
    return int(state["tokens_ns"][venue]) + muldiv_ceil(missing, NS_PER_S // TOKEN_ONE, rate)


@kernel
def _check_flow(limits: np.void, state: np.void, venue: int, worst_micros: int, now_ns: int) -> int:
    if state["open_orders"] >= limits["open_orders_max"]:
        return _OPEN_ORDERS
    _refill(limits, state, venue, now_ns)
    if state["tokens"][venue] < TOKEN_ONE:
        return _RATE
    if state["reserved_micros"][venue] + worst_micros > state["cash_micros"][venue]:
        return _CASH
    return 0


@kernel
def check(
    limits: np.void,
    state: np.void,
    market: np.void,
    held: np.void,
    book: np.void,
    request: np.void,
    epoch: int,
    worst_micros: int,
    event_micros: int,
    now_ns: int,
) -> int:
    """Reason against the order, 0 when it may leave. Reads only, but for the rate bucket's clock.

    ``worst_micros``: cash the order can cost at most, fee included; ``event_micros``: exposure of the whole
    group.
    """
    if state["halted"] != 0:
        return _HALTED
    if market["generation"] != request["generation"] or market["flags"] & _TRADABLE != _TRADABLE:
        return _UNKNOWN_MARKET
    if request["kind"] != _NEW or request["order_id"] <= state["last_order_id"]:
        return _DUPLICATE
    if request["expire_ns"] != 0 and now_ns > request["expire_ns"]:
        return _DEADLINE
    reason = _check_book(limits, book, request["generation"], epoch, now_ns)
    if reason != 0:
        return reason
    size = request["size_e6"]
    outcome = int(request["outcome"])
    notional = muldiv_ceil(max(size, 0), int(request["price_e4"]), PRICE_ONE_E4)
    reason = _check_shape(limits, market, request, notional)
    if reason != 0:
        return reason
    buys = request["direction"] == _BUY
    free = held["held_e6"][outcome] - held["selling_e6"][outcome]
    if not buys and size > free:
        return _NAKED
    if buys:
        if state["paused"] != 0:
            return _PAUSED
        if state["stopped"] != 0:
            return int(state["stopped"])
        reason = _check_exposure(limits, state, held, outcome, size, max(worst_micros, 0), event_micros)
        if reason != 0:
            return reason
    return _check_flow(limits, state, int(request["venue"]), max(worst_micros, 0), now_ns)


@kernel
def admit(
    limits: Rows,
    state: Rows,
    markets: MarketRows,
    held: Rows,
    books: Rows,
    requests: Rows,
    epoch: int,
    worst_micros: int,
    group_micros: int,
    now_ns: int,
) -> int:
    """Check the order in ``requests[0]``, and reserve it when it may leave; answers as ``check``.

    Rows by slot, and one of limits and of state; slot, venue and outcome must be there: nobody looks here.
    ``group_micros``: exposure of the market's group, or ALONE; below zero it cannot be known.
    """
    request = requests[0]
    slot = int(request["slot"])
    row = held[slot]
    event = group_micros
    if event == ALONE:
        event = min(row["cost_micros"], INT64_MAX - row["reserved_micros"]) + row["reserved_micros"]
    code = check(
        limits[0], state[0], markets[slot], row, books[slot], request, epoch, worst_micros, event, now_ns
    )
    if code == 0:
        order_id, venue, outcome = int(request["order_id"]), int(request["venue"]), int(request["outcome"])
        buys = request["direction"] == _BUY
        cash = max(worst_micros, 0)
        reserve(state, held, order_id, venue, slot, outcome, buys, int(request["size_e6"]), cash)
    return code


class Gate:
    """Limits, reservations and the halt word of one engine. The only writer of its state.

    ``market_rows`` and ``book_rows`` are read, by slot. ``latch`` is called once with the reason when a
    halt or a stop is set, to make it survive the process; a failing latch leaves the gate halted or stopped.
    ``drawdown_max_ppm``: the deepest fall of equity from its highest value so far.
    """

    def __init__(
        self,
        limits: np.void,
        market_rows: MarketRows,
        book_rows: Rows,
        latch: Callable[[Reason], None] | None = None,
    ) -> None:
        self.limits = limits
        self.state: np.void = np.zeros(1, GATE_STATE)[0]
        self.markets: Rows = np.zeros(len(market_rows), GATE_MARKET)
        self.denials: dict[Reason, int] = {}
        self.drawdown_max_ppm = 0
        self._market_rows = market_rows
        self._book_rows = book_rows
        self._latches = [latch] if latch is not None else []
        self._open: dict[int, Reservation] = {}
        self._group_micros: dict[int, int] = {}
        self._asked: Rows = np.zeros(1, ORDER_REQUEST)
        self._asked_bytes = self._asked.view(np.uint8).data
        ones = one_row(limits), one_row(self.state)
        self._arrays = (*ones, market_rows, self.markets, book_rows, self._asked)
        self._state = self._arrays[1]
        self._groups, self._bursts = market_rows["group"], limits["orders_burst"]
        self._admit = direct(admit, *self._arrays, 0, 0, 0, 0)
        self._set_aside = direct(move, self._state, self.markets, 0, 0, 0, False, 0, 0)
        for venue in range(VENUES):
            self.state["tokens"][venue] = int(limits["orders_burst"][venue]) * TOKEN_ONE

    def check(self, request: np.void, epoch: int, worst_cash_micros: int, now_ns: int) -> Reason:
        """Answer for one ORDER_REQUEST; on ``Reason.NONE`` its worst case is reserved under its order id."""
        asked = request_facts(request)
        slot = asked.slot
        if not self._is_there(asked):
            return self._denied(Reason.HALTED if self.halted else Reason.UNKNOWN_MARKET)
        group = int(self._groups[slot])
        micros = ALONE if group == NO_GROUP else self._group_micros.get(group, 0)
        self._asked_bytes[:] = request.tobytes()
        code = self._admit(*self._arrays, epoch, worst_cash_micros, micros, now_ns)
        if code:
            return self._denied(Reason(code))
        self._open_order(asked, group, max(worst_cash_micros, 0))
        return Reason.NONE

    def _is_there(self, asked: RequestFacts) -> bool:
        """Whether there are rows of what an order names: kernels do not look."""
        is_market = 0 <= asked.slot < len(self._market_rows) and 0 < asked.venue < VENUES
        return is_market and 0 <= asked.outcome < len(Outcome)

    def orders_at_once(self, venue: int) -> int:
        """Most orders that a venue's rate ever lets leave together."""
        return int(self._bursts[venue])

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        """When a venue's rate has let ``orders`` more leave, each as soon as it may; INT64_MAX: never."""
        return int(rate_ready_ns(self.limits, self.state, venue, orders, now_ns))

    def restore(self, request: np.void, worst_cash_micros: int) -> None:
        """Reserve for an order of an earlier run, which has left; ValueError for one of nothing."""
        asked, cash = request_facts(request), max(worst_cash_micros, 0)
        if not self._is_there(asked):
            named = f"venue {asked.venue}, slot {asked.slot}, outcome {asked.outcome}"
            raise ValueError(f"order {asked.order_id}: nothing is at {named}")
        buys = asked.direction == _BUY
        where = asked.order_id, asked.venue, asked.slot, asked.outcome
        reserve(self._state, self.markets, *where, buys, asked.size_e6, cash)
        self._open_order(asked, int(self._groups[asked.slot]), cash)

    def release(self, order_id: int) -> None:
        """Forget what is still reserved for an order that can no longer fill; unknown ids are ignored."""
        held = self._open.pop(order_id, None)
        if held is None:
            return
        self._move(held, -held.size_e6, -held.cash_micros)
        self.state["open_orders"] -= 1

    def on_fill(self, order_id: int, size_e6: int) -> None:
        """Shrink a reservation by a fill; the ledger's position follows through ``set_position``."""
        held = self._open.get(order_id)
        if held is None or held.size_e6 <= 0:
            return
        filled = min(size_e6, held.size_e6)
        cash = (
            held.cash_micros * filled // held.size_e6
        )  # rounded down: what stays reserved is never too little
        self._move(held, -filled, -cash)
        held.size_e6 -= filled
        held.cash_micros -= cash

    def set_position(self, slot: int, yes_e6: int, no_e6: int, cost_micros: int) -> None:
        """Take over a market's holding and its cost from the ledger."""
        row = self.markets[slot]
        change = cost_micros - int(row["cost_micros"])
        row["held_e6"][0], row["held_e6"][1] = yes_e6, no_e6
        row["cost_micros"] = cost_micros
        self._add_exposure(int(self._market_rows[slot]["group"]), change)

    def set_cash(self, venue: int, cash_micros: int) -> None:
        """Take over a venue's cash from the ledger."""
        self.state["cash_micros"][venue] = cash_micros

    def set_equity(self, equity_micros: int, *, sure: bool = True) -> None:
        """Take over cash plus marked positions and keep the highest value; stop when that is a loss too many.

        ``sure``: every holding was marked on a book that is believed. Otherwise a loss only refuses, for as
        long as it lasts: a book in doubt marks at nothing, and most come back.
        """
        self.state["equity_micros"] = equity_micros
        self.state["equity_peak_micros"] = max(int(self.state["equity_peak_micros"]), equity_micros)
        if not sure:
            return
        self.drawdown_max_ppm = max(self.drawdown_max_ppm, int(drawdown_ppm(self.state)))
        reached = int(loss_reason(self.limits, self.state))
        if reached:
            self.stop(Reason(reached))

    def start_day(self, equity_micros: int) -> None:
        """Start the daily loss count at this equity."""
        self.state["day_start_micros"] = equity_micros
        self.set_equity(equity_micros)

    @property
    def halted(self) -> bool:
        """Whether the halt word is set. Only an operator clears it (``resume``)."""
        return int(self.state["halted"]) != 0

    @property
    def stopped_by(self) -> Reason:
        """The limit that stopped everything that opens exposure; NONE while none has. Nothing clears it."""
        return Reason(int(self.state["stopped"]))

    def stop(self, reason: Reason) -> None:
        """Refuse from now on, with ``reason``, every order that opens exposure; then make that durable."""
        first = self.stopped_by is Reason.NONE
        if first:
            self.state["stopped"] = int(reason)
            self._make_durable(reason)

    def halt(self, reason: Reason) -> None:
        """Set the halt word, then make it durable through the latch."""
        first = not self.halted
        if first:
            self.state["halted"] = int(reason) + 1
            self._make_durable(reason)

    def also_latch(self, latch: Callable[[Reason], None]) -> None:
        """Call one more when a halt or a stop is set."""
        self._latches.append(latch)

    def risk_words(self) -> RiskWords:
        """What must outlive this process."""
        return RiskWords(*(int(self.state[name]) for name in RiskWords._fields))

    def restore_words(self, words: RiskWords) -> None:
        """Take over what an earlier run had: its halt, its stop, its loss limits as they were counted."""
        for name, value in words._asdict().items():
            self.state[name] = value

    def resume(self) -> None:
        """Clear the halt word, after an operator has lifted the halt where it is kept; a stop stays."""
        self.state["halted"] = 0

    def pause(self, paused: bool) -> None:
        """Stop or allow orders that open exposure; orders that reduce go on."""
        self.state["paused"] = int(paused)

    def reserved_micros(self, venue: int) -> int:
        """Cash promised to orders in flight at a venue."""
        return int(self.state["reserved_micros"][venue])

    def _make_durable(self, reason: Reason) -> None:
        for latch in self._latches:
            latch(reason)

    def _denied(self, reason: Reason) -> Reason:
        self.denials[reason] = self.denials.get(reason, 0) + 1
        return reason

    def _open_order(self, asked: RequestFacts, group: int, cash_micros: int) -> None:
        """Remember what was reserved for an order."""
        buys = asked.direction == _BUY
        held = Reservation(asked.venue, asked.slot, group, asked.outcome, buys, asked.size_e6, cash_micros)
        self._open[asked.order_id] = held
        self._add_to_group(group, cash_micros)

    def _move(self, held: Reservation, size_e6: int, cash_micros: int) -> None:
        where = held.venue, held.slot, held.outcome, held.buys
        self._set_aside(self._state, self.markets, *where, size_e6, cash_micros)
        self._add_to_group(held.group, cash_micros)

    def _add_exposure(self, group: int, change_micros: int) -> None:
        self.state["exposure_micros"] += change_micros
        self._add_to_group(group, change_micros)

    def _add_to_group(self, group: int, change_micros: int) -> None:
        if group != NO_GROUP:
            self._group_micros[group] = self._group_micros.get(group, 0) + change_micros


def warm() -> None:
    """Compile the gate's kernels."""
    market = np.zeros(1, MARKET_ROW)
    on_grid(market[0], 0)
    limits, state = np.zeros(1, GATE_LIMITS), np.zeros(1, GATE_STATE)
    book, request, held = np.zeros(1, BOOK_ROW), np.zeros(1, ORDER_REQUEST), np.zeros(1, GATE_MARKET)
    check(limits[0], state[0], market[0], held[0], book[0], request[0], 0, 0, 0, 0)
    admit(limits, state, market, held, book, request, 0, 0, 0, 0)
    rate_ready_ns(limits[0], state[0], 0, 1, 0)
    drawdown_ppm(state[0])
    loss_reason(limits[0], state[0])
