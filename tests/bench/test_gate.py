"""The gate against regressions: ratios of the same seconds, and what the hot kernels may not contain.

No absolute times. Each ratio is the median of interleaved pairs, its floor a good way below what an idle
machine shows, so that noise does not fail it and a lost factor does. What is compiled is read: a call out of
compiled code, an allocation or a locked instruction is there or it is not.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
import pytest
from numba.core import event
from numba.core.runtime import _nrt_python, rtsys

from bench import _frames, instructions
from bench._book_peers import DictBook
from bench._opportunities import Opportunities
from bench._parsers import extracting
from bench._result import Result
from bench._steps import can_count
from bench.book import CHUNK, random_updates, write_levels
from engine.book import apply, ladder, vwap
from engine.book.store import BookStore
from engine.execution import lay_out, own_takes
from engine.optimizer.levels import Rows
from engine.records import BOOK_ROW, BOOK_UPDATE, ORDER_EVENT, SMALL_BYTES, WIDE_BYTES, Venue
from engine.risk import checks
from engine.strategies import scanner
from engine.strategies.warm import warm as warm_scanner
from engine.units import CASH_MAX_MICROS
from engine.venues.kalshi import _fast as kalshi
from engine.venues.polymarket import _fast as polymarket
from procs import frame_kernels, plan_kernel, plan_post, plan_turn, top_kernel, top_scan
from procs.book import BookAgent
from procs.book_notes import NOTE_CELLS
from procs.feed import FeedAgent
from procs.fused_feed import FusedFeed
from procs.ladder import EngineTime
from shm import cells, histogram, ring, table
from shm.clock import CLOCK_CALL
from tests.kernel_assembly import assembly, functions

pytestmark = pytest.mark.compiled_only

PAIRS = 15
CLOCK = frozenset({CLOCK_CALL})
REFERENCE_COUNTS = frozenset({"NRT_incref", "NRT_decref", "NRT_MemInfo_call_dtor"})


def times_faster(ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Median of how many times faster ours was in a pair."""
    ours(), theirs()
    found = []
    for _ in range(PAIRS):
        took = []
        for act in (ours, theirs):
            began_ns = time.perf_counter_ns()
            act()
            took.append(time.perf_counter_ns() - began_ns)
        found.append(took[1] / took[0])
    return statistics.median(found)


def test_a_level_written_is_faster_than_in_a_dictionary() -> None:
    store = BookStore(1, 1, 512)
    store.open_market(0, 0, Venue.POLYMARKET, ((0, 10_000, 10),), mirror=False)
    updates = random_updates(1_001, near=True)[:CHUNK]
    sides, sizes = updates["side"].astype(np.int64), updates["size_e6"].astype(np.int64)
    places = updates["price_e4"].astype(np.int64) // 10
    rows = list(zip(*(updates[name].tolist() for name in ("side", "price_e4", "size_e6")), strict=True))
    book = DictBook()

    def theirs() -> None:
        for side, price, size in rows:
            book.write(side, price, size)

    ladders = store.state.ladders
    assert times_faster(lambda: write_levels(ladders, sides, places, sizes, 0, CHUNK), theirs) > 3.0


@pytest.mark.parametrize(
    ("frames", "floor"), [(_frames.books(60, 40), 2.5), (_frames.price_changes(60, 8), 1.3)]
)
def test_a_frame_is_parsed_faster_than_by_orjson_and_extraction(frames: list[bytes], floor: float) -> None:
    feed, parse = _frames.codec_of(Venue.POLYMARKET).feed, extracting(orjson.loads)
    assert times_faster(lambda: [feed(raw, 1, 0) for raw in frames], lambda: list(map(parse, frames))) > floor


def test_a_message_through_a_ring_is_faster_than_through_a_queue() -> None:
    """In one thread, so that no scheduler has a say: a publish and a poll, a put and a get."""
    import queue

    sent = ring.OverwritingRing.create(64, 48)
    reader, record = sent.reader(), np.zeros(16, np.dtype([("words", "<i8", (6,))]))
    messages: queue.Queue[bytes] = queue.Queue()
    content = bytes(48)

    def ours() -> None:
        for _ in range(10):
            sent.publish_each(record)
            reader.poll()

    def theirs() -> None:
        for _ in range(160):
            messages.put(content)
            messages.get()

    assert times_faster(ours, theirs) > 3.0


class Floor:
    """Feed and books of a venue in private memory, as one or as two stages."""

    def __init__(self, venue: Venue, *, is_fused: bool) -> None:
        codec, self.store = _frames.codec_of(venue), _store(venue)
        updates = ring.OverwritingRing.create(1 << 12, SMALL_BYTES)
        notes = ring.OverwritingRing.create(NOTE_CELLS, SMALL_BYTES)
        tops = ring.OverwritingRing.create(1 << 12, WIDE_BYTES)
        rows = table.Table.create(_frames.MARKETS, BOOK_ROW)
        self.feed = FeedAgent(venue, codec, updates)
        self.book = BookAgent(venue, self.store, None if is_fused else updates, notes, tops, rows)
        self.fused = FusedFeed(
            self.feed, codec, self.book, self.store, updates, tops, rows, EngineTime(lambda: 1)
        )
        if not is_fused:
            self.feed.forward = None


@pytest.mark.parametrize("venue", list(Venue))
def test_a_frame_in_one_call_is_faster_than_through_two_stages(venue: Venue) -> None:
    frames, one, two = MADE[venue](60), Floor(venue, is_fused=True), Floor(venue, is_fused=False)

    def ours() -> None:
        for raw in frames:
            one.fused.on_frame(raw, 1, 0)

    def theirs() -> None:
        for raw in frames:
            two.feed.on_frame(raw, 1, 0)
            two.book.do_work(1)

    assert times_faster(ours, theirs) > 4.0
    assert one.book.applied == two.book.applied > PAIRS * len(frames)
    assert one.store.rows.tobytes() == two.store.rows.tobytes(), "and it was the same work"


def test_a_signal_alone_is_planned_faster_than_where_it_is_dealt_out() -> None:
    scene = Opportunities(1, 1, shared=True)
    allocator = scene.allocator(dict.fromkeys(Venue, CASH_MAX_MICROS))
    done = np.zeros(1, ORDER_EVENT)[0]
    done["plan_done"] = 1

    def planned_by(way: Callable[[Rows, Rows, int, int], tuple[int, int]]) -> None:
        for _ in range(20):
            assert way(scene.heads, scene.legs, 1, 0) == (1, 0)
            done["plan_id"] = allocator.plan_heads[0]["plan_id"]
            assert allocator.on_order_event(done)

    ours, theirs = partial(planned_by, allocator.allocate), partial(planned_by, allocator.allocate_together)
    assert times_faster(ours, theirs) > 3.0


@pytest.mark.skipif(not can_count(), reason="the registers of another machine are not known")
def test_a_frame_takes_fewer_instructions_than_by_orjson_and_dictionaries() -> None:
    """Counted, so that no neighbour has a say: 2.4 and 1.6 times when this was written, on one processor."""
    result = Result("instructions", {})
    instructions._framed(result)
    times = {what: times for what, _, _, times in result.ratios()}
    assert times[instructions.TO_BOOK] > 1.7
    assert times[instructions.TO_SIGNAL] > 1.15


@pytest.mark.skipif(not can_count(), reason="the registers of another machine are not known")
def test_a_record_and_a_row_take_as_few_instructions_as_ever() -> None:
    """262 and 92 when this was written, 410 and 116 before: another processor may have a few more."""
    result = Result("instructions", {})
    instructions._transport(result)
    taken = {row.what: row.runs[0]["instructions"] for row in result.rows}
    assert taken[instructions.RECORD] < 330
    assert taken[instructions.READ] < 110


def loaded(kernel: Any) -> list[str]:
    """Assembly of a kernel that was called before."""
    found = assembly(kernel)
    assert found, f"{kernel} has not been called"
    return found


@pytest.mark.parametrize(
    "kernel",
    [cells.publish, cells.poll, table.read_row, table.write_row, histogram.record, ladder.set_level],
    ids=lambda kernel: kernel.__name__,
)
def test_transport_and_ladders_neither_call_nor_lock_nor_count_references(kernel: Any) -> None:
    for warm in (ring.warm, table.warm, histogram.warm):
        warm()
    store = BookStore(1, 1, 8)
    ladder.set_level(store.state.ladders, 0, 1, 1)
    for text in loaded(kernel):
        for function in functions(text):
            assert not function.outside, function
            assert not function.locked, function
            assert "NRT_" not in function.name, function


@pytest.mark.parametrize(
    "kernel",
    [
        polymarket.read_one,
        kalshi.read_one,
        apply.apply_flat,
        vwap.standard_vwaps,
        scanner.scan,
        lay_out.lay_out,
        lay_out.lay_down,
        checks.admit_together,
        own_takes.subtract_takes,
    ],
    ids=lambda kernel: f"{kernel.__module__}.{kernel.__name__}",
)
def test_hot_kernels_neither_allocate_nor_call_python(kernel: Any) -> None:
    """References may be counted (a view of an array, a row of one, are objects to numba); nothing else."""
    for warm in (warm_scanner, lay_out.warm, checks.warm, own_takes.warm):
        warm()
    for venue, made in MADE.items():
        _frames.codec_of(venue).feed(made(1)[0], 1, 0)
    store = BookStore(1, 1, 8)
    store.open_market(0, 0, Venue.POLYMARKET, ((0, 10_000, 100),), mirror=False)
    store.apply(np.zeros(1, BOOK_UPDATE), 1, 0)
    vwap.standard_vwaps(store.state.ladders, 0, store.state.table, 0)
    for text in loaded(kernel):
        for function in functions(text):
            assert function.outside <= REFERENCE_COUNTS, function
            assert not function.locked or function.name in REFERENCE_COUNTS, function


@pytest.mark.parametrize(
    "kernel",
    [
        *frame_kernels.FRAME_KERNELS.values(),
        top_kernel.take_turn,
        plan_turn.take_turn,
        plan_kernel.send_plans,
    ],
    ids=lambda kernel: f"{kernel.__module__}.{kernel.__name__}",
)
def test_the_calls_of_the_hot_path_call_nothing(kernel: Any) -> None:
    """Not even references are counted: they work on addresses. The rings' own publishing may lock.

    But for the clock, which those of frames ask: they have no other way to know what time it is.
    """
    frame_kernels.warm()
    top_scan.warm()
    plan_post.warm()
    allowed = CLOCK if kernel in frame_kernels.FRAME_KERNELS.values() else frozenset()
    for text in loaded(kernel):
        for function in functions(text):
            assert function.outside <= allowed, function
            assert "NRT_" not in function.name, function


def test_a_lock_a_call_and_an_allocation_are_noticed() -> None:
    import numba

    def makes_an_array(count: int) -> float:
        return float(np.zeros(count)[0])

    allocates = numba.njit(makes_an_array)

    from shm.atomics import add_word, address_of

    word = np.zeros(1, np.int64)
    add_word(address_of(word), 1)
    allocates(3)
    assert any(function.locked for text in assembly(add_word) for function in functions(text))
    assert any("NRT" in one for text in assembly(allocates) for f in functions(text) for one in f.outside)


def test_in_steady_state_nothing_is_compiled_and_nothing_allocated() -> None:
    """Frames of both venues through codec, books and ring, after they have been through once."""
    frames = {venue: made(300) for venue, made in MADE.items()}
    stages = {venue: (_frames.codec_of(venue), _store(venue)) for venue in frames}
    out = ring.OverwritingRing.create(1 << 12, BOOK_UPDATE.itemsize)

    def play(first: int, last: int) -> None:
        for venue, (codec, store) in stages.items():
            for number in range(first, last):
                records = codec.feed(frames[venue][number], number, 0)
                if records:
                    out.publish(codec.out[:records])
                    store.apply(codec.out, records, number)

    play(0, 100)
    _nrt_python.memsys_enable_stats()
    compiled = event.RecordingListener()
    with event.install_listener("numba:compile", compiled):
        before, blocks = rtsys.get_allocation_stats(), sys.getallocatedblocks()
        play(100, 300)
        after, held = rtsys.get_allocation_stats(), sys.getallocatedblocks() - blocks
    assert compiled.buffer == [], "compiled after the start"
    assert after.alloc - after.free == before.alloc - before.free, "compiled code keeps memory"
    assert after.mi_alloc - after.mi_free == before.mi_alloc - before.mi_free, "or arrays"
    assert (after.alloc, after.mi_alloc) == (before.alloc, before.mi_alloc), "nor does it take any meanwhile"
    assert held < 100, f"{held} blocks more after 400 frames"


MADE: dict[Venue, Callable[[int], list[bytes]]] = {
    Venue.POLYMARKET: lambda count: _frames.price_changes(count, 2),
    Venue.KALSHI: lambda count: _frames.kalshi_deltas(count),
}


def _store(venue: Venue) -> BookStore:
    store = BookStore(_frames.MARKETS, 1, 512)
    for market in range(_frames.MARKETS):
        store.open_market(market, 1, venue, ((0, 10_000, 100),), mirror=venue is Venue.POLYMARKET)
    return store
