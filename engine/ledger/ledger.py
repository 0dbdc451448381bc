"""Positions, cash and profit, from fills alone.

The ledger is a pure fold over journal entries: the same entries give the same state, from any prefix. Cash
is what the venue states for each fill, never price times size of our own. For every account::

    cash - opening = realised - cost of what is still held          (fees are inside realised)

which ``verify`` checks, exactly, in micro-dollars. A settlement that the venue states otherwise than what is
held gives is counted as the smaller of both and kept as a ``Dispute``: whoever trades on this ledger has to
stop.

Venue rules. Polymarket: YES and NO are two tokens; selling what is not held is an error. Kalshi: one signed
position; selling YES beyond what is held is buying NO at 1 - p, and a pair of YES and NO turns into one
dollar at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from engine.ledger.journal import Entry, EntryKind
from engine.records import Direction, Outcome, ReportKind, Venue
from engine.units import PRICE_ONE_E4

Key = tuple[int, int, int]  # venue, slot, generation


class LedgerError(ValueError):
    """The entries contradict each other: a sale of what is not held, a void of an unknown trade."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A market was paid otherwise than what was held there gives. The ledger has the smaller amount."""

    stated_micros: int  # by the venue
    expected_micros: int

    @property
    def believed_micros(self) -> int:
        """What is counted as ours until somebody has looked."""
        return min(self.stated_micros, self.expected_micros)


@dataclass(slots=True)
class Position:
    """One market at one venue: sizes and the cash they cost, per outcome (index: ``Outcome``)."""

    size_e6: list[int] = field(default_factory=lambda: [0, 0])
    cost_micros: list[int] = field(default_factory=lambda: [0, 0])
    realised_micros: int = 0  # fees included
    fees_micros: int = 0
    settled: bool = False
    dispute: Dispute | None = None  # about its settlement

    @property
    def flat(self) -> bool:
        """True when nothing is held."""
        return self.size_e6 == [0, 0]


@dataclass(slots=True)
class Account:
    """Cash at one venue."""

    opening_micros: int = 0
    cash_micros: int = 0
    fees_micros: int = 0


class Ledger:
    """Fold of journal entries into accounts and positions."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.positions: dict[Key, Position] = {}
        self.fills = 0
        self._trades: set[tuple[int, int, int]] = set()  # (venue, order, trade) applied
        self._voided: set[tuple[int, int, int]] = set()

    def apply(self, entry: Entry) -> None:
        """Fold one entry; entries that move no cash or size change nothing."""
        if entry.kind is EntryKind.OPENING:
            self.open_account(int(entry.record["venue"]), int(entry.record["cash_micros"]))
        elif entry.kind is EntryKind.REPORT:
            self.apply_report(entry.record)

    def open_account(self, venue: int, cash_micros: int) -> None:
        """Add opening cash to a venue's account."""
        account = self.accounts.setdefault(venue, Account())
        account.opening_micros += cash_micros
        account.cash_micros += cash_micros

    def replay(self, entries: Iterable[Entry]) -> None:
        """Fold many entries in order."""
        for entry in entries:
            self.apply(entry)

    def apply_report(self, report: np.void) -> None:
        """Fold one VENUE_REPORT. A trade is applied once however often the venue repeats it."""
        kind = int(report["kind"])
        if kind == ReportKind.SETTLED:
            self._settle(report)
        elif kind in (ReportKind.FILLED, ReportKind.CONVERTED, ReportKind.FAILED):
            trade = (int(report["venue"]), int(report["order_id"]), int(report["trade_id"]))
            if kind == ReportKind.FAILED:
                self._void(report, trade)
            elif trade not in self._trades:
                self._trades.add(trade)
                self._trade(report, converted=kind == ReportKind.CONVERTED)

    def position(self, venue: int, slot: int, generation: int) -> Position:
        """The position of a market (created flat when it has none)."""
        return self.positions.setdefault((venue, slot, generation), Position())

    def cash_micros(self, venue: int) -> int:
        """Cash at a venue; 0 when no account was opened."""
        account = self.accounts.get(venue)
        return account.cash_micros if account else 0

    def realised_micros(self) -> int:
        """Profit of everything closed, after fees."""
        return sum(position.realised_micros for position in self.positions.values())

    def fees_micros(self) -> int:
        """Fees paid net of rebates."""
        return sum(account.fees_micros for account in self.accounts.values())

    def locked_micros(self) -> int:
        """Cost of everything still held: the capital that waits for settlement."""
        return sum(sum(position.cost_micros) for position in self.positions.values())

    def disputes(self) -> dict[Key, Dispute]:
        """Settlements that venues state otherwise than what was held gives."""
        return {key: one.dispute for key, one in self.positions.items() if one.dispute is not None}

    def verify(self) -> None:
        """Raise LedgerError unless every account's cash follows from its positions to the micro-dollar."""
        for venue, account in self.accounts.items():
            held = [position for key, position in self.positions.items() if key[0] == venue]
            expected = account.opening_micros + sum(
                position.realised_micros - sum(position.cost_micros) for position in held
            )
            if account.cash_micros != expected:
                raise LedgerError(f"venue {venue}: cash {account.cash_micros} but fills give {expected}")

    def _trade(self, report: np.void, *, converted: bool) -> None:
        venue = int(report["venue"])
        position = self.position(venue, int(report["slot"]), int(report["generation"]))
        account = self.accounts.setdefault(venue, Account())
        outcome = int(report["outcome"])
        size, cash, fee = int(report["fill_size_e6"]), int(report["cash_micros"]), int(report["fee_micros"])
        if int(report["direction"]) == Direction.BUY:
            position.size_e6[outcome] += size
            position.cost_micros[outcome] += cash
            account.cash_micros -= cash
        else:
            self._sell(position, account, venue, outcome, size, cash)
        self._pay_fee(position, account, fee)
        self.fills += 0 if converted else 1
        if venue == Venue.KALSHI:
            net_pairs(position, account)

    def _sell(
        self, position: Position, account: Account, venue: int, outcome: int, size: int, cash: int
    ) -> None:
        held = min(size, position.size_e6[outcome])
        short = size - held
        if short and venue != Venue.KALSHI:
            raise LedgerError(f"venue {venue}: sale of {size} where {position.size_e6[outcome]} is held")
        removed = take_cost(position, outcome, held)
        if not short:
            position.realised_micros += cash - removed
            account.cash_micros += cash
            return
        # the part beyond the holding opens the other outcome at one dollar less the price received
        held_cash = cash * held // size
        short_cost = short - (cash - held_cash)
        position.realised_micros += held_cash - removed
        account.cash_micros += held_cash - short_cost
        position.size_e6[1 - outcome] += short
        position.cost_micros[1 - outcome] += short_cost

    def _void(self, report: np.void, trade: tuple[int, int, int]) -> None:
        """Reverse a trade that was matched and did not settle.

        A trade never applied has nothing to reverse.
        """
        if trade in self._voided or trade not in self._trades:
            return
        self._voided.add(trade)
        venue = int(report["venue"])
        position = self.position(venue, int(report["slot"]), int(report["generation"]))
        account = self.accounts.setdefault(venue, Account())
        outcome = int(report["outcome"])
        size, cash = int(report["fill_size_e6"]), int(report["cash_micros"])
        if int(report["direction"]) == Direction.BUY:
            if position.size_e6[outcome] < size:
                raise LedgerError(f"venue {venue}: trade {trade[2]} is void but what it bought is gone")
            removed = take_cost(position, outcome, size)
            position.realised_micros += cash - removed
            account.cash_micros += cash
        else:
            position.size_e6[outcome] += size
            position.cost_micros[outcome] += cash
            account.cash_micros -= cash
        self._pay_fee(position, account, -int(report["fee_micros"]))

    def _settle(self, report: np.void) -> None:
        venue = int(report["venue"])
        position = self.position(venue, int(report["slot"]), int(report["generation"]))
        if position.settled:
            return
        position.settled = True
        account = self.accounts.setdefault(venue, Account())
        payout = settlement_payout_micros(position, int(report["price_e4"]))
        stated = int(report["cash_micros"])  # every venue states one, also when it is nothing
        if stated != payout:
            position.dispute = Dispute(stated, payout)
            payout = position.dispute.believed_micros
        position.realised_micros += payout - sum(position.cost_micros)
        account.cash_micros += payout
        position.size_e6[:] = [0, 0]
        position.cost_micros[:] = [0, 0]

    @staticmethod
    def _pay_fee(position: Position, account: Account, fee_micros: int) -> None:
        position.fees_micros += fee_micros
        position.realised_micros -= fee_micros
        account.fees_micros += fee_micros
        account.cash_micros -= fee_micros


def take_cost(position: Position, outcome: int, size_e6: int) -> int:
    """Remove ``size_e6`` from a holding with its share of the cost; the last takes what rounding left."""
    held = position.size_e6[outcome]
    cost = position.cost_micros[outcome]
    removed = cost if size_e6 == held else cost * size_e6 // held if held else 0
    position.size_e6[outcome] = held - size_e6
    position.cost_micros[outcome] = cost - removed
    return removed


def net_pairs(position: Position, account: Account) -> None:
    """Turn pairs of YES and NO into one dollar each (Kalshi does at once; Polymarket on a merge)."""
    pairs = min(position.size_e6)
    if not pairs:
        return
    removed = take_cost(position, Outcome.YES, pairs) + take_cost(position, Outcome.NO, pairs)
    position.realised_micros += pairs - removed  # one contract is one dollar: size_e6 is its micro-dollars
    account.cash_micros += pairs


def settlement_payout_micros(position: Position, yes_value_e4: int) -> int:
    """What a market pays when YES is worth ``yes_value_e4``, each outcome rounded down."""
    yes = position.size_e6[Outcome.YES] * yes_value_e4 // PRICE_ONE_E4
    no = position.size_e6[Outcome.NO] * (PRICE_ONE_E4 - yes_value_e4) // PRICE_ONE_E4
    return yes + no
