from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from engine.ledger.ledger import Ledger, Position
from engine.ledger.reconcile import NO_SLOT, Statement
from engine.records import VENUE_REPORT, ReportKind, Venue

QUERY = 77
POLY = Venue.POLYMARKET


def line(number: int, of: int, **fields: int) -> np.void:
    report: np.void = np.zeros(1, VENUE_REPORT)[0]
    report["kind"], report["venue"], report["order_id"] = ReportKind.BALANCE, POLY, QUERY
    report["trade_id"], report["remaining_e6"] = number, of
    for name, value in fields.items():
        report[name] = value
    return report


LINES = [
    line(1, 4, slot=-1, cash_micros=900),
    line(2, 4, slot=0, generation=2, outcome=1, fill_size_e6=9),
    line(3, 4, slot=4, generation=1, outcome=0, fill_size_e6=50),
    line(4, 4, slot=4, generation=1, outcome=1, fill_size_e6=20),
]


def ledger() -> Ledger:
    made = Ledger()
    made.open_account(POLY, 900)
    made.positions[POLY, 0, 2] = Position([0, 9])
    made.positions[POLY, 4, 1] = Position([50, 20])
    made.positions[Venue.KALSHI, 4, 1] = Position([7, 0])  # another venue's business
    made.positions[POLY, 5, 1] = Position()
    return made


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_lines_in_any_order_and_twice_make_one_statement(order: tuple[int, ...]) -> None:
    statement = Statement(POLY, QUERY)
    for place, index in enumerate(order):
        assert not statement.is_complete, place
        statement.take(LINES[index])
        statement.take(LINES[index])
    assert statement.is_complete
    assert statement.differences(ledger()) == []


def test_a_line_of_another_query_is_nobodys() -> None:
    statement = Statement(POLY, QUERY + 1)
    for one in LINES:
        statement.take(one)
    assert not statement.is_complete
    assert statement.held_e6 == {}


def test_every_difference_is_named() -> None:
    statement = Statement(POLY, QUERY)
    statement.take(line(1, 2, slot=NO_SLOT, cash_micros=901, fill_size_e6=2))
    statement.take(line(2, 2, slot=5, generation=1, outcome=1, fill_size_e6=3))
    assert statement.differences(ledger()) == [
        "polymarket: cash is 901 micro-dollars there and 900 here",
        "polymarket: 2 orders rest there that the journal does not know",
        "polymarket: NO of slot 0 generation 2 is 0 e6 there and 9 here",
        "polymarket: YES of slot 4 generation 1 is 0 e6 there and 50 here",
        "polymarket: NO of slot 4 generation 1 is 0 e6 there and 20 here",
        "polymarket: NO of slot 5 generation 1 is 3 e6 there and 0 here",
    ]


def test_a_line_that_does_not_say_how_many_there_are_ends_nothing() -> None:
    statement = Statement(POLY, QUERY)
    statement.take(line(1, 0, slot=NO_SLOT, cash_micros=900))
    assert not statement.is_complete


def test_cash_alone_is_a_statement() -> None:
    statement = Statement(POLY, QUERY)
    assert (statement.cash_micros, statement.resting, statement.is_complete) == (0, 0, False)
    statement.take(line(1, 1, slot=NO_SLOT, cash_micros=900))
    assert statement.is_complete
    empty = Ledger()
    empty.open_account(POLY, 900)
    assert statement.differences(empty) == []
