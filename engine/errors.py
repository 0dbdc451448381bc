"""What can go wrong, as classes that tell the operator what to do.

::

    Pr3dictError
    ├── ConfigError              refuse to start: a key, type or name in configuration or arguments
    │   └── UnknownMarket        the name is well formed and nothing we read knows it
    ├── RecordingError
    │   ├── RecordingFormat      not ours to read: another format version, another kind of file
    │   └── RecordingDamaged     ours, and broken: what came before the damage was processed
    ├── JournalDamaged           refuse to start: the record of what we did cannot be trusted
    ├── LayoutMismatch           two processes were built from different layouts: stop both
    ├── EngineRunning            another one holds the folder or the role: leave it alone
    ├── DeadlineExceeded         the time allowed is over; what was done until then stands
    ├── VenueError
    │   ├── VenueRejected        a definite no; safe to forget
    │   ├── VenueUnknown         may have happened; query, never resend
    │   └── VenueRateLimited     wait, with a time
    ├── BookNotTrusted           the epoch is stale; drop the signal
    └── RiskDenied               refused by the gate, with its reason code

The message of every error is one line for a person: what is wrong and where. Kernels raise none of these;
they answer with status codes.
"""

from __future__ import annotations

from typing import Final

from engine.reasons import Reason

MESSAGE_CHARS_MAX: Final = 400


class Pr3dictError(Exception):
    """Base of every error meant for an operator; its text is a line, cut at MESSAGE_CHARS_MAX characters."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())  # a quoted frame may bring line breaks with it
        super().__init__(line if len(line) <= MESSAGE_CHARS_MAX else line[: MESSAGE_CHARS_MAX - 3] + "...")


class ConfigError(Pr3dictError):
    """The configuration or the command line cannot be used: refuse to start."""


class UnknownMarket(ConfigError):
    """No catalog entry and no recording names this market."""


class RecordingError(Pr3dictError):
    """A recording cannot be read as asked."""


class RecordingFormat(RecordingError):
    """The file is whole, and of a kind or format version that this build does not read."""


class RecordingDamaged(RecordingError):
    """The file is truncated or corrupt; the message says what is whole, which has been processed."""


class JournalDamaged(Pr3dictError):
    """The journal is broken before its end, so the state it would give is not ours: a person must look."""


class LayoutMismatch(Pr3dictError):
    """Magic, version or layout hash differ: the other side was built from other sources."""


class EngineRunning(Pr3dictError):
    """Another engine, or another process of this name, holds the lock."""


class DeadlineExceeded(Pr3dictError):
    """The time the caller allowed is over."""


class VenueError(Pr3dictError):
    """A venue answered, or failed to answer, a request of ours."""


class VenueRejected(VenueError):
    """A definite no: nothing happened at the venue."""


class VenueUnknown(VenueError):
    """It may have happened: ask the venue, never send again under a new identity."""


class VenueRateLimited(VenueError):
    """The venue asks us to wait ``retry_after_ns`` nanoseconds."""

    def __init__(self, message: str, retry_after_ns: int) -> None:
        super().__init__(message)
        self.retry_after_ns = retry_after_ns


class BookNotTrusted(Pr3dictError):
    """The book has left the epoch the decision was made in."""


class RiskDenied(Pr3dictError):
    """The gate refused; ``reason`` is the code that funnel, logs and metrics use too."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason
