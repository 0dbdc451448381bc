from __future__ import annotations

import os

import pytest

from engine.config import ProcessConfig, Role, Wait
from procs.config_files import load_config
from procs.placement import has_core, place, take_place, unpinned
from shm.waiting import ANY_CORE, Policy


def test_every_process_has_what_is_configured_where_the_host_has_the_cores() -> None:
    processes = load_config().topologies["roles"].processes
    placed = place(processes, range(5))
    assert {name: (where.core, where.policy) for name, where in placed.items()} == {
        "feed": (0, Policy.SPIN),
        "book": (1, Policy.SPIN),
        "strategy": (2, Policy.SPIN),
        "optimizer": (3, Policy.SPIN),
        "executor": (4, Policy.SPIN),
        "ledger": (ANY_CORE, Policy.PARK),
        "venues": (ANY_CORE, Policy.PARK),
    }


def test_nobody_spins_where_spinners_outnumber_cores() -> None:
    placed = place(load_config().topologies["roles"].processes, (0, 1))
    assert {where.policy for where in placed.values()} == {Policy.PARK}
    assert (placed["feed"].core, placed["strategy"].core) == (0, ANY_CORE)


@pytest.mark.parametrize(
    ("topology", "cores", "having"),
    [
        ("two", 2, {"market", "trade"}),
        ("two", 1, set()),  # both are awake, and there is one core
        ("one", 1, {"core"}),
        ("roles", 8, {"feed", "book", "strategy", "optimizer", "executor"}),
        ("roles", 2, set()),  # all sleep
    ],
)
def test_who_has_a_core_that_nobody_else_waits_for(topology: str, cores: int, having: set[str]) -> None:
    places = place(load_config().topologies[topology].processes, range(cores))
    assert {name for name in places if has_core(name, places, range(cores))} == having


def test_two_that_are_pinned_to_one_core_have_none_to_themselves() -> None:
    roles = (Role.FEED, Role.BOOK, Role.STRATEGY)
    cores = (1, 1, 2)
    three = [
        ProcessConfig(name=role.name, roles=(role,), core=core, wait=Wait.YIELD)
        for role, core in zip(roles, cores, strict=True)
    ]
    places = place(three, range(4))
    assert [has_core(role.name, places, range(4)) for role in roles] == [False, False, True]


def test_two_on_one_core_yield_to_each_other() -> None:
    pair = [
        ProcessConfig(name=name, roles=(role,), core=1, wait=Wait.SPIN)
        for name, role in (("a", Role.FEED), ("b", Role.BOOK))
    ]
    assert {where.policy for where in place(pair, (0, 1)).values()} == {Policy.YIELD}


def test_whoever_has_no_core_keeps_off_those_of_others_where_any_are_left() -> None:
    processes = load_config().topologies["roles"].processes
    assert unpinned(processes, range(8)) == {5, 6, 7}
    assert unpinned(processes, range(5)) == set(range(5))
    assert unpinned(processes, (0, 9)) == {9}
    assert unpinned((), (0, 1)) == {0, 1}


def test_a_process_is_pinned_to_its_core_and_without_one_left_beside_it() -> None:
    allowed = os.sched_getaffinity(0)
    core = min(allowed)
    one = [ProcessConfig(name="a", roles=(Role.FEED,), core=core, wait=Wait.SPIN)]
    try:
        take_place(ANY_CORE, ())
        assert os.sched_getaffinity(0) == allowed
        take_place(ANY_CORE, one)
        assert os.sched_getaffinity(0) == (allowed - {core} or allowed)
        os.sched_setaffinity(0, allowed)
        take_place(core, one)
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, allowed)
