"""What a venue says we have, against what our own ledger says.

The answer to a QUERY comes as BALANCE lines: one with the cash and, as its size, the number of orders that
rest (slot -1), one for each outcome held. Lines may come twice and out of turn; each carries its number
(``trade_id``) and how many there are (``remaining_e6``).
"""

from __future__ import annotations

import numpy as np

from engine.ledger.ledger import Ledger
from engine.records import Outcome, Venue

NO_SLOT = -1

Token = tuple[int, int, int]  # slot, generation, outcome


class Statement:
    """The answer of one venue to the query ``query_id``."""

    def __init__(self, venue: Venue, query_id: int) -> None:
        self.query_id = query_id
        self.cash_micros = 0
        self.resting = 0
        self.held_e6: dict[Token, int] = {}
        self._venue = venue
        self._lines: dict[int, int] = {}  # number to how many it says there are

    @property
    def is_complete(self) -> bool:
        """Whether every line has come."""
        return any(0 < in_all <= len(self._lines) for in_all in self._lines.values())

    def take(self, line: np.void) -> None:
        """Take one BALANCE report; a repetition and the line of another query change nothing."""
        number = int(line["trade_id"])
        if int(line["order_id"]) != self.query_id or number in self._lines:
            return
        self._lines[number] = int(line["remaining_e6"])
        if int(line["slot"]) == NO_SLOT:
            self.cash_micros, self.resting = int(line["cash_micros"]), int(line["fill_size_e6"])
        else:
            token = int(line["slot"]), int(line["generation"]), int(line["outcome"])
            self.held_e6[token] = int(line["fill_size_e6"])

    def differences(self, ledger: Ledger) -> list[str]:
        """What differs from the ledger, one line each; empty when all is equal.

        To be asked when no order of ours is open: one that rests is then not ours to know.
        """
        name = self._venue.name.lower()
        found = []
        if self.cash_micros != ledger.cash_micros(self._venue):
            cash = ledger.cash_micros(self._venue)
            found.append(f"{name}: cash is {self.cash_micros} micro-dollars there and {cash} here")
        if self.resting:
            found.append(f"{name}: {self.resting} orders rest there that the journal does not know")
        ours = _holdings(ledger, self._venue)
        for token in sorted(ours.keys() | self.held_e6.keys()):
            there, here = self.held_e6.get(token, 0), ours.get(token, 0)
            if there != here:
                slot, generation, outcome = token
                what = f"{Outcome(outcome).name} of slot {slot} generation {generation}"
                found.append(f"{name}: {what} is {there} e6 there and {here} here")
        return found


def _holdings(ledger: Ledger, venue: Venue) -> dict[Token, int]:
    return {
        (slot, generation, int(outcome)): size
        for (of, slot, generation), position in ledger.positions.items()
        for outcome in Outcome
        if of == venue and (size := position.size_e6[outcome])
    }
