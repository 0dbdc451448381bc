"""What the executor needs of its neighbours, and nothing more: the gate, the journal, and a source of ids."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.reasons import Reason


class Rate(Protocol):
    """How fast orders may leave (``engine.risk.gate``)."""

    def orders_at_once(self, venue: int) -> int:
        """Most orders that a venue's rate ever lets leave together."""
        ...

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        """When a venue's rate has let ``orders`` more leave, each as soon as it may; INT64_MAX: never."""
        ...


class Gate(Rate, Protocol):
    """The last check before an order leaves (``engine.risk.gate``)."""

    @property
    def halted(self) -> bool:
        """Whether the halt word is set: then nothing new is sent, conversions included."""
        ...

    def check(self, request: np.void, epoch: int, worst_cash_micros: int, now_ns: int) -> Reason:
        """Answer for one ORDER_REQUEST; on ``Reason.NONE`` its worst case is reserved under its order id."""
        ...

    def on_fill(self, order_id: int, size_e6: int) -> None:
        """Part of what is reserved has become a position."""
        ...

    def restore(self, request: np.void, worst_cash_micros: int) -> None:
        """Reserve for an order of an earlier run that may still fill."""
        ...

    def release(self, order_id: int) -> None:
        """Nothing more can come of the order: forget what is still reserved for it."""
        ...


class Journal(Protocol):
    """Write-ahead record (``engine.ledger.journal``); kinds are ``engine.ledger.journal.EntryKind``."""

    def append(self, kind: int, record: np.void) -> None:
        """Write one record. Whoever sends the executor's requests makes it durable before they leave."""
        ...


class Ids(Protocol):
    """Rising ids, never used twice (``engine.ids.IdSource``)."""

    def next_id(self) -> int:
        """The next id."""
        ...
