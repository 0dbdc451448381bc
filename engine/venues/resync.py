"""Which books are asked for anew, and when: each once, those with open orders first, within a budget.

Two classes of urgency, each in the order of asking. A market that was asked for is not asked for again before
``retry_ns`` have passed: the snapshot is on its way, or is lost. Each time that it is asked for again doubles
this, RETRY_DOUBLINGS_MAX times: the venue may not know it. One whose snapshot came begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from engine.units import NS_PER_S

URGENT: Final = 0
ROUTINE: Final = 1
RETRY_DOUBLINGS_MAX: Final = 5


class _Asked(NamedTuple):
    """When a market was asked for last, and how long that is left alone."""

    at_ns: int
    patience_ns: int


class ResyncQueue:
    """Wanted snapshots of one venue. ``wanted`` and ``refused`` count; ``len`` is what waits.

    At most ``per_second`` requests a second, of at most ``batch_max`` markets each; ``capacity`` markets
    wait, more are refused (they will be wanted again).
    """

    def __init__(self, per_second: int, batch_max: int, capacity: int, retry_ns: int) -> None:
        self.wanted = 0
        self.refused = 0
        self._interval_ns = -(-NS_PER_S // per_second)  # up: never more than the budget
        self._batch_max = batch_max
        self._capacity = capacity
        self._retry_ns = retry_ns
        self._waiting: tuple[dict[str, int], dict[str, int]] = ({}, {})  # symbol to connection
        self._asked: dict[str, _Asked] = {}
        self._next_ns = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def want(self, symbol: str, conn: int, now_ns: int, *, urgent: bool = False) -> bool:
        """Ask for a book of connection ``conn``; whether that changed anything."""
        asked = self._asked.get(symbol)
        if asked is not None and now_ns - asked.at_ns < asked.patience_ns:
            return False
        if symbol in self._waiting[URGENT] or (not urgent and symbol in self._waiting[ROUTINE]):
            return False
        self._waiting[ROUTINE].pop(symbol, None)
        if len(self) >= self._capacity:
            self.refused += 1
            return False
        self._waiting[URGENT if urgent else ROUTINE][symbol] = conn
        self.wanted += 1
        return True

    def take(self, now_ns: int) -> tuple[int, list[str]] | None:
        """(connection, symbols) of the request that may be sent now; None when there is none.

        The first that waits decides the connection; others of it join, the urgent ones first.
        """
        if now_ns < self._next_ns or not len(self):
            return None
        first = next(waiting for waiting in self._waiting if waiting)
        conn = next(iter(first.values()))
        symbols = [symbol for waiting in self._waiting for symbol in waiting if waiting[symbol] == conn]
        symbols = symbols[: self._batch_max]
        for symbol in symbols:
            for waiting in self._waiting:
                waiting.pop(symbol, None)
            self._note(symbol, now_ns)
        self._next_ns = now_ns + self._interval_ns
        return conn, symbols

    def forget(self, conn: int) -> None:
        """A connection is gone: the next one brings every book of it anyway."""
        for waiting in self._waiting:
            for symbol in [symbol for symbol, at in waiting.items() if at == conn]:
                del waiting[symbol]

    def expect(self, symbols: Iterable[str], now_ns: int) -> None:
        """Books are on their way without having been asked for: a connection begins with them."""
        for symbol in symbols:
            self._asked[symbol] = _Asked(now_ns, self._retry_ns)

    def arrived(self, symbol: str) -> None:
        """The book came: the next doubt about it is a new one."""
        self._asked.pop(symbol, None)

    def _note(self, symbol: str, now_ns: int) -> None:
        """``symbol`` is asked for now, perhaps again."""
        last = self._asked.get(symbol)
        longest_ns = self._retry_ns << RETRY_DOUBLINGS_MAX
        patience_ns = self._retry_ns if last is None else min(2 * last.patience_ns, longest_ns)
        self._asked[symbol] = _Asked(now_ns, patience_ns)
