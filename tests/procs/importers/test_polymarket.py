"""Polymarket sources: price changes, books, trades, REST batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from tests.data import foreign
from tests.procs.importers.opened import frames, opened, texts, trees


def test_ticks_pair_mirrored_rows_into_frames(tmp_path: Path) -> None:
    assert texts(foreign.polymarket_ticks(tmp_path / "x")) == [
        (
            '{"price_changes":[{"asset_id":"71","price":"0.31","size":"198","side":"BUY","best_bid":"0.35",'
            '"best_ask":"1"},{"asset_id":"72","price":"0.69","size":"198","side":"SELL","best_bid":"0.35",'
            '"best_ask":"1"}],"timestamp":"1780000000001","event_type":"price_change"}'
        ),
        (
            '{"price_changes":[{"asset_id":"82","price":"0.455","size":"0","side":"BUY","best_bid":"0.35",'
            '"best_ask":"1"},{"asset_id":"81","price":"0.545","size":"0","side":"SELL","best_bid":"0.35",'
            '"best_ask":"1"}],"timestamp":"1780000000001","event_type":"price_change"}'
        ),
        (
            '{"event_type":"last_trade_price","asset_id":"71","price":"0.48","size":"2.083332","side":"BUY",'
            '"timestamp":"1780000000002"}'
        ),
        (
            '{"price_changes":[{"asset_id":"72","price":"0.07","size":"5","side":"BUY","best_bid":"0.35",'
            '"best_ask":"1"},{"asset_id":"71","price":"0.93","size":"5","side":"SELL","best_bid":"0.35",'
            '"best_ask":"1"}],"timestamp":"1780000000003","event_type":"price_change"}'
        ),
        (
            '{"price_changes":[{"asset_id":"81","price":"0.5","size":"1","side":"BUY","best_bid":"0.35",'
            '"best_ask":"1"}],"timestamp":"1780000000004","event_type":"price_change"}'
        ),
    ]


def test_ticks_tokens_that_always_mirror_are_one_market(tmp_path: Path) -> None:
    head = opened(foreign.polymarket_ticks(tmp_path / "x")).header
    assert [(spec.symbol, spec.yes_token, spec.no_token) for spec in head.markets] == [
        ("71", "71", "72"),
        ("82", "82", "81"),
    ]
    assert head.markets[1].price_ranges == ((0, 10_000, 50),)
    assert {"opening_snapshot", "outcome", "condition_id", "frame_boundaries"} <= set(head.lacks)


def test_ticks_tokens_with_an_unmirrored_row_keep_their_own_books(tmp_path: Path) -> None:
    path = foreign.polymarket_ticks(tmp_path / "x", [foreign.tick(2, "71", "BID", 0.2, 1.0)])
    head = opened(path).header
    assert [(spec.yes_token, spec.no_token) for spec in head.markets] == [
        ("71", ""),
        ("72", ""),
        ("82", "81"),
    ]


def test_ticks_token_with_two_partners_keeps_its_own_book(tmp_path: Path) -> None:
    extra = [foreign.tick(2, "71", "BID", 0.2, 1.0), foreign.tick(2, "99", "ASK", 0.8, 1.0)]
    head = opened(foreign.polymarket_ticks(tmp_path / "x", extra)).header
    assert {spec.yes_token for spec in head.markets if not spec.no_token} == {"71", "72", "99"}


@pytest.mark.parametrize(("column", "value"), [("side", "MID"), ("event_type", "BOOK")])
def test_ticks_damage(tmp_path: Path, column: str, value: str) -> None:
    path = foreign.polymarket_ticks(
        tmp_path / "x", [{**foreign.tick(2, "71", "BID", 0.2, 1.0), column: value}]
    )
    with pytest.raises(RecordingDamaged, match="row 6"):
        frames(path)


def test_v1_keeps_the_old_shape(tmp_path: Path) -> None:
    path = foreign.polymarket_v1(tmp_path / "x")
    assert texts(path) == [
        (
            '{"asset_id":"71","changes":[{"side":"SELL","size":"300","price":"0.23"},'
            '{"side":"BUY","size":"0","price":".2"}],"event_type":"price_change","market":"0xm",'
            '"timestamp":"1737825347925","hash":"af03"}'
        ),
    ]
    assert frames(path)[0].recv_ns == 1737825347925 * NS_PER_MS
    assert opened(path).header.kind == "v1"


def test_session_numbers_become_texts(tmp_path: Path) -> None:
    path = foreign.polymarket_session(tmp_path / "x")
    assert texts(path) == [
        (
            '{"event_type":"book","market":"161587","asset_id":"71","bids":[{"price":"0.01","size":"50"}],'
            '"asks":[],"timestamp":"1768858436755"}'
        ),
        (
            '{"event_type":"book","market":"0xm","asset_id":"71","bids":[{"price":"0.01","size":"50"}],'
            '"asks":[{"price":"0.99","size":"80.5"}],"timestamp":"1768858436756","hash":"30e7"}'
        ),
    ]
    assert [spec.symbol for spec in opened(path).header.markets] == ["71"]


def test_lists_name_the_token_by_market_and_side(tmp_path: Path) -> None:
    path = foreign.polymarket_lists(tmp_path / "x")
    assert texts(path)[1] == (
        '{"event_type":"book","market":"0xm","asset_id":"0xm:UP","bids":[{"price":"0.49","size":"514.99"},'
        '{"price":"0.48","size":"445"}],"asks":[{"price":"0.5","size":"205"}]}'
    )
    head = opened(path).header
    (spec,) = head.markets
    assert (spec.symbol, spec.yes_token, spec.no_token) == ("0xm", "0xm:UP", "0xm:DOWN")
    assert {"token_id", "venue_time", "book_depth"} <= set(head.lacks)


def test_metadata_has_markets_and_no_frames(tmp_path: Path) -> None:
    source = opened(foreign.metadata(tmp_path / "x"))
    assert list(source.frames()) == []
    (spec,) = source.header.markets
    assert (spec.title, spec.category, spec.close_ns) == (
        "Bitcoin Up or Down",
        "crypto",
        1790586900000 * NS_PER_MS,
    )


def test_wide_rows_are_one_frame_of_both_books_and_the_recorders_best(tmp_path: Path) -> None:
    path = foreign.polymarket_wide(tmp_path / "x")
    (tree,) = trees(path)
    assert tree == [
        {
            "event_type": "book",
            "market": "0xm",
            "asset_id": "71",
            "bids": [{"price": "0.5", "size": "3"}, {"price": "0.49", "size": "4.5"}],
            "asks": [{"price": "0.51", "size": "2"}],
        },
        {
            "event_type": "book",
            "market": "0xm",
            "asset_id": "72",
            "bids": [],
            "asks": [{"price": "0.5", "size": "3"}],
        },
        {
            "event_type": "best_bid_ask",
            "market": "0xm",
            "asset_id": "71",
            "best_bid": "0.5",
            "best_ask": "0.51",
        },
        {"event_type": "best_bid_ask", "market": "0xm", "asset_id": "72", "best_bid": "0", "best_ask": "0.5"},
    ]
    (spec,) = opened(path).header.markets
    assert (spec.open_ns, spec.close_ns) == (1771633800000 * NS_PER_MS, 1771634700000 * NS_PER_MS)


def test_token_rows_say_when_a_size_is_unknown(tmp_path: Path) -> None:
    (tree,) = trees(foreign.polymarket_token_rows(tmp_path / "x"))
    assert isinstance(tree, list)
    assert tree[0]["bids"] == [{"price": "0.53", "size": "29.53"}, {"price": "0.52", "size": None}]
    assert tree[1]["best_ask"] == "1"


def test_best_rows_give_a_frame_only_for_a_changed_book(tmp_path: Path) -> None:
    path = foreign.polymarket_best(tmp_path / "x")
    got = frames(path)
    assert [frame.recv_ns for frame in got] == [1775028136217000000, 1775028138599000000, 1775028139500000000]
    first, second, third = trees(path)
    assert isinstance(third, list)
    assert third[0]["bids"] == []
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert [book["asset_id"] for book in first] == ["71", "72"]
    assert first[0]["asks"] == [{"price": "0.03", "size": None}]
    assert first[1]["bids"] == []
    assert [(book["asset_id"], book["timestamp"]) for book in second] == [("71", "1775028138642")]
    (spec,) = opened(path).header.markets
    assert (spec.yes_token, spec.no_token, spec.close_ns) == ("71", "72", 1775028600 * 10**9)


def test_arrays_take_their_names_from_the_file(tmp_path: Path) -> None:
    path = foreign.array_books(tmp_path / "15m_sol_orderbooks_1765450800down.json.zst")
    got = frames(path)
    assert got[0].recv_ns == 1765450848312 * NS_PER_MS
    assert got[0].raw.decode() == (
        '{"event_type":"book","asset_id":"15m_sol_1765450800:DOWN",'
        '"bids":[{"price":"0.52","size":"150"}],"asks":[],"timestamp":"1765450842371"}'
    )
    assert texts(foreign.array_trades(tmp_path / "1h_btc_trades_1765450800up.json.zst")) == [
        (
            '{"event_type":"last_trade_price","asset_id":"1h_btc_1765450800:UP","price":"0.57",'
            '"size":"1.929823","side":"BUY","timestamp":"1765450842445"}'
        ),
    ]


def test_a_cut_array_gives_its_whole_objects(tmp_path: Path) -> None:
    import zstandard

    whole = zstandard.ZstdDecompressor().decompress(foreign.array_books(tmp_path / "a").read_bytes())
    path = tmp_path / "b"
    path.write_bytes(whole[:-40])
    source = opened(path)
    got = source.frames()
    next(got)
    with pytest.raises(RecordingDamaged, match=r"object 2: .*; the 1 frames before it are whole"):
        next(got)
    compressed = zstandard.ZstdCompressor().compress(whole)
    path.write_bytes(compressed[:-1])
    with pytest.raises(
        RecordingDamaged, match=r"object \d: truncated: .*; the \d frames before it are whole"
    ):
        list(source.frames())


def test_rest_batches_are_one_frame_in_the_spelling_of_the_response(tmp_path: Path) -> None:
    path = foreign.polymarket_rest(tmp_path / "x")
    (tree,) = trees(path)
    assert isinstance(tree, list)
    assert list(tree[0]) == [
        "event_type",
        "market",
        "asset_id",
        "timestamp",
        "hash",
        "bids",
        "asks",
        "min_order_size",
        "tick_size",
        "neg_risk",
        "last_trade_price",
    ]
    (spec,) = opened(path).header.markets
    assert (spec.yes_token, spec.no_token, spec.neg_risk) == ("72", "71", True)
    assert spec.price_ranges == ((0, 10_000, 10),)
    assert spec.min_size_e6 == 15_000_000
    assert set(spec.defaulted) == {"lot_e6", "min_notional_micros"}


@pytest.mark.parametrize("name", [name for name in foreign.BUILDERS if name.startswith("polymarket")])
def test_all_frames_are_of_this_venue(tmp_path: Path, name: str) -> None:
    got = frames(foreign.BUILDERS[name](tmp_path / "x"))
    assert got
    assert {(frame.venue, frame.conn) for frame in got} == {(Venue.POLYMARKET, 0)}
