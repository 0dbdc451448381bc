from __future__ import annotations

import random

import pytest

from engine.risk.gate import admit
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
            chance.choice((-1, 0, 850 * DOLLAR, 899 * DOLLAR)),
        )
        for number in range(60)
    ]
    for index, kernel in enumerate((admit, plain_twin("engine.risk.gate").admit)):
        gate = gates[index]
        rows = one_row(gate.limits), one_row(gate.state), desk.catalog.rows, gate.markets, desk.books
        for order, worst, group in orders:
            answers[index].append(int(kernel(*rows, one_row(order), EPOCH, worst, group, NOW)))
    assert answers[0] == answers[1]
    assert 0 in answers[0]
    assert len(set(answers[0])) > 2
    assert gates[0].state.tobytes() == gates[1].state.tobytes()
    assert gates[0].markets.tobytes() == gates[1].markets.tobytes()
