from __future__ import annotations

import pytest

from engine.errors import Pr3dictError
from procs import agent
from procs.agent import NEVER_NS, Agent, AgentRunaway, AgentStalled, TimedAgent


class Echo:
    """The least an agent can be."""

    role = "echo"

    def on_start(self, now_ns: int) -> None:
        pass

    def do_work(self, now_ns: int) -> int:
        return 0

    def on_close(self) -> None:
        pass


class Alarm(Echo):
    def next_due_ns(self) -> int:
        return NEVER_NS


def test_an_agent_needs_no_base_class() -> None:
    plain: Agent = Echo()
    timed: TimedAgent = Alarm()
    assert isinstance(timed, TimedAgent)
    assert not isinstance(plain, TimedAgent)


def test_never_is_the_end_of_time() -> None:
    assert NEVER_NS == 2**63 - 1


@pytest.mark.parametrize("error", [AgentRunaway, AgentStalled])
def test_broken_contracts_are_told_in_one_line(error: type[Pr3dictError]) -> None:
    assert issubclass(error, Pr3dictError)
    assert "\n" not in str(error("who and\nwhen"))
    assert error.__module__ == agent.__name__
