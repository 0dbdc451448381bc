"""The store's own methods, and that compiled and plain kernels leave the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from engine.book.state import APPLY_UPDATES_MAX, Count
from engine.book.store import BookStore
from engine.book.vwap import Impact, Walk
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, NO_PRICE, TOP, Direction, Side, Trust, UpdateFlag, UpdateKind, Venue
from tests.engine.book.one_market import ASKS, BIDS, CENT, OneMarket
from tests.engine.book.plain_books import PlainBooks
from tests.engine.book.streams import GRIDS, UNIT, Stream, prices_of, snapshot, update
from tests.plain_twin import PlainTwin


def test_an_open_market_is_empty_and_unsynced() -> None:
    store = BookStore(2, 4, 1)
    store.open_market(1, 7, Venue.POLYMARKET, CENT, mirror=True)
    row = store.rows[1]
    assert (row["slot"], row["generation"], row["venue"], row["trust"]) == (1, 7, 1, Trust.UNSYNCED)
    assert row["epoch"] == 4 << 32 | 1
    assert [len(part) for part in store.levels(1, Side.BID)] == [0, 0]
    assert not store.rows[0]["epoch"]


@pytest.mark.parametrize("slot", [-1, 2, 1])
def test_a_slot_is_opened_once_and_in_range(slot: int) -> None:
    store = BookStore(2, 4, 1)
    store.open_market(1, 7, Venue.KALSHI, CENT, mirror=False)
    with pytest.raises(ValueError, match="in use, or not in"):
        store.open_market(slot, 8, Venue.KALSHI, CENT, mirror=False)


def test_a_grid_that_is_none_leaves_the_slot_closed() -> None:
    store = BookStore(1, 4, 1)
    with pytest.raises(ValueError, match="price range"):
        store.open_market(0, 1, Venue.KALSHI, ((0, 100, 30),), mirror=False)
    store.open_market(0, 1, Venue.KALSHI, CENT, mirror=False)


def test_a_closed_market_gives_everything_back_and_its_slot_lives_again() -> None:
    market = OneMarket(mirror=True)
    whole = market.store.state.ladders.pool.copy()
    market.open_live()
    epoch = market.epoch
    market.send(market.level(4_900, UNIT), market.level(100, UNIT, flags=2))
    market.store.close_market(0)
    assert market.store.state.ladders.pool[3:].tolist() == whole[3:].tolist()
    row = market.store.rows[0]
    assert (row["trust"], row["generation"], row["epoch"], row["n_bids"]) == (Trust.DEAD, 1, epoch, 0)
    assert row["bid_e4"][0] == NO_PRICE
    assert market.store.on_time(2**62) == 0
    assert market.store.apply(market.level(4_700, UNIT), 1, 0) == 0
    assert market.count(Count.UNKNOWN_SLOT) == 1
    market.store.open_market(0, 2, Venue.KALSHI, CENT, mirror=False)
    assert market.epoch == epoch + 1
    assert (market.trust, market.reason) == (Trust.UNSYNCED, Reason.NO_SNAPSHOT)
    assert market.store.apply(market.level(4_700, UNIT), 1, 0) == 0
    assert market.count(Count.STALE_GENERATION) == 1


def test_epochs_never_come_twice() -> None:
    market = OneMarket(markets=2)
    seen = [int(row["epoch"]) for row in market.store.rows]
    for slot in (0, 1, 0):
        records = snapshot(BIDS, ASKS, slot)
        market.store.doubt(slot, Reason.FEED_SILENT, 0)
        market.store.apply(records, len(records), 0)
        seen.append(int(market.store.rows[slot]["epoch"]))
    market.store.set_grid(0, CENT, 0)
    seen.append(market.epoch)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("call", ["close", "doubt", "levels", "set_grid", "impact", "resync"])
@pytest.mark.parametrize("slot", [-1, 0, 1])
def test_a_market_that_is_not_open_is_an_error(call: str, slot: int) -> None:
    store = BookStore(1, 1, 1)
    calls: dict[str, Callable[[], object]] = {
        "close": lambda: store.close_market(slot),
        "doubt": lambda: store.doubt(slot, Reason.FEED_SILENT, 0),
        "levels": lambda: store.levels(slot, Side.BID),
        "set_grid": lambda: store.set_grid(slot, CENT, 0),
        "impact": lambda: store.impact_of_size(slot, Direction.BUY, 1),
        "resync": lambda: store.resync_requested(slot, 0),
    }
    with pytest.raises(ValueError, match=f"no open market in slot {slot}"):
        calls[call]()


def test_only_updates_within_bounds_are_taken() -> None:
    store = BookStore(1, 1, 1)
    records = np.zeros(APPLY_UPDATES_MAX + 1, dtype=BOOK_UPDATE)
    for n in (-1, APPLY_UPDATES_MAX + 1):
        with pytest.raises(ValueError, match="at most"):
            store.apply(records, n, 0)
    with pytest.raises(ValueError, match="at most"):
        store.apply(records[:3], 4, 0)
    with pytest.raises(ValueError, match="at most"):
        store.apply(np.zeros(1, dtype=TOP), 1, 0)
    assert store.apply(records, APPLY_UPDATES_MAX, 0) == 0
    assert store.count(Count.UNKNOWN_KIND) == APPLY_UPDATES_MAX


def test_doubt_resync_and_its_failure_are_announced() -> None:
    market = OneMarket()
    market.open_live()
    store = market.store
    steps: list[tuple[Callable[[], int], Trust]] = [
        (lambda: store.doubt(0, Reason.DISCONNECTED, 2_000), Trust.SUSPECT),
        (lambda: store.resync_requested(0, 2_001), Trust.RESYNC),
        (lambda: store.resync_failed(0, 2_002), Trust.SUSPECT),
        (lambda: store.resync_requested(0, 2_003), Trust.RESYNC),
    ]
    before: Trust = Trust.LIVE
    for at, (call, after) in enumerate(steps):
        assert call() == 1
        top = store.tops[0]
        assert (top["prev_trust"], top["trust"], top["book_ns"]) == (before, after, 2_000 + at)
        assert (top["doubt"], top["flags"]) == (Reason.DISCONNECTED, 0)
        assert market.trust == after
        before = after
    market.send(snapshot(BIDS, ASKS), recv_ns=1_999)
    assert market.trust == Trust.RESYNC
    market.send(snapshot(BIDS, ASKS), recv_ns=2_000)
    assert market.trust == Trust.LIVE


def test_a_loss_of_unknown_markets_doubts_every_open_book() -> None:
    store = BookStore(4, 1, 16)
    for slot in (0, 1, 3):
        store.open_market(slot, 1, Venue.KALSHI, CENT, mirror=True)
    store.close_market(1)
    records = snapshot(BIDS, ASKS)
    records["generation"] = 1
    records["flags"][-1] |= UpdateFlag.LAST_OF_FRAME
    assert store.apply(records, len(records), 900) == 1
    assert store.rows[0]["trust"] == Trust.LIVE
    assert store.doubt_all(Reason.RING_LAPPED, 1_000, 1_500) == 2
    tops = store.tops[:2]
    assert tops["slot"].tolist() == [0, 3]
    assert tops["trust"].tolist() == [Trust.SUSPECT, Trust.UNSYNCED]
    assert tops["prev_trust"].tolist() == [Trust.LIVE, Trust.UNSYNCED]
    assert tops["book_ns"].tolist() == [1_500, 1_500]
    assert int(tops["doubt"][0]) == Reason.RING_LAPPED
    assert int(store.books[0]["doubt_ns"]) == 1_000
    assert store.rows[1]["trust"] == Trust.DEAD


def test_a_grid_announced_outside_the_stream() -> None:
    market = OneMarket()
    market.open_live()
    assert market.store.set_grid(0, GRIDS["tapered_deci_cent"], 5_000) == 1
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.GRID_CHANGED)
    market.send(snapshot({990: UNIT, 4_700: UNIT}, {}), recv_ns=5_000)
    assert market.trust == Trust.LIVE
    assert market.levels(Side.BID) == {4_700: UNIT, 990: UNIT}


def test_levels_are_copies_best_first() -> None:
    market = OneMarket()
    market.open_live()
    prices, sizes = market.store.levels(0, Side.ASK)
    assert prices.tolist() == [4_900, 5_000]
    assert sizes.tolist() == [10 * UNIT, 30 * UNIT]
    sizes[:] = 0
    assert market.levels(Side.ASK) == ASKS


def test_impact() -> None:
    market = OneMarket()
    market.open_live()
    store = market.store
    bought = store.impact_of_size(0, Direction.BUY, 20 * UNIT)
    assert bought == Impact(Walk.FILLED, 20 * UNIT, 9_900_000, 495_000, 4_900, 5_000)
    assert bought.slippage_e6 == 5_000
    sold = store.impact_of_size(0, Direction.SELL, 40 * UNIT)
    assert sold == Impact(Walk.SHORT, 30 * UNIT, 13_900_000, 463_333, 4_700, 4_600)
    assert sold.slippage_e6 == 6_667
    assert store.impact_of_notional(0, Direction.BUY, 4_900_000).worst_e4 == 4_900
    assert store.impact_of_notional(0, Direction.BUY, 4_900_001).worst_e4 == 5_000
    empty = OneMarket().store.impact_of_notional(0, Direction.SELL, 1)
    assert empty == Impact(Walk.SHORT, 0, 0, NO_PRICE, NO_PRICE, NO_PRICE)


def test_counts_have_names() -> None:
    market = OneMarket()
    market.open_live()
    counts = market.store.counts()
    assert set(counts) == {what.name.lower() for what in Count}
    assert (counts["level_writes"], counts["snapshots"], counts["frames"]) == (4, 1, 1)


def test_what_a_book_costs() -> None:
    market = OneMarket()
    empty = market.store.book_bytes(0)
    market.open_live()
    assert market.store.book_bytes(0) == empty + 2 * 64
    assert market.store.book_bytes(0) <= 4_096


@pytest.mark.compiled_only
@pytest.mark.parametrize("seed", range(2))
def test_compiled_and_plain_kernels_leave_the_same_bytes(seed: int, plain_twin: PlainTwin) -> None:
    books = PlainBooks(3, 250_000_000)
    stores = [BookStore(len(GRIDS), 3, 400), plain_twin("engine.book.store").BookStore(len(GRIDS), 3, 400)]
    for slot, ranges in enumerate(GRIDS.values()):
        books.open(slot, 1, Venue.KALSHI, prices_of(ranges), mirror=slot != 1)
        for store in stores:
            store.open_market(slot, 1, Venue.KALSHI, ranges, slot != 1)
    stream = Stream(books, Random(100 + seed))
    for _ in range(150):
        updates = stream.frame()
        books.apply(updates, stream.now_ns)
        written = [store.apply(updates, len(updates), stream.now_ns) for store in stores]
        assert written[0] == written[1]
        tops = [store.tops[: written[0]].tobytes() for store in stores]
        assert tops[0] == tops[1]
    left, right = (store.state for store in stores)
    assert left.rows.tobytes() == right.rows.tobytes()
    assert left.books.tobytes() == right.books.tobytes()
    assert left.meta.tolist() == right.meta.tolist()
    for mine, other in zip(left.ladders, right.ladders, strict=True):
        assert np.array_equal(mine, other)


def test_an_update_of_another_venue_kind_is_still_one_market() -> None:
    """A recording may repeat a market's slot in one frame for many kinds: one TOP, the last time stamps."""
    market = OneMarket()
    top = market.send(
        market.level(4_700, UNIT),
        update(UpdateKind.TRADE, price_e4=4_700, size_e6=UNIT, venue_ns=90),
        update(UpdateKind.TICKER, price_e4=4_700, aux=NO_PRICE),
    )
    assert (top["venue_ns"], top["bid_e4"], top["update_count"]) == (90, 4_700, 1)
