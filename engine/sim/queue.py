"""Where a resting order stands at its price: judged by what the venue publishes, never in our favour.

The order joins behind everything shown. A trade at its price first serves what is ahead, then us. A level
that shrinks without a trade lost orders somewhere: we assume behind us, unless fewer are left than were
ahead.

A trade and the shrinking it causes are two messages in either order. When the shrinking comes first it has
already moved us up, so a trade within PRINT_LAG_NS is first set against it: one event never counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.units import NS_PER_S

PRINT_LAG_NS: Final = NS_PER_S


@dataclass(slots=True)
class QueuePlace:
    """Size ahead of one resting order in 1e-6 contract, and what is still owed to a trade not yet printed."""

    ahead_e6: int
    owed_e6: int = 0
    owed_ns: int = 0

    def on_level(self, recorded_e6: int, now_ns: int) -> None:
        """The level at our price shows ``recorded_e6`` now."""
        if recorded_e6 >= self.ahead_e6:
            return
        if now_ns - self.owed_ns > PRINT_LAG_NS:
            self.owed_e6 = 0
        self.owed_e6 += self.ahead_e6 - recorded_e6
        self.owed_ns = now_ns
        self.ahead_e6 = recorded_e6

    def on_trade(self, size_e6: int, now_ns: int) -> int:
        """A trade of ``size_e6`` took orders at our price: how much of it reaches us."""
        if now_ns - self.owed_ns > PRINT_LAG_NS:
            self.owed_e6 = 0
        known = min(size_e6, self.owed_e6)
        self.owed_e6 -= known
        size_e6 -= known
        served = min(size_e6, self.ahead_e6)
        self.ahead_e6 -= served
        return size_e6 - served

    def on_trade_through(self) -> None:
        """The market traded at a price worse than ours: everything ahead of us is gone."""
        self.ahead_e6 = 0
        self.owed_e6 = 0
