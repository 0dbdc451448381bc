"""The short way of a plan: its orders leave first, and what has to be remembered of them is made behind.

``leave`` does for a plan whose legs leave together and as they are what intake, worker and sender do for
every plan: it names the markets, asks the gate, journals, and puts the requests out, in the same order and
with the same bytes. But for a few calls it is kernels. For any other plan, and for one that may not leave, it
answers no and has changed nothing; the long way says what becomes of it. ``plan`` is what the long way would
have made of it: no order waits for that.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.catalog import Catalog
from engine.direct import direct
from engine.execution.advance import Refresh
from engine.execution.lay_out import Ints, Rows, bytes_of, lay_down, lay_out
from engine.execution.naming import MarketNames
from engine.execution.order import OrderInput
from engine.execution.outputs import Outputs
from engine.execution.plan import Leg, Plan
from engine.execution.ports import Gate, Ids, Journal
from engine.execution.semantics import RULES
from engine.execution.tracked import Role, TrackedOrder
from engine.facts import record_of
from engine.ids import name_of_order
from engine.ledger.entries import CRC_TABLE, Bytes
from engine.ledger.journal import HEAD_BYTES, KEPT_LEG
from engine.records import LEGS_MAX, ORDER_REQUEST, PLAN_HEAD, PLAN_LEG

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_JOURNAL, _SEND = OrderInput.JOURNAL, OrderInput.SEND
_LEG: Final = Role.LEG

BUFFER_BYTES: Final = LEGS_MAX * (3 * HEAD_BYTES + KEPT_LEG.itemsize + 2 * ORDER_REQUEST.itemsize) + 1_024


class Departure:
    """Lets plans leave the short way; the books are those of ``engine.execution.executor``."""

    def __init__(
        self,
        catalog: Catalog,
        gate: Gate,
        journal: Journal,
        ids: Ids,
        names: MarketNames,
        out: Outputs,
        book_rows: Rows,
        refresh_book: Refresh | None,
    ) -> None:
        self._markets, self._venues = catalog.rows, catalog.rows["venue"]
        self._refresh = refresh_book
        self._gate = gate
        self._journal = journal
        self._ids = ids
        self._names = names
        self._out = out
        self._n_left = 0  # legs of the plan that has left and is still in the rows below
        self._left_ns = 0
        self._heads: Rows = np.zeros(1, PLAN_HEAD)
        self._legs: Rows = np.zeros(LEGS_MAX, PLAN_LEG)
        self._kept: Rows = np.zeros(LEGS_MAX, KEPT_LEG)
        self._worst_micros: Ints = np.zeros(LEGS_MAX, np.int64)
        self._epochs: Ints = np.zeros(LEGS_MAX, np.int64)
        self._buffer: Bytes = np.zeros(BUFFER_BYTES, np.uint8)
        self._head_bytes, self._leg_bytes = self._heads.view(np.uint8).data, self._legs.view(np.uint8).data
        self._rows = self._markets, book_rows, self._heads, self._legs
        self._made = out.requests, out.events, self._kept, self._worst_micros
        self._lay_out = direct(lay_out, *self._rows, 0, 0, 0, *self._made)
        rows = self._heads, self._kept, out.requests, self._legs
        heads, kept, requests, legs = (bytes_of(one) for one in rows)
        self._written = heads, kept, requests, legs
        self._lay_down = direct(lay_down, self._buffer, 0, True, *self._written, 0, CRC_TABLE)

    def leave(self, head: bytes, legs: Rows, now_ns: int) -> bool:
        """Let the orders of a plan leave that was not seen before: PLAN_HEAD and its PLAN_LEG records.

        To be called with an empty ``out``; what it holds after a no means nothing.
        """
        n_legs, content = len(legs), legs.tobytes()
        venues, slots = legs["venue"].tolist(), legs["slot"].tolist()
        if not 0 < n_legs <= LEGS_MAX or not self._look_at(venues, slots):
            return False
        self._head_bytes[:] = head
        self._leg_bytes[: len(content)] = content
        first_id, out = self._ids.coming_id, self._out
        if not self._lay_out(*self._rows, n_legs, first_id, now_ns, *self._made):
            return False
        for index, venue in enumerate(venues):
            out.name_request(index, name_of_order(venue, first_id + index, out.intent(index)))
        self._epochs[:n_legs] = self._legs[:n_legs]["epoch"]
        if not self._gate.check_together(out.requests, n_legs, self._epochs, self._worst_micros, now_ns):
            return False
        self._ids.pass_over(n_legs)
        self._names.name(slots)
        sequence, is_grouped = self._journal.place
        end = self._lay_down(self._buffer, sequence, is_grouped, *self._written, n_legs, CRC_TABLE)
        self._journal.append_laid(self._buffer[:end].tobytes(), 1 + 3 * n_legs)
        out.n_requests = out.n_events = n_legs
        self._n_left, self._left_ns = n_legs, now_ns
        return True

    def _look_at(self, venues: list[int], slots: list[int]) -> bool:
        """Fetch the books of the legs; False when one is not there."""
        for venue, slot in zip(venues, slots, strict=True):
            if venue not in RULES or not 0 <= slot < len(self._markets) or self._venues[slot] != venue:
                return False
            if self._refresh is not None:
                self._refresh(venue, slot)
        return True

    def plan(self) -> Plan | None:
        """The plan that has left and was not asked for yet, with its orders sent; None when there is none.

        To be asked for before ``out`` is cleared: its requests are still there.
        """
        n_legs, self._n_left = self._n_left, 0
        if not n_legs:
            return None
        plan = Plan(record_of(self._heads.tobytes(), PLAN_HEAD), [], is_at_once=True)
        kept = self._kept[:n_legs]
        rows = zip(
            np.frombuffer(self._legs[:n_legs].tobytes(), PLAN_LEG),
            np.frombuffer(self._out.requests[:n_legs].tobytes(), ORDER_REQUEST),
            kept["limit_e4"].tolist(),
            kept["exit_e4"].tolist(),
            strict=True,
        )
        for index, (record, request, limit_e4, exit_e4) in enumerate(rows):
            leg = Leg(record, index, limit_e4, int(record["size_e6"]), exit_e4=exit_e4)
            order = TrackedOrder(request, _LEG, index, RULES[leg.venue].confirms)
            order.move(_JOURNAL)
            order.move(_SEND)
            order.reserved, order.sent_ns = True, self._left_ns
            leg.orders.append(order)
            plan.legs.append(leg)
            plan.orders.append(order)
        return plan
