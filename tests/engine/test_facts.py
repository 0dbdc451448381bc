from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from engine import facts
from engine.catalog.catalog import MARKET_ROW
from engine.ledger.journal import LAYOUTS, EntryKind
from engine.records import (
    ORDER_EVENT,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    RING_MESSAGES,
    VENUE_REPORT,
)

Layout = np.dtype[np.void]
LAYOUT_OF = {**RING_MESSAGES, **{EntryKind(kind).name: layout for kind, layout in LAYOUTS.items()}}
READERS: list[tuple[Layout, Callable[[np.void], NamedTuple]]] = [
    (MARKET_ROW, facts.market_facts),
    (PLAN_HEAD, facts.head_facts),
    (PLAN_LEG, facts.leg_facts),
    (ORDER_REQUEST, facts.request_facts),
    (VENUE_REPORT, facts.report_facts),
    (ORDER_EVENT, facts.event_facts),
]


def filled(layout: Layout) -> tuple[np.void, dict[str, object]]:
    """A record with another value in every field, as numpy writes it, and the values."""
    record: np.void = np.zeros(1, layout)[0]
    values: dict[str, object] = {}
    for number, name in enumerate(name for name in layout.names or () if name not in ("pad", "reserved")):
        field = layout[name]
        if field.kind in "iu" and field.subdtype is None:
            largest = int(np.iinfo(field).max) - number
            record[name] = values[name] = largest if number % 2 or field.kind == "u" else -largest
        else:
            content = bytes((number + at) % 255 + 1 for at in range(field.itemsize))
            record[name] = np.frombuffer(content, field)[0]
            values[name] = content
    return record, values


@pytest.mark.parametrize("layout", LAYOUT_OF.values(), ids=LAYOUT_OF)
def test_what_struct_packs_is_what_numpy_has(layout: Layout) -> None:
    record, values = filled(layout)
    packing = facts.packing_of(layout)
    content = packing.pack(*values.values())
    assert content == record.tobytes()
    assert list(facts.values_of(layout)(record)) == list(values.values())
    assert facts.record_of(content, layout) == record
    assert facts.record_of(content, layout).dtype is layout, "the journal looks at it"


@pytest.mark.parametrize(("layout", "read"), READERS, ids=[read.__name__ for _, read in READERS])
def test_facts_are_the_fields_by_name(layout: Layout, read: Callable[[np.void], NamedTuple]) -> None:
    record, values = filled(layout)
    assert read(record)._asdict() == values


def test_a_record_can_be_made_of_facts() -> None:
    for layout in (ORDER_REQUEST, ORDER_EVENT):
        record, _ = filled(layout)
        assert (
            facts.request_bytes(facts.request_facts(record))
            if layout is ORDER_REQUEST
            else facts.event_bytes(facts.event_facts(record))
        ) == record.tobytes()


def test_a_layout_with_holes_has_no_packing() -> None:
    holed = np.dtype({"names": ["a"], "formats": ["<i8"], "offsets": [8], "itemsize": 16})
    with pytest.raises(ValueError, match="records of 16 bytes have 8 bytes of fields"):
        facts.packing_of(holed)
