"""Rings as plain lists: what every publication and poll must answer, computed without cells or sequences."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

KEPT_NUMERATOR, KEPT_DENOMINATOR = 3, 4  # a lapped reader goes back over this much of the ring


@dataclass(frozen=True)
class Message:
    """Numbers of the records of one message, and its flags."""

    rows: tuple[int, ...]
    flags: int


@dataclass
class ModelReader:
    """A reader by message number: ``next`` is the one it has not seen yet."""

    next: int
    first: int
    gating: bool = False
    joined: bool = True
    fenced: bool = False
    heartbeat_ns: int = 0
    lost_messages: int = 0
    lost_cells: int = 0
    laps: int = 0


@dataclass
class ModelRing:
    """All messages ever published, and what a ring of ``capacity`` cells still holds of them."""

    capacity: int
    message_cells_max: int
    log: list[Message] = field(default_factory=list)
    gates: list[ModelReader] = field(default_factory=list)
    refused_size: int = 0
    refused_full: int = 0
    refused_fenced: int = 0

    @property
    def starts(self) -> list[int]:
        """Cell at which each message starts, and the one at which the next will."""
        return [0, *accumulate(len(message.rows) for message in self.log)]

    @property
    def head(self) -> int:
        """Cells published."""
        return self.starts[-1]

    def publish(self, rows: tuple[int, ...], flags: int) -> bool:
        """Append a message, or count why not."""
        if not 1 <= len(rows) <= self.message_cells_max:
            self.refused_size += 1
            return False
        if self.gates:
            open_gates = [gate for gate in self.gates if not gate.fenced]
            if not open_gates:
                self.refused_fenced += 1
                return False
            oldest = min(self.starts[gate.next] for gate in open_gates)
            if self.head + len(rows) - oldest > self.capacity:
                self.refused_full += 1
                return False
        self.log.append(Message(rows, flags))
        return True

    def oldest_safe(self) -> int:
        """Number of the first message that starts in the part of the ring a reader may go back to."""
        limit = self.head - self.capacity * KEPT_NUMERATOR // KEPT_DENOMINATOR
        return next(number for number, start in enumerate(self.starts) if start >= limit)

    def join(self, *, from_oldest: bool) -> ModelReader:
        """Place a new observer."""
        place = self.oldest_safe() if from_oldest else len(self.log)
        return ModelReader(place, place)

    def poll(self, reader: ModelReader, room: int, messages_max: int) -> list[Message] | None:
        """Messages the reader gets; None when it is fenced, or the first one does not fit in ``room``."""
        if reader.fenced:
            return None
        starts = self.starts
        if self.head - starts[reader.next] > self.capacity:
            place = self.oldest_safe()
            reader.lost_messages += place - reader.next
            reader.lost_cells += starts[place] - starts[reader.next]
            reader.laps += 1
            reader.next = place
        taken: list[Message] = []
        for message in self.log[reader.next :]:
            if len(taken) == messages_max or sum(len(got.rows) for got in taken) + len(message.rows) > room:
                break
            taken.append(message)
        if not taken and messages_max and reader.next < len(self.log):
            return None
        reader.next += len(taken)
        return taken

    def fence_silent(self, now_ns: int, silent_ns_max: int) -> int:
        """Fence joined gates that are silent for longer; how many."""
        silent = [gate for gate in self.gates if gate.joined and not gate.fenced]
        silent = [gate for gate in silent if now_ns - gate.heartbeat_ns > silent_ns_max]
        for gate in silent:
            gate.fenced = True
        return len(silent)

    def rejoin(self, gate: ModelReader, now_ns: int) -> bool:
        """Bring a fenced gate back behind the newest message."""
        gate.heartbeat_ns = now_ns
        if not gate.fenced:
            return False
        gate.lost_messages += len(self.log) - gate.next
        gate.lost_cells += self.head - self.starts[gate.next]
        gate.next = len(self.log)
        gate.fenced = False
        return True
