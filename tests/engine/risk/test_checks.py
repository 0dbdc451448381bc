from __future__ import annotations

import random

import pytest

from engine.reasons import Reason
from engine.records import Direction, Venue
from engine.risk.checks import ALONE, admit
from engine.risk.reservations import one_row
from tests.engine.risk.test_gate import DOLLAR, EPOCH, NOW, Desk
from tests.plain_twin import PlainTwin


@pytest.mark.compiled_only
def test_an_admitted_order_is_reserved_the_same_in_plain_python(plain_twin: PlainTwin) -> None:
    """Orders one after the other, some refused, over alone and grouped markets; then all state is equal."""
    gates = [Desk().gate for _ in range(2)]
    desk = Desk()
    answers: list[list[int]] = [[], []]
    chance = random.Random(3)
    orders = [
        (
            desk.order(
                chance.randrange(3), price_e4=100 * chance.randrange(1, 99), direction=number % 7 == 0
            ),
            chance.randrange(-5, 40 * DOLLAR),
            chance.choice((ALONE, -1, 0, 850 * DOLLAR, 899 * DOLLAR)),
        )
        for number in range(60)
    ]
    for index, kernel in enumerate((admit, plain_twin("engine.risk.checks").admit)):
        gate = gates[index]
        rows = one_row(gate.limits), one_row(gate.state), desk.catalog.rows, gate.markets, desk.books
        for order, worst, group in orders:
            answers[index].append(int(kernel(*rows, one_row(order), EPOCH, worst, group, NOW)))
    assert answers[0] == answers[1]
    assert 0 in answers[0]
    assert len(set(answers[0])) > 2
    assert gates[0].state.tobytes() == gates[1].state.tobytes()
    assert gates[0].markets.tobytes() == gates[1].markets.tobytes()


def test_a_group_whose_exposure_cannot_be_known_buys_nothing() -> None:
    """A cost that was booked in another group than it is taken out of leaves a sum below zero."""
    desk = Desk()
    desk.gate.set_position(desk.refs[2].slot, 0, 0, 100 * DOLLAR)  # of no group when it was bought
    desk.catalog.rows[desk.refs[2].slot]["group"] = desk.catalog.rows[desk.refs[0].slot]["group"]
    desk.gate.set_position(desk.refs[2].slot, 0, 0, 0)
    assert desk.gate.check(desk.order(0), EPOCH, 50 * DOLLAR, NOW) is Reason.EVENT_EXPOSURE_LIMIT
    assert desk.gate.state["open_orders"] == 0


@pytest.mark.parametrize("wrong", [{"outcome": 2}, {"outcome": 255}, {"slot": 4}, {"slot": -1}, {"venue": 0}])
@pytest.mark.parametrize("direction", list(Direction))
def test_what_is_not_there_is_denied_and_nothing_written(wrong: dict[str, int], direction: Direction) -> None:
    desk = Desk()
    before = desk.gate.markets.tobytes(), desk.gate.state.tobytes()
    order = desk.order(direction=direction, **wrong)
    assert desk.gate.check(order, EPOCH, 50 * DOLLAR, NOW) is Reason.UNKNOWN_MARKET
    with pytest.raises(ValueError, match=r"nothing is at venue \d, slot -?\d, outcome \d"):
        desk.gate.restore(order, 50 * DOLLAR)
    assert (desk.gate.markets.tobytes(), desk.gate.state.tobytes()) == before


def test_an_order_of_an_earlier_run_is_reserved_at_its_venue() -> None:
    desk = Desk()
    desk.gate.restore(desk.order(), 50 * DOLLAR)
    assert desk.gate.state["reserved_micros"][Venue.POLYMARKET] == 50 * DOLLAR


@pytest.mark.parametrize(
    "wrong", [{"n_ranges": 17}, {"n_ranges": 255}, {"range_step_e4": 0}, {"range_step_e4": -100}]
)
def test_on_a_grid_that_is_garbage_no_order_is(wrong: dict[str, int]) -> None:
    desk = Desk()
    rows = desk.catalog.rows
    slot = desk.refs[2].slot
    assert desk.ask(2) is Reason.NONE
    for name, value in wrong.items():
        rows[name][slot] = value
    assert desk.ask(2) is Reason.PRICE_OFF_GRID
