"""The executor's desk: journal, ledger and gate kept in step with what the venues report.

A report is journaled before anything follows from it; then the ledger takes it over, then the gate learns
what is held and what it may spend. Equity is marked at most once per MARK_EVERY_NS of engine time, on the
executable side and without what we have taken from it already. The day of the loss limit begins at midnight
UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from engine.execution.recovery import Past
from engine.facts import event_facts, packing_of, request_facts
from engine.ledger.journal import BOOT, OPENING, RISK, EntryKind, Journal
from engine.ledger.ledger import Key, Ledger, Position
from engine.ledger.marks import is_believed, mark_ledger_micros
from engine.reasons import Reason
from engine.records import ACCOUNT_ROW, POSITION_ROW, ReportKind, Venue
from engine.risk.gate import Gate, Ints
from engine.risk.limits import RiskWords
from engine.risk.reservations import one_row
from engine.units import NS_PER_DAY, NS_PER_S
from procs.disputes import DisputeBoard
from procs.halt import HaltFollower
from procs.view import BookView
from procs.wires import Wires
from shm.ring import Records

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_MARKET, _REPORT = EntryKind.MARKET, EntryKind.REPORT

MARK_EVERY_NS: Final = NS_PER_S
_SEEN_LATER: Final = frozenset(
    {
        EntryKind.MARKET,
        EntryKind.PLAN,
        EntryKind.PLAN_LEG,
        EntryKind.INTENT,
        EntryKind.SENT,
        EntryKind.EVENT,
    }
)
_POSITION: Final = packing_of(POSITION_ROW)
_MOVES_CASH: Final = frozenset(
    {ReportKind.FILLED, ReportKind.FAILED, ReportKind.CONVERTED, ReportKind.SETTLED}
)


class FreshGate:
    """The gate, reading each order's book anew: what was true when the plan was made may not be true now.

    ``follower`` keeps the gate at the control words of an engine of several processes: once the halt word is
    stored, no later check passes.
    """

    def __init__(self, gate: Gate, view: BookView, follower: HaltFollower | None = None) -> None:
        self._gate = gate
        self._view = view
        self._follower = follower

    @property
    def halted(self) -> bool:
        """Whether the halt word is set."""
        self._follow()
        return self._gate.halted

    def check(self, request: np.void, epoch: int, worst_cash_micros: int, now_ns: int) -> Reason:
        """Fetch the row of the order's book, then ask the gate."""
        asked = request_facts(request)
        self._view.refresh(asked.venue, asked.slot)
        self._follow()
        return self._gate.check(request, epoch, worst_cash_micros, now_ns)

    def check_together(
        self, requests: Records, n_orders: int, epochs: Ints, worst_cash_micros: Ints, now_ns: int
    ) -> bool:
        """Fetch the rows of all their books, then ask the gate."""
        asked = requests[:n_orders]
        for venue, slot in zip(asked["venue"].tolist(), asked["slot"].tolist(), strict=True):
            self._view.refresh(venue, slot)
        self._follow()
        return self._gate.check_together(requests, n_orders, epochs, worst_cash_micros, now_ns)

    def orders_at_once(self, venue: int) -> int:
        """Most orders that a venue's rate ever lets leave together."""
        return self._gate.orders_at_once(venue)

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        """When a venue's rate has let that many more leave."""
        return self._gate.rate_ready_ns(venue, orders, now_ns)

    def on_fill(self, order_id: int, size_e6: int) -> None:
        """Shrink a reservation."""
        self._gate.on_fill(order_id, size_e6)

    def restore(self, request: np.void, worst_cash_micros: int) -> None:
        """Reserve for an order of an earlier run."""
        self._gate.restore(request, worst_cash_micros)

    def release(self, order_id: int) -> None:
        """Give a reservation back."""
        self._gate.release(order_id)

    def _follow(self) -> None:
        if self._follower is not None:
            self._follower.follow()


class Desk:
    """Accounts of one engine, and its journal as the executor knows it (``engine.execution.ports.Journal``).

    ``marked_ns``: when equity was last computed. ``watch`` is shown every report that was journaled.
    ``is_full``: whether the journal has no more room to come; then the gate is halted. ``on_halt`` is told
    the reason of a halt that is ours, and why in one line, before the gate is halted.
    """

    def __init__(
        self,
        journal: Journal,
        gate: Gate,
        view: BookView,
        wires: Wires,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self.journal = journal
        self.ledger = Ledger()
        self._kept: RiskWords | None = None  # as last journaled
        self.gate = gate
        self.marked_ns = 0
        self.watch: Callable[[np.void], None] | None = None
        self.on_halt: Callable[[Reason, str], None] | None = None
        self.disputes = DisputeBoard(wires.disputes)
        self._names: dict[Key, bytes] = {}  # of markets, as the journal has them
        self._is_full = is_full
        self._view = view
        self._wires = wires
        self._position: Records = np.zeros(1, POSITION_ROW)
        self._position_bytes = self._position.view(np.uint8).data
        self._reserved = gate.markets["reserved_micros"]
        self._halted = one_row(gate.state)["halted"]
        self._account: Records = np.zeros(1, ACCOUNT_ROW)
        self._shown_micros: dict[int, int] = {}  # reserved, by slot, as its row has it
        self._stale = True
        self._day = 0  # since 1970, UTC
        self._sure_micros = 0  # equity when every holding was last marked on a book that is believed
        gate.also_latch(lambda _: self._keep_risk())

    def begin(self, past: Past, boot_epoch: int, cash_micros: Mapping[Venue, int], now_ns: int) -> None:
        """Journal the start of an executor and take over its past; with none, open with ``cash_micros``."""
        record: np.void = np.zeros(1, BOOT)[0]
        record["boot_epoch"], record["at_ns"] = boot_epoch, now_ns
        self.journal.append(EntryKind.BOOT, record)
        if past.ledger.accounts:
            self._take_over(past)
        else:
            self.open(cash_micros, now_ns)

    def _take_over(self, past: Past) -> None:
        """Show ledger, gate and tables what was there; limits go on counting from where they did.

        A settlement in dispute that the one before us did not live to halt for halts now.
        """
        self.ledger, self._names = past.ledger, past.markets
        for slot in range(len(self._wires.positions)):  # what an executor before this one promised is shown
            if self._wires.positions.read(slot, self._position) and self._position["reserved_micros"][0]:
                self._shown_micros[slot] = int(self._position["reserved_micros"][0])
        for (_, slot, generation), position in self.ledger.positions.items():
            yes_e6, no_e6 = position.size_e6
            self.gate.set_position(slot, yes_e6, no_e6, sum(position.cost_micros))
            self._tell_position(slot, generation, position)
        for venue in self.ledger.accounts:
            self._tell_account(venue)
        opened = sum(account.opening_micros for account in self.ledger.accounts.values())
        words = RiskWords(opened, opened, 0, 0)
        self._day = past.opened_ns // NS_PER_DAY
        if past.risk is not None:
            self._day = int(past.risk["day"])
            words = RiskWords(*(int(past.risk[name]) for name in RiskWords._fields))
        self.gate.restore_words(words)
        self._sure_micros = words.day_start_micros
        self._kept = words
        self.gate.set_equity(self.equity_micros(), sure=False)
        for key in self.ledger.disputes():
            line = self._show_dispute(key)
            if key in past.unheard:
                self.halt(Reason.SETTLEMENT_DIFFERS, line)

    def halt(self, reason: Reason, line: str) -> None:
        """Send nothing any more, for what was found here."""
        if self.on_halt is not None:
            self.on_halt(reason, line)
        self.gate.halt(reason)

    def open(self, cash_micros: Mapping[Venue, int], now_ns: int) -> None:
        """Journal the opening cash of each venue and start the day with it."""
        for venue, cash in cash_micros.items():
            record: np.void = np.zeros(1, OPENING)[0]
            record["venue"], record["cash_micros"], record["at_ns"] = venue, cash, now_ns
            self.journal.append(EntryKind.OPENING, record)
            self.ledger.open_account(int(venue), cash)
            self._tell_account(int(venue))
        self._day = now_ns // NS_PER_DAY
        self._sure_micros = sum(cash_micros.values())
        self.gate.start_day(self._sure_micros)
        self._kept = self.gate.risk_words()

    def append(self, kind: int, record: np.void) -> None:
        """Journal one record; a report then moves ledger and gate, before the executor acts on it.

        A report outlives this process from here on. What only leads to requests and events does so from
        ``hand_over`` on, before anybody sees them; ``commit`` makes all outlive the machine, before any
        request leaves.
        """
        if kind in _SEEN_LATER:
            self.journal.gather(kind, record)
        else:
            self.journal.write(kind, record)
        if kind == _MARKET:
            key = int(record["venue"]), int(record["slot"]), int(record["generation"])
            self._names[key] = bytes(record["symbol"])
        if kind == _REPORT and self.watch is not None:
            self.watch(record)
        if kind == _REPORT and int(record["kind"]) in _MOVES_CASH:
            self._follow(record)

    @property
    def place(self) -> tuple[int, bool]:
        """As of the journal."""
        return self.journal.place

    def append_laid(self, content: bytes, n_entries: int) -> None:
        """Journal entries that are laid already, of kinds that are seen later."""
        self.journal.gather_laid(content, n_entries)

    def hand_over(self) -> None:
        """Make what was journaled outlive this process."""
        self.journal.hand_over()

    def commit(self) -> None:
        """Make everything durable that was journaled. With no more room, nothing new is sent after this.

        A halt that was lifted since the last time is journaled as lifted.
        """
        if self._kept is not None and int(self._halted[0]) != self._kept.halted:
            self._keep_risk()
        self.journal.commit()
        if self._is_full() and not self.gate.halted:
            self.gate.halt(Reason.JOURNAL_FULL)

    def _keep_risk(self) -> None:
        """Journal halt, stop and what the limits count from, when they changed; durable at once."""
        words = self.gate.risk_words()
        if words == self._kept:
            return
        record: np.void = np.zeros(1, RISK)[0]
        record["day"] = self._day
        for name, value in words._asdict().items():
            record[name] = value
        self._kept = words
        self.append(EntryKind.RISK, record)
        self.commit()

    def on_event(self, event: np.void) -> None:
        """Take one ORDER_EVENT: what it took is no bid for what we still hold; what it promises is shown."""
        told = event_facts(event)
        if told.fill_size_e6:
            self._view.on_event(event)
        slot, generation = told.slot, told.generation
        if told.order_id and self._shown_micros.get(slot, 0) != self._reserved_micros(slot):
            key = (told.venue, slot, generation)
            self._tell_position(slot, generation, self.ledger.positions.get(key, Position()))

    def _follow(self, report: np.void) -> None:
        venue, slot = int(report["venue"]), int(report["slot"])
        position = self.ledger.position(venue, slot, int(report["generation"]))
        knew_it = position.dispute is not None
        self.ledger.apply_report(report)
        yes_e6, no_e6 = position.size_e6
        self.gate.set_position(slot, yes_e6, no_e6, sum(position.cost_micros))
        self._tell_position(slot, int(report["generation"]), position)
        self._tell_account(venue)
        self._stale = True
        if position.dispute is not None and not knew_it:
            line = self._show_dispute((venue, slot, int(report["generation"])))
            self.halt(Reason.SETTLEMENT_DIFFERS, line)

    def _show_dispute(self, key: Key) -> str:
        """Put a settlement in dispute where everybody sees it; the line that says what it is."""
        name = self._names.get(key, b"").decode(errors="replace")
        return self.disputes.show(key, name, self.ledger.disputes()[key])

    def _reserved_micros(self, slot: int) -> int:
        """What orders in flight may cost at most."""
        return int(self._reserved[slot])

    def _tell_position(self, slot: int, generation: int, position: Position) -> None:
        self._shown_micros[slot] = reserved_micros = self._reserved_micros(slot)
        paid = (*position.cost_micros, position.realised_micros, position.fees_micros, reserved_micros)
        _POSITION.pack_into(self._position_bytes, 0, slot, generation, *position.size_e6, *paid)
        self._wires.positions.write(slot, self._position)

    def _tell_account(self, venue: int) -> None:
        account = self.ledger.accounts[venue]
        self.gate.set_cash(venue, account.cash_micros)
        self._account[0] = (account.cash_micros, account.fees_micros)
        self._wires.accounts.write(venue, self._account)

    def mark(self, now_ns: int) -> None:
        """Compute equity when something changed, or positions are held, and the last mark is old enough.

        A day that begins while a book is in doubt begins with what we had when none was.
        """
        day = now_ns // NS_PER_DAY
        if now_ns - self.marked_ns < MARK_EVERY_NS and day == self._day:
            return
        held = [key for key, position in self.ledger.positions.items() if not position.flat]
        if not (held or self._stale or day > self._day):
            return
        equity = self.equity_micros()
        rows = self._view.rows
        sure = all(is_believed(rows[slot]) and rows[slot]["generation"] == gen for _, slot, gen in held)
        self._sure_micros = equity if sure else max(equity, self._sure_micros)
        if day > self._day:
            self._day = day
            self.gate.start_day(self._sure_micros)
        self.gate.set_equity(equity, sure=sure)
        self.marked_ns, self._stale = now_ns, False
        self._keep_risk()

    def equity_micros(self) -> int:
        """Cash at all venues and what the positions would bring now."""
        cash = sum(account.cash_micros for account in self.ledger.accounts.values())
        return cash + self.holdings_micros()

    def holdings_micros(self) -> int:
        """What the positions would bring now, on the books as they are."""
        for (venue, slot, _), position in self.ledger.positions.items():
            if not position.flat:
                self._view.refresh(venue, slot)
        return mark_ledger_micros(self.ledger, self._view.rows)
