"""Orders that leave together pass the gate as they would one after the other, or not at all."""

from __future__ import annotations

import random
from typing import cast

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import ORDER_REQUEST, Direction, Venue
from engine.risk.checks import Ints, Rows, admit_together
from engine.risk.gate import GROUPS, GROUPS_MAX, Gate
from engine.risk.limits import VENUES
from engine.risk.reservations import one_row
from tests.engine.risk.test_gate import CONTRACT, DOLLAR, EPOCH, NOW, Desk
from tests.plain_twin import PlainTwin, kernels_are_plain

SEEDS = 60 if kernels_are_plain() else 300

Batch = tuple[Rows, Ints, Ints]  # requests, epochs, worst cash


def batch(orders: list[np.void], epochs: list[int], worst: list[int]) -> Batch:
    requests: Rows = np.array(orders, ORDER_REQUEST)
    return requests, np.array(epochs, np.int64), np.array(worst, np.int64)


def some(desk: Desk, chance: random.Random) -> Batch:
    """One to four orders, mostly good ones, near the limits of their event and of the gate."""
    orders, epochs, worst = [], [], []
    for _ in range(chance.randint(1, 4)):
        sells = chance.random() < 0.15
        price = 100 * chance.randrange(1, 99) + (5 if chance.random() < 0.03 else 0)
        size = chance.randrange(5, 700) * CONTRACT
        wrong = {"slot": chance.choice((-1, 3, 4)), "outcome": 2, "venue": 0, "kind": 2, "generation": 9}
        odd = {name: wrong[name] for name in wrong if chance.random() < 0.01}
        orders.append(
            desk.order(chance.randrange(3), price_e4=price, size_e6=size, direction=int(sells), **odd)
        )
        epochs.append(EPOCH + (chance.random() < 0.03))
        worst.append(0 if sells else size * price // 10_000)
    return batch(orders, epochs, worst)


def one_by_one(gate: Gate, asked: Batch) -> bool:
    """As the gate is asked about each order alone; whether all may leave."""
    for request, epoch, worst in zip(*asked, strict=True):
        if gate.check(request, int(epoch), int(worst), NOW) != Reason.NONE:
            return False
    return True


def holds(gate: Gate) -> tuple[object, ...]:
    """All that the gate keeps of what it let pass."""
    gate._keep()
    return gate.state.tobytes(), gate.markets.tobytes(), dict(gate._open), gate._group_micros.tolist()


def test_together_is_one_by_one_or_nothing() -> None:
    print("seeds 0 to", SEEDS - 1)
    answers: list[bool] = []
    for seed in range(SEEDS):
        chance = random.Random(seed)
        desk, other = Desk(orders_burst=6), Desk(orders_burst=6)
        for gate in (desk.gate, other.gate):
            gate.set_position(desk.refs[0].slot, 300 * CONTRACT, 0, 100 * DOLLAR)
            gate.rate_ready_ns(Venue.POLYMARKET, 1, NOW)  # its bucket knows the time
        for _ in range(4):
            asked, before = some(desk, chance), holds(desk.gate)
            answers.append(desk.gate.check_together(asked[0], len(asked[0]), asked[1], asked[2], NOW))
            if not answers[-1]:
                assert holds(desk.gate) == before
                assert not one_by_one(other.gate, asked)
                break
            assert one_by_one(other.gate, asked)
            assert holds(desk.gate) == holds(other.gate)
    assert min(answers.count(True), answers.count(False)) > SEEDS // 3


def test_what_is_refused_together_is_not_counted_as_a_denial() -> None:
    desk = Desk()
    desk.gate.halt(Reason.DRAWDOWN)
    asked = batch([desk.order(), desk.order()], [EPOCH] * 2, [DOLLAR] * 2)
    assert not desk.gate.check_together(asked[0], 2, asked[1], asked[2], NOW)
    assert desk.gate.denials == {}


def test_what_left_together_is_let_go_one_by_one() -> None:
    desk = Desk()
    empty = holds(desk.gate)[1:]
    orders = [desk.order(0), desk.order(1)]
    asked = batch(orders, [EPOCH] * 2, [50 * DOLLAR] * 2)
    assert desk.gate.check_together(asked[0], 2, asked[1], asked[2], NOW)
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 100 * DOLLAR
    for order in orders:
        desk.gate.release(int(order["order_id"]))
    markets, still_open, groups = holds(desk.gate)[1:]
    assert (markets, still_open) == empty[:2]
    assert not any(cast("list[int]", groups))


def test_only_as_many_rows_as_were_named_are_asked_about() -> None:
    desk = Desk()
    asked = batch([desk.order(), desk.order(slot=-1)], [EPOCH] * 2, [DOLLAR] * 2)
    assert desk.gate.check_together(asked[0], 1, asked[1], asked[2], NOW)
    assert int(desk.gate.state["open_orders"]) == 1


@pytest.mark.parametrize(
    "wrong", [{"slot": -1}, {"slot": 4}, {"venue": VENUES}, {"venue": 0}, {"outcome": 2}]
)
@pytest.mark.parametrize("direction", list(Direction))
def test_the_kernel_reads_no_row_that_is_not_there(wrong: dict[str, int], direction: Direction) -> None:
    """Also when nobody has looked before it, and when the first of two orders was good."""
    desk = Desk()
    gate = desk.gate
    before = gate.markets.tobytes(), int(gate.state["open_orders"]), gate.reserved_micros(1)
    asked = batch([desk.order(), desk.order(direction=direction, **wrong)], [EPOCH] * 2, [DOLLAR] * 2)
    rows = one_row(gate.limits), one_row(gate.state), desk.catalog.rows, gate.markets, desk.books
    groups = gate._group_micros
    assert not admit_together(*rows, asked[0], 2, asked[1], asked[2], groups, NOW)
    assert (gate.markets.tobytes(), int(gate.state["open_orders"]), gate.reserved_micros(1)) == before
    assert not groups.any()


def test_a_group_beyond_the_sums_goes_the_long_way_once() -> None:
    desk = Desk()
    for ref in desk.refs[:2]:
        desk.catalog.rows[ref.slot]["group"] = GROUPS + 7
    asked = batch([desk.order(0), desk.order(1)], [EPOCH] * 2, [50 * DOLLAR] * 2)
    assert not desk.gate.check_together(asked[0], 2, asked[1], asked[2], NOW)
    assert one_by_one(desk.gate, asked)
    later = batch([desk.order(0), desk.order(1)], [EPOCH] * 2, [50 * DOLLAR] * 2)
    assert desk.gate.check_together(later[0], 2, later[1], later[2], NOW)
    assert int(desk.gate._group_micros[GROUPS + 7]) == 200 * DOLLAR


@pytest.mark.parametrize("group", [-2, -7, -(2**31), GROUPS_MAX, 2**31 - 1])
def test_in_a_group_that_is_garbage_nothing_is_bought(group: int) -> None:
    desk = Desk()
    desk.catalog.rows[desk.refs[0].slot]["group"] = group
    assert desk.gate.check(desk.order(0), EPOCH, 50 * DOLLAR, NOW) is Reason.EVENT_EXPOSURE_LIMIT
    asked = batch([desk.order(0)], [EPOCH], [50 * DOLLAR])
    assert not desk.gate.check_together(asked[0], 1, asked[1], asked[2], NOW)
    desk.gate.set_position(desk.refs[0].slot, 0, 0, 50 * DOLLAR)
    assert not desk.gate._group_micros.any()
    assert len(desk.gate._group_micros) == GROUPS


def test_an_order_is_let_go_from_the_group_in_which_it_left() -> None:
    desk = Desk()
    asked = batch([desk.order(0)], [EPOCH], [50 * DOLLAR])
    assert desk.gate.check_together(asked[0], 1, asked[1], asked[2], NOW)
    desk.catalog.rows[desk.refs[0].slot]["group"] = -1  # its market goes
    desk.gate.release(int(asked[0][0]["order_id"]))
    assert not desk.gate._group_micros.any()


@pytest.mark.compiled_only
def test_together_compiled_and_plain_are_the_same(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.risk.checks").admit_together
    answers: list[bool] = []
    for seed in range(60):
        desk, other = Desk(), Desk()
        asked = some(desk, random.Random(seed))
        said, sums = [], [np.full(4, random.Random(seed).choice((-1, 0, 800 * DOLLAR))) for _ in range(2)]
        for groups, kernel, gate in zip(sums, (admit_together, plain), (desk.gate, other.gate), strict=True):
            rows = one_row(gate.limits), one_row(gate.state), desk.catalog.rows, gate.markets, desk.books
            if all(0 <= request["slot"] < 4 for request in asked[0]):
                said.append(bool(kernel(*rows, asked[0], len(asked[0]), asked[1], asked[2], groups, NOW)))
        assert len({*said}) <= 1
        assert (sums[0] == sums[1]).all()
        answers += said
        assert desk.gate.state.tobytes() == other.gate.state.tobytes()
        assert desk.gate.markets.tobytes() == other.gate.markets.tobytes()
    assert {*answers} == {True, False}
