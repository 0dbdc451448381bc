from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.catalog.catalog import MARKET_ROW, NO_GROUP, READERS_MAX, SLOTS_MAX, Catalog, MarketFlag
from engine.catalog.market import FeeKind, FeeSpec, GroupKind, MarketRef
from engine.errors import ConfigError, UnknownMarket
from engine.records import Venue
from tests.engine.catalog.specs import PLAIN, market, member


def flags(catalog: Catalog, slot: int) -> MarketFlag:
    return MarketFlag(int(catalog.rows[slot]["flags"]))


def test_a_row_says_what_the_spec_says() -> None:
    fee = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=72_000, unit_micros=10, valid_from_ns=77)
    spec = replace(
        PLAIN,
        venue=Venue.POLYMARKET,
        price_ranges=((0, 1_000, 10), (1_000, 10_000, 100)),
        lot_e6=20_000,
        min_size_e6=60_000,
        min_notional_micros=5,
        fee=fee,
        open_ns=11,
        close_ns=22,
        taker_delay_ns=33,
        mirror=False,
        defaulted=("fee",),
    )
    catalog = Catalog(4)
    ref = catalog.add_market(spec)
    row = catalog.rows[ref.slot]
    assert (row["generation"], row["venue"], row["group"]) == (1, Venue.POLYMARKET, NO_GROUP)
    assert (row["lot_e6"], row["min_size_e6"], row["min_notional_micros"]) == (20_000, 60_000, 5)
    assert (row["fee_kind"], row["taker_rate_ppb"], row["maker_rate_ppb"]) == (1, 72_000_000, 0)
    assert (row["exponent_e3"], row["unit_micros"], row["precision_micros"]) == (1_000, 10, 0)
    assert (row["fee_from_ns"], row["open_ns"], row["close_ns"], row["taker_delay_ns"]) == (77, 11, 22, 33)
    assert row["n_ranges"] == 2
    assert list(row["range_start_e4"][:3]) == [0, 1_000, 0]
    assert list(row["range_end_e4"][:3]) == [1_000, 10_000, 0]
    assert list(row["range_step_e4"][:3]) == [10, 100, 0]
    assert flags(catalog, ref.slot) == MarketFlag.IN_USE | MarketFlag.OPEN | MarketFlag.DEFAULTED
    assert catalog.spec(ref.slot) is spec


def test_flags_of_a_neg_risk_market() -> None:
    catalog = Catalog(4)
    ref = catalog.add_market(member("a", augmented=True, size=1))
    assert flags(catalog, ref.slot) == (
        MarketFlag.IN_USE
        | MarketFlag.OPEN
        | MarketFlag.MIRROR
        | MarketFlag.NEG_RISK
        | MarketFlag.AUGMENTED
        | MarketFlag.AT_MOST_ONE
    )


def test_rows_are_whole_words() -> None:
    assert MARKET_ROW.itemsize % 8 == 0


def test_markets_are_found_by_venue_and_symbol() -> None:
    catalog = Catalog(4)
    kalshi = catalog.add_market(market("SAME"))
    polymarket = catalog.add_market(market("SAME", Venue.POLYMARKET))
    assert kalshi != polymarket
    assert catalog.find(Venue.KALSHI, "SAME") == kalshi == catalog.ref(kalshi.slot)
    assert catalog.find(Venue.POLYMARKET, "SAME") == polymarket
    assert catalog.find(Venue.KALSHI, "OTHER") is None
    assert dict(catalog.symbols) == {(Venue.KALSHI, "SAME"): 0, (Venue.POLYMARKET, "SAME"): 1}
    assert len(catalog) == 2


def test_a_market_is_added_once() -> None:
    catalog = Catalog(4)
    catalog.add_market(PLAIN)
    with pytest.raises(ConfigError, match="kalshi:M is in the catalog already"):
        catalog.add_market(PLAIN)


def test_the_bound_refuses_and_counts() -> None:
    catalog = Catalog(1)
    catalog.add_market(market("a"))
    with pytest.raises(ConfigError, match="catalog is full: 1 slots, 0 retiring"):
        catalog.add_market(market("b"))
    assert catalog.refused == 1
    assert catalog.find(Venue.KALSHI, "b") is None


@pytest.mark.parametrize("capacity", [0, -1, SLOTS_MAX + 1])
def test_a_capacity_out_of_range_is_refused(capacity: int) -> None:
    with pytest.raises(ConfigError, match="capacity"):
        Catalog(capacity)


def test_a_slot_waits_for_every_reader() -> None:
    catalog = Catalog(1)
    slow, quick = catalog.register_reader(), catalog.register_reader()
    old = catalog.add_market(market("a"))
    catalog.remove_market(old.slot)
    assert not catalog.is_current(old)
    assert flags(catalog, old.slot) == MarketFlag(0)
    catalog.confirm(quick, catalog.version)
    with pytest.raises(ConfigError, match="1 retiring"):
        catalog.add_market(market("b"))
    assert catalog.barrier() == 0
    catalog.confirm(slow, catalog.version - 1)  # before the removal
    assert catalog.barrier() == 0
    catalog.confirm(slow, catalog.version)
    assert catalog.barrier() == 1
    new = catalog.add_market(market("b"))
    assert new == MarketRef(old.slot, old.generation + 1)
    assert catalog.is_current(new)
    assert not catalog.is_current(old)


def test_a_dropped_reader_holds_nothing_back() -> None:
    catalog = Catalog(1)
    reader = catalog.register_reader()
    catalog.remove_market(catalog.add_market(market("a")).slot)
    assert catalog.barrier() == 0
    catalog.drop_reader(reader)
    assert catalog.barrier() == 1


def test_a_barrier_does_not_go_back_and_not_ahead() -> None:
    catalog = Catalog(2)
    catalog.add_market(market("a"))
    reader = catalog.register_reader()
    catalog.remove_market(0)
    catalog.confirm(reader, catalog.version)
    catalog.confirm(reader, 0)
    assert catalog.barrier() == 1
    with pytest.raises(ConfigError, match="confirms version"):
        catalog.confirm(reader, catalog.version + 1)


def test_readers_are_bounded() -> None:
    catalog = Catalog(1)
    for _ in range(READERS_MAX):
        catalog.register_reader()
    with pytest.raises(ConfigError, match="32 readers"):
        catalog.register_reader()


def test_nothing_of_a_former_market_stays_in_its_row() -> None:
    catalog = Catalog(1)
    catalog.add_market(replace(PLAIN, close_ns=5, taker_delay_ns=6))
    catalog.remove_market(0)
    catalog.add_market(replace(PLAIN, symbol="n", fee=None))
    row = catalog.rows[0]
    assert (row["fee_kind"], row["taker_rate_ppb"], row["precision_micros"], row["close_ns"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("slot", [-1, 0, 5])
def test_an_empty_slot_is_an_unknown_market(slot: int) -> None:
    catalog = Catalog(2)
    with pytest.raises(UnknownMarket):
        catalog.spec(slot)
    assert not catalog.is_current(MarketRef(slot, 1))


def test_an_update_changes_the_row_and_keeps_the_reference() -> None:
    catalog = Catalog(2)
    ref = catalog.add_market(member("a", size=2))
    catalog.add_market(member("b"))
    catalog.set_open(ref.slot, False)
    group, before = int(catalog.rows[ref.slot]["group"]), catalog.version
    catalog.update_market(ref.slot, replace(member("a", size=2), price_ranges=((0, 10_000, 10),), close_ns=9))
    row = catalog.rows[ref.slot]
    assert catalog.version > before
    assert catalog.ref(ref.slot) == ref
    assert (row["range_step_e4"][0], row["close_ns"], row["group"]) == (10, 9, group)
    assert not catalog.is_open(ref.slot)
    assert MarketFlag.EXHAUSTIVE in flags(catalog, ref.slot)


def test_an_update_of_a_market_without_a_group() -> None:
    catalog = Catalog(1)
    catalog.add_market(PLAIN)
    catalog.update_market(0, replace(PLAIN, close_ns=9))
    assert catalog.is_open(0)
    assert catalog.rows[0]["group"] == NO_GROUP


@pytest.mark.parametrize(
    "change",
    [{"symbol": "x"}, {"venue": Venue.POLYMARKET}, {"group": "g", "group_kind": GroupKind.AT_MOST_ONE}],
)
def test_an_update_is_not_another_market(change: dict[str, object]) -> None:
    catalog = Catalog(1)
    catalog.add_market(PLAIN)
    with pytest.raises(ConfigError, match="cannot change venue, symbol or group"):
        catalog.update_market(0, replace(PLAIN, **change))  # type: ignore[arg-type]


def test_trading_stops_and_starts() -> None:
    catalog = Catalog(1)
    catalog.add_market(PLAIN)
    for is_open in (False, False, True):
        catalog.set_open(0, is_open)
        assert catalog.is_open(0) is is_open
    assert MarketFlag.IN_USE in flags(catalog, 0)


def test_what_changed_is_told_once_and_with_it_what_became_of_its_group() -> None:
    catalog = Catalog(4)
    alone = catalog.add_market(PLAIN).slot
    first = catalog.add_market(member("a", size=2)).slot
    assert catalog.take_changed() == [alone, first]
    assert catalog.take_changed() == []
    second = catalog.add_market(member("b", size=2)).slot
    assert catalog.take_changed() == [first, second], "the first is of an exhaustive group now"
    catalog.set_open(first, False)
    catalog.set_open(first, True)
    assert catalog.take_changed() == [first]
    catalog.update_market(second, replace(member("b", size=2), close_ns=9))
    assert catalog.take_changed() == [second]
    catalog.remove_market(second)
    assert catalog.take_changed() == [first, second]


def test_some_of_an_exhaustive_group_is_not_exhaustive() -> None:
    catalog = Catalog(4)
    first = catalog.add_market(member("a", size=2))
    group = catalog.group_number(Venue.POLYMARKET, "event")
    assert catalog.group_kind(group) is GroupKind.EXACTLY_ONE
    assert not catalog.group_exhaustive(group)
    second = catalog.add_market(member("b", size=2))
    assert catalog.group_members(group) == (first.slot, second.slot)
    assert catalog.group_exhaustive(group)
    assert all(MarketFlag.EXHAUSTIVE in flags(catalog, ref.slot) for ref in (first, second))
    catalog.remove_market(first.slot)
    assert not catalog.group_exhaustive(group)
    assert MarketFlag.EXHAUSTIVE not in flags(catalog, second.slot)
    catalog.remove_market(second.slot)
    assert catalog.groups() == ()
    assert catalog.group_number(Venue.POLYMARKET, "event") == NO_GROUP


def test_a_group_is_refused_before_its_market_takes_a_slot() -> None:
    catalog = Catalog(4)
    catalog.add_market(member("a"))
    with pytest.raises(ConfigError, match="its group event is exactly_one for its other markets"):
        catalog.add_market(member("b", kind=GroupKind.AT_MOST_ONE))
    assert len(catalog) == 1


def test_an_unknown_group_has_nothing() -> None:
    catalog = Catalog(1)
    assert catalog.group_members(7) == ()
    assert catalog.group_kind(NO_GROUP) is GroupKind.NONE
    assert not catalog.group_exhaustive(NO_GROUP)


class Churn(RuleBasedStateMachine):
    """Markets come and go under readers that lag: no reference ever names two markets."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog(3)
        self.readers = [self.catalog.register_reader() for _ in range(2)]
        self.held: dict[MarketRef, str] = {}
        self.seen_by: dict[int, dict[MarketRef, str]] = {reader: {} for reader in self.readers}
        self.given: dict[MarketRef, str] = {}
        self.published = self.catalog.rows.copy()
        self.count = 0

    @rule()
    def add(self) -> None:
        symbol = f"m{self.count}"
        self.count += 1
        try:
            ref = self.catalog.add_market(market(symbol))
        except ConfigError:
            return
        assert ref not in self.given
        self.given[ref] = self.held[ref] = symbol
        for seen in self.seen_by.values():  # nobody still looks at another market in this slot
            assert all(old.slot != ref.slot for old in seen)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.held)))
        self.catalog.remove_market(ref.slot)
        del self.held[ref]

    @rule(reader=st.integers(0, 1))
    def catch_up(self, reader: int) -> None:
        self.seen_by[reader] = dict(self.held)
        self.catalog.confirm(self.readers[reader], self.catalog.version)

    @invariant()
    def references_hold(self) -> None:
        for ref, symbol in self.given.items():
            assert self.catalog.is_current(ref) is (ref in self.held)
            if ref in self.held:
                assert self.catalog.spec(ref.slot).symbol == symbol

    @invariant()
    def whoever_takes_the_changes_has_the_rows(self) -> None:
        version = self.catalog.version
        for slot in self.catalog.take_changed():
            self.published[slot] = self.catalog.rows[slot]
        assert self.published.tobytes() == self.catalog.rows.tobytes()
        assert self.catalog.version == version


TestChurn = Churn.TestCase
