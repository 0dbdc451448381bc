from __future__ import annotations

import json

import pytest

from engine.records import Side, Venue
from engine.sim.session.scenario import market, quiet_book
from engine.sim.session.wire import (
    KalshiWire,
    LevelSet,
    PolymarketWire,
    count_text,
    market_id,
    price_text,
    tokens,
)

AT = 1_793_534_400_000_000_000
KALSHI = market("k", Venue.KALSHI, AT)
PAIR = market("p", Venue.POLYMARKET, AT)
ALONE = market("t", Venue.POLYMARKET, AT, single_token=True)


def test_kalshi_numbers_are_written_as_the_venue_writes_them() -> None:
    assert [price_text(price) for price in (0, 10, 4_800, 10_000)] == ["0.0000", "0.0010", "0.4800", "1.0000"]
    assert [count_text(size) for size in (0, 10_000, -50_000_000, 1_230_000)] == [
        "0.00",
        "0.01",
        "-50.00",
        "1.23",
    ]


def test_a_snapshot_is_bids_only_and_numbered() -> None:
    wire = KalshiWire()
    frame = json.loads(wire.snapshot(AT, KALSHI, quiet_book(4_500, 4_800, 7)).raw)
    assert (frame["type"], frame["sid"], frame["seq"]) == ("orderbook_snapshot", 1, 1)
    assert frame["msg"]["yes_dollars_fp"] == [["0.0100", "1000.00"], ["0.4400", "7.00"], ["0.4500", "7.00"]]
    assert frame["msg"]["no_dollars_fp"] == [["0.0100", "1000.00"], ["0.5100", "7.00"], ["0.5200", "7.00"]]


def test_a_delta_says_the_change_on_its_own_side() -> None:
    wire, quotes = KalshiWire(), quiet_book(4_500, 4_800, 7)
    grown = json.loads(wire.delta(AT, KALSHI, quotes, LevelSet(Side.BID, 4_500, 9_000_000)).raw)["msg"]
    gone = json.loads(wire.delta(AT, KALSHI, quotes, LevelSet(Side.ASK, 4_800, 0)).raw)["msg"]
    assert (grown["side"], grown["price_dollars"], grown["delta_fp"]) == ("yes", "0.4500", "2.00")
    assert (gone["side"], gone["price_dollars"], gone["delta_fp"]) == ("no", "0.5200", "-7.00")


def test_a_frame_never_says_a_time_after_its_own() -> None:
    late = AT + 1_999_999_999
    kalshi, polymarket, quotes = KalshiWire(), PolymarketWire(), quiet_book(4_500, 4_800)
    level = LevelSet(Side.BID, 4_500, 9_000_000)
    delta = json.loads(kalshi.delta(late, KALSHI, quotes, level).raw)["msg"]
    determined = json.loads(kalshi.determined(late, KALSHI, 10_000).raw)["msg"]
    settled = json.loads(kalshi.settled(late, KALSHI).raw)["msg"]
    seconds, millis = AT // 10**9 + 1, AT // 10**6 + 1_999
    assert (delta["ts_ms"], determined["determination_ts"], settled["settled_ts"]) == (
        millis,
        seconds,
        seconds,
    )
    frames = [
        *json.loads(polymarket.books(late, PAIR, quotes).raw),
        json.loads(polymarket.changes(late, PAIR, quotes, [level]).raw),
        json.loads(polymarket.resolved(late, PAIR, yes_wins=True).raw),
    ]
    assert [frame["timestamp"] for frame in frames] == [str(millis)] * 4


def test_a_lost_frame_leaves_a_hole_and_lifecycle_counts_by_itself() -> None:
    wire, quotes = KalshiWire(), quiet_book(4_500, 4_800)
    wire.snapshot(AT, KALSHI, quotes)
    wire.skip()
    delta = json.loads(wire.delta(AT, KALSHI, quotes, LevelSet(Side.BID, 4_500, 0)).raw)
    assert delta["seq"] == 3
    determined = json.loads(wire.determined(AT, KALSHI, 10_000).raw)
    settled = json.loads(wire.settled(AT, KALSHI).raw)
    assert (determined["seq"], settled["seq"], determined["sid"]) == (1, 2, 2)
    assert (determined["msg"]["result"], determined["msg"]["settlement_value"]) == ("yes", "1.0000")
    assert settled["msg"]["event_type"] == "settled"


@pytest.mark.parametrize(("value", "result"), [(0, "no"), (2_600, "scalar")])
def test_a_result_can_be_any_value(value: int, result: str) -> None:
    assert json.loads(KalshiWire().determined(AT, KALSHI, value).raw)["msg"]["result"] == result


def test_a_change_is_said_for_both_tokens_with_the_best_prices_after_it() -> None:
    wire, quotes = PolymarketWire(), quiet_book(4_500, 4_800, 7)
    level = LevelSet(Side.BID, 4_600, 5_500_000)
    yes, no = json.loads(wire.changes(AT, PAIR, quotes, [level]).raw)["price_changes"]
    assert (yes["asset_id"], yes["side"], yes["price"], yes["size"]) == (PAIR.yes_token, "BUY", "0.46", "5.5")
    assert (yes["best_bid"], yes["best_ask"]) == ("0.46", "0.48")
    assert (no["asset_id"], no["side"], no["price"]) == (PAIR.no_token, "SELL", "0.54")
    assert (no["best_bid"], no["best_ask"]) == ("0.52", "0.54")
    assert yes["hash"] != no["hash"]


def test_an_empty_side_is_declared_as_the_venue_declares_it() -> None:
    wire, quotes = PolymarketWire(), quiet_book(4_500, 4_800)
    quotes.levels[Side.BID].clear()
    (entry,) = json.loads(wire.changes(AT, ALONE, quotes, [LevelSet(Side.ASK, 4_800, 0)]).raw)[
        "price_changes"
    ]
    assert (entry["best_bid"], entry["best_ask"]) == ("0", "0.49")


def test_opening_books_come_as_an_array_turned_for_the_other_token() -> None:
    yes, no = json.loads(PolymarketWire().books(AT, PAIR, quiet_book(4_500, 4_800, 7)).raw)
    assert {(level["price"], level["size"]) for level in yes["bids"]} == {
        ("0.45", "7"),
        ("0.44", "7"),
        ("0.01", "1000"),
    }
    assert {level["price"] for level in no["asks"]} == {"0.55", "0.56", "0.99"}


def test_who_won_is_named_also_when_the_winner_is_not_ours() -> None:
    won = json.loads(PolymarketWire().resolved(AT, ALONE, yes_wins=True).raw)
    lost = json.loads(PolymarketWire().resolved(AT, ALONE, yes_wins=False).raw)
    assert won["winning_asset_id"] == ALONE.symbol
    assert lost["winning_asset_id"] not in ("", ALONE.symbol)
    assert lost["winning_asset_id"] in lost["assets_ids"]


def test_tokens_of_a_market() -> None:
    assert tokens(PAIR) == [(PAIR.yes_token, False), (PAIR.no_token, True)]
    assert tokens(ALONE) == [(ALONE.symbol, False)]
    assert len(market_id("KX")) == 36
    assert market_id("KX") != market_id("KY")
