from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger.journal import OPENING, Entry, EntryKind
from engine.ledger.ledger import (
    Dispute,
    Ledger,
    LedgerError,
    Position,
    net_pairs,
    settlement_payout_micros,
    take_cost,
)
from engine.records import VENUE_REPORT, Direction, Outcome, ReportKind, Venue

SLOT, GENERATION = 3, 1
OPENING_MICROS = 10_000_000_000


def report(
    kind: ReportKind,
    venue: Venue = Venue.POLYMARKET,
    *,
    direction: Direction = Direction.BUY,
    outcome: Outcome = Outcome.YES,
    size_e6: int = 0,
    cash_micros: int = 0,
    fee_micros: int = 0,
    trade_id: int = 1,
    price_e4: int = 0,
) -> np.void:
    row: np.void = np.zeros(1, VENUE_REPORT)[0]
    row["kind"], row["venue"], row["direction"], row["outcome"] = kind, venue, direction, outcome
    row["slot"], row["generation"] = SLOT, GENERATION
    row["fill_size_e6"], row["cash_micros"], row["fee_micros"] = size_e6, cash_micros, fee_micros
    row["trade_id"], row["price_e4"], row["order_id"] = trade_id, price_e4, 1
    return row


def opened(venue: Venue = Venue.POLYMARKET) -> Ledger:
    ledger = Ledger()
    record = np.zeros(1, OPENING)[0]
    record["venue"], record["cash_micros"] = venue, OPENING_MICROS
    ledger.apply(Entry(1, EntryKind.OPENING, record))
    return ledger


def fill(ledger: Ledger, *args: object, **kwargs: object) -> None:
    ledger.apply_report(report(ReportKind.FILLED, *args, **kwargs))  # type: ignore[arg-type]
    ledger.verify()


def test_a_round_trip_realises_the_difference_less_fees() -> None:
    ledger = opened()
    fill(ledger, size_e6=100_000_000, cash_micros=48_000_000, fee_micros=500_000, trade_id=1)
    assert ledger.locked_micros() == 48_000_000
    assert ledger.realised_micros() == -500_000
    fill(
        ledger,
        direction=Direction.SELL,
        size_e6=100_000_000,
        cash_micros=50_000_000,
        fee_micros=250_000,
        trade_id=2,
    )
    assert ledger.realised_micros() == 50_000_000 - 48_000_000 - 750_000
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS + 1_250_000
    assert ledger.fees_micros() == 750_000
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).flat


def test_a_trade_repeated_by_the_venue_is_applied_once() -> None:
    ledger = opened()
    for _ in range(3):
        fill(ledger, size_e6=10, cash_micros=5, trade_id=9)
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).size_e6 == [10, 0]
    assert ledger.fills == 1


def test_selling_a_token_that_is_not_held_is_an_error_at_polymarket() -> None:
    ledger = opened()
    with pytest.raises(LedgerError, match="sale of 5 where 0 is held"):
        fill(ledger, direction=Direction.SELL, size_e6=5, cash_micros=2)


def test_kalshi_turns_a_sale_beyond_the_holding_into_the_other_outcome() -> None:
    ledger = opened(Venue.KALSHI)
    fill(ledger, Venue.KALSHI, size_e6=40_000_000, cash_micros=20_000_000, trade_id=1)
    fill(
        ledger,
        Venue.KALSHI,
        direction=Direction.SELL,
        size_e6=100_000_000,
        cash_micros=60_000_000,
        trade_id=2,
    )
    position = ledger.position(Venue.KALSHI, SLOT, GENERATION)
    assert position.size_e6 == [0, 60_000_000]
    assert position.cost_micros == [0, 24_000_000]  # NO at 0.40
    assert position.realised_micros == 24_000_000 - 20_000_000
    assert ledger.cash_micros(Venue.KALSHI) == OPENING_MICROS - 20_000_000 + 24_000_000 - 24_000_000


def test_kalshi_pairs_pay_one_dollar_at_once() -> None:
    ledger = opened(Venue.KALSHI)
    fill(ledger, Venue.KALSHI, size_e6=10_000_000, cash_micros=4_000_000, trade_id=1)
    fill(ledger, Venue.KALSHI, outcome=Outcome.NO, size_e6=25_000_000, cash_micros=13_750_000, trade_id=2)
    position = ledger.position(Venue.KALSHI, SLOT, GENERATION)
    assert position.size_e6 == [0, 15_000_000]
    assert position.realised_micros == 10_000_000 - 4_000_000 - 5_500_000


def test_a_failed_trade_is_reversed_once_and_only_if_it_was_applied() -> None:
    ledger = opened()
    bought = {"size_e6": 7_000_000, "cash_micros": 3_000_000, "fee_micros": 11, "trade_id": 4}
    ledger.apply_report(report(ReportKind.FAILED, **bought))  # type: ignore[arg-type]
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS
    fill(ledger, **bought)
    for _ in range(2):
        ledger.apply_report(report(ReportKind.FAILED, **bought))  # type: ignore[arg-type]
        ledger.verify()
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).flat
    assert ledger.fees_micros() == 0


def test_a_void_sale_gives_the_tokens_back_and_a_void_purchase_needs_them() -> None:
    ledger = opened()
    fill(ledger, size_e6=10, cash_micros=6, trade_id=1)
    sold = {"direction": Direction.SELL, "size_e6": 10, "cash_micros": 8, "trade_id": 2}
    fill(ledger, **sold)
    with pytest.raises(LedgerError, match="void but what it bought is gone"):
        ledger.apply_report(report(ReportKind.FAILED, size_e6=10, cash_micros=6, trade_id=1))
    ledger.apply_report(report(ReportKind.FAILED, **sold))  # type: ignore[arg-type]
    ledger.verify()
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).size_e6 == [10, 0]


@pytest.mark.parametrize(("value_e4", "payout"), [(10_000, 30), (0, 20), (5_000, 25), (3_333, 9 + 13)])
def test_settlement_pays_any_value_between_nothing_and_one(value_e4: int, payout: int) -> None:
    ledger = opened()
    fill(ledger, size_e6=30, cash_micros=15, trade_id=1)
    fill(ledger, outcome=Outcome.NO, size_e6=20, cash_micros=9, trade_id=2)
    for _ in range(2):
        ledger.apply_report(report(ReportKind.SETTLED, price_e4=value_e4, cash_micros=payout))
        ledger.verify()
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS - 24 + payout
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).flat


@pytest.mark.parametrize(("stated", "counted"), [(31, 30), (29, 29), (1, 1), (0, 0)])
def test_a_settlement_stated_otherwise_is_kept_as_a_dispute_and_the_less_is_counted(
    stated: int, counted: int
) -> None:
    ledger = opened()
    fill(ledger, size_e6=30, cash_micros=15)
    assert ledger.disputes() == {}
    ledger.apply_report(report(ReportKind.SETTLED, price_e4=10_000, cash_micros=stated))
    ledger.verify()
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS - 15 + counted
    assert ledger.realised_micros() == counted - 15
    assert ledger.disputes() == {(Venue.POLYMARKET, SLOT, GENERATION): Dispute(stated, 30)}
    assert ledger.position(Venue.POLYMARKET, SLOT, GENERATION).flat


def test_a_conversion_is_not_a_fill() -> None:
    ledger = opened()
    fill(ledger, outcome=Outcome.NO, size_e6=50, cash_micros=30, trade_id=1)
    ledger.apply_report(
        report(
            ReportKind.CONVERTED,
            direction=Direction.SELL,
            outcome=Outcome.NO,
            size_e6=50,
            cash_micros=50,
            trade_id=2,
        )
    )
    ledger.verify()
    assert ledger.fills == 1
    assert ledger.realised_micros() == 20


def test_entries_that_move_nothing_change_nothing() -> None:
    ledger = opened()
    for kind in (ReportKind.ACKED, ReportKind.REJECTED, ReportKind.UNKNOWN, ReportKind.CONFIRMED):
        ledger.apply(Entry(2, EntryKind.REPORT, report(kind, size_e6=5, cash_micros=5)))
    ledger.apply(Entry(3, EntryKind.INTENT, report(ReportKind.FILLED, size_e6=5, cash_micros=5)))
    assert not ledger.positions
    assert ledger.cash_micros(Venue.POLYMARKET) == OPENING_MICROS
    assert ledger.cash_micros(Venue.KALSHI) == 0


def test_verify_notices_a_micro_dollar() -> None:
    ledger = opened()
    ledger.accounts[Venue.POLYMARKET].cash_micros += 1
    with pytest.raises(LedgerError, match="but fills give"):
        ledger.verify()


Fill = tuple[int, int, int, int, int]
FILLS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(1, 10**14),
        st.integers(1, 9_999),
        st.integers(-(10**6), 10**9),
    ),
    max_size=25,
)


@given(FILLS, st.integers(0, 10_000))
def test_kalshi_cash_equals_a_signed_position_kept_in_fractions(fills: list[Fill], value_e4: int) -> None:
    """The independent model knows one signed number and exact cash.

    It never sees costs, pairs or outcomes.
    """
    ledger = opened(Venue.KALSHI)
    cash, signed = Fraction(OPENING_MICROS), 0
    for number, (direction, outcome, size, price, fee) in enumerate(fills):
        notional = size * price // 10_000
        fill(
            ledger,
            Venue.KALSHI,
            direction=Direction(direction),
            outcome=Outcome(outcome),
            size_e6=size,
            cash_micros=notional,
            fee_micros=fee,
            trade_id=number,
        )
        buys_yes = (direction == Direction.BUY) == (outcome == Outcome.YES)
        signed += size if buys_yes else -size
        flow = -notional if direction == Direction.BUY else notional
        # in a model of YES only, buying NO at q is selling YES at 1 - q against one dollar set aside
        cash += flow - fee + (size if outcome == Outcome.NO and direction == Direction.BUY else 0)
        cash -= size if outcome == Outcome.NO and direction == Direction.SELL else 0
    held = ledger.position(Venue.KALSHI, SLOT, GENERATION)
    assert held.size_e6 == [max(signed, 0), max(-signed, 0)]
    assert ledger.cash_micros(Venue.KALSHI) == cash - max(-signed, 0)
    payout = settlement_payout_micros(held, value_e4)
    ledger.apply_report(report(ReportKind.SETTLED, Venue.KALSHI, price_e4=value_e4, cash_micros=payout))
    ledger.verify()
    assert ledger.disputes() == {}


@given(FILLS)
def test_replaying_any_prefix_gives_the_state_of_that_moment(fills: list[Fill]) -> None:
    entries, states = [], []
    running = opened(Venue.KALSHI)
    for number, (direction, outcome, size, price, fee) in enumerate(fills):
        row = report(
            ReportKind.FILLED,
            Venue.KALSHI,
            direction=Direction(direction),
            outcome=Outcome(outcome),
            size_e6=size,
            cash_micros=size * price // 10_000,
            fee_micros=fee,
            trade_id=number,
        )
        entries.append(Entry(number + 2, EntryKind.REPORT, row))
        running.apply(entries[-1])
        states.append((running.cash_micros(Venue.KALSHI), running.realised_micros(), running.locked_micros()))
    for length, state in enumerate(states, start=1):
        again = opened(Venue.KALSHI)
        again.replay(entries[:length])
        assert (again.cash_micros(Venue.KALSHI), again.realised_micros(), again.locked_micros()) == state


def test_cost_leaves_with_the_last_piece_to_the_micro_dollar() -> None:
    position = Position(size_e6=[3, 0], cost_micros=[10, 0])
    taken = [take_cost(position, Outcome.YES, 1) for _ in range(3)]
    assert taken == [3, 3, 4]
    assert take_cost(position, Outcome.NO, 0) == 0
    assert take_cost(position, Outcome.NO, 1) == 0  # what was never held cost nothing


def test_netting_without_a_pair_does_nothing() -> None:
    ledger = opened()
    position = Position(size_e6=[3, 0], cost_micros=[1, 0])
    net_pairs(position, ledger.accounts[Venue.POLYMARKET])
    assert position.size_e6 == [3, 0]
    assert settlement_payout_micros(position, 10_000) == 3


def test_what_a_sale_brings_is_shared_between_what_was_held_and_what_is_opened_to_the_micro_dollar() -> None:
    """10 of 30 are held: of 20 micro-dollars they bring 6, rounded down, and the 20 opened cost 20 - 14."""
    ledger = opened(Venue.KALSHI)
    fill(ledger, Venue.KALSHI, size_e6=10, cash_micros=4, trade_id=1)
    fill(ledger, Venue.KALSHI, direction=Direction.SELL, size_e6=30, cash_micros=20, trade_id=2)
    position = ledger.position(Venue.KALSHI, SLOT, GENERATION)
    assert position.size_e6 == [0, 20]
    assert position.cost_micros == [0, 6]
    assert position.realised_micros == 6 - 4


def test_a_position_keeps_its_fees_and_is_flat_before_its_first_fill() -> None:
    ledger = opened()
    position = ledger.position(Venue.POLYMARKET, SLOT, GENERATION)
    assert (position.flat, position.fees_micros, position.realised_micros) == (True, 0, 0)
    fill(ledger, size_e6=10, cash_micros=5, fee_micros=3, trade_id=1)
    fill(ledger, size_e6=10, cash_micros=5, fee_micros=-1, trade_id=2)
    assert (position.flat, position.fees_micros) == (False, 2)
