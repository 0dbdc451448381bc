"""Frames of a drill are those of the venues, and its rows those that the frames make."""

from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.defaults import FeeTable
from engine.catalog.relations import screen
from engine.config import Role
from engine.records import BOOK_ROW, TOP, Trust, Venue
from engine.venues.counts import Count
from procs.config_files import load_config
from procs.drill_scene import CHEAP, PAIR, SLOTS, Beat, Frames, Offer, Rows, markets, relations
from procs.ladder import EngineTime
from procs.parts import VENUES, EngineParts, Scene
from procs.stages import Stages
from procs.wires import Wires

START_NS = 1_790_000_000_000_000_000
EPOCH = 1
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])
OF_THE_STAGE = ("recv_ns", "venue_ns", "epoch", "update_count", "flags")  # when and as which update, not what
OF_DEPTH = ("vwap_buy_e6", "vwap_sell_e6")


class Market:
    """Feeds and books over the frames."""

    def __init__(self) -> None:
        self.wires = Wires.create(VENUES, SLOTS)
        scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
        parts = EngineParts(CONFIG, scene, self.wires, (Role.FEED, Role.BOOK), EPOCH, hears_sockets=False)
        self.stages = Stages(parts, (Role.FEED, Role.BOOK), fused=EngineTime(lambda: START_NS))
        self.tops = {venue: ring.reader() for venue, ring in self.wires.tops.items()}
        self.frames = Frames()
        for venue, frame in self.frames.opening():
            self.take(venue, frame)

    def take(self, venue: Venue, frame: bytes) -> None:
        self.stages.sinks()[venue].on_frame(frame, START_NS, 0)

    def row(self, venue: Venue, slot: int) -> np.void:
        found = np.zeros(1, BOOK_ROW)
        assert self.wires.books[venue].read(slot, found)
        row: np.void = found[0]
        return row

    def top(self, venue: Venue) -> np.void:
        n_tops = self.tops[venue].poll()
        found: np.void = self.tops[venue].records(TOP)[n_tops - 1]
        return found


def test_every_relation_is_accepted() -> None:
    catalog = Catalog(SLOTS)
    for spec in markets(START_NS):
        catalog.add_market(spec)
    assert not screen(relations(), catalog).refused
    assert len(catalog) == SLOTS


@pytest.mark.compiled_only
def test_the_frames_are_read_by_the_compiled_parser_and_all_books_are_live() -> None:
    market = Market()
    for _ in range(3):
        for venue in VENUES:
            for offer in Offer:
                market.take(venue, market.frames.of(Beat(venue, offer)))
    for venue in VENUES:
        counts = market.stages.feeds[venue].codec.counts
        assert counts[Count.REJECTED] == counts[Count.UNKNOWN_MARKET] == 0
        assert counts[Count.FAST] == market.stages.feeds[venue].frames == PAIR + 3 * len(Offer)
        rows = [market.row(venue, PAIR * VENUES.index(venue) + number) for number in range(PAIR)]
        assert [row["trust"] for row in rows] == [Trust.LIVE] * PAIR


@pytest.mark.compiled_only
@pytest.mark.parametrize("venue", VENUES)
def test_rows_without_frames_are_those_that_the_frames_make(venue: Venue) -> None:
    market, rows, slot = Market(), Rows(EPOCH), PAIR * VENUES.index(venue) + CHEAP
    for offer in (Offer.CHEAP, Offer.GONE, Offer.MORE, Offer.LESS):
        market.take(venue, market.frames.of(Beat(venue, offer)))
        real, real_top = market.row(venue, slot), market.top(venue)
        made, made_top = rows.next(slot, START_NS, offer)
        assert made.dtype.names is not None
        for name in made.dtype.names:
            if name in (*OF_THE_STAGE, *OF_DEPTH):
                continue
            assert np.array_equal(made[0][name], real[name]), (offer, name)
        for name in (
            "slot",
            "generation",
            "venue",
            "trust",
            "bid_e4",
            "ask_e4",
            "bid_size_e6",
            "ask_size_e6",
        ):
            assert made_top[0][name] == real_top[name], (offer, name)


def test_each_row_is_one_update_later_and_received_when_it_is_said() -> None:
    rows = Rows(EPOCH)
    for number in range(1, 4):
        row, top = rows.next(0, START_NS + number, Offer.MORE)
        assert row[0]["update_count"] == top[0]["update_count"] == number
        assert row[0]["recv_ns"] == top[0]["recv_ns"] == top[0]["book_ns"] == START_NS + number
        assert row[0]["epoch"] == top[0]["epoch"] == EPOCH
