"""What happened at a simulated venue: counts that tests read and the command prints at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FAULTS_KEPT_MAX: Final = 1_000  # lines; the counts go on beyond


@dataclass(slots=True)
class VenueLog:
    """Counts of one venue since it opened. ``faults`` has a line for each fault that was done."""

    accepted: int = 0  # WebSockets that were upgraded
    refused: int = 0  # by a fault
    unauthorised: int = 0
    closed_by_venue: int = 0
    closed_by_client: int = 0
    cut_off: int = 0  # had more unread than a venue keeps for anybody
    commands: int = 0
    commands_refused: int = 0
    subscriptions: int = 0
    snapshots: int = 0
    snapshots_lacking: int = 0  # asked for, and the recording does not tell the book at that position
    frames: int = 0  # of the recording, up to the position
    frames_unreadable: int = 0  # as what they say they are: everybody gets them
    texts_sent: int = 0  # frames of the recording that were sent, once for each subscription
    texts_written: int = (
        0  # whole text frames of any kind: answers, keep-alives, snapshots, and what faults add
    )
    texts_withheld: int = 0  # kept back by a fault
    faults: list[str] = field(default_factory=list)
    faults_done: int = 0
    faults_missed: int = 0  # were due, and there was nobody to do them to

    def fault(self, line: str) -> None:
        """Note a fault that was done."""
        self.faults_done += 1
        if len(self.faults) < FAULTS_KEPT_MAX:
            self.faults.append(line)
