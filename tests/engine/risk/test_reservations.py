from __future__ import annotations

import random

import numpy as np
import pytest

from engine.risk.limits import GATE_MARKET, GATE_STATE, TOKEN_ONE
from engine.risk.reservations import Reservation, move, one_row, reserve
from tests.plain_twin import PlainTwin


def test_what_is_reserved_is_in_flight_and_can_be_given_back() -> None:
    state, held = np.zeros(1, GATE_STATE), np.zeros(3, GATE_MARKET)
    state["tokens"], state["last_order_id"] = 5 * TOKEN_ONE, 8
    reserve(state, held, 9, 1, 2, 1, True, 30, 20)
    reserve(state, held, 7, 2, 2, 0, False, 4, 0)
    assert held[2]["buying_e6"].tolist() == [0, 30]
    assert held[2]["selling_e6"].tolist() == [4, 0]
    assert state[0]["reserved_micros"].tolist() == [0, 20, 0]
    assert state[0]["tokens"].tolist() == [5 * TOKEN_ONE, 4 * TOKEN_ONE, 4 * TOKEN_ONE]
    assert (state[0]["exposure_micros"], state[0]["open_orders"], state[0]["last_order_id"]) == (20, 2, 9)
    one = Reservation(1, 2, 0, 1, True, 30, 20)
    move(state, held, one.venue, one.slot, one.outcome, one.buys, -one.size_e6, -one.cash_micros)
    assert held[2]["buying_e6"].tolist() == [0, 0]
    assert (held[2]["reserved_micros"], state[0]["exposure_micros"]) == (0, 0)
    assert state[0]["open_orders"] == 2, "that is not its business"


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.risk.reservations")
    both = [(np.zeros(1, GATE_STATE), np.zeros(4, GATE_MARKET)) for _ in range(2)]
    chance = random.Random(5)
    for number in range(200):
        where = chance.randrange(3), chance.randrange(4), chance.randrange(2), chance.random() < 0.5
        amounts = chance.randrange(10**12), chance.randrange(10**12)
        for module, (state, held) in zip((reserve, plain.reserve), both, strict=True):
            module(state, held, number, *where, *amounts)
    for ours, theirs in zip(*both, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_one_row_is_the_records_own_memory() -> None:
    for record in (np.zeros(2, GATE_STATE)[1], np.zeros(1, GATE_STATE)[0].copy()):
        one_row(record)["halted"] = 3
        assert record["halted"] == 3
        record["paused"] = 1
        assert one_row(record)[0]["paused"] == 1
