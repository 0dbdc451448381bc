"""One process's loop over its agents, and what it tells the others about itself.

A turn calls every agent once. In a replay that is conducted it is taken when it is handed to this process;
what was done, and what is due here, is told in the process's row.

Live, a process that does not sleep goes by news: most turns call only the agents for which something waits
in a ring, in pipeline order, as soon as it does (``shm.news``). So a message passes through the stages of a
process without waiting for those that have nothing to do. Every FULL_EVERY_NS a turn calls all of them: for
what is due by the clock, and for what comes otherwise than in a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from procs.agent import NEVER_NS, Agent, ReadingAgent, TimedAgent
from procs.pace import EngineClock, Seat, Told
from shm.news import News

FULL_EVERY_NS: Final = 1_000_000
LOOKS: Final = 256  # of 50 to 100 ns: as long as that nobody else gets the core


class Host:
    """Runs ``agents`` in order. ``frames`` answers how many frames this process has taken in.

    ``work`` counts messages and timers handled since the start. ``on_told`` is called after something new was
    told. ``by_news``: between full turns only agents are called that have something to read.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        clock: EngineClock,
        seat: Seat,
        frames: Callable[[], int] = lambda: 0,
        on_told: Callable[[], object] = lambda: None,
        *,
        by_news: bool = False,
    ) -> None:
        self.work = 0
        self._full_ns = 0  # when the next turn calls all
        reading = [agent for agent in agents if isinstance(agent, ReadingAgent)]
        self._news = News([agent.readers for agent in reading]) if by_news else None
        self._by_bit = {1 << number: agent for number, agent in enumerate(reading)}
        self._turn = 0
        self._frames_told = 0
        self._work_told = 0
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
        if self._news is not None and not turn:
            if now_ns < self._full_ns:
                return self._turn_by(self._news)
            self._full_ns = now_ns + FULL_EVERY_NS
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
        if self.work != self._work_told or turn or self._frames() != self._frames_told:
            self._tell()
        return handled > 0 or turn > 0

    def wait(self) -> bool:
        """Look for news for some microseconds, where turns go by them; whether something is there."""
        return self._news is not None and self._news.wait(LOOKS) != 0

    def _turn_by(self, news: News) -> bool:
        """Call once each agent that something waits for, the first in the pipeline first."""
        handled = called = 0
        while waiting := news.look() & ~called:
            first = waiting & -waiting
            called |= first
            handled += self._by_bit[first].do_work(self._clock.now_ns())
        self.work += handled
        return handled > 0

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
        self._work_told = self.work
        if self._seat.tell(Told(self._turn, self.work, self.due_ns, self._frames_told)):
            self._on_told()
