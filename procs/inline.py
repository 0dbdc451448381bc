"""All agents in one loop under a virtual clock: the same input gives the same run, to the bit.

The loop calls every agent in pipeline order until one whole pass does no work, then moves the clock to the
earliest time an agent is due. A source of recorded frames is an agent whose ``next_due_ns`` is the time of
its next frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from procs.agent import NEVER_NS, Agent, AgentRunaway, AgentStalled, TimedAgent

PASSES_MAX: Final = (
    100_000  # of one step: far beyond any burst, and an endless exchange of messages still ends
)


class VirtualClock:
    """Time of a replay in nanoseconds: moved, never read from anywhere, and never back."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns
        self.steps_back = 0

    @property
    def now_ns(self) -> int:
        """Time as last set."""
        return self._now_ns

    def advance_to(self, ns: int) -> int:
        """Move to ``ns``; an earlier time is counted and changes nothing. Answers the time it is then."""
        if ns < self._now_ns:
            self.steps_back += 1
        else:
            self._now_ns = ns
        return self._now_ns


@dataclass(slots=True)
class AgentTally:
    """What one agent did so far; ``busy_ns`` stays 0 without a performance counter."""

    role: str
    work: int = 0
    calls: int = 0
    busy_ns: int = 0


class InlineRunner:
    """Run ``agents`` in the order given until nothing is due any more.

    ``perf_ns`` is a real clock for ``tallies`` only; without it no time is taken. Raises ValueError when two
    agents share a role, AgentRunaway and AgentStalled when agents break their contract; whatever an agent
    raises ends the run.
    """

    def __init__(
        self, agents: Sequence[Agent], clock: VirtualClock, perf_ns: Callable[[], int] | None = None
    ) -> None:
        roles = [agent.role for agent in agents]
        if not roles or len(set(roles)) != len(roles):
            raise ValueError(f"agents need a role each, and there must be one: {roles}")
        self.clock = clock
        self.tallies = tuple(AgentTally(role) for role in roles)
        self._perf_ns = perf_ns
        self._seats = tuple(zip(agents, self.tallies, strict=True))
        self._timed = tuple(agent for agent in agents if isinstance(agent, TimedAgent))
        self._open = ExitStack()
        self.passes = 0

    def start(self) -> None:
        """Start every agent in order; when one fails, those started before it are closed, last first."""
        with ExitStack() as opening:
            for agent, _ in self._seats:
                agent.on_start(self.clock.now_ns)
                opening.callback(agent.on_close)
            self._open = opening.pop_all()

    def step(self) -> bool:
        """Work until idle, then move the clock to what is due next; False when nothing ever will be."""
        self._work_until_idle()
        due_ns, agent = self._next_due()
        if due_ns == NEVER_NS:
            return False
        if due_ns <= self.clock.now_ns:
            raise AgentStalled(f"{agent} is due at {due_ns} and did nothing at {self.clock.now_ns}")
        self.clock.advance_to(due_ns)
        return True

    def run(self, until_ns: int = NEVER_NS) -> None:
        """Start, step until nothing is due or the clock passes ``until_ns``, then close in any case."""
        self.start()
        try:
            while self.clock.now_ns <= until_ns and self.step():
                pass
        finally:
            self.close()

    def close(self) -> None:
        """Close the started agents, last first; each is closed even when another raises."""
        self._open.close()

    def _work_until_idle(self) -> None:
        before = [tally.work for tally in self.tallies]
        for _ in range(PASSES_MAX):
            self.passes += 1
            if self._pass() == 0:
                return
        done = [tally.work - start for tally, start in zip(self.tallies, before, strict=True)]
        busiest = self.tallies[done.index(max(done))].role
        raise AgentRunaway(
            f"not idle after {PASSES_MAX} passes at {self.clock.now_ns}; busiest: {busiest} ({max(done)})"
        )

    def _pass(self) -> int:
        """Call each agent once; messages handled by all of them."""
        now_ns = self.clock.now_ns
        if self._perf_ns is not None:
            return self._timed_pass(now_ns, self._perf_ns)
        handled = 0
        for agent, tally in self._seats:
            work = agent.do_work(now_ns)
            tally.work += work
            tally.calls += 1
            handled += work
        return handled

    def _timed_pass(self, now_ns: int, perf_ns: Callable[[], int]) -> int:
        handled = 0
        start_ns = perf_ns()
        for agent, tally in self._seats:
            work = agent.do_work(now_ns)
            end_ns = perf_ns()
            tally.work += work
            tally.calls += 1
            tally.busy_ns += end_ns - start_ns
            start_ns = end_ns
            handled += work
        return handled

    def _next_due(self) -> tuple[int, str]:
        """Earliest due time and the role of the first agent with it; (NEVER_NS, "") when none is."""
        earliest_ns, role = NEVER_NS, ""
        for agent in self._timed:
            due_ns = agent.next_due_ns()
            if due_ns < earliest_ns:
                earliest_ns, role = due_ns, agent.role
        return earliest_ns, role
