"""Commands that serve until SIGTERM or SIGINT: each step is bounded, so the end comes promptly."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def until_told() -> Iterator[Callable[[], bool]]:
    """Hand out what says whether SIGTERM or SIGINT has come; the handlers that were there are put back.

    Entered before anybody can see that we serve: whoever does may signal.
    """
    told: list[int] = []

    def tell(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
