"""One process's loop over its agents, and what it tells the others about itself.

A turn calls every agent once. After a turn that found nothing the seat says so, with the round the clock had
when the turn began: whoever conducts a replay waits for that. No turn begins between that and the next round,
for in it the time could move under the agents, and they would see what comes next with the time before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from procs.agent import NEVER_NS, Agent, TimedAgent
from procs.pace import EngineClock, Seat


class Host:
    """Runs ``agents`` in order. ``frames`` answers how many frames this process has taken in.

    ``work`` counts messages and timers handled since the start.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        clock: EngineClock,
        seat: Seat,
        frames: Callable[[], int] = lambda: 0,
    ) -> None:
        self.work = 0
        self._acknowledged = 0
        self._agents = tuple(agents)
        self._timed = tuple(agent for agent in agents if isinstance(agent, TimedAgent))
        self._clock = clock
        self._seat = seat
        self._frames = frames

    def start(self) -> None:
        """Start every agent, in order."""
        now_ns = self._clock.now_ns()
        for agent in self._agents:
            agent.on_start(now_ns)

    def turn(self) -> int:
        """Call every agent once, unless a round is waited for; what they handled."""
        frames = self._frames()
        now_ns = self._clock.now_ns()
        round_number = self._clock.round
        if round_number and round_number == self._acknowledged:
            self._seat.tell(round_number, self.work, self._due_ns(), frames)
            return 0
        handled = 0
        for agent in self._agents:
            handled += agent.do_work(now_ns)
        self.work += handled
        if handled == 0:
            self._acknowledged = round_number
            self._seat.tell(round_number, self.work, self._due_ns(), frames)
        return handled

    def close(self) -> None:
        """Close every agent, last first."""
        for agent in reversed(self._agents):
            agent.on_close()

    def _due_ns(self) -> int:
        return min((agent.next_due_ns() for agent in self._timed), default=NEVER_NS)
