"""The event loop around feeds: shells on uvloop, until told to stop or until something of ours fails.

A busy loop never sleeps: it looks at the sockets and polls the agents beside them every microsecond or two,
for the price of a whole core. A blocking one sleeps until a socket or a timer wakes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import uvloop

from procs.feed_shell import FeedShell

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a new uvloop."""
    uvloop.run(main)


async def serve(
    shells: Sequence[FeedShell],
    until: asyncio.Event,
    *,
    spin: Callable[[], int] | None = None,
    for_s: float | None = None,
) -> None:
    """Run ``shells`` until ``until`` is set, a stop signal comes, or ``for_s`` is over.

    ``spin`` is called at every turn of the loop, which then never sleeps; without it, what there is to poll
    hangs on the shells' ``after_read``. Raises what failed in a shell or in ``spin``.
    """
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, until.set)
    spinning = None if spin is None else loop.create_task(_spin(spin))
    for shell in shells:
        shell.start()
    watched = [loop.create_task(shell.wait_failed()) for shell in shells]
    watched += [spinning] if spinning is not None else []
    stopped = loop.create_task(until.wait())
    try:
        done, _ = await asyncio.wait([stopped, *watched], timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task  # raises what failed
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        for shell in shells:
            await shell.stop()
        for task in (stopped, *watched):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _spin(poll: Callable[[], int]) -> None:
    """Poll at every turn of the loop; a coroutine that yields re-arms itself as a callback does."""
    while True:
        poll()
        await asyncio.sleep(0)
