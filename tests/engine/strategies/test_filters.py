from __future__ import annotations

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import SIGNAL_LEG, Direction, MarketState, Outcome, SignalKind, TopFlag, Trust, Venue
from engine.strategies.filters import State, distrust, emptiness, staleness, terms_of
from engine.units import NS_PER_S
from tests.engine.strategies.stage import NOW, Stage, config


class Pair:
    """Two quoted markets and the legs that buy YES of both."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.legs = np.zeros(2, SIGNAL_LEG)
        for index, (name, venue) in enumerate((("a", Venue.POLYMARKET), ("b", Venue.KALSHI))):
            slot = self.stage.add(name, venue)
            self.stage.quote(name, [(4_000, 10)], [(5_000, 10)])
            self.legs[index]["slot"], self.legs[index]["generation"] = self.stage.catalog.ref(slot)
            self.legs[index]["direction"], self.legs[index]["outcome"] = Direction.BUY, Outcome.YES
        self.state = State(self.stage.catalog.rows, self.stage.books, terms_of(config()))

    def book(self, name: str) -> np.void:
        row: np.void = self.stage.books[self.stage.slots[name]]
        return row


@pytest.mark.parametrize("trust", [trust for trust in Trust if trust is not Trust.LIVE])
def test_one_leg_that_is_not_live_spoils_all(trust: Trust) -> None:
    pair = Pair()
    pair.book("b")["trust"] = trust
    assert distrust(pair.legs, 2, pair.state) == Reason.BOOK_NOT_LIVE


def test_distrust_in_its_order() -> None:
    pair = Pair()
    assert distrust(pair.legs, 2, pair.state) == 0
    pair.book("a")["flags"] = TopFlag.CROSSED
    assert distrust(pair.legs, 2, pair.state) == Reason.BOOK_CROSSED
    pair.book("b")["flags"] = TopFlag.DECLARED
    assert distrust(pair.legs, 2, pair.state) == Reason.TOP_DISAGREES
    pair.book("b")["flags"] = TopFlag.DECLARED | TopFlag.DECLARED_AGREES
    assert distrust(pair.legs, 2, pair.state) == Reason.BOOK_CROSSED
    pair.book("b")["market_state"] = MarketState.PAUSED
    assert distrust(pair.legs, 2, pair.state) == Reason.MARKET_CLOSED
    pair.book("b")["market_state"] = MarketState.OPEN
    pair.stage.catalog.set_open(pair.stage.slots["b"], is_open=False)
    assert distrust(pair.legs, 2, pair.state) == Reason.MARKET_CLOSED
    pair.legs[1]["generation"] += 1
    assert distrust(pair.legs, 2, pair.state) == Reason.BOOK_NOT_LIVE


@pytest.mark.parametrize(
    ("age_a", "age_b", "reason"),
    [
        (0, 0, 0),
        (2 * NS_PER_S, 2 * NS_PER_S, 0),
        (2 * NS_PER_S + 1, 2 * NS_PER_S, Reason.BOOK_STALE),
        (0, 2 * NS_PER_S + 1, Reason.BOOK_STALE),
        (0, NS_PER_S, 0),
        (NS_PER_S + 1, 0, Reason.LEGS_TOO_FAR_APART),
        (2**63, 0, Reason.BOOK_STALE),  # one bit of a time is another: its age passes 2**63
        (0, 2**63, Reason.BOOK_STALE),
        (2**63, 2**63, Reason.BOOK_STALE),
        (0, -(2**62), Reason.LEGS_TOO_FAR_APART),
    ],
)
def test_staleness_of_the_oldest_and_of_the_pair(age_a: int, age_b: int, reason: int) -> None:
    pair = Pair()
    pair.book("a")["recv_ns"] = NOW - age_a
    pair.book("b")["recv_ns"] = NOW - age_b
    assert staleness(pair.legs, 2, pair.state, NOW) == reason


def test_each_leg_needs_something_on_its_own_side() -> None:
    pair = Pair()
    pair.stage.quote("b", [(4_000, 10)], [])
    assert emptiness(pair.legs, 2, pair.state) == Reason.ONE_SIDED
    pair.legs[1]["outcome"] = Outcome.NO
    assert emptiness(pair.legs, 2, pair.state) == 0
    pair.book("a")["flags"] = TopFlag.SIZE_UNKNOWN
    assert emptiness(pair.legs, 2, pair.state) == Reason.SIZE_UNKNOWN


def test_terms_are_the_configuration() -> None:
    terms = terms_of(config(max_legs=7, deadline_ns=99))[0]
    assert (int(terms["max_legs"]), int(terms["deadline_ns"])) == (7, 99)
    assert [int(terms["min_edge_micros"][kind]) for kind in SignalKind] == [1_000] * len(SignalKind)
