"""Recorded time beside real time: when what was recorded is due at a multiple of its own speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PAUSE_S_MAX: Final = 60.0


class Pacer:
    """Waits so that recorded time passes ``speed`` times as fast as real time.

    A pause of the recordings, such as lies between two of different days, takes at most PAUSE_S_MAX.
    """

    def __init__(
        self,
        speed: float,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock_s = clock_s
        self._sleep = sleep
        self._origin: tuple[int, float] | None = None

    def wait_s(self, recv_ns: int) -> float:
        """How long to wait for what was received at ``recv_ns``; asked with times that do not step back."""
        now_s = self._clock_s()
        began_ns, began_s = self._origin or (recv_ns, now_s)
        due_s = began_s + (recv_ns - began_ns) / 1e9 / self._speed
        if due_s > now_s + PAUSE_S_MAX:
            due_s = now_s + PAUSE_S_MAX
            began_ns, began_s = recv_ns, due_s
        self._origin = began_ns, began_s
        return max(0.0, due_s - now_s)

    def __call__(self, recv_ns: int) -> None:
        """Return when it is time for what was received at ``recv_ns``."""
        wait_s = self.wait_s(recv_ns)
        if wait_s > 0:
            self._sleep(wait_s)
