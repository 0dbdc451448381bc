"""Markets that a venue paid otherwise than our holdings give: shown to everybody until somebody has looked.

The table ``disputes`` has a row for each by slot, which an executor that comes back writes again from its
journal; ``pr3dict positions`` shows them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.ledger.ledger import Dispute, Key
from engine.records import Venue
from shm.ring import Records
from shm.table import Table

DISPUTE_ROW: Final = np.dtype(
    [
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("stated_micros", "<i8"),  # what the venue says that it paid
        ("expected_micros", "<i8"),  # what our holdings give at the value it states
    ]
)


def said_of(dispute: Dispute) -> str:
    """What differs, in words."""
    stated, expected = dispute.stated_micros, dispute.expected_micros
    return f"the settlement states {stated} micro-dollars, the holdings give {expected}"


class DisputeBoard:
    """Writes ``table``. ``lines`` has one for each settlement that differs."""

    def __init__(self, table: Table) -> None:
        self.lines: list[str] = []
        self._table = table
        self._row: Records = np.zeros(1, DISPUTE_ROW)

    def show(self, key: Key, name: str, dispute: Dispute) -> str:
        """Show one; the line that says what it is."""
        venue, slot, generation = key
        self._row[0] = (slot, generation, dispute.stated_micros, dispute.expected_micros)
        self._table.write(slot, self._row)
        where = f"{Venue(venue).name.lower()}:{name or f'slot {slot} generation {generation}'}"
        line = f"{where}: {said_of(dispute)}"
        self.lines.append(line)
        return line
