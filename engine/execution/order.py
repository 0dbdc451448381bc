"""Life of an order as a table: ``step(status, event)`` and nothing else decides what follows what.

    INTENT -> JOURNALED -> (SIGNED) -> SENT -> ACKED -> PARTLY_FILLED -> FILLED | CANCELLED | EXPIRED
                   |                    |______ REJECTED
                   +-> DENIED           |______ UNKNOWN: may have happened; believe what comes next

A terminal state is stable whatever comes late; the amounts that come with it are the tracker's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from engine.records import OrderStatus


class OrderInput(IntEnum):
    """What can happen to an order. Four are ours, the others are the venue's word, or its silence."""

    JOURNAL = 0
    SIGN = 1
    SEND = 2
    DENY = 3
    ACK = 4
    FILL_PART = 5
    FILL_REST = 6
    CANCEL = 7
    REJECT = 8
    EXPIRE = 9
    LOSE = 10  # no answer in time


OWN_INPUTS: Final = frozenset({OrderInput.JOURNAL, OrderInput.SIGN, OrderInput.SEND, OrderInput.DENY})
VENUE_INPUTS: Final = frozenset(OrderInput) - OWN_INPUTS
TERMINAL: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.DENIED,
    }
)

_AFTER_VENUE: Final = {
    OrderInput.FILL_PART: OrderStatus.PARTLY_FILLED,
    OrderInput.FILL_REST: OrderStatus.FILLED,
    OrderInput.CANCEL: OrderStatus.CANCELLED,
    OrderInput.EXPIRE: OrderStatus.EXPIRED,
    OrderInput.LOSE: OrderStatus.UNKNOWN,
}


def _table() -> dict[tuple[OrderStatus, OrderInput], OrderStatus]:
    table = {
        (OrderStatus.INTENT, OrderInput.JOURNAL): OrderStatus.JOURNALED,
        (OrderStatus.JOURNALED, OrderInput.SIGN): OrderStatus.SIGNED,
        (OrderStatus.JOURNALED, OrderInput.SEND): OrderStatus.SENT,  # nothing to sign
        (OrderStatus.JOURNALED, OrderInput.DENY): OrderStatus.DENIED,
        (OrderStatus.SIGNED, OrderInput.SEND): OrderStatus.SENT,
        (OrderStatus.SIGNED, OrderInput.DENY): OrderStatus.DENIED,
        (OrderStatus.SENT, OrderInput.ACK): OrderStatus.ACKED,
        (OrderStatus.ACKED, OrderInput.ACK): OrderStatus.ACKED,
        (OrderStatus.PARTLY_FILLED, OrderInput.ACK): OrderStatus.PARTLY_FILLED,
        (OrderStatus.UNKNOWN, OrderInput.ACK): OrderStatus.ACKED,
        (OrderStatus.SENT, OrderInput.REJECT): OrderStatus.REJECTED,
        (OrderStatus.ACKED, OrderInput.REJECT): OrderStatus.REJECTED,  # a delayed order can end so
        (OrderStatus.PARTLY_FILLED, OrderInput.REJECT): OrderStatus.CANCELLED,  # fills stand
        (OrderStatus.UNKNOWN, OrderInput.REJECT): OrderStatus.REJECTED,
    }
    for status in (OrderStatus.SENT, OrderStatus.ACKED, OrderStatus.PARTLY_FILLED, OrderStatus.UNKNOWN):
        for event, after in _AFTER_VENUE.items():
            table[status, event] = after
    for status in TERMINAL - {OrderStatus.DENIED}:
        for event in VENUE_INPUTS:
            table[status, event] = status
    return table


TRANSITIONS: Final[Mapping[tuple[OrderStatus, OrderInput], OrderStatus]] = MappingProxyType(_table())


def step(status: OrderStatus, event: OrderInput) -> OrderStatus | None:
    """Status after ``event``; None when it cannot happen in this status: counted, and nothing changes."""
    return TRANSITIONS.get((status, event))
