"""Every process that follows the catalog has the same market in the same slot."""

from __future__ import annotations

import pytest

from engine.catalog.catalog import Catalog
from engine.errors import LayoutMismatch
from engine.records import Venue
from engine.venues.symbols import SymbolTable
from procs.catalog_agent import CatalogAgent
from procs.catalog_follower import CatalogFollower
from procs.catalog_segment import CatalogSegment
from procs.config_files import load_config, load_fee_table
from procs.registry import Registry
from tests.engine.catalog.specs import PLAIN, market

AT_NS = 1_775_000_000 * 10**9
SLOTS = 4


def registry() -> Registry:
    made = Registry(
        Catalog(SLOTS),
        {venue: SymbolTable(2 * SLOTS) for venue in Venue},
        dict.fromkeys(Venue, ()),
        load_fee_table(load_config()),
        AT_NS,
        dict.fromkeys(Venue, True),
    )
    made.add(PLAIN)
    return made


def test_a_market_that_was_met_elsewhere_gets_the_slot_it_has_there() -> None:
    segment = CatalogSegment.create(SLOTS, ())
    writer, reader = registry(), registry()
    keeper, follower = CatalogAgent(writer.catalog, segment), CatalogFollower(segment, reader)
    keeper.on_start(0)
    assert follower.do_work(0) == 0
    for symbol in (b"KXA", b"KXB"):
        assert writer.on_unknown(Venue.KALSHI, symbol)
    assert follower.do_work(0) == 0  # not published yet
    keeper.publish()
    assert follower.do_work(0) == 2
    assert follower.do_work(0) == 0
    for name in ("KXA", "KXB"):
        assert reader.catalog.find(Venue.KALSHI, name) == writer.catalog.find(Venue.KALSHI, name)
    assert (reader.catalog.rows == writer.catalog.rows).all()


def test_one_that_starts_late_catches_up_to_the_last_slot() -> None:
    segment = CatalogSegment.create(SLOTS, ())
    writer, reader = registry(), registry()
    for number in range(SLOTS - 1):
        assert writer.on_unknown(Venue.KALSHI, b"KX%d" % number)
    CatalogAgent(writer.catalog, segment).on_start(0)
    follower = CatalogFollower(segment, reader)
    follower.on_start(0)
    assert len(reader.catalog) == SLOTS


def test_a_slot_that_is_another_market_here_is_an_error() -> None:
    segment = CatalogSegment.create(SLOTS, ())
    writer, reader = registry(), registry()
    writer.on_unknown(Venue.KALSHI, b"KXA")
    reader.add(market("KXA2"))
    writer.on_unknown(Venue.KALSHI, b"KXB")
    writer.on_unknown(Venue.KALSHI, b"KXA2")
    CatalogAgent(writer.catalog, segment).on_start(0)
    with pytest.raises(LayoutMismatch, match="slot 3"):
        CatalogFollower(segment, reader).follow()
