"""What is done when a message on the way of money is not what was published.

It is dropped, and its ring counts it (``garbled`` of the reader's block, metric ``ring_reader_garbled``).
What it said nobody knows: a plan that is not carried out, an order that does not arrive and is asked for when
its time is over, a report or an event that is missing from an account. So every order is halted, until
somebody has looked. Where no halt can be said, as in a process alone with its own memory, it is an error.

An executor that a report is missing to ends as well (``ReportDropped``): about a payment, or a trade that
failed after its order was final, it would never ask. The next one asks for everything before it trades.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import Pr3dictError
from shm.reader import Reader


class MessageGarbled(Pr3dictError):
    """Memory that only our own rings are in was written over, and nobody is there to halt."""


class ReportDropped(Pr3dictError):
    """What a venue said is lost, and all is halted: only who starts from the journal asks for all of it."""


class GarbleAlarm:
    """Sounded by whoever is handed GARBLED. ``halt`` stops every order, durably; it is told why in a line.

    ``dropped``: by name of a ring, the last of these lines.
    """

    def __init__(self) -> None:
        self.halt: Callable[[str], None] | None = None
        self.dropped: dict[str, str] = {}

    def sound(self, ring: str, reader: Reader) -> None:
        """Halt; MessageGarbled where there is no halt to say."""
        behind = int(reader.block["position"])
        count = f"{reader.garbled} so far"
        line = f"{ring}: the message before cell {behind} is not what was published: dropped ({count})"
        if self.halt is None:
            raise MessageGarbled(line)
        self.dropped[ring] = line
        self.halt(line)
