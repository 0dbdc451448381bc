from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.defaults import market_with_defaults
from engine.catalog.market import MarketRef
from engine.records import BOOK_ROW, Trust, Venue
from procs.config_files import load_config, load_fee_table
from procs.doubt_watch import LOOK_EVERY_NS, DoubtWatch


class Asked:
    """A feed that takes every wish, or those of ``takes``."""

    def __init__(self) -> None:
        self.takes = {"A", "B", "C"}
        self.wanted: list[tuple[str, bool]] = []
        self.requested: list[tuple[int, int]] = []

    def want(self, symbol: str, *, urgent: bool = False) -> bool:
        self.wanted.append((symbol, urgent))
        return symbol in self.takes

    def note(self, slot: int, now_ns: int) -> None:
        self.requested.append((slot, now_ns))


def watch(asked: Asked, trusts: dict[int, Trust], urgent: int = -1) -> DoubtWatch:
    rows = np.zeros(8, BOOK_ROW)  # slots that nobody registered look UNSYNCED
    made = DoubtWatch(rows, asked.want, asked.note, lambda slot: slot == urgent)
    fees = load_fee_table(load_config())
    for (slot, trust), symbol in zip(trusts.items(), "ABC", strict=False):
        rows[slot]["trust"] = trust
        made.add(MarketRef(slot, 1), market_with_defaults(fees, Venue.KALSHI, symbol, 0))
    return made


@pytest.mark.parametrize("trust", list(Trust))
def test_which_books_are_asked_for(trust: Trust) -> None:
    asked = Asked()
    waits = trust in (Trust.UNSYNCED, Trust.SUSPECT, Trust.RESYNC)
    assert watch(asked, {3: trust}).look(7) == waits
    assert asked.wanted == ([("A", False)] if waits else [])
    assert asked.requested == ([(3, 7)] if waits else [])


def test_those_with_open_orders_are_urgent_and_only_what_is_taken_counts() -> None:
    asked = Asked()
    asked.takes = {"B"}
    watched = watch(asked, {1: Trust.SUSPECT, 2: Trust.SUSPECT, 5: Trust.LIVE}, urgent=2)
    assert watched.look(0) == 1
    assert asked.wanted == [("A", False), ("B", True)]
    assert asked.requested == [(2, 0)]
    assert watched.asked == 1


def test_it_looks_now_and_then() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.SUSPECT})
    late = 100 * LOOK_EVERY_NS
    times = (0, LOOK_EVERY_NS - 1, LOOK_EVERY_NS, late, late + 1, late - LOOK_EVERY_NS)
    assert [watched.look(at) for at in times] == [1, 0, 1, 1, 0, 1]  # the last after a step back
