"""Doubts, snapshots, epochs, and books crossed for too long."""

from __future__ import annotations

import pytest

from engine.book.doubt import FOREVER
from engine.book.state import EPOCH_COUNTER, Count
from engine.book.trust import EPOCH_COUNTER_MAX
from engine.reasons import Reason
from engine.records import MarketState, Side, TopFlag, Trust, UpdateKind
from tests.engine.book.one_market import AFTER_BURST_NS, ASKS, BIDS, BOOT, OneMarket
from tests.engine.book.streams import UNIT, frame, snapshot, update

CROSSING = {4_900: 5 * UNIT}


def test_a_book_is_live_only_after_a_snapshot_and_in_a_new_epoch() -> None:
    market = OneMarket()
    first = market.epoch
    assert (market.trust, market.reason) == (Trust.UNSYNCED, Reason.NO_SNAPSHOT)
    market.send(market.level(4_000, UNIT))
    assert (market.trust, market.epoch) == (Trust.UNSYNCED, first)
    market.open_live()
    assert market.reason == Reason.NONE
    assert first == BOOT << 32 | 1
    assert market.epoch == first + 1


def test_a_snapshot_of_a_live_book_opens_no_epoch() -> None:
    market = OneMarket()
    market.open_live()
    epoch = market.epoch
    top = market.send(snapshot({100: UNIT}, {}))
    assert (market.trust, market.epoch) == (Trust.LIVE, epoch)
    assert top["flags"] & TopFlag.SNAPSHOT
    assert market.levels(Side.BID) == {100: UNIT}
    assert market.levels(Side.ASK) == {}


def test_only_a_snapshot_at_or_after_the_doubt_heals() -> None:
    market = OneMarket()
    market.open_live(recv_ns=100)
    epoch = market.epoch
    market.send(market.doubt(Reason.SEQUENCE_GAP), recv_ns=500)
    assert (market.trust, market.reason, market.epoch) == (Trust.SUSPECT, Reason.SEQUENCE_GAP, epoch)
    market.send(snapshot({100: UNIT}, {}), recv_ns=499)
    assert market.trust == Trust.SUSPECT
    assert market.levels(Side.BID) == {100: UNIT}  # shown, in an epoch of its own
    assert market.epoch == epoch + 1
    market.send(snapshot(BIDS, ASKS), recv_ns=500)
    assert (market.trust, market.reason, market.epoch) == (Trust.LIVE, Reason.NONE, epoch + 2)


def test_an_older_doubt_does_not_shorten_a_later_one() -> None:
    market = OneMarket()
    market.send(market.doubt(Reason.SEQUENCE_GAP), recv_ns=500)
    market.send(market.doubt(Reason.FEED_SILENT), recv_ns=300)
    market.send(snapshot(BIDS, ASKS), recv_ns=400)
    assert market.trust == Trust.UNSYNCED
    assert market.reason == Reason.FEED_SILENT


def test_doubt_and_snapshot_in_one_frame() -> None:
    market = OneMarket()
    market.open_live()
    epoch = market.epoch
    top = market.send(market.doubt(Reason.SEQUENCE_RESTART), snapshot(BIDS, ASKS))
    assert (top["trust"], top["prev_trust"], market.epoch) == (Trust.LIVE, Trust.LIVE, epoch + 1)
    market.send(snapshot(BIDS, ASKS), market.doubt(Reason.SEQUENCE_GAP))
    assert market.trust == Trust.SUSPECT


def test_a_new_grid_drops_the_book_in_a_new_epoch() -> None:
    market = OneMarket()
    market.open_live(recv_ns=100)
    epoch = market.epoch
    market.send(update(UpdateKind.GRID_CHANGE, price_e4=10, aux=100), recv_ns=200)
    assert (market.trust, market.reason, market.epoch) == (Trust.SUSPECT, Reason.GRID_CHANGED, epoch + 1)
    assert market.levels(Side.BID) == {} == market.levels(Side.ASK)
    market.send(snapshot({4_705: UNIT}, ASKS), recv_ns=300)
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.OFF_GRID)
    market.send(snapshot({4_710: UNIT}, ASKS), recv_ns=300)
    assert (market.trust, market.epoch) == (Trust.LIVE, epoch + 3)
    assert market.levels(Side.BID) == {4_710: UNIT}


@pytest.mark.parametrize("state", [MarketState.CLOSED, MarketState.SETTLED])
def test_a_market_that_ended_stays_dead_and_is_still_shown(state: MarketState) -> None:
    market = OneMarket()
    market.open_live()
    top = market.send(update(UpdateKind.MARKET_STATE, aux=state))
    assert (top["trust"], top["doubt"]) == (Trust.DEAD, Reason.MARKET_CLOSED)
    doubts = market.count(Count.DOUBTS)
    market.send(market.doubt(Reason.SEQUENCE_GAP))
    market.send(snapshot({100: UNIT}, {}))
    assert (market.trust, market.reason) == (Trust.DEAD, Reason.MARKET_CLOSED)
    assert market.count(Count.DOUBTS) == doubts
    assert market.levels(Side.BID) == {100: UNIT}
    assert market.store.rows[0]["market_state"] == state


def test_a_pause_is_shown_and_is_no_doubt() -> None:
    market = OneMarket()
    market.open_live()
    market.send(update(UpdateKind.MARKET_STATE, aux=MarketState.PAUSED))
    assert (market.trust, market.store.rows[0]["market_state"]) == (Trust.LIVE, MarketState.PAUSED)


@pytest.mark.parametrize("cut", ["begin", "end", "level", "extra"])
def test_a_snapshot_that_is_not_whole_is_not_trusted(cut: str) -> None:
    market = OneMarket()
    market.open_live()
    whole = snapshot({4_500: UNIT, 4_400: UNIT}, {})
    part = {"begin": whole[1:], "end": whole[:-1], "level": whole[[0, 1, 3]], "extra": whole[[0, 1, 1, 2, 3]]}
    market.send(part[cut])
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.RING_LAPPED)
    assert market.count(Count.SNAPSHOTS_TORN) > 0
    market.send(whole)
    assert market.trust == Trust.LIVE


def test_a_snapshot_begun_again_is_the_second_one() -> None:
    market = OneMarket()
    whole = snapshot({4_500: UNIT}, {})
    market.send(whole[:2], whole)
    assert market.trust == Trust.LIVE
    assert market.count(Count.SNAPSHOTS_TORN) == 1
    assert market.levels(Side.BID) == {4_500: UNIT}


def test_without_an_epoch_left_no_book_becomes_live() -> None:
    market = OneMarket()
    market.store.state.meta[EPOCH_COUNTER] = EPOCH_COUNTER_MAX - 1
    market.open_live()
    epoch = market.epoch
    assert epoch == BOOT << 32 | EPOCH_COUNTER_MAX
    market.send(market.doubt(Reason.SEQUENCE_GAP))
    market.send(snapshot(BIDS, ASKS))
    assert (market.trust, market.epoch) == (Trust.SUSPECT, epoch)


def test_a_crossed_book_is_flagged_at_once_and_suspect_after_the_burst() -> None:
    market = OneMarket()
    market.open_live()
    top = market.send(market.level(4_900, UNIT), now_ns=1_000)
    assert top["flags"] & TopFlag.CROSSED
    assert market.trust == Trust.LIVE
    assert market.store.next_due_ns() == 1_000 + AFTER_BURST_NS
    assert market.store.on_time(999 + AFTER_BURST_NS) == 0
    assert market.trust == Trust.LIVE
    assert market.store.on_time(1_000 + AFTER_BURST_NS) == 1
    top = market.store.tops[0]
    assert (top["trust"], top["prev_trust"], top["doubt"]) == (2, 1, Reason.CROSSED_TOO_LONG)
    assert TopFlag(int(top["flags"])) == TopFlag.CROSSED
    assert market.store.next_due_ns() == FOREVER
    assert market.store.on_time(10 * AFTER_BURST_NS) == 0


def test_a_crossing_that_ends_in_time_is_forgotten() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.level(4_900, UNIT), now_ns=1_000)
    market.send(market.level(4_900, 0), now_ns=2_000)
    assert market.store.next_due_ns() == FOREVER
    market.send(market.level(5_500, UNIT), now_ns=1_000 + AFTER_BURST_NS)
    assert market.trust == Trust.LIVE
    assert market.store.next_due_ns() == 1_000 + 2 * AFTER_BURST_NS


def test_a_frame_notices_a_long_crossing_by_itself() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.level(4_900, UNIT), now_ns=1_000)
    top = market.send(market.level(100, UNIT), now_ns=1_000 + AFTER_BURST_NS)
    assert (top["trust"], top["doubt"]) == (Trust.SUSPECT, Reason.CROSSED_TOO_LONG)


def test_books_that_are_not_live_have_no_timer() -> None:
    market = OneMarket()
    market.send(market.level(4_900, UNIT), market.level(4_900, UNIT, side=1))
    assert market.flags & TopFlag.CROSSED
    assert market.store.next_due_ns() == FOREVER
    market.send(snapshot(CROSSING, ASKS), now_ns=7_000)
    assert market.trust == Trust.LIVE
    assert market.store.next_due_ns() == 7_000 + AFTER_BURST_NS
    market.store.doubt(0, Reason.FEED_SILENT, 8_000)
    assert market.store.next_due_ns() == FOREVER


def test_several_crossed_books_fall_due_one_by_one() -> None:
    market = OneMarket(markets=4)
    for slot in range(4):
        records = frame(snapshot(CROSSING, ASKS, slot))
        market.store.apply(records, len(records), 100 * (slot + 1))
    assert market.store.next_due_ns() == 100 + AFTER_BURST_NS
    market.store.close_market(1)
    assert market.store.on_time(300 + AFTER_BURST_NS) == 2
    assert {int(top["slot"]) for top in market.store.tops[:2]} == {0, 2}
    assert market.store.next_due_ns() == 400 + AFTER_BURST_NS
