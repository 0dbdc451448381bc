"""A settlement that a venue states otherwise: said in one line, all halted, nobody ends, it stays visible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.execution.recovery import Past, recover
from engine.ledger.journal import EntryKind, read_journal
from engine.reasons import Reason
from engine.records import VENUE_REPORT, ReportKind, Venue
from engine.sim.balances import Balances, Market
from engine.sim.session.planted import TIERS, cross_venue
from procs.control_words import ControlWords
from procs.disputes import DISPUTE_ROW
from procs.halt import HaltSwitch
from procs.venue_word import differences, said_by
from shm.ring import Records
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of
from tests.procs.test_desk import CASH, CONTRACT
from tests.procs.test_executor_start import Life

PAID = 100 * CONTRACT  # for 100 YES of a market that resolved to it: a dollar each
OTHERWISE = [0, PAID - 3, PAID + 3]  # nothing is a statement as well


class Holder(Life):
    """Holds 100 YES; a halt is said to a switch, as in an engine of several processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.switch = HaltSwitch(folder, ControlWords.create(None))
        self.desk.on_halt = lambda reason, line: self.switch.latch(reason, "executor", line)
        self.buy(100, 50_000_000)

    def settle(self, stated: int) -> None:
        """The market resolves to YES."""
        self.desk.append(EntryKind.REPORT, self.paid(stated))

    def paid(self, stated: int) -> np.void:
        report: np.void = np.zeros(1, VENUE_REPORT)[0]
        report["kind"], report["venue"] = ReportKind.SETTLED, Venue.POLYMARKET
        report["slot"], report["generation"] = self.ref
        report["price_e4"], report["cash_micros"] = 10_000, stated
        return report

    def shown(self) -> list[tuple[int, ...]]:
        """Rows of the table that others see."""
        row: Records = np.zeros(1, DISPUTE_ROW)
        table = self.wires.disputes
        return [tuple(row[0].tolist()) for slot in range(4) if table.version(slot) and table.read(slot, row)]

    def past(self) -> Past:
        """What the journal gives."""
        return recover(read_journal(self.file.getvalue()))

    def line(self, stated: int) -> str:
        symbol = self.catalog.spec(self.ref.slot).symbol
        return f"polymarket:{symbol}: the settlement states {stated} micro-dollars, the holdings give {PAID}"


@pytest.mark.parametrize("stated", OTHERWISE)
def test_it_halts_with_a_line_and_the_smaller_amount_is_counted(stated: int, tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.settle(stated)
    assert holder.desk.gate.halted
    [halt] = holder.switch.state().halts
    assert (halt.reason, halt.who, halt.text) == ("settlement_differs", "executor", holder.line(stated))
    assert holder.switch.in_force
    assert holder.desk.ledger.cash_micros(Venue.POLYMARKET) == CASH - 50_000_000 + min(stated, PAID)
    holder.desk.ledger.verify()
    assert holder.shown() == [(*holder.ref, stated, PAID)]
    assert holder.desk.disputes.lines == [holder.line(stated)]
    holder.settle(stated)  # again, as after a query
    assert len(holder.desk.disputes.lines) == 1


def test_the_same_amount_is_no_dispute(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.settle(PAID)
    assert not holder.desk.gate.halted
    assert not holder.switch.state().halted
    assert holder.shown() == []


def test_a_gate_that_was_halted_for_something_else_has_to_be_lifted_for_this_as_well(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.switch.halt(Reason.HALTED, "somebody")
    holder.desk.gate.halt(Reason.HALTED)
    holder.settle(PAID - 3)
    assert holder.switch.state().reasons == ["operator", "settlement_differs"]


@pytest.mark.parametrize("stated", OTHERWISE)
def test_the_next_executor_shows_it_and_is_halted_as_the_one_before(stated: int, tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.settle(stated)
    agent = holder.again()
    assert agent.desk.gate.halted
    assert int(agent.desk.gate.state["halted"]) == Reason.SETTLEMENT_DIFFERS + 1
    assert holder.shown() == [(*holder.ref, stated, PAID)]
    assert agent.desk.ledger.cash_micros(Venue.POLYMARKET) == CASH - 50_000_000 + min(stated, PAID)


def test_after_it_was_lifted_the_next_executor_shows_it_and_trades(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    holder.settle(PAID - 3)
    holder.desk.gate.resume()
    holder.desk.commit()
    agent = holder.again()
    assert not agent.desk.gate.halted
    assert holder.shown() == [(*holder.ref, PAID - 3, PAID)]


def test_one_that_died_between_the_report_and_the_halt_is_made_up_for(tmp_path: Path) -> None:
    """The report is in the journal, the halt is not."""
    holder = Holder(tmp_path)
    holder.desk.journal.write(EntryKind.REPORT, holder.paid(PAID - 3))
    assert holder.past().unheard == [(Venue.POLYMARKET, *holder.ref)]
    agent = holder.again()
    assert agent.desk.gate.halted
    assert holder.past().unheard == [], "said now"
    assert holder.past().is_halted


@pytest.mark.compiled_only
def test_a_whole_run_goes_on_to_its_end_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue pays what it owes and states seven micro-dollars more."""
    settle = Balances.settle
    stated: list[int] = []

    def misstated(balances: Balances, market: Market, yes_value_e4: int) -> int:
        paid = settle(balances, market, yes_value_e4)
        if paid and not stated:
            stated.append(paid)
            return paid + 7
        return paid

    monkeypatch.setattr(Balances, "settle", misstated)
    session = session_of(cross_venue(TIERS[0], CLOSE_NS, yes_at=Venue.KALSHI))
    engine = engine_for(session)
    engine.run(frames_of(session))
    assert len(stated) == 1
    desk = engine.desk
    assert int(desk.gate.state["halted"]) == Reason.SETTLEMENT_DIFFERS + 1
    [line] = desk.disputes.lines
    assert line.endswith(f"states {stated[0] + 7} micro-dollars, the holdings give {stated[0]}")
    found = engine.findings()
    assert found.desk is not None
    journal = engine.stages.journal_content()
    assert [said for said in differences(journal, said_by(engine.venues)) if "settlement" in said] == [
        line.replace(":", ": ", 1)
    ]
    past = recover(read_journal(journal))
    assert past.is_halted
    assert past.ledger.disputes() == desk.ledger.disputes()
    for venue in Venue:
        assert past.ledger.cash_micros(venue) == engine.venues[venue].sim.cash_micros
