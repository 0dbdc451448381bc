from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.records import Direction, Outcome
from engine.sim.balances import Balances, Reservation, notional_micros
from tests.engine.sim.world import DOLLAR, ONE

HERE = (0, 1)
BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO


def test_polymarket_sells_only_tokens_that_are_there_and_free() -> None:
    account = Balances(nets_pairs=False, cash_micros=100 * DOLLAR)
    assert account.reserve(HERE, SELL, YES, ONE, 5000, 0) is None
    account.trade(HERE, BUY, YES, 10 * ONE, 5 * DOLLAR, 100)
    account.hold_provisional(HERE, BUY, YES, 10 * ONE, 0)
    assert account.reserve(HERE, SELL, YES, ONE, 5000, 0) is None
    account.drop_provisional(HERE, BUY, YES, 10 * ONE, 0)
    held = account.reserve(HERE, SELL, YES, 8 * ONE, 5000, 0)
    assert held is not None
    assert account.reserve(HERE, SELL, YES, 3 * ONE, 5000, 0) is None
    assert account.reserve(HERE, SELL, NO, ONE, 5000, 0) is None
    account.shrink(HERE, held, 0, 0)
    assert account.holding(HERE).free_e6(YES) == 10 * ONE
    assert account.cash_micros == 95 * DOLLAR - 100


def test_a_purchase_needs_its_limit_and_fee_in_free_cash() -> None:
    account = Balances(nets_pairs=False, cash_micros=10 * DOLLAR)
    assert account.reserve(HERE, BUY, YES, 20 * ONE, 5000, 1) is None
    held = account.reserve(HERE, BUY, YES, 19 * ONE, 5000, DOLLAR // 2)
    assert held is not None
    assert account.free_cash_micros == 0
    assert account.reserve((1, 1), BUY, NO, ONE, 1, 0) is None
    account.shrink(HERE, held, 9 * ONE, 10 * ONE)
    assert held.cash_micros == 10 * DOLLAR - 10 * DOLLAR * 9 // 19
    account.shrink(HERE, held, 10 * ONE, 0)
    assert account.free_cash_micros == 10 * DOLLAR


def test_what_is_set_aside_is_rounded_up() -> None:
    account = Balances(nets_pairs=False, cash_micros=3)
    assert account.reserve(HERE, BUY, YES, 5, 5001, 0) == Reservation(NO, 0, 3)
    assert account.reserve(HERE, BUY, YES, 1, 1, 0) is None
    kalshi = Balances(nets_pairs=True, cash_micros=4)
    kalshi.trade(HERE, BUY, YES, 2, 0, 0)
    assert kalshi.reserve(HERE, SELL, YES, 5, 4999, 1) == Reservation(YES, 2, 3)


def test_proceeds_cannot_be_spent_before_they_are_final() -> None:
    account = Balances(nets_pairs=False, cash_micros=0)
    account.trade(HERE, BUY, YES, ONE, 0, 0)
    account.trade(HERE, SELL, YES, ONE, DOLLAR, 0)
    account.hold_provisional(HERE, SELL, YES, ONE, DOLLAR)
    assert account.reserve(HERE, BUY, NO, ONE, 5000, 0) is None
    account.drop_provisional(HERE, SELL, YES, ONE, DOLLAR)
    assert account.reserve(HERE, BUY, NO, ONE, 5000, 0) is not None


def test_at_kalshi_a_sale_beyond_the_holding_buys_the_other_outcome() -> None:
    account = Balances(nets_pairs=True, cash_micros=100 * DOLLAR)
    account.trade(HERE, BUY, YES, 10 * ONE, 6 * DOLLAR, 0)
    account.trade(HERE, SELL, YES, 15 * ONE, 9 * DOLLAR, 0)
    assert account.holding(HERE).size_e6 == [0, 5 * ONE]
    assert account.cash_micros == (100 - 6 + 9 - 5) * DOLLAR


def test_at_kalshi_a_pair_is_a_dollar_at_once() -> None:
    account = Balances(nets_pairs=True, cash_micros=100 * DOLLAR)
    account.trade(HERE, BUY, YES, 10 * ONE, 6 * DOLLAR, 0)
    account.trade(HERE, BUY, NO, 4 * ONE, DOLLAR, 0)
    assert account.holding(HERE).size_e6 == [6 * ONE, 0]
    assert account.cash_micros == (100 - 6 - 1 + 4) * DOLLAR


def test_at_kalshi_closing_needs_no_cash_and_opening_does() -> None:
    account = Balances(nets_pairs=True, cash_micros=0)
    account.trade(HERE, BUY, YES, 10 * ONE, 0, 0)
    held = account.reserve(HERE, BUY, NO, 10 * ONE, 9000, 50)
    assert held is not None
    assert (held.outcome, held.size_e6, held.cash_micros) == (YES, 10 * ONE, 0)
    assert account.reserve(HERE, SELL, YES, ONE, 6000, 0) is None  # all of it is spoken for
    account.shrink(HERE, held, 0, 0)
    account.cash_micros = 2 * DOLLAR + 9
    assert account.reserve(HERE, SELL, YES, 15 * ONE, 6000, 30) is None
    account.cash_micros += 1
    held = account.reserve(HERE, SELL, YES, 15 * ONE, 6000, 30)
    assert held is not None
    assert (held.size_e6, held.cash_micros) == (10 * ONE, 2 * DOLLAR + 10)


def test_the_closing_part_is_used_before_the_cash_of_the_opening_part() -> None:
    account = Balances(nets_pairs=True, cash_micros=50 * DOLLAR)
    account.trade(HERE, BUY, YES, 5 * ONE, 0, 0)
    held = account.reserve(HERE, SELL, YES, 10 * ONE, 6000, 0)
    assert held is not None
    assert held.cash_micros == 2 * DOLLAR
    account.shrink(HERE, held, 5 * ONE, 5 * ONE)
    assert (held.size_e6, held.cash_micros) == (0, 2 * DOLLAR)
    account.shrink(HERE, held, ONE, 4 * ONE)
    assert held.cash_micros == 2 * DOLLAR - 2 * DOLLAR // 5


def test_the_fee_of_the_opening_part_rounds_up_and_of_the_closing_part_is_not_set_aside() -> None:
    account = Balances(nets_pairs=True, cash_micros=50 * DOLLAR)
    account.trade(HERE, BUY, YES, 5 * ONE, 0, 0)
    held = account.reserve(HERE, SELL, YES, 15 * ONE, 6000, 10)
    assert held is not None
    assert held.cash_micros == 4 * DOLLAR + 7  # two thirds of 10, up
    account.shrink(HERE, held, 0, 0)
    assert account.reserved_micros == 0


def test_what_was_set_aside_is_given_back_never_too_early() -> None:
    account = Balances(nets_pairs=False, cash_micros=50 * DOLLAR)
    held = account.reserve(HERE, BUY, YES, 3 * ONE, 3333, 1)
    assert held is not None
    assert held.cash_micros == 999_901
    account.shrink(HERE, held, ONE, 2 * ONE)
    assert held.cash_micros == 999_901 - 333_300
    assert account.reserved_micros == held.cash_micros
    kalshi = Balances(nets_pairs=True, cash_micros=50 * DOLLAR)
    closing = Reservation(YES, 3 * ONE, 100)
    kalshi.reserved_micros = 100
    kalshi.holding(HERE).locked_e6[YES] = 3 * ONE
    kalshi.shrink(HERE, closing, ONE, 2 * ONE)
    assert (closing.size_e6, closing.cash_micros) == (2 * ONE, 67)


def test_settlement_pays_any_value_rounded_down_and_empties_the_holding() -> None:
    account = Balances(nets_pairs=False, cash_micros=0)
    account.trade(HERE, BUY, YES, 3, 0, 0)
    account.trade(HERE, BUY, NO, 10 * ONE + 1, 0, 0)
    assert account.settle(HERE, 3333) == 0 + (10 * ONE + 1) * 6667 // 10_000
    assert account.holding(HERE).size_e6 == [0, 0]
    assert account.settle(HERE, 3333) == 0


def test_notional_rounds_against_us() -> None:
    assert notional_micros(BUY, 3, 3333) == 1
    assert notional_micros(SELL, 3, 3333) == 0
    assert notional_micros(BUY, ONE, 5000) == notional_micros(SELL, ONE, 5000) == DOLLAR // 2


trades = st.lists(
    st.tuples(st.sampled_from(Direction), st.sampled_from(Outcome), st.integers(1, 50), st.integers(1, 99))
)


@given(trades)
def test_kalshi_is_one_signed_position_fully_collateralised(
    script: list[tuple[Direction, Outcome, int, int]],
) -> None:
    account = Balances(nets_pairs=True, cash_micros=0)
    position = raw = 0
    for direction, outcome, lots, cents in script:
        size, cash = lots * ONE, lots * cents * DOLLAR // 100
        account.trade(HERE, direction, outcome, size, cash, 0)
        up = (direction == BUY) == (outcome == YES)
        yes_cash = cash if outcome == YES else size - cash  # NO at q is YES at 1 - q
        position += size if up else -size
        raw += -yes_cash if up else yes_cash
    assert account.holding(HERE).size_e6 == [max(position, 0), max(-position, 0)]
    assert account.cash_micros == raw - max(-position, 0)


def test_a_sale_needs_no_cash_also_where_there_is_less_than_none() -> None:
    account = Balances(nets_pairs=False, cash_micros=100 * DOLLAR)
    account.trade(HERE, BUY, YES, 10 * ONE, 100 * DOLLAR, 1)
    assert account.free_cash_micros == -1
    assert account.reserve(HERE, SELL, YES, ONE, 5000, 0) is not None
    assert account.reserve(HERE, BUY, YES, ONE, 5000, 0) is None
