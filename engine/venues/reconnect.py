"""When a lost connection may be tried again: at once, then later and later, and never too often.

The first try after a connection that held comes at once; each one that fails doubles a bound, and the delay
is drawn evenly below it (full jitter), so that those who were cut off together do not come back together.
All sockets of a venue share a budget of attempts a minute, and one attempt is under way at a time.
Random numbers are handed in.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from engine.units import NS_PER_S, PPM

MINUTE_NS: Final = 60 * NS_PER_S
DOUBLINGS_MAX: Final = 32


class SlidingWindow:
    """Times of the last ``limit`` events, to tell how many there were within ``span_ns``."""

    def __init__(self, limit: int, span_ns: int) -> None:
        self._times: deque[int] = deque(maxlen=limit)
        self._limit = limit
        self._span_ns = span_ns

    def note(self, now_ns: int) -> None:
        """One more."""
        self._times.append(now_ns)

    def is_full(self, now_ns: int) -> bool:
        """Whether ``limit`` events lie within the last ``span_ns``."""
        return len(self._times) == self._limit and now_ns - self._times[0] < self._span_ns

    def clear(self) -> None:
        """Forget them."""
        self._times.clear()


class AttemptBudget:
    """Attempts of all sockets of one venue: one at a time, ``per_minute`` in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._window = SlidingWindow(per_minute, MINUTE_NS)
        self._under_way = False

    def begin(self, now_ns: int) -> bool:
        """Take one; False when one is under way, or the minute's are used up."""
        if self._under_way or self._window.is_full(now_ns):
            return False
        self._under_way = True
        self._window.note(now_ns)
        return True

    def end(self) -> None:
        """The attempt succeeded or failed."""
        self._under_way = False


class Backoff:
    """Delays of one socket, in ns. ``failures`` counts attempts, and connections that did not hold."""

    def __init__(self, base_ns: int, max_ns: int, hold_ns: int) -> None:
        self.failures = 0
        self._base_ns = base_ns
        self._max_ns = max_ns
        self._hold_ns = hold_ns

    def delay_ns(self, held_ns: int, random_ppm: int) -> int:
        """How long to wait after a connection that held for ``held_ns`` (0: an attempt that failed).

        0 when it held for long enough; else below the bound, by ``random_ppm`` (0..PPM).
        """
        if held_ns >= self._hold_ns:
            self.failures = 0
            return 0
        bound_ns = min(self._max_ns, self._base_ns << min(self.failures, DOUBLINGS_MAX))
        self.failures += 1
        return bound_ns * random_ppm // PPM
