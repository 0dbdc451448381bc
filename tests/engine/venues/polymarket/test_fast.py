"""The compiled parser of Polymarket: it reads what is usual, and agrees with the general one on the rest."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import NO_PRICE, Side, UpdateFlag, UpdateKind
from engine.venues.counts import Count
from tests.engine.venues import frames
from tests.engine.venues.frames import (
    LONE_TOKEN,
    NO_TOKEN,
    YES_TOKEN,
    Speller,
    compact,
    entry,
    fields_of,
    polymarket_pair,
)
from tests.engine.venues.polymarket.test_book_hash import GOLDEN

SET, TOP, TRADE = UpdateKind.LEVEL_SET, UpdateKind.DECLARED_TOP, UpdateKind.TRADE
BEGIN, LEVEL, END = UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END
WHAT = ("kind", "slot", "side", "price_e4", "size_e6", "aux")
BID, ASK = Side.BID, Side.ASK


@pytest.mark.parametrize("make", frames.POLYMARKET_SHAPES)
def test_what_the_venue_sends_is_read_by_the_compiled_parser(make: Any) -> None:
    records, fast = polymarket_pair().feed(compact(make()))
    assert fast
    assert len(records)
    assert not records["wire_seq"].any(), "the venue has no numbers"


@given(st.integers(0, 2**32))
def test_any_spelling_gives_the_same_records(seed: int) -> None:
    rng = Random(seed)
    pair, plain, speller = polymarket_pair(), polymarket_pair(), Speller(rng)
    for _ in range(5):
        frame = rng.choice(frames.POLYMARKET_SHAPES)()
        records, _ = pair.feed(speller.frame(frame))
        expected, _ = plain.feed(compact(frame))
        assert sorted(fields_of(records, *WHAT)) == sorted(fields_of(expected, *WHAT))


@given(st.integers(0, 2**32))
def test_spelling_without_escapes_and_strangers_needs_no_fallback(seed: int) -> None:
    rng = Random(seed)
    pair, speller = polymarket_pair(), Speller(rng, escapes=False, extras=False)
    for _ in range(5):
        _, fast = pair.feed(speller.frame(rng.choice(frames.POLYMARKET_SHAPES)()))
        assert fast


def said(frame: object, *names: str) -> list[tuple[int, ...]]:
    """Fields of the records of a frame that the compiled parser reads."""
    records, fast = polymarket_pair().feed(compact(frame))
    assert fast
    return fields_of(records, *(names or WHAT))


def test_a_change_and_its_mirror() -> None:
    assert said(frames.price_change(), *WHAT, "flags") == [
        (SET, 3, BID, 5_000, 200_000_000, 0, 0),
        (SET, 3, BID, 5_000, 200_000_000, 0, UpdateFlag.SIBLING),
        (TOP, 3, 0, 5_000, 0, 5_300, 0),
        (
            TOP,
            3,
            0,
            5_000,
            0,
            5_300,
            UpdateFlag.SIBLING | UpdateFlag.LAST_OF_MARKET | UpdateFlag.LAST_OF_FRAME,
        ),
    ]


def test_the_last_entry_of_an_asset_declares_its_best_prices() -> None:
    changes = [
        entry(YES_TOKEN, "0.5", "1", "BUY", ("0.5", "0.6")),
        entry(LONE_TOKEN, "0.1", "1", "BUY", ("0.1", "0.2")),
        entry(YES_TOKEN, "0.6", "0", "SELL", ("0.5", "1")),
        entry(LONE_TOKEN, "0.1", "0", "BUY", None),
    ]
    assert said(frames.price_change(*changes))[-1:] == [(TOP, 3, 0, 5_000, 0, NO_PRICE)]
    again = [*changes, entry(LONE_TOKEN, "0.3", "1", "BUY", ("0.3", ""))]
    assert said(frames.price_change(*again))[-2:] == [
        (TOP, 3, 0, 5_000, 0, NO_PRICE),
        (TOP, 4, 0, 3_000, 0, NO_PRICE),
    ]


def test_a_book_takes_back_what_was_declared_before_it() -> None:
    array = [frames.price_change(), frames.book(bids=(), asks=())]
    assert [kind for kind, *_ in said(array)] == [SET, SET, BEGIN, END, TOP]
    assert said(array)[-1] == (TOP, 3, 0, 5_000, 0, 5_300)
    assert [flags & UpdateFlag.SIBLING for (flags,) in said(array, "flags")] == [0, 2, 0, 0, 2]


def test_a_book_and_a_turned_book() -> None:
    bids, asks = (("0.48", "30"), ("0.49", "20.5")), (("0.52", "25"),)
    assert said(frames.book(bids=bids, asks=asks)) == [
        (BEGIN, 3, 0, 0, 3, 0),
        (LEVEL, 3, BID, 4_800, 30_000_000, 0),
        (LEVEL, 3, BID, 4_900, 20_500_000, 0),
        (LEVEL, 3, ASK, 5_200, 25_000_000, 0),
        (END, 3, 0, 0, 0, 0),
    ]
    assert said(frames.book(NO_TOKEN, bids, asks))[1:4] == [
        (LEVEL, 3, ASK, 5_200, 30_000_000, 0),
        (LEVEL, 3, ASK, 5_100, 20_500_000, 0),
        (LEVEL, 3, BID, 4_800, 25_000_000, 0),
    ]


def test_times_are_those_of_each_message() -> None:
    array = [frames.book(bids=(), asks=()), frames.price_change()]
    times = [time for (time,) in said(array, "venue_ns")]
    assert times == [1_703_875_200_000_000_000] * 2 + [1_757_908_892_351_000_000] * 4


def test_events_about_one_price() -> None:
    assert said(frames.last_trade()) == [(TRADE, 3, BID, 4_910, 85_360_000, 0)]
    assert said(frames.last_trade(NO_TOKEN, "BUY")) == [(TRADE, 3, BID, 5_090, 85_360_000, 0)]
    assert said(frames.last_trade(NO_TOKEN, "SELL")) == [(TRADE, 3, ASK, 5_090, 85_360_000, 0)]
    assert said(frames.last_trade(side="BUY")) == [(TRADE, 3, ASK, 4_910, 85_360_000, 0)]
    assert said(frames.tick_size()) == [(UpdateKind.GRID_CHANGE, 3, 0, 10, 0, 100)]
    assert said(frames.best_bid_ask()) == [(UpdateKind.TICKER, 3, 0, 7_300, 0, 7_700)]
    assert said(frames.best_bid_ask(NO_TOKEN)) == [(UpdateKind.TICKER, 3, 0, 2_300, 0, 2_700)]
    empty = frames.best_bid_ask(NO_TOKEN) | {"best_bid": "0", "best_ask": "0.9"}
    assert said(empty) == [(UpdateKind.TICKER, 3, 0, 1_000, 0, NO_PRICE)]


@pytest.mark.parametrize("absent", ["best_bid", "best_ask"])
def test_half_a_declaration_declares_nothing_and_is_sure(absent: str) -> None:
    whole = frames.entry(YES_TOKEN, "0.5", "1", "BUY", ("0.5", "0.6"))
    half = {name: value for name, value in whole.items() if name != absent}
    assert [kind for kind, *_ in said(frames.price_change(half))] == [SET]


def test_arrays_may_be_empty() -> None:
    assert said([]) == []
    assert said([frames.price_change() | {"price_changes": []}]) == []


def test_books_that_can_be_hashed_are_left_to_the_general_parser_when_asked() -> None:
    golden = GOLDEN | {"event_type": "book"}
    records, fast = polymarket_pair().feed(compact(golden))
    assert not fast
    assert fields_of(records[-1:], "kind", "aux") == [(UpdateKind.BOOK_HASH, 1)]
    records, fast = polymarket_pair(check_hash=False).feed(compact(golden))
    assert fast
    assert records[-1]["kind"] == END
    without = {name: value for name, value in golden.items() if name != "last_trade_price"}
    assert polymarket_pair().feed(compact(without))[1]


def test_skipped_entries_are_counted_once_each() -> None:
    pair = polymarket_pair()
    strangers = [entry("555", "0.5", "1", "BUY", None), entry("555", "bad", "", "", None)]
    records, fast = pair.feed(
        compact([frames.price_change(*strangers), frames.book("556"), frames.last_trade("557")])
    )
    assert (len(records), fast) == (0, True)
    assert pair.fast.counts[Count.UNKNOWN_MARKET] == 4


def change(**fields: Any) -> dict[str, Any]:
    """A price_change whose one entry has some fields changed; ``...`` takes one away."""
    changed = entry(LONE_TOKEN, "0.5", "1", "BUY", ("0.5", "0.6")) | fields
    return frames.price_change({name: value for name, value in changed.items() if value is not ...})


NOT_USUAL = [
    change(price="0.50001"),
    change(price=...),
    change(price="-0.5"),
    change(price=True),
    change(size="1.0000001"),
    change(size="-1"),
    change(size=None),
    change(size=...),
    change(side="buy"),
    change(side=...),
    change(best_bid="2"),
    change(best_ask=None),
    change(best_ask=[]),
    change(asset_id=...),
    change(asset_id=100),
    frames.price_change() | {"price_changes": None},
    frames.price_change() | {"price_changes": "x"},
    frames.price_change() | {"price_changes": {}},
    frames.price_change() | {"price_changes": [[]]},
    frames.price_change() | {"price_changes": [{}]},
    frames.price_change() | {"bids": []},
    frames.price_change() | {"event_type": "price_chango"},
    frames.price_change() | {"event_type": None},
    frames.price_change() | {"timestamp": "later"},
    frames.price_change() | {"timestamp": None},
    frames.price_change() | {"changes": []},
    frames.book() | {"bids": None},
    frames.book() | {"asks": "none"},
    frames.book() | {"price_changes": []},
    frames.book() | {"asset_id": None},
    {name: value for name, value in frames.book().items() if name != "asks"},
    {name: value for name, value in frames.book().items() if name != "asset_id"},
    frames.last_trade() | {"price": "2"},
    frames.last_trade() | {"side": "HOLD"},
    frames.last_trade() | {"bids": []},
    frames.tick_size() | {"new_tick_size": "0"},
    frames.tick_size() | {"old_tick_size": ""},
    frames.best_bid_ask() | {"best_bid": "x"},
    {"event_type": "new_market", "assets_ids": []},
    {"event_type": "market_resolved", "assets_ids": [YES_TOKEN], "winning_asset_id": YES_TOKEN},
    {"event_type": "unheard of"},
    [[frames.book()]],
    [5],
    {},
    5,
]


@pytest.mark.parametrize("frame", NOT_USUAL, ids=range(len(NOT_USUAL)))
def test_what_is_not_usual_is_left_to_the_general_parser(frame: object) -> None:
    pair = polymarket_pair()
    pair.feed(compact([frames.book(), frames.book(LONE_TOKEN)]))
    assert not pair.feed(compact(frame))[1]


TEXTS = [
    lambda text: text + b"]",
    lambda text: b"[" + text,
    lambda text: b"[" + text + b",]",
    lambda text: b"[" + text + b" " + text + b"]",
    lambda text: text[:-1],
    lambda text: text.replace(b'"price":"0.5"', b'"price":"0.5","price":"0.6"', 1),
    lambda text: text.replace(b'"price_changes"', b'"price_changes":[],"price_changes"'),
    lambda text: text.replace(b'"event_type":', b'"event_type":"book","event_type":'),
    lambda text: text.replace(b"0x5f65177b", "0x5f6517é".encode()),
    lambda text: text.replace(b"0x5f65177b", b"0x5f6517\xff"),
    lambda text: text.replace(b"},{", b"}{"),
    lambda text: text.replace(b'"BUY"', b'"BU\\u0059"'),
    lambda text: text.replace(b'"0.5"', b"5e-1", 1),
    lambda text: b"PONG",
    lambda text: b"",
]


@pytest.mark.parametrize("change_text", TEXTS, ids=range(len(TEXTS)))
def test_text_that_is_odd_is_left_to_the_general_parser(change_text: Any) -> None:
    assert not polymarket_pair().feed(change_text(compact(frames.price_change())))[1]
