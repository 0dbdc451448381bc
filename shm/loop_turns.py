"""Work done in the turns of an event loop: for a process that has sockets of its own, and rings beside them.

The loop's callbacks bring bytes, and every turn calls ``work``, which looks at the rings. Waiting is the
loop's: re-armed at once it is busy, and its sockets are answered soonest too; parked it sleeps until a
socket, a timer or the FIFO of the doorbell is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shm.doorbell import Doorbell
from shm.futex import NS_PER_S, yield_core
from shm.waiting import PARK_NS, YIELDS_BEFORE_PARK, Policy


class LoopTurns:
    """``work`` answers how much it did; ``bell``, which has a FIFO, is rung by all that feed its rings.

    ``yields`` is as in ``Idler``.

    Going to sleep takes two turns, as everywhere: the flag goes up, ``work`` looks once more, and only then
    the loop is left alone. ``slept`` counts how often.
    """

    def __init__(
        self,
        work: Callable[[], int],
        policy: Policy,
        bell: Doorbell,
        park_ns: int = PARK_NS,
        yields: int = YIELDS_BEFORE_PARK,
    ) -> None:
        if bell.descriptor is None:
            raise ValueError("an event loop sleeps on a descriptor: make its bell with for_event_loop")
        self.policy = policy
        self.slept = 0
        self._work = work
        self._bell = bell
        self._descriptor = bell.descriptor
        self._park_s = park_ns / NS_PER_S
        self._yields = yields
        self._idle_turns = 0
        self._stopped = False
        self._sleeper: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Take turns until ``stop``; raises what ``work`` raises, so that nothing stands still in silence."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, self.nudge)
        try:
            while not self._stopped:
                worked = self._work()
                self._idle_turns = 0 if worked > 0 else self._idle_turns + 1
                await self._wait()
        finally:
            loop.remove_reader(self._descriptor)
            self._bell.stay_awake()

    def stop(self) -> None:
        """Let ``run`` end after the turn it is in; for the loop's own thread."""
        self._stopped = True
        self.nudge()

    def nudge(self) -> None:
        """Take a turn now: the bell has rung, or a callback of this loop has brought work."""
        self._bell.answer()
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def _wait(self) -> None:
        if self._idle_turns == 0 or self.policy is not Policy.PARK or self._idle_turns <= self._yields:
            if self._bell.sleeping:
                self._bell.stay_awake()
            if self._idle_turns > 0 and self.policy is not Policy.SPIN:
                yield_core()
            await asyncio.sleep(0)
        elif not self._bell.sleeping:
            self._bell.prepare()
            await asyncio.sleep(0)
        else:
            await self._sleep()

    async def _sleep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sleeper = loop.create_future()
        timer = loop.call_later(self._park_s, self.nudge)
        try:
            await self._sleeper
        finally:
            timer.cancel()
            self.slept += 1
