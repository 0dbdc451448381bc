"""Life of one connection as a table: ``step(state, event)`` says what follows and what has to be done.

The age of market data and the age of answers to our pings are kept apart: a venue can answer pings for hours
and send nothing. A silent connection is asked for its books; if nothing comes of that, it is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = [
    "NEVER_NS",
    "TRANSITIONS",
    "Act",
    "LinkEvent",
    "LinkState",
    "Patience",
    "Turn",
    "Vitals",
    "diagram",
    "step",
]

NEVER_NS: Final = 2**63 - 1


class LinkState(IntEnum):
    """Where a connection stands."""

    WAITING = 0  # for the next attempt
    CONNECTING = 1
    SUBSCRIBING = 2  # connected; not every subscription is confirmed
    LIVE = 3
    SILENT = 4  # no market data for too long; asked for books
    CLOSING = 5  # given up by us; not yet closed
    STOPPED = 6


class LinkEvent(IntEnum):
    """What happens to a connection."""

    DUE = 0  # the delay is over and the budget admits an attempt
    OPENED = 1
    FAILED = 2  # the attempt: refused, timed out, not let in
    READY = 3
    HEARD = 4  # market data
    QUIET = 5  # no market data for ``silence_max_ns``, or no confirmation in time
    UNANSWERED = 6  # pings
    GARBLED = 7  # the protocol was broken, a bound passed, or the venue refused a subscription
    CLOSED = 8
    STOP = 9


class Act(IntEnum):
    """What the shell has to do."""

    NOTHING = 0
    CONNECT = 1
    SUBSCRIBE = 2
    ASK = 3  # for the books of every market of the connection
    CLOSE = 4
    BACK_OFF = 5  # arrange the next attempt


class Turn(NamedTuple):
    """What follows an event."""

    state: LinkState
    act: Act


def _table() -> dict[tuple[LinkState, LinkEvent], Turn]:
    s, e = LinkState, LinkEvent
    table = {
        (s.WAITING, e.DUE): Turn(s.CONNECTING, Act.CONNECT),
        (s.CONNECTING, e.OPENED): Turn(s.SUBSCRIBING, Act.SUBSCRIBE),
        (s.CONNECTING, e.FAILED): Turn(s.WAITING, Act.BACK_OFF),
        (s.SUBSCRIBING, e.READY): Turn(s.LIVE, Act.NOTHING),
        (s.SUBSCRIBING, e.QUIET): Turn(s.CLOSING, Act.CLOSE),
        (s.LIVE, e.QUIET): Turn(s.SILENT, Act.ASK),
        (s.SILENT, e.HEARD): Turn(s.LIVE, Act.NOTHING),
        (s.SILENT, e.QUIET): Turn(s.CLOSING, Act.CLOSE),
        (s.STOPPED, e.OPENED): Turn(s.STOPPED, Act.CLOSE),  # it was under way when we stopped
    }
    for state in (s.SUBSCRIBING, s.LIVE, s.SILENT):
        table[state, e.UNANSWERED] = table[state, e.GARBLED] = Turn(s.CLOSING, Act.CLOSE)
    for state in (s.SUBSCRIBING, s.LIVE, s.SILENT, s.CLOSING):
        table[state, e.CLOSED] = Turn(s.WAITING, Act.BACK_OFF)
        table[state, e.STOP] = Turn(s.STOPPED, Act.CLOSE)
    for state in (s.WAITING, s.CONNECTING):
        table[state, e.STOP] = Turn(s.STOPPED, Act.NOTHING)
    return table


TRANSITIONS: Final[Mapping[tuple[LinkState, LinkEvent], Turn]] = MappingProxyType(_table())


def step(state: LinkState, event: LinkEvent) -> Turn:
    """State after ``event`` and what to do; what cannot happen in ``state`` changes nothing."""
    return TRANSITIONS.get((state, event), Turn(state, Act.NOTHING))


def diagram() -> str:
    """Transitions as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {LinkState.WAITING.name}"]
    reached: dict[tuple[LinkState, LinkState], list[str]] = {}
    for (state, event), turn in TRANSITIONS.items():
        if turn.state is not state:
            reached.setdefault((state, turn.state), []).append(event.name)
    lines += [f"    {at.name} --> {to.name}: {', '.join(by)}" for (at, to), by in sorted(reached.items())]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may be missing, in ns."""

    subscribe_ns: int  # confirmation of the subscriptions
    silence_ns: int  # market data
    ping_every_ns: int
    pong_ns: int  # an answer to a ping
    message_ns: int  # the rest of a message that has begun


class Vitals:
    """Clock times of one connection, and which event they amount to. All times from one monotonic clock."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since_ns = 0  # the wait at hand: for confirmations or for market data
        self._pinged_ns = 0
        self._unanswered_ns = NEVER_NS  # when the oldest ping without an answer was sent
        self._partial_ns = NEVER_NS  # when the message that is not whole began

    def opened(self, now_ns: int) -> None:
        """A new connection: nothing is late yet."""
        self._since_ns = self._pinged_ns = now_ns
        self._unanswered_ns = self._partial_ns = NEVER_NS

    def heard(self, now_ns: int) -> None:
        """Market data, or a new state in which it is waited for."""
        self._since_ns = now_ns

    def answered(self) -> None:
        """A ping was answered."""
        self._unanswered_ns = NEVER_NS

    def ping_due(self, now_ns: int) -> bool:
        """Whether to send a ping now; it counts as sent."""
        if now_ns - self._pinged_ns < self._patience.ping_every_ns:
            return False
        self._pinged_ns = now_ns
        self._unanswered_ns = min(self._unanswered_ns, now_ns)
        return True

    def received(self, now_ns: int, *, ended: bool, partial: bool) -> None:
        """Bytes came in. ``ended``: a message did; ``partial``: another has begun and is not whole."""
        if not partial:
            self._partial_ns = NEVER_NS
        elif ended or self._partial_ns == NEVER_NS:
            self._partial_ns = now_ns

    def held(self, now_ns: int) -> None:
        """We ourselves stopped reading for a while: nothing that was late counts."""
        self.opened(now_ns)

    def is_dripping(self, now_ns: int) -> bool:
        """Whether a message has been coming in for too long."""
        return now_ns - self._partial_ns >= self._patience.message_ns

    def event(self, state: LinkState, now_ns: int) -> LinkEvent | None:
        """What the clock makes of it in ``state``: GARBLED, UNANSWERED, QUIET or nothing."""
        if state not in (LinkState.SUBSCRIBING, LinkState.LIVE, LinkState.SILENT):
            return None
        if self.is_dripping(now_ns):
            return LinkEvent.GARBLED
        if now_ns - self._unanswered_ns >= self._patience.pong_ns:
            return LinkEvent.UNANSWERED
        is_early = state is LinkState.SUBSCRIBING
        limit_ns = self._patience.subscribe_ns if is_early else self._patience.silence_ns
        return LinkEvent.QUIET if now_ns - self._since_ns >= limit_ns else None
