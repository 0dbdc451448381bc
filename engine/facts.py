"""Records as plain integers: all fields of one read or written at once.

A field of a record costs some hundred nanoseconds to read from Python, and as much to write; ``struct`` takes
that for all of them. The fields of each tuple here are those of its layout, in its order, fillers left out;
arrays and names are ``bytes``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, cast

import numpy as np

from engine.catalog.catalog import MARKET_ROW
from engine.records import ORDER_EVENT, ORDER_REQUEST, PLAN_HEAD, PLAN_LEG, VENUE_REPORT

_CODES: Final = {"<i8": "q", "<i4": "i", "<u4": "I", "<i2": "h", "|u1": "B"}
_FILLERS: Final = ("pad", "reserved")  # never written, never read


def packing_of(layout: np.dtype[np.void]) -> struct.Struct:
    """Format of the records of ``layout``: a value for each field in its order, fillers left out.

    What is no plain integer is one ``bytes`` as long as it is. ValueError for a layout with holes.
    """
    packing = struct.Struct("<" + "".join(_codes(layout)))
    if packing.size != layout.itemsize:
        raise ValueError(f"records of {layout.itemsize} bytes have {packing.size} bytes of fields")
    return packing


def _codes(layout: np.dtype[np.void]) -> Iterator[str]:
    for name in layout.names or ():
        field = layout[name]
        if name in _FILLERS:
            yield f"{field.itemsize}x"
        else:
            yield _CODES.get(field.str if field.subdtype is None else "", f"{field.itemsize}s")


def values_of(layout: np.dtype[np.void]) -> Callable[[np.void], tuple[int | bytes, ...]]:
    """What reads a record of ``layout``: its values, as ``packing_of`` has them."""
    # a record shows its bytes to whoever asks, which is not in numpy's types
    return cast("Callable[[np.void], tuple[int | bytes, ...]]", packing_of(layout).unpack_from)


def offset_of(layout: np.dtype[np.void], name: str) -> int:
    """Where a field begins in the records of ``layout``, in bytes."""
    fields = layout.fields
    assert fields is not None, "records have fields"
    return int(fields[name][1])


def record_of(content: bytes, layout: np.dtype[np.void]) -> np.void:
    """The record that is made of these bytes; nobody can change it."""
    record: np.void = np.frombuffer(content, layout)[0]
    return record


class MarketFacts(NamedTuple):
    """Of a MARKET_ROW."""

    generation: int
    group: int
    flags: int
    venue: int
    fee_kind: int
    n_ranges: int
    lot_e6: int
    min_size_e6: int
    min_notional_micros: int
    taker_rate_ppb: int
    maker_rate_ppb: int
    exponent_e3: int
    unit_micros: int
    precision_micros: int
    fee_from_ns: int
    open_ns: int
    close_ns: int
    taker_delay_ns: int
    range_start_e4: bytes
    range_end_e4: bytes
    range_step_e4: bytes


class HeadFacts(NamedTuple):
    """Of a PLAN_HEAD."""

    recv_ns: int
    book_ns: int
    signal_ns: int
    plan_ns: int
    deadline_ns: int
    signal_id: int
    plan_id: int
    size_e6: int
    profit_micros: int
    bound_micros: int
    worst_loss_micros: int
    cash_micros: int
    slot: int
    relation: int
    n_legs: int
    kind: int
    flags: int


class LegFacts(NamedTuple):
    """Of a PLAN_LEG."""

    epoch: int
    update_count: int
    size_e6: int
    cash_micros: int
    fee_micros: int
    slot: int
    generation: int
    limit_e4: int
    venue: int
    direction: int
    outcome: int
    tif: int
    convert: int


class RequestFacts(NamedTuple):
    """Of an ORDER_REQUEST."""

    recv_ns: int
    request_ns: int
    order_id: int
    plan_id: int
    size_e6: int
    expire_ns: int
    identity: bytes
    slot: int
    generation: int
    price_e4: int
    relation: int
    kind: int
    venue: int
    direction: int
    outcome: int
    tif: int
    leg: int


class ReportFacts(NamedTuple):
    """Of a VENUE_REPORT."""

    venue_ns: int
    recv_ns: int
    order_id: int
    plan_id: int
    venue_order_id: int
    trade_id: int
    fill_size_e6: int
    cash_micros: int
    fee_micros: int
    remaining_e6: int
    slot: int
    generation: int
    price_e4: int
    reason: int
    kind: int
    venue: int
    direction: int
    outcome: int
    leg: int
    maker: int


class EventFacts(NamedTuple):
    """Of an ORDER_EVENT."""

    recv_ns: int
    event_ns: int
    order_id: int
    plan_id: int
    signal_id: int
    size_e6: int
    filled_e6: int
    cash_micros: int
    fee_micros: int
    fill_size_e6: int
    slot: int
    generation: int
    price_e4: int
    reason: int
    status: int
    venue: int
    direction: int
    outcome: int
    tif: int
    leg: int
    plan_done: int
    maker: int


_MARKET_VALUES: Final = values_of(MARKET_ROW)
_HEAD_VALUES: Final = values_of(PLAN_HEAD)
_LEG_VALUES: Final = values_of(PLAN_LEG)
_REQUEST_VALUES: Final = values_of(ORDER_REQUEST)
_REPORT_VALUES: Final = values_of(VENUE_REPORT)
_EVENT_VALUES: Final = values_of(ORDER_EVENT)
_REQUEST_PACKING, _EVENT_PACKING = packing_of(ORDER_REQUEST), packing_of(ORDER_EVENT)


def market_facts(record: np.void) -> MarketFacts:
    """Read a MARKET_ROW."""
    return MarketFacts._make(_MARKET_VALUES(record))


def head_facts(record: np.void) -> HeadFacts:
    """Read a PLAN_HEAD."""
    return HeadFacts._make(_HEAD_VALUES(record))


def leg_facts(record: np.void) -> LegFacts:
    """Read a PLAN_LEG."""
    return LegFacts._make(_LEG_VALUES(record))


def request_facts(record: np.void) -> RequestFacts:
    """Read an ORDER_REQUEST."""
    return RequestFacts._make(_REQUEST_VALUES(record))


def report_facts(record: np.void) -> ReportFacts:
    """Read a VENUE_REPORT."""
    return ReportFacts._make(_REPORT_VALUES(record))


def event_facts(record: np.void) -> EventFacts:
    """Read an ORDER_EVENT."""
    return EventFacts._make(_EVENT_VALUES(record))


def request_bytes(facts: RequestFacts) -> bytes:
    """The bytes of an ORDER_REQUEST."""
    return _REQUEST_PACKING.pack(*facts)


def event_bytes(facts: EventFacts) -> bytes:
    """The bytes of an ORDER_EVENT."""
    return _EVENT_PACKING.pack(*facts)
