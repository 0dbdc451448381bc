"""What will happen at the venue, in order of time; at one time, in order of planning."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from engine.units import INT64_MAX

Action = Callable[[int], None]  # called with the time it was planned for

EVENTS_MAX: Final = 1 << 20


class Timeline:
    """A bounded agenda. OverflowError beyond EVENTS_MAX: a venue with that much pending is a mistake."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._planned = 0

    def at(self, time_ns: int, action: Action) -> None:
        """Plan an action."""
        if len(self._heap) >= EVENTS_MAX:
            raise OverflowError(f"more than {EVENTS_MAX} events are pending at the venue")
        self._planned += 1
        heapq.heappush(self._heap, (time_ns, self._planned, action))

    def run_until(self, now_ns: int) -> int:
        """Run everything planned for ``now_ns`` or earlier, and what that plans; answers how many."""
        n = 0
        while self._heap and self._heap[0][0] <= now_ns:
            time_ns, _, action = heapq.heappop(self._heap)
            action(time_ns)
            n += 1
        return n

    def next_ns(self) -> int:
        """Time of the next action; INT64_MAX when nothing is planned."""
        return self._heap[0][0] if self._heap else INT64_MAX
