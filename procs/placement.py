"""Which core a process runs on and how it waits: what is configured, as far as this host has it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from engine.config import ProcessConfig, Wait
from shm.waiting import ANY_CORE, Policy, Wish, choose

POLICIES: Final = {
    Wait.SPIN: Policy.SPIN,
    Wait.YIELD: Policy.YIELD,
    Wait.FUTEX: Policy.PARK,
    Wait.VIRTUAL: Policy.PARK,
}


class Place(NamedTuple):
    """``core`` is ANY_CORE where none is given, or the host does not have it; ``why`` says how it waits."""

    core: int
    policy: Policy
    why: str


def place(processes: Sequence[ProcessConfig], cores: Collection[int]) -> dict[str, Place]:
    """Place of each process on a host whose usable ``cores`` are these."""
    wishes = {
        process.name: Wish(POLICIES[process.wait], process.core if process.core in cores else ANY_CORE)
        for process in processes
    }
    choices = choose(wishes, sorted(cores))
    return {name: Place(wish.core, choices[name].policy, choices[name].why) for name, wish in wishes.items()}


def unpinned(processes: Sequence[ProcessConfig], cores: Collection[int]) -> frozenset[int]:
    """Those of ``cores`` that none of ``processes`` is pinned to; all of them where none is left."""
    return frozenset(cores) - {process.core for process in processes} or frozenset(cores)


def has_core(name: str, places: Mapping[str, Place], cores: Collection[int]) -> bool:
    """Whether a process that waits and does not sleep keeps nobody else from a core by that."""
    awake = {who: one for who, one in places.items() if one.policy is not Policy.PARK}
    here = places[name].core
    sharers = sum(one.core == here for one in awake.values()) if here != ANY_CORE else 1
    return name in awake and sharers == 1 and len(awake) <= len(cores)


def take_place(core: int, processes: Sequence[ProcessConfig]) -> None:
    """Pin this process; with ANY_CORE keep it off the cores that others are pinned to, as far as it can."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, unpinned(processes, allowed) if core == ANY_CORE else {core})
