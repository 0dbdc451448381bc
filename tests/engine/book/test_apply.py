"""Single updates: what is written, what is refused and counted, and that no change passes unnoticed."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.book.state import Count
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, Side, Trust, UpdateFlag, UpdateKind
from tests.engine.book.one_market import ASKS, BIDS, OneMarket
from tests.engine.book.streams import UNIT, frame, snapshot, update


def test_absolute_and_signed_sizes() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.level(4_700, 5), market.add(4_600, -20 * UNIT), market.add(4_500, 7))
    assert market.levels(Side.BID) == {4_700: 5, 4_500: 7}
    assert list(market.levels(Side.BID)) == [4_700, 4_500]
    assert market.levels(Side.ASK) == ASKS


@pytest.mark.parametrize("price", [4_750, -100, 10_100])
def test_a_price_off_the_grid_is_a_doubt(price: int) -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.level(price, UNIT))
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.OFF_GRID)
    assert market.count(Count.OFF_GRID) == 1
    market.send(snapshot({price: UNIT, **BIDS}, ASKS))
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.OFF_GRID)
    assert market.levels(Side.BID) == BIDS


def test_a_negative_result_on_a_live_book_is_a_doubt() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.add(4_700, -10 * UNIT - 1))
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.NEGATIVE_LEVEL)
    assert market.levels(Side.BID) == {4_600: 20 * UNIT}
    assert (market.count(Count.NEGATIVE_LEVEL), market.count(Count.CLAMPED)) == (1, 0)


def test_a_negative_result_without_a_snapshot_means_nothing() -> None:
    market = OneMarket()
    market.send(market.add(4_700, -5), market.add(4_600, 5), market.add(4_600, -6))
    assert (market.trust, market.reason) == (Trust.UNSYNCED, Reason.NO_SNAPSHOT)
    assert market.levels(Side.BID) == {}
    assert market.count(Count.CLAMPED) == 2


def test_a_negative_result_does_not_spoil_a_running_resync() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.doubt(Reason.SEQUENCE_GAP))
    market.store.resync_requested(0, 2_000)
    market.send(market.add(4_700, -(10**12)))
    assert market.trust == Trust.RESYNC


@pytest.mark.parametrize(("size", "reason"), [(-1, Reason.NEGATIVE_LEVEL), (10**14 + 1, Reason.LEVEL_BOUND)])
@pytest.mark.parametrize("in_snapshot", [True, False])
def test_sizes_beyond_bounds_are_doubts(size: int, reason: Reason, in_snapshot: bool) -> None:
    market = OneMarket()
    market.open_live()
    market.send(snapshot({4_700: size}, ASKS) if in_snapshot else market.level(4_700, size))
    assert (market.trust, market.reason) == (Trust.SUSPECT, reason)
    assert market.levels(Side.BID) == ({} if in_snapshot else BIDS)


def test_a_pool_without_room_is_a_doubt() -> None:
    market = OneMarket(pages=1)
    market.open_live()
    spread = [market.level(price, UNIT) for price in range(100, 3_000, 100)]
    other = [market.level(price, UNIT, side=1) for price in range(7_000, 9_900, 100)]
    market.send(*spread, *other)
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.LEVEL_BOUND)
    assert market.count(Count.LEVEL_BOUND) > 0
    market.send(snapshot(BIDS, ASKS))
    assert market.trust == Trust.LIVE


def test_updates_for_nobody_are_counted_and_not_applied() -> None:
    market = OneMarket()
    sent = [
        update(UpdateKind.LEVEL_SET, 1, 4_700, UNIT),
        update(UpdateKind.LEVEL_SET, -1, 4_700, UNIT),
        update(UpdateKind.LEVEL_SET, 0, 4_700, UNIT, generation=2),
        update(UpdateKind.CONNECTED),
    ]
    records = frame(*sent, sent[0])
    records[-1]["kind"] = 99
    assert market.store.apply(records, len(records), 0) == 0
    assert market.levels(Side.BID) == {}
    counted = (
        Count.UNKNOWN_SLOT,
        Count.STALE_GENERATION,
        Count.UNKNOWN_KIND,
        Count.UPDATES,
        Count.LEVEL_WRITES,
    )
    assert [market.count(what) for what in counted] == [2, 1, 1, 5, 0]


def test_kind_zero_is_unknown() -> None:
    market = OneMarket()
    assert market.store.apply(np.zeros(1, dtype=BOOK_UPDATE), 1, 0) == 0
    assert market.count(Count.UNKNOWN_KIND) == 1


def test_a_call_without_an_end_of_frame_is_ended_and_counted() -> None:
    market = OneMarket()
    records = np.concatenate([market.level(4_700, UNIT), market.level(4_600, UNIT)])
    assert market.store.apply(records, 2, 0) == 1
    assert (market.count(Count.FRAMES), market.count(Count.UNTERMINATED)) == (1, 1)
    market.send(market.level(4_500, UNIT))
    assert (market.count(Count.FRAMES), market.count(Count.UNTERMINATED)) == (2, 1)


def test_only_the_first_n_updates_are_applied() -> None:
    market = OneMarket()
    records = frame(market.level(4_700, UNIT), market.level(4_600, UNIT))
    assert market.store.apply(records, 0, 0) == 0
    assert market.store.apply(records, 1, 0) == 1
    assert market.levels(Side.BID) == {4_700: UNIT}


def test_hashes_and_trades_are_announced_and_write_nothing() -> None:
    market = OneMarket()
    market.open_live()
    before = market.levels(Side.BID)
    market.send(update(UpdateKind.BOOK_HASH, aux=1), update(UpdateKind.BOOK_HASH, aux=0))
    market.send(update(UpdateKind.TRADE, price_e4=4_900, size_e6=UNIT, side=1))
    assert (market.count(Count.HASH_AGREES), market.count(Count.HASH_DIFFERS)) == (1, 1)
    assert market.levels(Side.BID) == before
    assert market.trust == Trust.LIVE


def test_a_disconnect_is_a_doubt_of_its_own_kind() -> None:
    market = OneMarket()
    market.open_live()
    market.send(market.doubt(Reason.DISCONNECTED))
    assert (market.trust, market.reason) == (Trust.SUSPECT, Reason.DISCONNECTED)


def test_an_unknown_size_is_written_whatever_the_kind() -> None:
    market = OneMarket()
    unknown = market.add(4_800, -5)
    unknown["flags"] = UpdateFlag.SIZE_UNKNOWN
    market.send(unknown)
    assert market.levels(Side.BID) == {4_800: 0}


# No change to a stream of signed deltas passes unnoticed: after some frame the books differ, or are doubted.


def deltas(seed: int, count: int) -> list[np.ndarray]:
    """Frames of one signed delta each that keep every level at or above 0."""
    chance = Random(seed)
    held: dict[tuple[int, int], int] = {}
    frames = []
    for _ in range(count):
        side = chance.randrange(2)
        price = 100 * (chance.randrange(30, 48) if side == 0 else chance.randrange(52, 70))
        old = held.get((side, price), 0)
        change = -old if old and chance.random() < 0.4 else chance.randrange(1, 50) * UNIT
        held[side, price] = old + change
        frames.append(update(UpdateKind.LEVEL_ADD, price_e4=price, size_e6=change, side=side))
    return frames


def states(frames: list[np.ndarray]) -> list[tuple[dict[int, int], dict[int, int], int]]:
    market = OneMarket()
    market.send(snapshot({}, {}))
    seen = []
    for part in frames:
        market.send(part)
        seen.append((market.levels(Side.BID), market.levels(Side.ASK), market.trust))
    return seen


@pytest.mark.parametrize("how", ["delete", "double", "swap", "alter"])
@pytest.mark.parametrize("seed", range(6))
def test_a_changed_delta_is_noticed(how: str, seed: int) -> None:
    chance = Random(seed)
    frames = deltas(seed, 60)
    at = chance.randrange(len(frames) - 1)
    changed = [part.copy() for part in frames]
    if how == "delete":
        del changed[at]
    elif how == "double":
        changed.insert(at, frames[at])
    elif how == "alter":
        changed[at]["size_e6"] += UNIT
    else:
        changed[at], changed[at + 1] = changed[at + 1], changed[at]
        assert not np.array_equal(changed[at], frames[at])
    right, wrong = states(frames), states(changed)
    final_differs = right[-1] != wrong[-1]
    assert final_differs or (how == "swap" and right[at] != wrong[at])
    if how != "swap":
        assert right[-1][:2] != wrong[-1][:2] or wrong[-1][2] == Trust.SUSPECT
