"""What the codecs of both venues share."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import UpdateKind
from engine.venues.codec import UNKNOWN_ROUNDS_MAX, MarketDataCodec, checked_conn
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import CONNS_MAX, FRAME_BYTES_MAX, OUT_RECORDS
from tests.engine.venues import frames
from tests.plain_twin import PlainTwin

MAKERS: list[Callable[[], MarketDataCodec]] = [
    lambda: KalshiCodec(frames.kalshi_symbols()),
    lambda: PolymarketCodec(frames.polymarket_symbols()),
]


def shape(codec: MarketDataCodec, rng: Random, seq: int) -> Any:
    """Some frame of the codec's venue."""
    if isinstance(codec, KalshiCodec):
        return rng.choice(frames.KALSHI_SHAPES)(seq)
    return rng.choice(frames.POLYMARKET_SHAPES)()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.long_plain
def test_many_frames_in_one_call_are_as_one_by_one(make: Callable[[], MarketDataCodec]) -> None:
    rng = Random(4)
    one, many = make(), make()
    speller = frames.Speller(rng)
    payloads = [speller.frame(shape(one, rng, seq)) for seq in range(1, 300)]
    source, offsets, lengths = frames.laid_out(payloads)
    recv_ns = np.arange(len(payloads), dtype=np.int64)
    conns = np.array([rng.randrange(3) for _ in payloads], np.int64)
    at, calls = 0, 0
    while at < len(payloads):
        rest = slice(at, None)
        read, count = many.feed_many(
            source, offsets[rest], lengths[rest], recv_ns[rest], conns[rest], len(payloads) - at
        )
        calls += 1
        if read == 0:
            count = many.feed(payloads[at], int(recv_ns[at]), int(conns[at]))
            read = 1
        together = many.out[:count].tolist()
        alone: list[Any] = []
        for index in range(at, at + read):
            alone += one.out[: one.feed(payloads[index], int(recv_ns[index]), int(conns[index]))].tolist()
        assert together == alone
        at += read
    assert many.counts.tolist() == one.counts.tolist()
    assert calls < len(payloads)


@pytest.mark.compiled_only  # minutes of plain Python: thousands of levels
def test_many_frames_stop_when_the_records_are_half_full() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())
    levels = [[f"0.{price:04d}", "1.00"] for price in range(1, 10_000)]
    payloads = [frames.compact(frames.snapshot(seq, yes=levels, no=levels)) for seq in range(1, 5)]
    source, offsets, lengths = frames.laid_out(payloads)
    zeros = np.zeros(4, np.int64)
    read, count = codec.feed_many(source, offsets, lengths, zeros, zeros, 4)
    assert (read, count) == (3, 3 * 20_000)
    assert count > OUT_RECORDS // 2


def test_many_frames_stop_before_one_that_needs_python() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())
    known, ignored = frames.compact(frames.delta(1)), b'{"type":"fill","sid":4}'
    oversize = b" " * (FRAME_BYTES_MAX + 1)
    zeros = np.zeros(3, np.int64)
    for other in (ignored, oversize):
        source, offsets, lengths = frames.laid_out([known, other, known])
        assert codec.feed_many(source, offsets, lengths, zeros, zeros, 3)[0] == 1
    conns = np.array([0, CONNS_MAX, 0], np.int64)
    source, offsets, lengths = frames.laid_out([known] * 3)
    assert codec.feed_many(source, offsets, lengths, zeros, conns, 3)[0] == 1
    codec.fast_enabled = False
    assert codec.feed_many(source, offsets, lengths, zeros, zeros, 3) == (0, 0)


@pytest.mark.parametrize("fast", [True, False])
def test_unknown_symbols_are_asked_about_and_the_frame_is_read_again(fast: bool) -> None:
    symbols = SymbolTable(2)
    codec = PolymarketCodec(symbols)
    codec.fast_enabled = fast
    asked: list[bytes] = []

    def register(symbol: bytes) -> bool:
        asked.append(symbol)
        return symbol == frames.YES_TOKEN.encode() and symbols.add(symbol, 5, 1)

    codec.on_unknown = register
    payload = frames.compact([frames.price_change(), frames.price_change()])
    count = codec.feed(payload, 1, 0)
    assert [slot for (slot,) in frames.fields_of(codec.out[:count], "slot")] == [5, 5, 5]
    assert asked[:2] == [frames.YES_TOKEN.encode(), frames.NO_TOKEN.encode()]
    assert set(asked[2:]) <= {frames.NO_TOKEN.encode()}
    assert codec.counts[Count.UNKNOWN_MARKET] == 2
    assert codec.counts[Count.FRAMES] == 1
    assert codec.counts[Count.FAST] == fast


def test_without_a_hook_unknown_symbols_are_skipped_and_counted() -> None:
    codec = PolymarketCodec(SymbolTable(2))
    assert codec.feed(frames.compact([frames.price_change(), frames.book()]), 1, 0) == 0
    assert codec.counts[Count.UNKNOWN_MARKET] == 3
    assert codec.counts[Count.FAST] == 1


@pytest.mark.parametrize("fast", [True, False])
def test_a_hook_that_registers_nothing_it_says_it_did_comes_to_an_end(fast: bool) -> None:
    codec = KalshiCodec(SymbolTable(2))
    codec.fast_enabled = fast
    asked: list[bytes] = []

    def pretend(symbol: bytes) -> bool:
        asked.append(symbol)
        return True

    codec.on_unknown = pretend
    assert codec.feed(frames.compact(frames.delta(1)), 1, 0) == 0
    assert len(asked) <= 2 * UNKNOWN_ROUNDS_MAX + 1
    assert codec.counts[Count.FRAMES] == 1
    assert codec.counts[Count.UNKNOWN_MARKET] == 1


def test_more_unknown_symbols_than_one_pass_can_hold() -> None:
    symbols = SymbolTable(200)
    codec = PolymarketCodec(symbols)
    codec.on_unknown = lambda symbol: symbols.add(symbol, int(symbol), 0)
    books = [frames.book(str(1_000 + at), (), ()) for at in range(150)]
    assert codec.feed(frames.compact(books), 1, 0) == 300
    assert codec.counts[Count.FAST] == 1


@pytest.mark.compiled_only  # minutes of plain Python: thousands of levels
@pytest.mark.parametrize("make", MAKERS)
def test_frames_beyond_the_bound_are_refused(make: Callable[[], MarketDataCodec]) -> None:
    codec = make()
    frame = frames.snapshot(1) if isinstance(codec, KalshiCodec) else frames.book()
    codec.feed(frames.compact(frame), 1, 0)
    payload = frames.compact(frame) + b" " * FRAME_BYTES_MAX
    count = codec.feed(payload, 9, 0)
    assert frames.fields_of(codec.out[:count], "kind", "aux", "recv_ns") == [
        (UpdateKind.DOUBT, Reason.SEQUENCE_GAP, 9)
    ]
    assert (codec.counts[Count.OVERSIZE], codec.counts[Count.REJECTED]) == (1, 1)
    assert (
        codec.last_error
        == f"{codec.venue.name.lower()} frame 2: {len(payload)} bytes, at most {FRAME_BYTES_MAX}"
    )
    exact = frames.compact(frame).ljust(FRAME_BYTES_MAX)
    assert codec.feed(exact, 9, 0) == (0 if isinstance(codec, KalshiCodec) else 5)  # a duplicate there


@pytest.mark.compiled_only  # minutes of plain Python: thousands of levels
def test_frames_with_too_many_records_are_refused() -> None:
    codec = PolymarketCodec(frames.polymarket_symbols())
    codec.feed(frames.compact(frames.book()), 1, 0)
    level = ("0.5", "1")
    for fits in (40_954, 40_956):
        assert codec.feed(frames.compact(frames.book(bids=[level] * fits, asks=())), 1, 0) == fits + 2
    assert codec.counts[Count.RECORDS_BOUND] == 0
    count = codec.feed(frames.compact(frames.book(bids=[level] * 40_957, asks=())), 1, 0)
    assert frames.fields_of(codec.out[:count], "kind", "slot", "aux") == [
        (UpdateKind.DOUBT, 3, Reason.LEVEL_BOUND)
    ]
    assert codec.counts[Count.RECORDS_BOUND] == 1
    assert codec.last_error.endswith("room for 40960 records and books is needed, there is 40959")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("conn", [-1, CONNS_MAX])
def test_connections_beyond_the_bound(make: Callable[[], MarketDataCodec], conn: int) -> None:
    with pytest.raises(ValueError, match="connection"):
        make().feed(frames.compact(frames.delta(1)), 1, conn)
    with pytest.raises(ValueError, match="connection"):
        checked_conn(conn)


def test_memoryviews_are_read_as_bytes_are() -> None:
    pair = frames.kalshi_pair()
    payload = frames.compact(frames.snapshot(1))
    assert pair.fast.feed(memoryview(payload), 1, 0) == pair.general.feed(payload, 1, 0) == 6


def test_a_shorter_frame_does_not_see_the_end_of_a_longer_one() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())
    codec.feed(frames.compact(frames.snapshot(1)), 1, 0)
    cut = frames.compact(frames.snapshot(1))[:-20]
    codec.feed(cut, 1, 0)
    assert codec.counts[Count.REJECTED] == 1


def test_types_and_errors_are_told() -> None:
    codec = KalshiCodec(frames.kalshi_symbols())
    for payload in (b'{"type":"fill"}', b'{"type":"fill"}', b'{"type":"surprise"}', b"{"):
        assert codec.feed(payload, 1, 0) == 0
    assert codec.ignored_types == {"fill": 2}
    assert codec.unknown_types == {"surprise": 1}
    assert codec.last_error.startswith("kalshi frame 4: not JSON: ")
    assert "\n" not in codec.last_error
    found = [
        codec.counts[count] for count in (Count.IGNORED, Count.UNKNOWN_TYPE, Count.REJECTED, Count.FALLBACK)
    ]
    assert found == [2, 1, 1, 4]


def test_the_general_parser_is_a_venue_s_own() -> None:
    codec = MAKERS[0]()
    with pytest.raises(NotImplementedError):
        MarketDataCodec.general(codec, b"", 0)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_compiled_and_plain_kernels_agree(venue: str, plain_twin: PlainTwin) -> None:
    def made(package: ModuleType, records: ModuleType, tables: ModuleType) -> Any:
        symbols = tables.SymbolTable(8)
        for at, symbol in enumerate((*frames.TICKERS, frames.YES_TOKEN, frames.LONE_TOKEN)):
            symbols.add(symbol.encode(), at, 1)
        symbols.add(frames.NO_TOKEN.encode(), 3, 1, records.Outcome.NO, True)
        return (package.KalshiCodec if venue == "kalshi" else package.PolymarketCodec)(symbols)

    from engine import records
    from engine.venues import symbols
    from engine.venues.kalshi import codec as kalshi
    from engine.venues.polymarket import codec as polymarket

    compiled = made(kalshi if venue == "kalshi" else polymarket, records, symbols)
    plain = made(
        *(
            plain_twin(name)
            for name in (f"engine.venues.{venue}.codec", "engine.records", "engine.venues.symbols")
        )
    )
    rng = Random(9)
    speller = frames.Speller(rng)
    for seq in range(1, 60):
        payload = speller.frame(shape(compiled, rng, seq + (seq > 20)))
        count = compiled.feed(payload, seq, seq % 3)
        assert count == plain.feed(payload, seq, seq % 3)
        assert compiled.out[:count].tolist() == plain.out[:count].tolist()
    count = compiled.disconnect(1, 5)
    assert compiled.out[:count].tolist() == plain.out[: plain.disconnect(1, 5)].tolist()
    assert compiled.counts.tolist() == plain.counts.tolist()
