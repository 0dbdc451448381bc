"""The orders of a plan whose legs leave as they are, laid out in one call.

Most plans need nothing rounded: the optimizer has sized them, on the grids and lots of their markets. Of such
a plan this kernel makes the order requests, what is told of them, and what the journal keeps of the legs. It
answers no for every other plan, for one that is wrong, and for one that is late: ``engine.execution.intake``
and ``advance`` then say what becomes of it. Whether its orders may leave is the gate's to say.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import MARKET_ROW, MarketFlag, MarketRows
from engine.execution.cost import worst_cash_micros
from engine.execution.semantics import RULES, TAKER_TIFS
from engine.execution.terms import VENUES, order_lot_e6
from engine.execution.visible import covering_price_e4
from engine.facts import offset_of
from engine.fees import FEE_UNKNOWN
from engine.ids import IDENTITY_BYTES
from engine.jit import kernel
from engine.ledger.entries import CRC_TABLE, Bytes, Words, lay_entry
from engine.ledger.journal import KEPT_LEG, EntryKind
from engine.records import (
    BOOK_ROW,
    LEGS_MAX,
    ORDER_EVENT,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    Direction,
    OrderStatus,
    Outcome,
    RequestKind,
    TimeInForce,
    Venue,
)
from engine.risk.checks import on_grid
from engine.units import LEVEL_SIZE_MAX_E6, PRICE_ONE_E4

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]

_IN_USE: Final = int(MarketFlag.IN_USE)
_BUY, _SELL = int(Direction.BUY), int(Direction.SELL)
_YES, _NO = int(Outcome.YES), int(Outcome.NO)
_FAK, _FOK = int(TimeInForce.FAK), int(TimeInForce.FOK)
_NEW: Final = int(RequestKind.NEW)
_SENT: Final = int(OrderStatus.SENT)
_PLAN, _PLAN_LEG = int(EntryKind.PLAN), int(EntryKind.PLAN_LEG)
_INTENT, _SENT_ENTRY = int(EntryKind.INTENT), int(EntryKind.SENT)
_LEG_AT: Final = offset_of(KEPT_LEG, "leg")
_TAKES: Final = tuple(venue in RULES and RULES[Venue(venue)].tifs >= TAKER_TIFS for venue in range(VENUES))


@kernel
def _is_as_it_is(market: np.void, leg: np.void, size_e6: int) -> bool:
    """Whether a leg of ``size_e6`` is an order that its venue accepts, with nothing rounded."""
    if market["generation"] != leg["generation"] or market["venue"] != leg["venue"]:
        return False
    if market["flags"] & _IN_USE == 0 or leg["venue"] >= VENUES or not _TAKES[leg["venue"]]:
        return False
    direction, outcome, price = int(leg["direction"]), int(leg["outcome"]), int(leg["limit_e4"])
    if (direction != _BUY and direction != _SELL) or (outcome != _YES and outcome != _NO):
        return False
    if leg["convert"] != 0 or (leg["tif"] != _FAK and leg["tif"] != _FOK):
        return False
    if not on_grid(market, PRICE_ONE_E4 - price if outcome == _NO else price):
        return False
    lot = order_lot_e6(market, direction, price)
    if lot <= 0 or market["lot_e6"] <= 0 or size_e6 % lot != 0 or size_e6 < market["min_size_e6"]:
        return False
    least = int(market["min_notional_micros"])
    return direction == _SELL or (least <= LEVEL_SIZE_MAX_E6 and size_e6 * price >= least * PRICE_ONE_E4)


@kernel
def _request(head: np.void, leg: np.void, index: int, order_id: int, now_ns: int, made: np.void) -> None:
    """The ORDER_REQUEST of a leg, but for its name."""
    made["recv_ns"], made["request_ns"] = head["recv_ns"], now_ns
    made["order_id"], made["plan_id"] = order_id, head["plan_id"]
    made["size_e6"], made["expire_ns"] = leg["size_e6"], head["deadline_ns"]
    made["slot"], made["generation"] = leg["slot"], leg["generation"]
    made["price_e4"], made["relation"] = leg["limit_e4"], -1
    made["kind"], made["venue"], made["direction"] = _NEW, leg["venue"], leg["direction"]
    made["outcome"], made["tif"], made["leg"] = leg["outcome"], leg["tif"], index
    for at in range(IDENTITY_BYTES):
        made["identity"][at] = 0


@kernel
def _event(head: np.void, request: np.void, now_ns: int, made: np.void) -> None:
    """The ORDER_EVENT of a request that leaves."""
    made["recv_ns"], made["event_ns"] = request["recv_ns"], now_ns
    made["order_id"], made["plan_id"] = request["order_id"], request["plan_id"]
    made["signal_id"], made["size_e6"] = head["signal_id"], request["size_e6"]
    made["filled_e6"], made["cash_micros"], made["fee_micros"], made["fill_size_e6"] = 0, 0, 0, 0
    made["slot"], made["generation"] = request["slot"], request["generation"]
    made["price_e4"], made["reason"], made["status"] = request["price_e4"], 0, _SENT
    made["venue"], made["direction"] = request["venue"], request["direction"]
    made["outcome"], made["tif"], made["leg"] = request["outcome"], request["tif"], request["leg"]
    made["plan_done"], made["maker"] = 0, 0


@kernel
def _exit_e4(books: Rows, leg: np.void) -> int:
    """Worst price that trading the leg back would meet (``engine.execution.unwind.exit_price_e4``)."""
    back = _SELL if leg["direction"] == _BUY else _BUY
    any_price = 0 if back == _SELL else PRICE_ONE_E4
    outcome, size = int(leg["outcome"]), int(leg["size_e6"])
    return covering_price_e4(books, int(leg["slot"]), back, outcome, size, int(np.int64(any_price)))


@kernel
def lay_out(
    markets: MarketRows,
    books: Rows,
    heads: Rows,
    legs: Rows,
    n_legs: int,
    first_id: int,
    now_ns: int,
    requests: Rows,
    events: Rows,
    kept: Rows,
    worst_micros: Ints,
) -> bool:
    """Lay out the orders of PLAN_HEAD ``heads[0]`` and its PLAN_LEG records; False when that is no such plan.

    ``markets``, ``books``: MARKET_ROW and BOOK_ROW by slot. Of each leg the ORDER_REQUEST with ids from
    ``first_id`` on, the ORDER_EVENT of its leaving, the KEPT_LEG without the leg itself, and the most that it
    can cost. What is in the rows after a False means nothing.
    """
    head = heads[0]
    size = int(legs[0]["size_e6"])
    if not 0 < n_legs <= LEGS_MAX or head["n_legs"] != n_legs or now_ns > head["deadline_ns"]:
        return False
    if not 0 < size <= LEVEL_SIZE_MAX_E6:
        return False
    for index in range(n_legs):
        leg = legs[index]
        slot = int(leg["slot"])
        if not 0 <= slot < min(len(markets), len(books)) or leg["size_e6"] != size:
            return False
        if not _is_as_it_is(markets[slot], leg, size):
            return False
        worst_micros[index] = worst_cash_micros(
            markets, slot, int(leg["limit_e4"]), size, leg["direction"] == _SELL
        )
        if worst_micros[index] == FEE_UNKNOWN:
            return False
        _request(head, leg, index, first_id + index, now_ns, requests[index])
        _event(head, requests[index], now_ns, events[index])
        kept[index]["plan_id"], kept[index]["size_e6"] = head["plan_id"], size
        kept[index]["limit_e4"], kept[index]["exit_e4"] = leg["limit_e4"], _exit_e4(books, leg)
    return True


@kernel
def lay_down(
    buffer: Bytes,
    sequence: int,
    is_grouped: bool,
    heads: Bytes,
    kept: Bytes,
    requests: Bytes,
    legs: Bytes,
    n_legs: int,
    table: Words,
) -> int:
    """Lay the journal's entries of a plan that leaves: it, its legs, each order, and each order sent.

    ``heads``, ``kept``, ``requests`` and ``legs`` are the bytes of those rows, one row each; a kept leg gets
    its leg here. The number of bytes in ``buffer``.
    """
    end = lay_entry(buffer, 0, sequence, _PLAN, is_grouped, heads[0], table)
    leg_bytes = legs.shape[1]
    for index in range(n_legs):
        for at in range(leg_bytes):
            kept[index, _LEG_AT + at] = legs[index, at]
        end = lay_entry(buffer, end, sequence + 1 + index, _PLAN_LEG, True, kept[index], table)
    for index in range(n_legs):
        at = sequence + 1 + n_legs + index
        end = lay_entry(buffer, end, at, _INTENT, True, requests[index], table)
    for index in range(n_legs):
        at = sequence + 1 + 2 * n_legs + index
        end = lay_entry(buffer, end, at, _SENT_ENTRY, True, requests[index], table)
    return end


def bytes_of(rows: Rows) -> Bytes:
    """The bytes of records, one row each; what is written to them is written there."""
    return rows.view(np.uint8).reshape(len(rows), rows.itemsize)


def warm() -> None:
    """Compile the kernels."""
    none = np.zeros((1, KEPT_LEG.itemsize), np.uint8)
    lay_down(np.zeros(9 * KEPT_LEG.itemsize, np.uint8), 0, True, none, none, none, none[:, :1], 0, CRC_TABLE)
    lay_out(
        np.zeros(1, MARKET_ROW),
        np.zeros(1, BOOK_ROW),
        np.zeros(1, PLAN_HEAD),
        np.zeros(1, PLAN_LEG),
        0,
        0,
        0,
        np.zeros(1, ORDER_REQUEST),
        np.zeros(1, ORDER_EVENT),
        np.zeros(1, KEPT_LEG),
        np.zeros(1, np.int64),
    )
