"""A feed has died and another writes in its place: what its first frames say of a book is believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.config import Role
from engine.reasons import Reason
from engine.records import BOOK_ROW, BOOK_UPDATE, Side, Trust, UpdateFlag, UpdateKind, Venue
from engine.sim.session.scenario import market
from procs.book import BookAgent
from procs.config_files import load_config, load_fee_table
from procs.parts import VENUES, EngineParts, Scene
from procs.wires import Wires
from shm.ring import Records

pytestmark = pytest.mark.compiled_only

NOW = 1_793_534_400_000_000_000
NAMES = ("a", "b")


def updates(slot: int, at_ns: int) -> Records:
    """A frame with a whole book of one level."""
    rows = np.zeros(3, BOOK_UPDATE)
    rows["kind"] = (UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END)
    rows["size_e6"], rows["price_e4"], rows["side"] = 1, 4_000, Side.BID
    rows["slot"], rows["generation"], rows["recv_ns"], rows["venue"] = slot, 1, at_ns, Venue.KALSHI
    rows["flags"][-1] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
    return rows


class Feeds:
    """Feeds of a run directory, one after another, and the book stage behind them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._epoch = 1
        Wires.create(VENUES, 8, directory, self._epoch).release()
        config = load_config(assignments=["engine.market_slots=8"])
        specs = [market(name, Venue.KALSHI, NOW * 2) for name in NAMES]
        scene = Scene(specs, (), load_fee_table(config), NOW)
        self._wires = self._join(Role.BOOK)
        self._parts = EngineParts(config, scene, self._wires, (Role.BOOK,), self._epoch)
        self.books: BookAgent = self._parts.book(Venue.KALSHI)
        self._feed: Wires | None = None

    def _join(self, role: Role) -> Wires:
        self._epoch += 1
        return Wires.join(VENUES, self._directory, (role,), self._epoch)

    def begin(self) -> None:
        """The feed so far ends, another begins."""
        if self._feed is not None:
            self._feed.release()
        self._feed = self._join(Role.FEED)

    def say(self, name: str, at_ns: int) -> None:
        """A book of ``name`` comes in."""
        assert self._feed is not None
        assert self._feed.updates[Venue.KALSHI].publish(updates(NAMES.index(name), at_ns))

    def row(self, name: str) -> np.void:
        row = np.zeros(1, BOOK_ROW)
        assert self._wires.books[Venue.KALSHI].read(NAMES.index(name), row)
        found: np.void = row[0]
        return found


def test_a_book_in_the_first_batch_of_another_feed_is_newer_than_the_doubt(tmp_path: Path) -> None:
    feeds = Feeds(tmp_path)
    feeds.begin()
    for name in NAMES:
        feeds.say(name, NOW)
    feeds.books.do_work(NOW + 10)
    assert [feeds.row(name)["trust"] for name in NAMES] == [Trust.LIVE, Trust.LIVE]
    epoch = int(feeds.row("a")["epoch"])
    feeds.begin()
    feeds.say("a", NOW + 20)
    feeds.books.do_work(NOW + 30)  # the stage comes to it later than it was received
    assert [feeds.row(name)["trust"] for name in NAMES] == [Trust.LIVE, Trust.SUSPECT]
    assert int(feeds.row("a")["epoch"]) > epoch
    store = feeds.books.store
    assert int(store.books[1]["doubt"]) == Reason.DISCONNECTED  # type: ignore[attr-defined]
