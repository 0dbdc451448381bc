from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.venues.race import LEG_CONNS
from engine.venues.shards import SocketPlan, plan_sockets, raced
from engine.venues.workspace import CONNS_MAX


def plan(markets: list[list[str]], symbols: int = 4, subscriptions: int = 2) -> list[SocketPlan]:
    return plan_sockets(
        markets,
        symbols_per_subscription=symbols,
        subscriptions_per_socket=subscriptions,
        sockets_max=100,
        first_conn=7,
    )


def test_markets_fill_subscriptions_and_subscriptions_fill_sockets_in_order() -> None:
    plans = plan([[f"Y{n}", f"N{n}"] for n in range(5)])
    assert plans == [
        SocketPlan(7, (("Y0", "N0", "Y1", "N1"), ("Y2", "N2", "Y3", "N3")), is_first=True),
        SocketPlan(8, (("Y4", "N4"),)),
    ]


def test_the_symbols_of_a_market_stay_together() -> None:
    assert plan([["A"], ["B", "C"], ["D", "E"]], symbols=3)[0].subscriptions == (("A", "B", "C"), ("D", "E"))
    assert plan([["A"], ["B", "C", "D"], ["E"]], symbols=3)[0].subscriptions == (("A",), ("B", "C", "D"))


def test_nothing_needs_no_socket() -> None:
    assert plan([]) == []
    assert plan([[]]) == []


def test_a_market_that_does_not_fit_and_too_many_sockets_are_refused() -> None:
    with pytest.raises(ConfigError, match="A: 3 symbols, a subscription takes 2"):
        plan([["A", "B", "C"]], symbols=2)
    with pytest.raises(ConfigError, match="3 sockets are needed for these markets, at most 2"):
        plan_sockets(
            [["A"], ["B"], ["C"]], symbols_per_subscription=1, subscriptions_per_socket=1, sockets_max=2
        )


@given(
    st.lists(st.lists(st.sampled_from([f"S{n}" for n in range(40)]), max_size=3), max_size=40),
    st.integers(3, 7),
    st.integers(1, 4),
)
def test_every_symbol_is_subscribed_once_and_no_bound_is_passed(
    markets: list[list[str]], symbols: int, subscriptions: int
) -> None:
    plans = plan(markets, symbols, subscriptions)
    named = [name for one in plans for tickers in one.subscriptions for name in tickers]
    assert named == list(dict.fromkeys(name for market in markets for name in market))
    assert all(1 <= len(one.subscriptions) <= subscriptions for one in plans)
    assert all(1 <= len(tickers) <= symbols for one in plans for tickers in one.subscriptions)
    assert [one.conn for one in plans] == list(range(7, 7 + len(plans)))


def test_raced_sockets_are_those_for_the_same_markets_with_numbers_of_their_own() -> None:
    plans = plan([["A"], ["B"], ["C"]], 3, 1)
    twice = raced(plans)
    assert twice[: len(plans)] == plans
    assert [one.subscriptions for one in twice[len(plans) :]] == [one.subscriptions for one in plans]
    assert [one.conn for one in twice[len(plans) :]] == [one.conn + LEG_CONNS for one in plans]
    assert all(0 <= one.conn < CONNS_MAX for one in twice)


def test_as_many_sockets_as_allowed_are_given_numbers_from_nought() -> None:
    plans = plan_sockets(
        [["A"], ["B"]], symbols_per_subscription=1, subscriptions_per_socket=1, sockets_max=2
    )
    assert [one.conn for one in plans] == [0, 1]
