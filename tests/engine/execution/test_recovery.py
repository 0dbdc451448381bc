"""An executor killed at any instant comes back and ends where its venues are."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import JournalDamaged
from engine.execution.recovery import recover
from engine.ids import boot_epoch_of
from engine.ledger.journal import LAYOUTS, Entry, EntryKind
from engine.reasons import Reason
from engine.records import OrderStatus
from engine.units import NS_PER_S
from tests.engine.execution.floor import CROSS, cross
from tests.engine.execution.mortal_floor import MortalFloor
from tests.engine.execution.test_random_runs import Luck, play
from tests.engine.sim.world import ONE

RUNS = 60
DEATHS = 8


def deaths_of(seed: int) -> list[int]:
    """Instants of a run, from its seed: some while it comes back, most after some work."""
    luck = Luck(~seed)
    deaths = [3 + luck.below(60)]
    while len(deaths) < DEATHS:
        deaths.append(deaths[-1] + 1 + luck.below(8 if luck.chance(30) else 60))
    return deaths


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_run_with_deaths(seed: int) -> None:
    floor = play(seed, settles=seed % 3 == 0, deaths=deaths_of(seed))
    assert isinstance(floor, MortalFloor)
    floor.run(7_200 * NS_PER_S)
    assert floor.died > 0
    floor.assert_survived()


@pytest.mark.soak
@pytest.mark.parametrize("hundred", range(1, 21))
def test_many_runs_with_deaths(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        print(f"seed {seed}")
        floor = play(seed, settles=seed % 3 == 0, deaths=deaths_of(seed))
        floor.run(7_200 * NS_PER_S)
        assert isinstance(floor, MortalFloor)
        floor.assert_survived()


def test_a_journal_that_contradicts_itself_is_damaged() -> None:
    floor = cross()
    floor.plan(CROSS, 10 * ONE)
    floor.run()
    whole = floor.journal.entries
    intent = next(index for index, entry in enumerate(whole) if entry.kind is EntryKind.INTENT)
    for spoiled, kind in (
        (whole[:intent] + whole[intent + 1 :], "SENT"),  # sent without an intent
        (whole[: intent + 1] + whole[intent:], "INTENT"),  # an id twice
        ([entry for entry in whole if entry.kind is not EntryKind.PLAN], "PLAN_LEG"),
    ):
        with pytest.raises(JournalDamaged, match=rf"\({kind}\) contradicts those before it"):
            recover(spoiled)


def test_the_past_of_a_whole_run_is_what_the_executor_knew() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    past = recover(floor.journal.entries)
    assert past.open_plans == []
    assert list(past.ends) == [1]
    assert {i: o.status for i, (_, o) in past.orders.items()} == {
        int(r["order_id"]): OrderStatus.FILLED for r in floor.orders()
    }
    assert past.plans[1].result() == floor.result()
    assert past.next_boot_epoch == boot_epoch_of(int(floor.orders()[0]["order_id"])) + 1
    assert past.entries == len(floor.journal.entries)


def test_an_empty_journal_has_no_past() -> None:
    past = recover([])
    assert (past.entries, past.next_boot_epoch, past.open_plans, past.risk) == (0, 1, [], None)
    assert (past.boot_epoch, past.opened_ns) == (0, 0)


def entry(sequence: int, kind: EntryKind, **fields: int | bytes) -> Entry:
    record: np.void = np.zeros(1, LAYOUTS[kind])[0]
    for name, value in fields.items():
        record[name] = value
    return Entry(sequence, kind, record)


def test_a_slot_has_one_market_in_one_journal() -> None:
    named = [entry(number, EntryKind.MARKET, venue=1, slot=4, symbol=b"a") for number in (1, 2)]
    assert recover(named).markets == {(1, 4, 0): b"a"}
    other = entry(3, EntryKind.MARKET, venue=1, slot=4, symbol=b"b")
    with pytest.raises(JournalDamaged, match=r"entry 3 \(MARKET\) contradicts"):
        recover([*named, other])


def test_the_last_words_of_the_gate_count() -> None:
    stopped = entry(1, EntryKind.RISK, stopped=int(Reason.DRAWDOWN))
    halted = entry(2, EntryKind.RISK, stopped=int(Reason.DRAWDOWN), halted=1)
    resumed = entry(3, EntryKind.RISK)
    for entries, expected in (
        ([stopped], (False, Reason.DRAWDOWN)),
        ([stopped, halted], (True, Reason.DRAWDOWN)),
        ([stopped, halted, resumed], (False, Reason.NONE)),
    ):
        past = recover(entries)
        assert (past.is_halted, past.stopped_by) == expected
