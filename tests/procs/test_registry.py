from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketSpec
from engine.errors import ConfigError
from engine.records import Outcome, Venue
from engine.sim.session.scenario import market
from engine.venues.symbols import SymbolTable
from procs.config_files import load_config, load_fee_table
from procs.registry import Registry, market_symbols

NOW_NS = 1_793_534_400 * 10**9


class Books:
    def __init__(self) -> None:
        self.opened: list[tuple[int, int, Venue, bool]] = []

    def open_market(self, slot: int, generation: int, venue: Venue, ranges: object, mirror: bool) -> None:
        assert ranges
        self.opened.append((slot, generation, venue, mirror))


def registry(capacity: int = 4) -> tuple[Registry, dict[Venue, SymbolTable], dict[Venue, Books]]:
    symbols = {venue: SymbolTable(8) for venue in Venue}
    books = {venue: Books() for venue in Venue}
    fees = load_fee_table(load_config())
    stores = {venue: (books[venue],) for venue in Venue}
    direct = dict.fromkeys(Venue, True)
    return Registry(Catalog(capacity), symbols, stores, fees, NOW_NS, direct), symbols, books


def pair() -> MarketSpec:
    return market("two", Venue.POLYMARKET, NOW_NS)


def test_a_market_is_known_everywhere_before_its_first_frame() -> None:
    made, symbols, books = registry()
    spec = pair()
    ref = made.add(spec)
    yes, no = (symbols[Venue.POLYMARKET].find(token.encode()) for token in (spec.yes_token, spec.no_token))
    assert yes is not None
    assert no is not None
    assert (yes.slot, yes.outcome, yes.mirrored) == (ref.slot, Outcome.YES, False)
    assert (no.slot, no.outcome, no.mirrored) == (ref.slot, Outcome.NO, True)
    assert books[Venue.POLYMARKET].opened == [(ref.slot, ref.generation, Venue.POLYMARKET, True)]
    assert books[Venue.KALSHI].opened == []


def test_a_market_named_by_two_recordings_is_added_once() -> None:
    made, _, books = registry()
    made.add_all([pair(), replace(pair(), title="again")])
    assert len(made.catalog) == 1
    assert len(books[Venue.POLYMARKET].opened) == 1


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (market("k", Venue.KALSHI, NOW_NS), [(b"KXSIM-K", Outcome.YES, False)]),
        (replace(pair(), no_token=""), [(pair().yes_token.encode(), Outcome.YES, False)]),
        (
            replace(pair(), mirror=False),
            [
                (pair().yes_token.encode(), Outcome.YES, False),
                (pair().no_token.encode(), Outcome.NO, False),
            ],
        ),
    ],
)
def test_the_symbols_of_a_market(spec: MarketSpec, expected: list[tuple[bytes, Outcome, bool]]) -> None:
    assert market_symbols(spec) == expected


def test_a_market_without_metadata_gets_defaults_that_are_counted() -> None:
    made, symbols, _ = registry()
    assert made.on_unknown(Venue.KALSHI, b"KXNEW")
    found = symbols[Venue.KALSHI].find(b"KXNEW")
    assert found is not None
    assert made.defaulted["fee"] == made.defaulted["price_ranges"] == 1


def test_what_cannot_be_registered_is_counted_and_not_added() -> None:
    made, _, _ = registry(capacity=1)
    assert made.on_unknown(Venue.KALSHI, b"KXONE")
    assert not made.on_unknown(Venue.KALSHI, b"KXTWO")
    assert not made.on_unknown(Venue.KALSHI, b"\xff\xfe")
    assert made.unregistered == 2


def test_a_symbol_without_room_is_an_error_that_names_the_market() -> None:
    made, symbols, _ = registry()
    while symbols[Venue.KALSHI].add(b"X%d" % len(symbols[Venue.KALSHI]), 0, 1):
        pass
    with pytest.raises(ConfigError, match="kalshi:KXSIM-LATE: no room"):
        made.add(market("late", Venue.KALSHI, NOW_NS))


def test_defaults_are_counted_by_field() -> None:
    made, _, _ = registry()
    counts: dict[str, int] = defaultdict(int)
    for name in (b"KXA", b"KXB"):
        made.on_unknown(Venue.KALSHI, name)
    counts.update(made.defaulted)
    assert counts["fee"] == 2


def test_a_market_of_a_recording_pays_the_schedule_of_its_date() -> None:
    made, _, _ = registry()
    ref = made.add(replace(pair(), fee=None, category="weather"))
    assert made.catalog.spec(ref.slot).fee is not None
    assert made.defaulted["fee"] == 1
