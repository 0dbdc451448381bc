"""What a stage of the pipeline looks like to whatever runs it: a process of its own, or one loop for all.

An agent is handed the time and never asks for it. It meets other agents in rings and tables only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

from engine.errors import Pr3dictError
from engine.records import Venue
from shm.reader import Reader

Follow = Callable[[], object]  # learns of new markets before what may name them is taken in
FEED: Final = "feed"
BOOK: Final = "book"
VENUE: Final = "venue"
NEVER_NS: Final = 2**63 - 1  # ``next_due_ns`` of an agent with no timer set, of a source at its end


def role_at(stage: str, venue: Venue) -> str:
    """Role of a stage that every venue has one of."""
    return f"{stage}-{venue.name.lower()}"


class Agent(Protocol):
    """A stage: started once, called as long as it lives, closed once."""

    @property
    def role(self) -> str:
        """Name of the stage, unique in its topology."""
        ...

    def on_start(self, now_ns: int) -> None:
        """Get ready; nothing has been handed to the agent before."""
        ...

    def do_work(self, now_ns: int) -> int:
        """Handle what is there, at most a batch; how many messages or timers that was, 0 when idle."""
        ...

    def on_close(self) -> None:
        """Let go of what was opened; called once, also after another agent failed."""
        ...


@runtime_checkable
class TimedAgent(Agent, Protocol):
    """An agent that also acts by the clock: timers, or the frames of a recording."""

    def next_due_ns(self) -> int:
        """When it next has work without being sent any; NEVER_NS for never.

        At that time its ``do_work`` must do something: a due agent that stays idle is an error.
        """
        ...


@runtime_checkable
class ReadingAgent(Agent, Protocol):
    """An agent that acts on what comes in rings, and else at leisure: without news it can be left alone."""

    @property
    def readers(self) -> Sequence[Reader]:
        """Its places in the rings that it must answer at once."""
        ...


class StoppableAgent(Agent, Protocol):
    """An agent that begins things."""

    def stop(self, now_ns: int) -> None:
        """Begin nothing more; what was begun goes on to its end."""
        ...


class AgentRunaway(Pr3dictError):
    """Agents kept each other busy past the bound without the clock moving; the message names the busiest."""


class AgentStalled(Pr3dictError):
    """An agent is due now and does nothing, so that the clock could never move again."""
