"""Work done in the turns of an event loop: for a process that has sockets of its own, and rings beside them.

The loop's callbacks bring bytes, and every turn calls ``work``, which looks at the rings. Waiting is the
loop's: re-armed at once it is busy, and its sockets are answered soonest too; parked it sleeps until a
socket, a timer or the FIFO of the doorbell is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from shm.doorbell import Doorbell
from shm.futex import NS_PER_S, yield_core
from shm.waiting import PARK_NS, YIELDS_BEFORE_PARK, Policy

LOOP_TICK_NS: Final = 1_000_000  # loops count whole milliseconds: who wakes a little early sleeps twice


class LoopTurns:
    """``work`` answers how much it did; ``bell``, which has a FIFO, is rung by all that feed its rings.

    ``yields`` is as in ``Idler``; ``due_in_ns`` says when ``work`` has something to do by the clock.

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
        due_in_ns: Callable[[], int] = lambda: PARK_NS,
    ) -> None:
        if bell.descriptor is None:
            raise ValueError("an event loop sleeps on a descriptor: make its bell with for_event_loop")
        self.policy = policy
        self.slept = 0
        self._work = work
        self._bell = bell
        self._descriptor = bell.descriptor
        self._park_ns = park_ns
        self._due_in_ns = due_in_ns
        self._yields = yields
        self._idle_turns = 0
        self._prepared = False
        self._stopped = False
        self._sleeper: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Take turns until ``stop``; raises what ``work`` raises, so that nothing stands still in silence."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, self.nudge)
        try:
            if self.policy is Policy.SPIN:
                await self._spin(loop)
            while not self._stopped:
                if self._work() > 0:
                    self._idle_turns = 0
                    self._stay_awake()
                    if self._yields == 0 and self.policy is Policy.PARK:
                        self._prepare()  # somebody else has to work now: the next look is the last one
                    await asyncio.sleep(0)
                else:
                    await self._idle()
        finally:
            self._stopped = True
            loop.remove_reader(self._descriptor)
            self._stay_awake()

    async def _spin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turns that re-arm themselves: half the cost of a coroutine's way through the loop."""
        done: asyncio.Future[None] = loop.create_future()

        def turn() -> None:
            if done.done():  # whoever awaited the turns was cancelled
                return
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - raised where the turns are awaited
                done.set_exception(error)
                return
            if self._stopped:
                done.set_result(None)
            else:
                loop.call_soon(turn)

        loop.call_soon(turn)
        await done

    def stop(self) -> None:
        """Let ``run`` end after the turn it is in; for the loop's own thread."""
        self._stopped = True
        self.nudge()

    def nudge(self) -> None:
        """Take a turn now: the bell has rung, or a callback of this loop has brought work."""
        self._bell.answer()
        self._prepared = False
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def _idle(self) -> None:
        self._idle_turns += 1
        if self.policy is Policy.YIELD or self._idle_turns <= self._yields:
            yield_core()
            await asyncio.sleep(0)
        elif not self._prepared:
            self._prepare()
            await asyncio.sleep(0)
        else:
            await self._sleep()

    async def _sleep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sleeper = loop.create_future()
        sleep_ns = max(min(self._park_ns, self._due_in_ns()), 0)
        ticks = -(-sleep_ns // LOOP_TICK_NS)
        timer = loop.call_later(ticks * LOOP_TICK_NS / NS_PER_S, self.nudge)
        try:
            await self._sleeper
        finally:
            timer.cancel()
            self.slept += 1

    def _prepare(self) -> None:
        self._bell.prepare()
        self._prepared = True

    def _stay_awake(self) -> None:
        if self._prepared:
            self._bell.stay_awake()
            self._prepared = False
