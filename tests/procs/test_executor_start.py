"""What a starting executor takes over: cash, holdings, limits, halt, and what it refuses to start on."""

from __future__ import annotations

import io

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.errors import JournalDamaged
from engine.execution.config import ExecutionConfig
from engine.execution.outputs import is_restart, market_entry
from engine.execution.recovery import recover
from engine.ids import boot_epoch_of
from engine.ledger.journal import KEPT_LEG, EntryKind, Journal, read_journal
from engine.reasons import Reason
from engine.records import (
    ACCOUNT_ROW,
    ORDER_EVENT,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    POSITION_ROW,
    VENUE_REPORT,
    ReportKind,
    RequestKind,
    TimeInForce,
    Venue,
)
from engine.risk.limits import gate_limits
from engine.sim.session.scenario import market
from engine.units import NS_PER_DAY, NS_PER_S
from procs.catalog_segment import CatalogView
from procs.config_files import load_config
from procs.executor import ExecutorAgent
from procs.executor_start import Site, start_executor
from procs.view import BookView
from procs.wires import Wires, publish
from tests.procs.test_desk import CASH, CONTRACT, NOW, Bench
from tests.procs.test_garbled import spoil

VENUES = (Venue.POLYMARKET, Venue.KALSHI)


class Life(Bench):
    """A life of an executor, on its own wires; ``bench.file`` is what it leaves behind."""

    def buy(self, contracts: int, cash: int, fee: int = 0) -> None:
        """A plan of one leg that was filled, is final and done."""
        head, kept, request, done = (
            np.zeros(1, t)[0] for t in (PLAN_HEAD, KEPT_LEG, ORDER_REQUEST, ORDER_EVENT)
        )
        kept["leg"]["venue"], kept["leg"]["tif"] = Venue.POLYMARKET, TimeInForce.FAK
        for name in ("slot", "generation"):
            kept["leg"][name] = request[name] = getattr(self.ref, name)
        request["venue"], request["kind"], request["order_id"] = Venue.POLYMARKET, RequestKind.NEW, 1
        head["n_legs"], request["size_e6"], done["plan_done"] = 1, contracts * CONTRACT, 1
        for record in (head, kept, request, done):
            record["plan_id"] = 1
        for kind, record in (
            (EntryKind.MARKET, self.named()),
            (EntryKind.PLAN, head),
            (EntryKind.PLAN_LEG, kept),
            (EntryKind.INTENT, request),
            (EntryKind.SENT, request),
            (EntryKind.REPORT, self.bought(contracts, cash, fee)),
            (EntryKind.EVENT, done),
        ):
            self.desk.append(kind, record)
        self.desk.commit()

    def named(self) -> np.void:
        slot = self.ref.slot
        return market_entry(self.catalog.rows[slot], slot, self.catalog.spec(slot).symbol)

    def again(self, now_ns: int = NOW, **more: object) -> ExecutorAgent:
        """The next life, over new wires, from this one's journal."""
        config = load_config()
        self.wires = Wires.create(VENUES, 4)
        self.view = BookView(self.wires.books, 4)
        self.events = self.wires.events.reader("optimizer", 0)
        self.requests = {venue: ring.reader("venue", 0) for venue, ring in self.wires.requests.items()}
        past = recover(read_journal(self.file.getvalue()))
        venues = {Venue.POLYMARKET: config.venues.polymarket, Venue.KALSHI: config.venues.kalshi}
        site = Site(
            self.catalog,
            CatalogView(self.wires.catalog, ExecutorAgent.role),
            self.view,
            self.wires,
            gate_limits(config.risk, venues),
            ExecutionConfig(),
        )
        journal = Journal(self.file, lambda: None, next_sequence=past.entries + 1)
        cash = dict.fromkeys(VENUES, 1)
        agent = start_executor(site, journal, past, cash, now_ns, **more)  # type: ignore[arg-type]
        agent.on_start(now_ns)
        return agent

    def answer(self, agent: ExecutorAgent, venue: Venue, **cash: int) -> None:
        """The venue's statement: its cash, and what the ledger says is held."""
        [query] = self.asked(venue)
        held = [
            (slot, generation, outcome, position.size_e6[outcome])
            for (of, slot, generation), position in agent.desk.ledger.positions.items()
            for outcome in (0, 1)
            if of == venue and position.size_e6[outcome]
        ]
        lines = np.zeros(1 + len(held), VENUE_REPORT)
        lines["kind"], lines["venue"], lines["order_id"] = ReportKind.BALANCE, venue, query["order_id"]
        lines["trade_id"], lines["remaining_e6"] = range(1, len(lines) + 1), len(lines)
        lines["slot"][0], lines["cash_micros"][0] = -1, cash.get("cash", agent.desk.ledger.cash_micros(venue))
        for line, values in zip(lines[1:], held, strict=True):
            line["slot"], line["generation"], line["outcome"], line["fill_size_e6"] = values
        self.wires.reports[venue].publish_each(lines)

    def asked(self, venue: Venue) -> np.ndarray:
        reader = self.requests[venue]
        return reader.records(ORDER_REQUEST)[: reader.poll()].copy()

    def told(self) -> np.ndarray:
        return self.events.records(ORDER_EVENT)[: self.events.poll()].copy()


def test_cash_holdings_and_tables_are_as_they_were() -> None:
    life = Life()
    life.buy(100, 50_000_000, fee=7)
    held = life.desk.ledger
    agent = life.again()
    assert agent.desk.ledger.accounts == held.accounts
    assert agent.desk.ledger.positions == held.positions
    gate = agent.desk.gate
    assert int(gate.state["cash_micros"][Venue.POLYMARKET]) == CASH - 50_000_007
    assert int(gate.markets[life.ref.slot]["held_e6"][0]) == 100 * CONTRACT
    rows = agent._markets.rows  # nobody has published the catalog yet
    assert rows[life.ref.slot]["group"] == life.catalog.rows[life.ref.slot]["group"]
    position, account = np.zeros(1, POSITION_ROW), np.zeros(1, ACCOUNT_ROW)
    assert life.wires.positions.read(life.ref.slot, position)
    assert life.wires.accounts.read(int(Venue.POLYMARKET), account)
    assert int(position["yes_e6"][0]) == 100 * CONTRACT
    assert int(account["cash_micros"][0]) == CASH - 50_000_007
    assert not agent.is_ready


def test_it_is_ready_when_both_venues_agree_and_says_so() -> None:
    life = Life()
    life.buy(100, 50_000_000)
    agent = life.again()
    assert agent.do_work(NOW) > 0
    life.answer(agent, Venue.POLYMARKET)
    agent.do_work(NOW + 1)
    assert not agent.is_ready
    assert len(life.told()) == 0
    life.answer(agent, Venue.KALSHI)
    agent.do_work(NOW + 2)
    assert agent.is_ready
    events = life.told()
    assert [is_restart(event) for event in events] == [True, False]
    assert [int(event["plan_id"]) for event in events] == [0, 1], "the last ends are told again"
    assert not agent.desk.gate.halted
    assert agent.differences == []


def test_a_venue_with_another_word_halts_and_the_halt_outlives_the_next_death() -> None:
    life = Life()
    agent = life.again()
    for attempt in range(3):
        now_ns = NOW + attempt * 60 * NS_PER_S
        agent.do_work(now_ns)
        life.answer(agent, Venue.POLYMARKET, cash=CASH - 1)
        if not attempt:
            life.answer(agent, Venue.KALSHI)
        agent.do_work(now_ns + 1)
    assert agent.is_ready
    assert agent.differences == [f"polymarket: cash is {CASH - 1} micro-dollars there and {CASH} here"]
    assert agent.desk.gate.halted
    assert recover(read_journal(life.file.getvalue())).is_halted
    assert life.again().desk.gate.halted


def test_a_stop_and_the_days_loss_go_on_counting() -> None:
    life = Life()
    life.buy(10_000, 5_000_000_000)
    life.quote(bid_e4=1)
    life.desk.mark(NOW + 2 * NS_PER_S)
    reason = life.gate.stopped_by
    assert reason in (Reason.DAILY_LOSS, Reason.DRAWDOWN)
    before = life.gate.risk_words()
    gate = life.again(NOW + 3 * NS_PER_S).desk.gate
    assert gate.stopped_by == reason
    assert gate.risk_words() == before
    assert int(gate.state["day_start_micros"]) == 2 * CASH


def test_a_day_that_began_meanwhile_begins_at_the_first_mark() -> None:
    life = Life()
    life.buy(100, 50_000_000)
    life.desk.mark(NOW + 2 * NS_PER_S)
    agent = life.again(NOW + NS_PER_DAY)
    state = agent.desk.gate.state
    assert int(state["day_start_micros"]) == 2 * CASH
    life.quote(bid_e4=4_800)
    agent.desk.mark(NOW + NS_PER_DAY)
    assert int(state["day_start_micros"]) == 2 * CASH - 50_000_000 + 48_000_000


def test_ids_never_repeat_over_lives() -> None:
    life = Life()
    seen: list[int] = []
    for _ in range(4):
        agent = life.again()
        agent.do_work(NOW)
        for venue in VENUES:
            [query] = life.asked(venue)
            assert int(query["kind"]) == RequestKind.QUERY
            seen.append(int(query["order_id"]))
        assert agent.orders == 0, "a question is no order"
    assert len(set(seen)) == len(seen)
    assert [boot_epoch_of(number) for number in seen] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_venues_that_begin_with_the_journal_are_not_asked() -> None:
    life = Life()
    life.file = io.BytesIO()
    agent = life.again(new_venues=True)
    assert agent.is_ready
    assert agent.do_work(NOW) == 0
    assert len(life.asked(Venue.KALSHI)) == 0
    assert not life.again(new_venues=True).is_ready, "they are not new when the journal is not empty"


def test_a_journal_with_no_room_to_come_halts_new_orders() -> None:
    full: list[int] = []
    life = Life()
    agent = life.again(is_full=lambda: bool(full))
    agent.do_work(NOW)
    assert not agent.desk.gate.halted
    full.append(1)
    agent.do_work(NOW + 1)
    assert agent.desk.gate.halted
    [last] = [e for e in read_journal(life.file.getvalue()) if e.kind is EntryKind.RISK][-1:]
    assert int(last.record["halted"]) == Reason.JOURNAL_FULL + 1


@pytest.mark.parametrize("markets", [0, 2])
def test_a_catalog_without_its_markets_is_refused(markets: int) -> None:
    life = Life()
    life.buy(100, 50_000_000)
    life.catalog = Catalog(4)
    for number in range(markets):
        life.catalog.add_market(market(f"k{number}", Venue.KALSHI, NOW * 2))
    with pytest.raises(
        JournalDamaged, match=r"slot 0 generation 1 of polymarket, which was '0x\w+' and is ''"
    ):
        life.again()


def test_another_market_in_the_same_place_is_refused() -> None:
    life = Life()
    life.buy(100, 50_000_000)
    life.catalog = Catalog(4)
    life.catalog.add_market(market("other", Venue.POLYMARKET, NOW * 2))
    with pytest.raises(JournalDamaged, match=r"polymarket, which was '0x\w+' and is '0x\w+'"):
        life.again()


def test_a_first_start_opens_the_accounts_and_compares_them_all_the_same() -> None:
    life = Life()
    life.file = io.BytesIO()
    agent = life.again()
    agent.do_work(NOW)
    life.answer(agent, Venue.POLYMARKET)
    life.answer(agent, Venue.KALSHI)
    assert not agent.is_ready
    agent.do_work(NOW + 1)
    assert agent.is_ready
    assert not agent.desk.gate.halted
    assert agent.desk.ledger.cash_micros(Venue.KALSHI) == 1
    kinds = [entry.kind for entry in read_journal(life.file.getvalue())]
    assert kinds == [EntryKind.BOOT, EntryKind.OPENING, EntryKind.OPENING]


def plan(plan_id: int) -> np.ndarray:
    """A plan whose time is over."""
    head = np.zeros(1, PLAN_HEAD)
    head["plan_id"], head["signal_id"], head["n_legs"] = plan_id, 1_000 + plan_id, 1
    return head


def test_a_plan_that_the_dead_one_took_from_the_ring_is_answered_once() -> None:
    life = Life()
    agent = life.again()
    for plan_id in (77, 78):
        publish(life.wires.plans, plan(plan_id), np.zeros(1, PLAN_LEG), "plans")
    assert agent._plans.poll(1) == 2, "taken by one that died of it; the next is still to come"
    for venue in VENUES:
        agent.do_work(NOW)
        life.answer(agent, venue)
    for moment in (1, 2, 3):
        agent.do_work(NOW + moment)
    ends = [event for event in life.told() if int(event["plan_id"])]
    assert [(int(e["plan_id"]), int(e["signal_id"]), int(e["reason"])) for e in ends] == [
        (77, 1_077, Reason.DEADLINE),
        (78, 1_078, Reason.DEADLINE),
    ]
    publish(life.wires.plans, plan(79), np.zeros(1, PLAN_LEG), "plans")
    agent.do_work(NOW + 4)
    assert [int(event["plan_id"]) for event in life.told()] == [79]


def test_a_plan_that_ends_its_executor_is_in_the_journal_as_far_as_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life()
    agent = life.again()
    for venue in VENUES:
        agent.do_work(NOW)
        life.answer(agent, venue)
    for moment in (1, 2):
        agent.do_work(NOW + moment)
    head, leg = plan(77), np.zeros(1, PLAN_LEG)
    head["deadline_ns"] = NOW + NS_PER_S
    for name, value in (
        ("slot", life.ref.slot),
        ("generation", life.ref.generation),
        ("size_e6", CONTRACT * 10),
    ):
        leg[name] = value
    leg["venue"], leg["limit_e4"], leg["tif"] = Venue.POLYMARKET, 5_000, TimeInForce.FAK

    def dies(*asked: object) -> None:
        raise MemoryError(f"{len(asked)} arguments")

    monkeypatch.setattr(agent.executor._worker, "advance", dies)
    publish(life.wires.plans, head, leg, "plans")
    with pytest.raises(MemoryError):
        agent.do_work(NOW + 3)
    entries = list(read_journal(life.file.getvalue()))
    assert [entry.kind for entry in entries[-3:]] == [EntryKind.MARKET, EntryKind.PLAN, EntryKind.PLAN_LEG]
    assert list(recover(entries).plans) == [77], "the next one knows it, and does not begin with it again"


def test_a_plan_that_was_garbled_long_ago_is_passed_over_and_said_once_by_whom_it_came_to() -> None:
    life = Life()
    agent = life.again()
    said: list[str] = []
    life.wires.alarm.halt = said.append
    for plan_id in (77, 78, 79):
        publish(life.wires.plans, plan(plan_id), np.zeros(1, PLAN_LEG), "plans")
    spoil(life.wires.plans, 0)
    assert life.wires.take(agent._plans, "plans", 1) == 2, "what the dead one read, and died of"
    assert len(said) == 1
    for venue in VENUES:
        agent.do_work(NOW)
        life.answer(agent, venue)
    for moment in (1, 2, 3):
        agent.do_work(NOW + moment)
    assert agent.is_ready
    assert len(said) == 1, "halted for, and perhaps resumed, before this life"
    assert [int(event["plan_id"]) for event in life.told() if int(event["plan_id"])] == [78, 79]


def test_a_plan_that_is_garbled_and_still_to_come_is_said_by_the_reader_it_comes_to() -> None:
    life = Life()
    agent = life.again()
    said: list[str] = []
    life.wires.alarm.halt = said.append
    publish(life.wires.plans, plan(77), np.zeros(1, PLAN_LEG), "plans")
    spoil(life.wires.plans, 0)
    for venue in VENUES:
        agent.do_work(NOW)
        life.answer(agent, venue)
    for moment in (1, 2, 3):
        agent.do_work(NOW + moment)
    assert len(said) == 1


def test_a_halt_that_was_lifted_is_lifted_for_the_next_life_too() -> None:
    life = Life()
    life.gate.halt(Reason.HALTED)
    assert life.again().desk.gate.halted
    agent = life.again()
    agent.desk.gate.state["halted"] = 0
    agent.do_work(NOW)
    assert not life.again().desk.gate.halted
