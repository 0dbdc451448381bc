from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.catalog.catalog import MarketFlag
from engine.optimizer.admission import has_moved, objection
from engine.reasons import Reason
from engine.records import LEGS_MAX, MarketState, TopFlag, Trust
from tests.engine.optimizer.desk import BUY, NO, NOW, YES, Desk, Rows, signal


class Asked:
    """A signal of two legs, in markets 1 and 2, that nothing speaks against."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.head = signal(1, 2)
        self.legs: Rows = self.desk.legs((1, BUY, YES), (2, BUY, NO))

    def answer(self, now_ns: int = NOW) -> Reason:
        return objection(int(self.head["deadline_ns"]), self.legs, self.desk.books, self.desk.markets, now_ns)


def test_nothing_speaks_against_a_usual_signal() -> None:
    assert Asked().answer() is Reason.NONE


def test_a_deadline_is_the_last_moment() -> None:
    asked = Asked()
    asked.head["deadline_ns"] = NOW
    assert asked.answer(NOW) is Reason.NONE
    assert asked.answer(NOW + 1) is Reason.DEADLINE_PASSED


@pytest.mark.parametrize("number", [0, LEGS_MAX + 1])
def test_no_legs_and_too_many_are_refused(number: int) -> None:
    asked = Asked()
    asked.desk = Desk(LEGS_MAX + 1)
    asked.legs = asked.desk.legs(*((slot, BUY, YES) for slot in range(number)))
    assert asked.answer() is Reason.TOO_MANY_LEGS


@pytest.mark.parametrize("number", [1, LEGS_MAX])
def test_as_few_and_as_many_legs_as_allowed(number: int) -> None:
    asked = Asked()
    asked.desk = Desk(LEGS_MAX)
    asked.legs = asked.desk.legs(*((slot, BUY, YES) for slot in range(number)))
    assert asked.answer() is Reason.NONE


def test_a_market_twice_is_refused() -> None:
    asked = Asked()
    asked.legs = asked.desk.legs((1, BUY, YES), (1, BUY, NO))
    assert asked.answer() is Reason.TOO_MANY_LEGS


@pytest.mark.parametrize(
    ("field", "value"), [("outcome", 2), ("outcome", 255), ("direction", 2), ("convert", 3), ("venue", 255)]
)
def test_a_leg_that_none_can_be_is_refused_before_it_is_an_index(field: str, value: int) -> None:
    asked = Asked()
    asked.legs[1][field] = value
    assert asked.answer() is Reason.VERIFY_FAILED


Change = Callable[[Asked], None]


def book(name: str, value: int) -> Change:
    def change(asked: Asked) -> None:
        asked.desk.books[2][name] = value

    return change


def market(name: str, value: int) -> Change:
    def change(asked: Asked) -> None:
        asked.desk.markets[2][name] = value

    return change


def no_such_market(asked: Asked) -> None:
    asked.legs[1]["slot"] = len(asked.desk.books)


def old_leg(asked: Asked) -> None:
    asked.legs[1]["generation"] = 0


SPEAKS_AGAINST = [
    (market("flags", MarketFlag.IN_USE), Reason.MARKET_CLOSED),
    (market("flags", MarketFlag.OPEN), Reason.MARKET_CLOSED),
    (market("generation", 2), Reason.MARKET_CLOSED),
    (book("generation", 2), Reason.MARKET_CLOSED),
    (old_leg, Reason.MARKET_CLOSED),
    (no_such_market, Reason.MARKET_CLOSED),
    (book("market_state", MarketState.PAUSED), Reason.MARKET_CLOSED),
    (book("market_state", MarketState.SETTLED), Reason.MARKET_CLOSED),
    *((book("trust", trust), Reason.BOOK_NOT_LIVE) for trust in Trust if trust is not Trust.LIVE),
    (book("flags", TopFlag.CROSSED | TopFlag.DECLARED | TopFlag.DECLARED_AGREES), Reason.BOOK_CROSSED),
    (book("flags", TopFlag.DECLARED), Reason.TOP_DISAGREES),
    (book("flags", TopFlag.SIZE_UNKNOWN), Reason.SIZE_UNKNOWN),
    (book("flags", TopFlag.DECLARED | TopFlag.TICKER), Reason.NONE),
]


@pytest.mark.parametrize(("change", "reason"), SPEAKS_AGAINST)
def test_what_speaks_against_a_leg(change: Change, reason: Reason) -> None:
    asked = Asked()
    change(asked)
    assert asked.answer() is reason


def test_the_first_of_several_objections_is_named() -> None:
    asked = Asked()
    asked.desk.books[2]["trust"] = Trust.SUSPECT
    asked.desk.books[2]["flags"] = TopFlag.CROSSED
    assert asked.answer() is Reason.BOOK_NOT_LIVE
    asked.desk.books[1]["flags"] = TopFlag.CROSSED  # the leg before it
    assert asked.answer() is Reason.BOOK_CROSSED
    assert asked.answer(3 * NOW) is Reason.DEADLINE_PASSED


@pytest.mark.parametrize("name", ["epoch", "update_count"])
@pytest.mark.parametrize("slot", [1, 2])
def test_a_book_has_moved_when_its_epoch_or_count_has(name: str, slot: int) -> None:
    asked = Asked()
    assert has_moved(asked.legs, asked.desk.books) is False
    asked.desk.books[3][name] += 1  # no leg of ours
    assert has_moved(asked.legs, asked.desk.books) is False
    asked.desk.books[slot][name] += 1
    assert has_moved(asked.legs, asked.desk.books) is True
    assert isinstance(has_moved(np.array(asked.legs), asked.desk.books), bool)
