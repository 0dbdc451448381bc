"""What the executor needs of its neighbours, and nothing more: the gate, the journal, and a source of ids."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.reasons import Reason

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]


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

    def check_together(
        self, requests: Rows, n_orders: int, epochs: Ints, worst_cash_micros: Ints, now_ns: int
    ) -> bool:
        """Whether the first ``n_orders`` may all leave; each is reserved then, and none otherwise.

        No needs no reason: ``check`` is asked about each order then.
        """
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

    @property
    def place(self) -> tuple[int, bool]:
        """Sequence of the next entry, and whether the one before it may not be durable yet."""
        ...

    def append_laid(self, content: bytes, n_entries: int) -> None:
        """Write entries that were laid for this ``place`` (``engine.ledger.entries``)."""
        ...


class Ids(Protocol):
    """Rising ids, never used twice (``engine.ids.IdSource``)."""

    @property
    def coming_id(self) -> int:
        """What ``next_id`` will answer; the ids after it follow by one."""
        ...

    def pass_over(self, number: int) -> None:
        """So many of the coming ids are used."""
        ...

    def next_id(self) -> int:
        """The next id."""
        ...
