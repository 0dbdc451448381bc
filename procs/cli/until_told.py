"""Commands that serve until SIGTERM or SIGINT: each step is bounded, so the end comes promptly."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


def until_told(ready: Callable[[], object], step: Callable[[], object]) -> None:
    """Say that we are ready, then call ``step`` until SIGTERM or SIGINT has come.

    Whoever has heard that we are ready may signal. The handlers that were there are put back.
    """
    told: list[int] = []

    def tell(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        while not told:
            step()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
