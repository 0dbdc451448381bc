"""Which market goes over which socket: by count, in order, the symbols of one market together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.errors import ConfigError
from engine.venues.race import LEG_CONNS


class SocketPlan(NamedTuple):
    """One socket: its connection number, and the symbols of each of its subscriptions.

    ``is_first`` of a venue's: what concerns all markets is subscribed to there, and nowhere else.
    """

    conn: int
    subscriptions: tuple[tuple[str, ...], ...]
    is_first: bool = False


def plan_sockets(
    markets: Iterable[Sequence[str]],
    *,
    symbols_per_subscription: int,
    subscriptions_per_socket: int,
    sockets_max: int,
    first_conn: int = 0,
) -> list[SocketPlan]:
    """Sockets for ``markets`` (the symbols of each), numbered from ``first_conn`` on.

    A symbol that is named twice is subscribed once. ConfigError when a market does not fit into one
    subscription, or more than ``sockets_max`` sockets are needed.
    """
    subscriptions = _subscriptions(markets, symbols_per_subscription)
    starts = range(0, len(subscriptions), subscriptions_per_socket)
    if len(starts) > sockets_max:
        raise ConfigError(f"{len(starts)} sockets are needed for these markets, at most {sockets_max}")
    return [
        SocketPlan(
            first_conn + number, tuple(subscriptions[start : start + subscriptions_per_socket]), number == 0
        )
        for number, start in enumerate(starts)
    ]


def raced(plans: Sequence[SocketPlan]) -> list[SocketPlan]:
    """The sockets, and each once more for the same markets: the legs of ``engine.venues.race``."""
    return [*plans, *(plan._replace(conn=plan.conn + LEG_CONNS) for plan in plans)]


def _subscriptions(markets: Iterable[Sequence[str]], symbols_max: int) -> list[tuple[str, ...]]:
    seen: set[str] = set()
    filled: list[tuple[str, ...]] = []
    filling: list[str] = []
    for market in markets:
        symbols = [symbol for symbol in dict.fromkeys(market) if symbol not in seen]
        if len(symbols) > symbols_max:
            raise ConfigError(f"{symbols[0]}: {len(symbols)} symbols, a subscription takes {symbols_max}")
        if len(filling) + len(symbols) > symbols_max:
            filled.append(tuple(filling))
            filling = []
        filling += symbols
        seen.update(symbols)
    return [*filled, tuple(filling)] if filling else filled
