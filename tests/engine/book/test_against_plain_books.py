"""The store against books of plain dictionaries, at every frame, over random streams."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book.state import Count
from engine.book.store import BookStore
from engine.records import Side, TopFlag, Venue
from tests.engine.book.plain_books import PlainBooks
from tests.engine.book.streams import GRIDS, Stream, prices_of
from tests.plain_twin import kernels_are_plain

BOOT_EPOCH = 7
BURST_NS = 250_000_000
FRAMES = 200 if kernels_are_plain() else 800


class Pair:
    """A store and its oracle over the same markets, one for each grid, every second one mirrored."""

    def __init__(self) -> None:
        self.store = BookStore(len(GRIDS) + 1, BOOT_EPOCH, 400, BURST_NS)
        self.plain = PlainBooks(BOOT_EPOCH, BURST_NS)
        for slot, ranges in enumerate(GRIDS.values()):
            mirror = slot % 2 == 0
            self.store.open_market(slot, 1, Venue.POLYMARKET, ranges, mirror)
            self.plain.open(slot, 1, Venue.POLYMARKET, prices_of(ranges), mirror=mirror)

    def apply(self, updates: np.ndarray, now_ns: int) -> None:
        n = self.store.apply(updates, len(updates), now_ns)
        expected = self.plain.apply(updates, now_ns)
        assert n == len(expected)
        for top, want in zip(self.store.tops[:n], expected, strict=True):
            self.compare(top, want)

    def compare(self, top: np.void, want: dict[str, int]) -> None:
        assert {name: int(top[name]) for name in want} == want
        slot = want["slot"]
        market, row = self.plain.markets[slot], self.store.rows[slot]
        for side in Side:
            prices, sizes = self.store.levels(slot, side)
            assert list(zip(prices.tolist(), sizes.tolist(), strict=True)) == market.ranked(side)
        shown = {name: row[name].tolist() for name in market.row()}
        assert shown == market.row()
        shared = ("epoch", "update_count", "recv_ns", "venue_ns", "generation", "trust", "venue", "flags")
        assert [row[name] for name in shared] == [top[name] for name in shared]
        assert (row["slot"], row["market_state"]) == (slot, market.state)

    def on_time(self, now_ns: int) -> None:
        since = [m.crossed_since for m in self.plain.markets.values() if m.crossed_since is not None]
        assert self.store.next_due_ns() == min((at + BURST_NS for at in since), default=2**63 - 1)
        n = self.store.on_time(now_ns)
        expected = self.plain.on_time(now_ns)
        assert n == len(expected)
        for top in self.store.tops[:n].copy():
            self.compare(top, expected[int(top["slot"])])


def drive(chance: Random, frames: int) -> Pair:
    pair = Pair()
    stream = Stream(pair.plain, chance)
    for _ in range(frames):
        pair.apply(stream.frame(), stream.now_ns)
        if chance.random() < 0.1:
            stream.now_ns += chance.choice((0, BURST_NS))
            pair.on_time(stream.now_ns)
    return pair


@pytest.mark.parametrize("seed", range(4))
def test_long_streams(seed: int) -> None:
    drive(Random(seed), FRAMES)


@settings(max_examples=15 if kernels_are_plain() else 60)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_stream(chance: Random, frames: int) -> None:
    drive(chance, frames)


def test_several_frames_in_one_call_are_the_same_frames() -> None:
    one, many = Pair(), Pair()
    stream = Stream(one.plain, Random(5))
    frames = []
    for _ in range(60):
        frames.append(stream.frame())
        one.apply(frames[-1], 1_000)
    updates = np.concatenate(frames)
    n = many.store.apply(updates, len(updates), 1_000)
    expected = [top for part in frames for top in many.plain.apply(part, 1_000)]
    assert [{name: int(top[name]) for name in expected[0]} for top in many.store.tops[:n]] == expected
    assert many.store.rows.tobytes() == one.store.rows.tobytes()
    assert many.store.counts() == one.store.counts()


@pytest.mark.long_plain
def test_streams_reach_every_flag_and_count() -> None:
    seen = TopFlag(0)
    never = {what.name for what in Count}
    for seed in range(3):
        pair = Pair()
        stream = Stream(pair.plain, Random(seed))
        for _ in range(500):
            updates = stream.frame()
            n = pair.store.apply(updates, len(updates), stream.now_ns)
            pair.plain.apply(updates, stream.now_ns)
            for top in pair.store.tops[:n]:
                seen |= TopFlag(int(top["flags"]))
        never -= {what.name for what in Count if pair.store.count(what)}
    assert seen == ~TopFlag(0)
    assert never == {"UNTERMINATED", "UNKNOWN_KIND", "MIRROR_DIFFS_LOST"}
