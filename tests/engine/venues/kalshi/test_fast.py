"""The compiled parser of Kalshi: it reads what is usual, and agrees with the general one on what is not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import NO_PRICE, Side, UpdateKind
from engine.venues.kalshi.codec import KalshiCodec
from tests.engine.venues import frames
from tests.engine.venues.frames import Speller, compact, fields_of, kalshi_pair

LEVEL_ADD, TICKER, TRADE = UpdateKind.LEVEL_ADD, UpdateKind.TICKER, UpdateKind.TRADE
WHAT = ("kind", "side", "price_e4", "size_e6", "aux")


@pytest.mark.parametrize("make", frames.KALSHI_SHAPES)
def test_what_the_venue_sends_is_read_by_the_compiled_parser(make: Any) -> None:
    pair = kalshi_pair()
    for seq in (1, 2, 3):
        records, fast = pair.feed(compact(make(seq)))
        assert fast
        assert len(records)


@given(st.integers(0, 2**32))
def test_any_spelling_gives_the_same_records(seed: int) -> None:
    rng = Random(seed)
    pair, plain, speller = kalshi_pair(), kalshi_pair(), Speller(rng)
    for seq in range(1, 9):
        frame = rng.choice(frames.KALSHI_SHAPES)(seq)
        records, _ = pair.feed(speller.frame(frame))
        expected, _ = plain.feed(compact(frame))
        assert sorted(fields_of(records, *WHAT)) == sorted(fields_of(expected, *WHAT))


@given(st.integers(0, 2**32))
def test_spelling_without_escapes_and_strangers_needs_no_fallback(seed: int) -> None:
    rng = Random(seed)
    pair, speller = kalshi_pair(), Speller(rng, escapes=False, extras=False)
    for seq in range(1, 9):
        _, fast = pair.feed(speller.frame(rng.choice(frames.KALSHI_SHAPES)(seq)))
        assert fast


@pytest.mark.parametrize(
    ("frame", "record"),
    [
        (frames.delta(1, price="0.7600", size="-50.00"), (LEVEL_ADD, Side.ASK, 2_400, -50_000_000, 0)),
        (frames.delta(1, price=".48", size="0.01", side="yes"), (LEVEL_ADD, Side.BID, 4_800, 10_000, 0)),
        (frames.delta(1, price="0.001", size="140647.8"), (LEVEL_ADD, Side.ASK, 9_990, 140_647_800_000, 0)),
        (frames.ticker_frame(), (TICKER, Side.BID, 4_500, 0, 5_300)),
        (frames.ticker_frame("0.0000", "1.0000"), (TICKER, Side.BID, NO_PRICE, 0, NO_PRICE)),
        (frames.ticker_frame("", "0.0010"), (TICKER, Side.BID, NO_PRICE, 0, 10)),
        (frames.trade_frame(1), (TRADE, Side.BID, 3_600, 136_000_000, 0)),
        (frames.trade_frame(1, taker_book_side="bid"), (TRADE, Side.ASK, 3_600, 136_000_000, 0)),
        (frames.trade_frame(1, taker_outcome_side="yes"), (TRADE, Side.ASK, 3_600, 136_000_000, 0)),
        (frames.trade_frame(1, taker_side="no"), (TRADE, Side.BID, 3_600, 136_000_000, 0)),
    ],
)  # fmt: skip
def test_single_records(frame: dict[str, Any], record: tuple[int, ...]) -> None:
    records, fast = kalshi_pair().feed(compact(frame))
    assert fast
    assert fields_of(records, *WHAT) == [record]


def test_a_snapshot_is_its_levels_between_two_marks() -> None:
    records, fast = kalshi_pair().feed(compact(frames.snapshot(4)))
    assert fast
    begin, level, end = UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END
    assert fields_of(records, "kind", "side", "price_e4", "size_e6", "wire_seq", "venue_ns") == [
        (begin, 0, 0, 4, 4, 1_669_149_841_234_000_000),
        (level, Side.BID, 800, 300_000_000, 4, 1_669_149_841_234_000_000),
        (level, Side.BID, 2_200, 333_000_000, 4, 1_669_149_841_234_000_000),
        (level, Side.ASK, 4_600, 20_000_000, 4, 1_669_149_841_234_000_000),
        (level, Side.ASK, 4_400, 146_000_000, 4, 1_669_149_841_234_000_000),
        (end, 0, 0, 0, 4, 1_669_149_841_234_000_000),
    ]
    assert set(fields_of(records, "slot", "generation", "recv_ns", "venue")) == {(10, 2, 5, 2)}


@pytest.mark.parametrize("no", [None, ()])
def test_an_empty_side_may_be_absent_or_empty(no: Any) -> None:
    records, fast = kalshi_pair().feed(compact(frames.snapshot(1, yes=None, no=no)))
    assert fast
    assert fields_of(records, "kind", "size_e6") == [
        (UpdateKind.SNAPSHOT_BEGIN, 0),
        (UpdateKind.SNAPSHOT_END, 0),
    ]


def changed(frame: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A frame with some fields of its msg changed; ``...`` takes one away."""
    msg = {name: value for name, value in (frame["msg"] | fields).items() if value is not ...}
    return frame | {"msg": msg}


NOT_USUAL = [
    changed(frames.delta(1), price_dollars="0.76001"),
    changed(frames.delta(1), price_dollars="1.01"),
    changed(frames.delta(1), price_dollars=...),
    changed(frames.delta(1), price_dollars=None),
    changed(frames.delta(1), price_dollars="7e-1"),
    changed(frames.delta(1), delta_fp="0.0000001"),
    changed(frames.delta(1), delta_fp="100000000.5"),
    changed(frames.delta(1), delta_fp=...),
    changed(frames.delta(1), side="maybe"),
    changed(frames.delta(1), side=...),
    changed(frames.delta(1), side=1),
    changed(frames.delta(1), market_ticker=...),
    changed(frames.delta(1), market_ticker=5),
    changed(frames.delta(1), ts_ms="never"),
    changed(frames.delta(1), ts_ms=10**16),
    changed(frames.delta(1), ts_ms=None),
    changed(frames.delta(1), price_dollars=[]),
    changed(frames.delta(1), yes_dollars_fp=[["0.1", "5"]]),
    changed(frames.delta(1), no_dollars_fp=[]),
    changed(frames.snapshot(1), yes_dollars_fp=[["0.1"]]),
    changed(frames.snapshot(1), yes_dollars_fp=[["0.1", "1", "2"]]),
    changed(frames.snapshot(1), yes_dollars_fp=[["0.1", "-1"]]),
    changed(frames.snapshot(1), yes_dollars_fp=[["0.1", None]]),
    changed(frames.snapshot(1), yes_dollars_fp=[[None, "1"]]),
    changed(frames.snapshot(1), yes_dollars_fp=[{}]),
    changed(frames.snapshot(1), yes_dollars_fp={}),
    changed(frames.snapshot(1), yes_dollars_fp="none"),
    changed(frames.snapshot(1), no_dollars_fp=None),
    changed(frames.snapshot(1), no_dollars_fp=0),
    changed(frames.snapshot(1), something_new=[["0.1", "1"]]),
    changed(frames.ticker_frame(), yes_ask_dollars=...),
    changed(frames.ticker_frame(), yes_bid_dollars="1.5"),
    changed(frames.trade_frame(1), taker_book_side="both"),
    changed(frames.trade_frame(1), taker_book_side=...),
    changed(frames.trade_frame(1), count_fp="-1"),
    frames.delta(1) | {"type": "orderbook_delto"},
    frames.delta(1) | {"type": 5},
    frames.delta(1) | {"sid": "x"},
    frames.delta(1) | {"sid": -1},
    frames.delta(1) | {"sid": None},
    frames.delta(1) | {"seq": 1.5},
    frames.delta(1) | {"seq": 10**15},
    frames.delta(1) | {"msg": None},
    frames.delta(1) | {"msg": []},
    {name: value for name, value in frames.delta(1).items() if name != "msg"},
    [frames.delta(1)],
    {},
    {"msg": {}},
    {"type": "orderbook_delta", "msg": {}},
]


@pytest.mark.parametrize("frame", NOT_USUAL, ids=range(len(NOT_USUAL)))
def test_what_is_not_usual_is_left_to_the_general_parser(frame: object) -> None:
    pair = kalshi_pair()
    pair.feed(compact(frames.snapshot(1)))
    assert not pair.feed(compact(frame))[1]


TEXTS = [
    lambda text: text + b"x",
    lambda text: text + b",",
    lambda text: text[:-1],
    lambda text: text.replace(b'"seq":1', b'"seq":1,"seq":2'),
    lambda text: text.replace(b'"side":"no"', b'"side":"no","side":"yes"'),
    lambda text: text.replace(b'"msg":{', b'"msg":{},"msg":{'),
    lambda text: text.replace(b'"seq":1', b'"seq":01'),
    lambda text: text.replace(b'"0.7600"', b"0.7600e0"),
    lambda text: text.replace(b'"0.7600"', b"0.7600000000000001"),
    lambda text: text.replace(b"8240b1bf", b"8240\xe9b1bf"),
    lambda text: text.replace(b"8240b1bf", "8240é".encode()),
    lambda text: text.replace(b"8240b1bf", b"8240\tb1"),
    lambda text: text.replace(b"8240b1bf", b"82\\u0034\\u0030"),
    lambda text: text.replace(b'"side"', b"'side'"),
    lambda text: text.replace(b",", b",,", 1),
    lambda text: text.replace(b":", b"=", 1),
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text + b"\x00",
    lambda text: text + text,
    lambda text: b"",
]


@pytest.mark.parametrize("change", TEXTS, ids=range(len(TEXTS)))
def test_text_that_is_odd_is_left_to_the_general_parser(change: Any) -> None:
    payload = change(compact(frames.delta(1)))
    assert not kalshi_pair().feed(payload)[1]


def test_yes_prices_are_taken_as_they_come() -> None:
    pair = kalshi_pair()
    for codec in (pair.fast, pair.general):
        assert isinstance(codec, KalshiCodec)
        codec.set_use_yes_price(1, True)
    for frame in (frames.delta(1, price="0.7000"), frames.snapshot(2, yes=None, no=(("0.7000", "1"),))):
        for conn, price_e4 in ((1, 7_000), (2, 3_000)):
            records, fast = pair.feed(compact(frame), conn=conn)
            assert fast
            assert price_e4 in records["price_e4"]
