"""The checks of the gate, as kernels over rows: what may leave, and what is then set aside.

Checks run in the order that ``engine.risk.gate`` tells, and the first that fails is the answer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.declared import is_contradicted
from engine.catalog.catalog import MARKET_ROW, NO_GROUP, MarketFlag, MarketRows
from engine.catalog.market import RANGES_MAX
from engine.jit import kernel
from engine.reasons import Reason
from engine.records import BOOK_ROW, ORDER_REQUEST, Direction, MarketState, Outcome, RequestKind, Trust
from engine.risk.limits import GATE_LIMITS, GATE_MARKET, GATE_STATE, TOKEN_ONE, VENUES
from engine.risk.reservations import move, reserve
from engine.units import INT64_MAX, NS_PER_S, PPM, PRICE_ONE_E4, muldiv_ceil

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]

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
    ranges = int(market["n_ranges"])
    if price_e4 <= 0 or price_e4 >= PRICE_ONE_E4 or not 0 <= ranges <= RANGES_MAX:
        return False
    for index in range(ranges):
        start, step = market["range_start_e4"][index], market["range_step_e4"][index]
        inside = start <= price_e4 <= market["range_end_e4"][index]
        if inside and step > 0 and (price_e4 - start) % step == 0:
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


@kernel
def _take_back(
    state: Rows,
    markets: MarketRows,
    held: Rows,
    requests: Rows,
    n_orders: int,
    worst_micros: Ints,
    group_micros: Ints,
    last_order_id: int,
) -> None:
    """Undo the reservations of so many orders that have not left."""
    for index in range(n_orders):
        request = requests[index]
        venue, slot, outcome = int(request["venue"]), int(request["slot"]), int(request["outcome"])
        buys, cash = request["direction"] == _BUY, max(int(worst_micros[index]), 0)
        move(state, held, venue, slot, outcome, buys, -int(request["size_e6"]), -cash)
        state[0]["open_orders"] -= 1
        state[0]["tokens"][venue] += TOKEN_ONE
        if markets[slot]["group"] != NO_GROUP:
            group_micros[markets[slot]["group"]] -= cash
    state[0]["last_order_id"] = last_order_id


@kernel
def admit_together(
    limits: Rows,
    state: Rows,
    markets: MarketRows,
    held: Rows,
    books: Rows,
    requests: Rows,
    n_orders: int,
    epochs: Ints,
    worst_micros: Ints,
    group_micros: Ints,
    now_ns: int,
) -> bool:
    """Check orders one after the other as ``admit`` does, and reserve all of them, or none when one may not.

    ``group_micros``: exposures by group, which is written as well. An order of which there are no rows, or
    whose group is beyond them, may not leave.
    """
    last_order_id = int(state[0]["last_order_id"])
    for index in range(n_orders):
        request = requests[index]
        slot, code = int(request["slot"]), _UNKNOWN_MARKET
        is_there = 0 <= slot < min(len(markets), len(books), len(held)) and 0 < request["venue"] < VENUES
        group = int(markets[slot]["group"]) if is_there else NO_GROUP
        if is_there and request["outcome"] <= _NO and NO_GROUP <= group < len(group_micros):
            exposure = int(np.int64(ALONE)) if group == NO_GROUP else int(group_micros[group])
            epoch, worst = int(epochs[index]), int(worst_micros[index])
            this = requests[index : index + 1]
            code = admit(limits, state, markets, held, books, this, epoch, worst, exposure, now_ns)
        if code != 0:
            _take_back(state, markets, held, requests, index, worst_micros, group_micros, last_order_id)
            return False
        if group != NO_GROUP:
            group_micros[group] += max(int(worst_micros[index]), 0)
    return True


def warm() -> None:
    """Compile the kernels of this module."""
    market = np.zeros(1, MARKET_ROW)
    on_grid(market[0], 0)
    limits, state = np.zeros(1, GATE_LIMITS), np.zeros(1, GATE_STATE)
    book, request, held = np.zeros(1, BOOK_ROW), np.zeros(1, ORDER_REQUEST), np.zeros(1, GATE_MARKET)
    check(limits[0], state[0], market[0], held[0], book[0], request[0], 0, 0, 0, 0)
    admit(limits, state, market, held, book, request, 0, 0, 0, 0)
    none: Ints = np.zeros(1, np.int64)
    admit_together(limits, state, market, held, book, request, 0, none, none, none, 0)
    rate_ready_ns(limits[0], state[0], 0, 1, 0)
    drawdown_ppm(state[0])
    loss_reason(limits[0], state[0])
