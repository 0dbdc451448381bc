"""Mirrored markets: what the sibling says is laid beside the book, frame by frame."""

from __future__ import annotations

import pytest

from engine.book.frame import UNORDERED_MAX
from engine.book.state import MIRROR_DIFFS_MAX, Count
from engine.reasons import Reason
from engine.records import NO_PRICE, Side, TopFlag, Trust, UpdateFlag, UpdateKind
from tests.engine.book.one_market import ASKS, BIDS, SIBLING, OneMarket
from tests.engine.book.streams import UNIT, snapshot, update

DIFFERS = TopFlag.MIRROR_DIFFERS


@pytest.fixture
def pair() -> OneMarket:
    """A LIVE mirrored market."""
    market = OneMarket(mirror=True)
    market.open_live()
    return market


def test_sibling_levels_are_compared_and_never_applied(pair: OneMarket) -> None:
    pair.send(pair.level(4_600, UNIT, flags=SIBLING))
    assert pair.levels(Side.BID) == BIDS
    assert pair.flags & DIFFERS
    assert pair.trust == Trust.LIVE


@pytest.mark.parametrize("own_first", [True, False])
def test_both_halves_in_one_frame_agree_in_any_order(pair: OneMarket, own_first: bool) -> None:
    own, other = pair.level(4_600, UNIT), pair.level(4_600, UNIT, flags=SIBLING)
    pair.send(*((own, other) if own_first else (other, own)))
    assert not pair.flags & DIFFERS
    assert (pair.count(Count.MIRROR_LEVELS), pair.count(Count.MIRROR_LEVELS_DIFFER)) == (1, 0)


def test_the_last_entry_for_a_level_counts(pair: OneMarket) -> None:
    entries = [pair.level(4_600, size * UNIT, flags=SIBLING) for size in (1, 2)]
    pair.send(pair.level(4_600, 2 * UNIT), *entries)
    assert not pair.flags & DIFFERS
    pair.send(pair.level(4_600, UNIT), pair.level(4_600, UNIT, flags=SIBLING), *entries)
    assert pair.flags & DIFFERS


def test_halves_in_two_frames_differ_for_one_frame(pair: OneMarket) -> None:
    for size in (3, 0, 5):
        pair.send(pair.level(4_600, size * UNIT, flags=SIBLING))
        assert pair.flags & DIFFERS
        pair.send(pair.level(4_600, size * UNIT))
        assert not pair.flags & DIFFERS
    assert pair.trust == Trust.LIVE


def test_a_pair_that_still_differs_after_the_next_frame_is_broken(pair: OneMarket) -> None:
    pair.send(pair.level(4_600, UNIT, flags=SIBLING))
    top = pair.send(pair.level(100, UNIT))
    assert top["flags"] & DIFFERS
    assert (top["trust"], top["doubt"]) == (Trust.SUSPECT, Reason.MIRROR_BROKEN)


def test_frames_without_levels_are_no_second_frame(pair: OneMarket) -> None:
    pair.send(pair.level(4_600, UNIT, flags=SIBLING))
    pair.send(update(UpdateKind.TRADE, price_e4=4_700, size_e6=UNIT))
    pair.send(update(UpdateKind.TICKER, price_e4=4_700, aux=4_900))
    assert pair.trust == Trust.LIVE
    pair.send(pair.level(4_600, UNIT))
    pair.send(pair.level(4_500, UNIT, flags=SIBLING))
    assert pair.trust == Trust.LIVE


def test_a_broken_mirror_waits_for_a_snapshot_of_its_own(pair: OneMarket) -> None:
    for _ in range(2):
        pair.send(pair.level(4_600, UNIT, flags=SIBLING))
    assert pair.reason == Reason.MIRROR_BROKEN
    pair.send(snapshot(BIDS, ASKS, flags=SIBLING))
    assert pair.trust == Trust.SUSPECT
    pair.send(snapshot(BIDS, ASKS))
    assert pair.trust == Trust.LIVE
    assert not pair.flags & DIFFERS
    pair.send(pair.level(4_500, UNIT, flags=SIBLING))
    assert pair.trust == Trust.LIVE  # counted anew


def test_a_sibling_snapshot_is_compared_both_ways(pair: OneMarket) -> None:
    pair.send(snapshot(BIDS, ASKS, flags=SIBLING))
    assert not pair.flags & DIFFERS
    assert pair.count(Count.MIRROR_LEVELS) == 4
    fewer = {4_700: BIDS[4_700]}
    pair.send(snapshot(fewer, ASKS, flags=SIBLING))
    assert pair.flags & DIFFERS
    assert pair.count(Count.MIRROR_LEVELS_DIFFER) == 1
    pair.send(pair.level(4_600, 0))
    assert not pair.flags & DIFFERS
    pair.send(snapshot({**fewer, 4_500: UNIT}, ASKS, flags=SIBLING))
    assert pair.flags & DIFFERS
    pair.send(snapshot(fewer, ASKS, flags=SIBLING))
    assert not pair.flags & DIFFERS
    assert pair.trust == Trust.LIVE
    assert pair.count(Count.SIBLING_SNAPSHOTS_APPLIED) == 0


def test_the_smallest_size_of_a_sibling_snapshot_is_a_size(pair: OneMarket) -> None:
    pair.send(snapshot({**BIDS, 4_700: 1}, ASKS, flags=SIBLING))
    assert pair.flags & DIFFERS


def test_a_sibling_snapshot_opens_a_book_and_heals_one() -> None:
    market = OneMarket(mirror=True)
    top = market.send(snapshot(BIDS, ASKS, flags=SIBLING))
    assert top["flags"] & TopFlag.SNAPSHOT
    assert market.trust == Trust.LIVE
    assert market.levels(Side.BID) == BIDS
    epoch = market.epoch
    market.send(market.doubt(Reason.DISCONNECTED), recv_ns=2_000)
    market.send(snapshot({}, ASKS, flags=SIBLING), recv_ns=1_999)
    assert market.trust == Trust.SUSPECT
    market.send(snapshot(BIDS, {}, flags=SIBLING), recv_ns=2_000)
    assert market.trust == Trust.LIVE
    assert market.levels(Side.ASK) == {}
    assert market.epoch == epoch + 2
    assert market.count(Count.SIBLING_SNAPSHOTS_APPLIED) == 3


def test_a_market_whose_own_token_is_silent_does_not_stay_live() -> None:
    market = OneMarket(mirror=True)
    market.send(snapshot(BIDS, ASKS, flags=SIBLING))
    for size in (1, 2):
        market.send(market.level(4_700, size * UNIT, flags=SIBLING))
    assert market.reason == Reason.MIRROR_BROKEN
    market.send(snapshot(BIDS, ASKS, flags=SIBLING))
    assert market.trust == Trust.SUSPECT


def test_the_siblings_top_is_compared_and_a_miss_is_the_mirrors(pair: OneMarket) -> None:
    top = pair.send(pair.top(4_700, 4_900, flags=SIBLING))
    assert not pair.flags & DIFFERS
    assert not top["flags"] & TopFlag.DECLARED
    assert top["declared_bid_e4"] == NO_PRICE
    pair.send(pair.top(4_700, 4_800, flags=SIBLING))
    assert pair.flags & DIFFERS
    pair.send(pair.top(4_600, 4_900, flags=SIBLING))
    assert (pair.trust, pair.reason) == (Trust.SUSPECT, Reason.MIRROR_BROKEN)
    assert (pair.count(Count.SIBLING_DECLARED), pair.count(Count.SIBLING_DECLARED_DIFFERS)) == (3, 2)


MS = 1_000_000


def test_the_siblings_tops_of_one_venue_millisecond_count_as_one(pair: OneMarket) -> None:
    said = pair.top(4_800, 4_900, flags=SIBLING)
    said["venue_ns"] = 7 * MS
    for _ in range(UNORDERED_MAX - 2):
        pair.send(said)
    assert (pair.trust, pair.flags & DIFFERS) == (Trust.LIVE, DIFFERS)
    said["venue_ns"] = 8 * MS
    pair.send(said)
    assert (pair.trust, pair.reason) == (Trust.SUSPECT, Reason.MIRROR_BROKEN)


def test_the_siblings_tops_may_not_differ_for_ever(pair: OneMarket) -> None:
    said = pair.top(4_800, 4_900, flags=SIBLING)
    said["venue_ns"] = 7 * MS
    for _ in range(UNORDERED_MAX):
        assert pair.trust == Trust.LIVE
        pair.send(said)
    assert pair.trust == Trust.SUSPECT
    for _ in range(300):  # more than a byte can count
        pair.send(said)
    pair.open_live()
    assert pair.trust == Trust.LIVE


def test_levels_that_differ_do_not_wait_for_the_millisecond(pair: OneMarket) -> None:
    for price_e4 in (4_600, 4_500):
        said = pair.level(price_e4, UNIT, flags=SIBLING)
        said["venue_ns"] = 7 * MS
        pair.send(said)
    assert (pair.trust, pair.reason) == (Trust.SUSPECT, Reason.MIRROR_BROKEN)


def test_an_unknown_size_agrees_with_any_size_but_not_with_none(pair: OneMarket) -> None:
    flag = SIBLING | UpdateFlag.SIZE_UNKNOWN
    pair.send(pair.level(4_700, 0, flags=flag))
    assert not pair.flags & DIFFERS
    pair.send(pair.level(4_500, 0, flags=flag))
    assert pair.flags & DIFFERS
    pair.send(pair.level(4_500, 0, flags=UpdateFlag.SIZE_UNKNOWN), pair.level(4_500, 7, flags=SIBLING))
    assert not pair.flags & DIFFERS
    pair.send(pair.level(4_500, 0, flags=SIBLING))
    assert pair.flags & DIFFERS


@pytest.mark.parametrize("as_snapshot", [True, False])
def test_a_sibling_off_the_grid_is_a_doubt(pair: OneMarket, as_snapshot: bool) -> None:
    off = snapshot({**BIDS, 4_650: UNIT}, ASKS, flags=SIBLING)
    pair.send(off if as_snapshot else pair.level(4_650, UNIT, flags=SIBLING))
    assert (pair.trust, pair.reason) == (Trust.SUSPECT, Reason.OFF_GRID)
    assert pair.count(Count.MIRROR_UNVERIFIED if as_snapshot else Count.OFF_GRID) == 1


def test_a_sibling_snapshot_without_room_to_lay_it_aside_is_a_doubt() -> None:
    market = OneMarket(mirror=True, pages=1)
    market.send(snapshot(dict.fromkeys(range(100, 700, 100), UNIT), {}))
    assert market.trust == Trust.LIVE
    spread = dict.fromkeys(range(0, 10000, 100), UNIT)
    market.send(snapshot(spread, spread, flags=SIBLING))
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.LEVEL_BOUND)
    market.send(snapshot(BIDS, ASKS))  # what was laid aside was given back
    assert market.trust == Trust.LIVE


def test_what_a_sibling_cannot_say_is_refused() -> None:
    alone, pair = OneMarket(), OneMarket(mirror=True)
    records = alone.level(4_600, UNIT, flags=SIBLING)
    assert alone.store.apply(records, 1, 0) == 0
    records = update(UpdateKind.LEVEL_ADD, price_e4=4_600, size_e6=UNIT, flags=SIBLING)
    assert pair.store.apply(records, 1, 0) == 0
    assert alone.count(Count.SIBLING_REFUSED) == pair.count(Count.SIBLING_REFUSED) == 1


def test_a_tick_size_change_of_the_sibling_counts_once(pair: OneMarket) -> None:
    pair.send(update(UpdateKind.GRID_CHANGE, price_e4=10, aux=100, flags=SIBLING))
    assert pair.reason == Reason.GRID_CHANGED
    pair.send(snapshot(BIDS, ASKS))
    epoch = pair.epoch
    pair.send(update(UpdateKind.GRID_CHANGE, price_e4=10, aux=100, flags=SIBLING))
    assert (pair.trust, pair.epoch) == (Trust.LIVE, epoch)
    pair.send(update(UpdateKind.GRID_CHANGE, price_e4=10, aux=100))
    assert (pair.trust, pair.epoch) == (Trust.SUSPECT, epoch + 1)


def test_differences_beyond_the_bound_are_counted_and_still_differ() -> None:
    market = OneMarket(mirror=True, pages=600)
    market.store.set_grid(0, ((0, 10_000, 1),), 0)
    levels = dict.fromkeys(range(1, MIRROR_DIFFS_MAX + 3), UNIT)
    market.send(snapshot(levels, {}))
    market.send(snapshot({}, {}, flags=SIBLING))
    assert market.count(Count.MIRROR_DIFFS_LOST) == 2
    assert market.flags & DIFFERS
    market.send(snapshot({}, {}))
    assert market.flags & DIFFERS  # two were never compared again
    assert market.reason == Reason.MIRROR_BROKEN
    market.send(snapshot(levels, {}))
    assert market.trust == Trust.LIVE
    assert not market.flags & DIFFERS


def test_markets_share_the_list_of_differences() -> None:
    market = OneMarket(mirror=True, markets=3)
    for slot in range(3):
        records = snapshot(BIDS, ASKS, slot)
        market.store.apply(records, len(records), 0)
    for slot in (0, 1, 2):
        other = update(UpdateKind.LEVEL_SET, slot, 4_600, UNIT, flags=SIBLING)
        market.store.apply(other, 1, 0)
    market.store.close_market(1)
    for slot, trust in ((0, Trust.LIVE), (2, Trust.LIVE)):
        own = update(UpdateKind.LEVEL_SET, slot, 4_600, UNIT)
        market.store.apply(own, 1, 0)
        assert not market.store.tops[0]["flags"] & DIFFERS
        assert market.store.tops[0]["trust"] == trust
