"""The end of a frame: declared tops, tickers, crossed books, flags."""

from __future__ import annotations

import numpy as np
import pytest

from engine.book.frame import UNORDERED_MAX
from engine.book.state import Count
from engine.reasons import Reason
from engine.records import NO_PRICE, TopFlag, Trust, UpdateFlag, UpdateKind
from tests.engine.book.one_market import OneMarket
from tests.engine.book.streams import UNIT, frame, snapshot, update

TRUE = (4_700, 4_900)
FALSE = (4_700, 4_800)


@pytest.fixture
def live() -> OneMarket:
    market = OneMarket()
    market.open_live()
    return market


def ticker(bid_e4: int, ask_e4: int) -> np.ndarray:
    return update(UpdateKind.TICKER, price_e4=bid_e4, aux=ask_e4)


def test_a_true_declaration(live: OneMarket) -> None:
    top = live.send(live.top(*TRUE))
    assert TopFlag(int(top["flags"])) == TopFlag.DECLARED | TopFlag.DECLARED_AGREES
    assert (top["declared_bid_e4"], top["declared_ask_e4"]) == TRUE
    assert (live.count(Count.DECLARED_LIVE), live.count(Count.DECLARED_LIVE_DIFFERS)) == (1, 0)


@pytest.mark.parametrize("said", [FALSE, (4_600, 4_900), (NO_PRICE, 4_900), (4_700, NO_PRICE)])
def test_the_second_disagreement_is_a_doubt(live: OneMarket, said: tuple[int, int]) -> None:
    top = live.send(live.top(*said))
    assert TopFlag(int(top["flags"])) == TopFlag.DECLARED
    assert top["trust"] == Trust.LIVE
    live.send(live.level(100, UNIT))  # a frame that declares nothing is no second chance and no second miss
    assert live.trust == Trust.LIVE
    top = live.send(live.top(*said))
    assert (top["trust"], top["prev_trust"], top["doubt"]) == (
        Trust.SUSPECT,
        Trust.LIVE,
        Reason.TOP_DISAGREES,
    )
    assert live.count(Count.DECLARED_LIVE_DIFFERS) == 2


def test_agreement_in_between_begins_anew(live: OneMarket) -> None:
    for said in (FALSE, TRUE, FALSE, TRUE):
        live.send(live.top(*said))
    assert live.trust == Trust.LIVE
    live.send(live.top(*FALSE))
    live.send(live.doubt(Reason.SEQUENCE_GAP))
    live.open_live()
    live.send(live.top(*FALSE))
    assert live.trust == Trust.LIVE


MS = 1_000_000


def timed(market: OneMarket, said: tuple[int, int], venue_ns: int) -> np.ndarray:
    """A declaration that bears the venue's time."""
    record = market.top(*said)
    record["venue_ns"] = venue_ns
    return record


@pytest.mark.parametrize(
    ("first_ns", "second_ns", "trust"),
    [
        (7 * MS, 7 * MS, Trust.LIVE),
        (7 * MS, 8 * MS - 1, Trust.LIVE),
        (7 * MS, 8 * MS, Trust.SUSPECT),
        (7 * MS, 6 * MS, Trust.SUSPECT),
        (7 * MS, 0, Trust.SUSPECT),  # a frame without a time may be of any
        (0, 0, Trust.SUSPECT),
        (0, 7 * MS, Trust.SUSPECT),
    ],
)
def test_disagreements_of_one_venue_millisecond_count_as_one(
    live: OneMarket, first_ns: int, second_ns: int, trust: Trust
) -> None:
    live.send(timed(live, FALSE, first_ns))
    live.send(timed(live, FALSE, second_ns))
    assert live.trust == trust


def test_a_millisecond_may_not_last_for_ever(live: OneMarket) -> None:
    for _ in range(UNORDERED_MAX - 1):
        live.send(timed(live, FALSE, 7 * MS))
    assert live.trust == Trust.LIVE
    live.send(timed(live, FALSE, 7 * MS))
    assert (live.trust, live.reason) == (Trust.SUSPECT, Reason.TOP_DISAGREES)


def test_agreement_ends_the_millisecond(live: OneMarket) -> None:
    for said, at_ns in ((FALSE, 7 * MS), (TRUE, 7 * MS), (FALSE, 9 * MS), (FALSE, 9 * MS)):
        live.send(timed(live, said, at_ns))
    assert live.trust == Trust.LIVE
    live.send(timed(live, FALSE, 10 * MS))
    assert live.trust == Trust.SUSPECT


def test_the_declaration_is_compared_after_the_whole_frame(live: OneMarket) -> None:
    top = live.send(live.top(4_800, 4_900), live.level(4_800, UNIT))
    assert top["flags"] & TopFlag.DECLARED_AGREES
    top = live.send(live.top(*FALSE), live.top(4_800, 4_900))  # the last one counts
    assert top["flags"] & TopFlag.DECLARED_AGREES
    assert live.count(Count.DECLARED_LIVE) == 2


def test_an_empty_side_is_declared_as_no_price() -> None:
    market = OneMarket()
    market.send(snapshot({4_700: UNIT}, {}))
    top = market.send(market.top(4_700, NO_PRICE))
    assert top["flags"] & TopFlag.DECLARED_AGREES


def test_declarations_on_untrusted_books_are_compared_and_change_nothing() -> None:
    market = OneMarket()
    for _ in range(3):
        market.send(market.top(*TRUE))
    assert market.trust == Trust.UNSYNCED
    assert market.count(Count.DECLARED_UNSYNCED_DIFFERS) == market.count(Count.DECLARED_UNSYNCED) == 3
    market.open_live()
    market.send(market.doubt(Reason.SEQUENCE_GAP))
    for said in (FALSE, FALSE, TRUE):
        market.send(market.top(*said))
    assert market.reason == Reason.SEQUENCE_GAP
    assert (market.count(Count.DECLARED_DOUBTED), market.count(Count.DECLARED_DOUBTED_DIFFERS)) == (3, 2)


def test_a_ticker_is_compared_and_never_a_doubt(live: OneMarket) -> None:
    for _ in range(3):
        top = live.send(ticker(*FALSE))
        assert TopFlag(int(top["flags"])) == TopFlag.DECLARED | TopFlag.TICKER
    top = live.send(ticker(*TRUE))
    assert top["flags"] & TopFlag.DECLARED_AGREES
    assert live.trust == Trust.LIVE
    assert (live.count(Count.TICKERS), live.count(Count.TICKERS_DIFFER)) == (4, 3)


@pytest.mark.parametrize("ticker_first", [True, False])
def test_a_declaration_outranks_a_ticker(live: OneMarket, ticker_first: bool) -> None:
    parts = (ticker(*FALSE), live.top(*TRUE)) if ticker_first else (live.top(*TRUE), ticker(*FALSE))
    top = live.send(*parts)
    assert TopFlag(int(top["flags"])) == TopFlag.DECLARED | TopFlag.DECLARED_AGREES
    assert live.count(Count.TICKERS) == 0


def test_nothing_declared_shows_no_price(live: OneMarket) -> None:
    live.send(live.top(*TRUE))
    top = live.send(live.level(100, UNIT))
    assert not top["flags"] & TopFlag.DECLARED
    assert (top["declared_bid_e4"], top["declared_ask_e4"]) == (NO_PRICE, NO_PRICE)


@pytest.mark.parametrize(("bid", "crossed"), [(4_800, False), (4_900, True), (5_000, True)])
def test_a_locked_book_is_crossed_too(live: OneMarket, bid: int, crossed: bool) -> None:
    top = live.send(live.level(bid, UNIT))
    assert bool(top["flags"] & TopFlag.CROSSED) is crossed
    assert live.count(Count.CROSSED_FRAMES) == crossed


def test_best_changed_is_about_prices(live: OneMarket) -> None:
    top = live.send(live.level(4_700, 3 * UNIT))
    assert not top["flags"] & TopFlag.BEST_CHANGED
    assert top["bid_size_e6"] == 3 * UNIT
    top = live.send(live.level(4_800, UNIT))
    assert top["flags"] & TopFlag.BEST_CHANGED
    assert (top["prev_bid_e4"], top["bid_e4"], top["prev_ask_e4"], top["ask_e4"]) == (
        4_700,
        4_800,
        4_900,
        4_900,
    )
    top = live.send(live.level(4_900, 0, side=1))
    assert (top["flags"] & TopFlag.BEST_CHANGED, top["ask_e4"]) == (TopFlag.BEST_CHANGED, 5_000)
    top = live.send(live.level(5_000, 0, side=1))
    assert (top["ask_e4"], top["ask_size_e6"]) == (NO_PRICE, 0)


def test_an_unknown_size_is_flagged_while_it_stands(live: OneMarket) -> None:
    top = live.send(live.level(4_800, 0, flags=UpdateFlag.SIZE_UNKNOWN))
    assert top["flags"] & TopFlag.SIZE_UNKNOWN
    assert (top["bid_e4"], top["bid_size_e6"]) == (4_800, 0)
    assert live.send(live.level(100, UNIT))["flags"] & TopFlag.SIZE_UNKNOWN
    assert not live.send(live.level(4_800, UNIT))["flags"] & TopFlag.SIZE_UNKNOWN


def test_one_top_for_each_market_of_a_frame_in_order_of_first_touch() -> None:
    market = OneMarket(markets=3)
    records = frame(
        update(UpdateKind.LEVEL_SET, 2, 4_000, UNIT),
        update(UpdateKind.LEVEL_SET, 0, 4_100, UNIT),
        update(UpdateKind.LEVEL_SET, 2, 4_200, UNIT),
    )
    assert market.store.apply(records, 3, 0) == 2
    assert market.store.tops[:2]["slot"].tolist() == [2, 0]
    assert market.store.tops[:2]["bid_e4"].tolist() == [4_200, 4_100]
