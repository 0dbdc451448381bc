"""One process's loop over its agents, and what it tells the others about itself.

A turn calls every agent once. In a replay that is conducted it is taken when it is handed to this process;
what was done, and what is due here, is told in the process's row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from procs.agent import NEVER_NS, Agent, TimedAgent
from procs.pace import EngineClock, Seat, Told


class Host:
    """Runs ``agents`` in order. ``frames`` answers how many frames this process has taken in.

    ``work`` counts messages and timers handled since the start. ``on_told`` is called after something new was
    told.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        clock: EngineClock,
        seat: Seat,
        frames: Callable[[], int] = lambda: 0,
        on_told: Callable[[], object] = lambda: None,
    ) -> None:
        self.work = 0
        self._turn = 0
        self._frames_told = 0
        self._agents = tuple(agents)
        self._timed = tuple(agent for agent in agents if isinstance(agent, TimedAgent))
        self._clock = clock
        self._seat = seat
        self._frames = frames
        self._on_told = on_told

    def start(self) -> None:
        """Start every agent, in order."""
        now_ns = self._clock.now_ns()
        for agent in self._agents:
            agent.on_start(now_ns)

    def turn(self) -> bool:
        """Call every agent once, unless it is another process's turn; whether there was anything to do.

        A turn that was handed to this process is something, whether or not an agent found work in it.
        """
        now_ns = self._clock.now_ns()
        turn = self._clock.turn
        if self._clock.ended:
            return False
        if turn and (self._clock.seat != self._seat.number or turn == self._turn):
            if self._frames() != self._frames_told:
                self._tell()
            return False
        handled = 0
        for agent in self._agents:
            handled += agent.do_work(now_ns)
        self.work += handled
        self._turn = turn
        # Where nobody hands out turns nobody waits for what is told of an idle one.
        if handled or turn or self._frames() != self._frames_told:
            self._tell()
        return handled > 0 or turn > 0

    def close(self) -> None:
        """Close every agent, last first."""
        for agent in reversed(self._agents):
            agent.on_close()

    @property
    def due_ns(self) -> int:
        """When an agent here next acts without being sent anything."""
        return min((agent.next_due_ns() for agent in self._timed), default=NEVER_NS)

    def _tell(self) -> None:
        self._frames_told = self._frames()
        if self._seat.tell(Told(self._turn, self.work, self.due_ns, self._frames_told)):
            self._on_told()
