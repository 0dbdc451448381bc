"""What happened to the sockets of one venue, for whoever shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

CODES_MAX: Final = 64  # distinct close codes kept; the rest count as OTHER_CODE
OTHER_CODE: Final = 0


@dataclass(slots=True)
class FeedCounters:
    """Counts since the start; ``live`` is how many sockets are LIVE now."""

    connects: int = 0  # handshakes done
    reconnects: int = 0  # of them, after an earlier one of the same socket
    refused: int = 0  # attempts that failed
    silences: int = 0  # times market data was missed on a connection that answered
    unanswered: int = 0  # connections given up for pings without an answer
    unconfirmed: int = 0  # for subscriptions that were not confirmed in time
    oversized: int = 0  # for a message beyond the bound
    slow: int = 0  # for a message that took too long to come in
    garbled: int = 0  # for breaches of the protocol, or a refused subscription
    garbage: int = 0  # messages that could not be read
    resyncs: int = 0  # requests for books
    frames: int = 0
    keep_alives: int = 0  # texts that answer our pings
    bytes: int = 0
    clock_steps_back: int = 0
    pauses: int = 0  # times reading was stopped for a reader that was far behind
    stalls: int = 0  # times the event loop itself stood still: what was missed then did not count as late
    live: int = 0
    closes: Counter[int] = field(default_factory=Counter)  # by the code that the peer gave

    def closed(self, code: int) -> None:
        """Count one end of a connection."""
        known = code in self.closes or len(self.closes) < CODES_MAX
        self.closes[code if known else OTHER_CODE] += 1
