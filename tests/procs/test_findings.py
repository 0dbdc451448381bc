"""What an executor found is counted over all of its lives: from the journal, however often it died."""

from __future__ import annotations

import pytest

from procs.findings import desk_found
from tests.procs.test_executor_start import Life
from tests.procs.test_journal_of_a_run import Run


@pytest.mark.compiled_only
def test_one_life_is_counted_as_it_was_lived() -> None:
    """Against what the executor itself has told, request by request and plan by plan."""
    run = Run()
    executor = run.engine.executor
    found = desk_found(executor, run.content)
    assert found.orders == executor.orders > 0
    assert found.plans == len(executor.results) > 0
    assert found.fills == executor.desk.ledger.fills > 0
    assert sum(found.statuses.values()) == found.orders


def test_what_lives_before_have_done_is_counted() -> None:
    life = Life()
    life.buy(100, 50_000_000)
    agent = life.again()
    found = desk_found(agent, life.file.getvalue())
    assert (agent.orders, agent.results) == (0, []), "nothing in this life"
    assert (found.orders, found.plans, found.fills) == (1, 1, 1)
    assert found.statuses == {"filled": 1}
