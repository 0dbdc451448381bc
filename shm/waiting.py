"""What a process does when a pass over its agents found nothing: spin, yield, or park.

======  ====================================  ===============================================
policy  between two idle passes               for
======  ====================================  ===============================================
spin    some pauses of the processor          a core of one's own: a hop of tens of ns
yield   gives the core to the next thread     stages that share a core: a switch between two looks
park    sleeps until the doorbell rings       cold paths, and hosts with few cores
======  ====================================  ===============================================

Two processes that spin on one core cost each other a scheduler slice, 4 to 8 ms, at every hop. So a wish to
spin is granted only where the core is not shared (``choose``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from shm.atomics import pause
from shm.doorbell import Doorbell
from shm.futex import yield_core
from shm.jit import kernel

PAUSES: Final = 4  # of 20 to 60 ns: between two looks the pass over the agents itself takes microseconds
YIELDS_BEFORE_PARK: Final = 16
PARK_NS: Final = 200_000_000  # whoever has a timer due earlier says so; a signal ends a sleep at once
ANY_CORE: Final = -1


class Policy(StrEnum):
    """How to wait."""

    SPIN = "spin"
    YIELD = "yield"
    PARK = "park"


class Wish(NamedTuple):
    """What a process asks for: a policy, and the core it is pinned to or ANY_CORE."""

    policy: Policy
    core: int


class Choice(NamedTuple):
    """What it gets, and why."""

    policy: Policy
    why: str


@kernel
def pause_some(times: int) -> int:
    """Pause ``times`` times; bounded, without the GIL."""
    for _ in range(times):
        pause()
    return times


class Idler:
    """One process's way to wait: ``worked`` after a pass that did something, ``idle`` after one that did not.

    Parking takes two idle passes: the first raises the flag of the doorbell, the next one finds out whether
    something came before it was up, and only then ``idle`` sleeps. ``slept`` counts sleeps. ``yields`` come
    first, for a message that is nearly there; 0 where somebody else has to work before one can come.
    """

    def __init__(
        self, policy: Policy, bell: Doorbell, park_ns: int = PARK_NS, yields: int = YIELDS_BEFORE_PARK
    ) -> None:
        self.policy = policy
        self.slept = 0
        self._bell = bell
        self._park_ns = park_ns
        self._yields = yields
        self._idle_passes = 0
        self._seen: int | None = None

    def worked(self) -> None:
        """Something was there: stay awake."""
        self._idle_passes = 0
        if self._yields == 0 and self.policy is Policy.PARK:
            self._seen = self._bell.prepare()  # somebody else has to work now: the next look is the last one
        elif self._seen is not None:
            self._bell.stay_awake()
            self._seen = None

    def idle(self, due_in_ns: Callable[[], int] = lambda: PARK_NS) -> None:
        """Nothing was there: wait as the policy says; a sleep ends when a timer is due, or by ``park_ns``."""
        if self.policy is Policy.SPIN:
            pause_some(PAUSES)
        elif self.policy is Policy.YIELD or self._idle_passes < self._yields:
            self._idle_passes += 1
            yield_core()
        elif self._seen is None:
            self._seen = self._bell.prepare()
        else:
            self._bell.sleep(self._seen, max(min(self._park_ns, due_in_ns()), 1))
            self.slept += 1
            self._seen = None


def choose(wishes: Mapping[str, Wish], cores: Sequence[int]) -> dict[str, Choice]:
    """What each process gets on a host whose usable ``cores`` are these.

    Raises ValueError when a process is pinned to a core that is not there.
    """
    for name, wish in wishes.items():
        if wish.core not in (ANY_CORE, *cores):
            raise ValueError(f"{name}: core {wish.core} is not among {', '.join(map(str, cores))}")
    pinned = Counter(wish.core for wish in wishes.values() if wish.core != ANY_CORE)
    spinners = [name for name, wish in wishes.items() if wish.policy is Policy.SPIN]
    return {
        name: _granted(wish, len(spinners), pinned[wish.core], len(cores)) for name, wish in wishes.items()
    }


def _granted(wish: Wish, spinners: int, sharers: int, cores: int) -> Choice:
    if wish.policy is not Policy.SPIN:
        return Choice(wish.policy, "as configured")
    if sharers > 1:
        return Choice(Policy.YIELD, f"{sharers} processes share core {wish.core}: spinners would take turns")
    if spinners > cores:
        return Choice(Policy.PARK, f"{spinners} processes would spin on {cores} cores")
    return Choice(Policy.SPIN, "as configured: a core of its own")


def warm() -> None:
    """Compile the kernels of this module."""
    pause_some(1)
