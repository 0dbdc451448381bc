"""What is drilled: at each venue two markets of which exactly one wins, and frames about them.

Quiet, a contract of each costs more than the dollar that one of them pays. A frame that brings one of them a
cheap offer makes buying both an opportunity, and the next takes it away again. Both are as the venue writes
them (docs/venues.md), about markets that no venue has.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

import numpy as np

from engine.catalog.defaults import CENT_GRID
from engine.catalog.market import FeeKind, FeeSpec, MarketSpec
from engine.catalog.relations import Member, Relation, RelationKind
from engine.catalog.rules import fingerprint
from engine.records import BOOK_ROW, NO_PRICE, TOP, TopFlag, Trust, Venue
from engine.units import NS_PER_DAY, SIZE_ONE_E6
from shm.layout import offset_of
from shm.ring import Records

VENUES: Final = (Venue.POLYMARKET, Venue.KALSHI)
PAIR: Final = 2
CHEAP: Final = 0  # of a pair, the one whose offer comes and goes
SLOTS: Final = PAIR * len(VENUES)
OPEN_FOR_NS: Final = 3_650 * NS_PER_DAY
_BID, _OFFER, _QUIET, _OTHER = 20, 30, 60, 55  # cents
_SIZE: Final = 400
_MORE: Final = 100
_E4_PER_CENT: Final = 100
_ROW_RECV, _ROW_UPDATES = (offset_of(BOOK_ROW, name) // 8 for name in ("recv_ns", "update_count"))
_TOP_RECV, _TOP_UPDATES, _TOP_BOOK = (
    offset_of(TOP, name) // 8 for name in ("recv_ns", "update_count", "book_ns")
)
_RULES: Final = "Nobody can trade this."
_CONDITION: Final = "0x" + "7a" * 32
_MARKET_ID: Final = "00000000-0000-4000-8000-000000000000"
_HASH: Final = "7a" * 20
_FEES: Final = {
    Venue.POLYMARKET: FeeSpec(FeeKind.POLYMARKET_CURVE, rate_ppm=40_000),
    Venue.KALSHI: FeeSpec(FeeKind.KALSHI_QUADRATIC, rate_ppm=70_000, precision_micros=10_000),
}


class Offer(Enum):
    """What a frame says of the best offers of the cheap market of a pair."""

    CHEAP = "comes"
    GONE = "goes"
    MORE = "more at the quiet price"
    LESS = "less"


class Beat(NamedTuple):
    """One frame of a drill."""

    venue: Venue
    offer: Offer


def symbol(venue: Venue, number: int) -> str:
    """Of one market of a venue's pair, as long as those of the venue are."""
    if venue is Venue.KALSHI:
        return f"KXDRILL-00JAN010000-T{number:02d}"
    return f"0x{number:064x}"


def token(number: int, *, no: bool = False) -> str:
    """Polymarket's, of 77 digits."""
    return f"{1 + no}{number}".ljust(77, "7")


def market(venue: Venue, number: int, now_ns: int) -> MarketSpec:
    """One market of a venue's pair. It stays open longer than any process lives."""
    is_kalshi = venue is Venue.KALSHI
    return MarketSpec(
        venue=venue,
        symbol=symbol(venue, number),
        price_ranges=CENT_GRID,
        lot_e6=SIZE_ONE_E6,
        min_size_e6=SIZE_ONE_E6,
        min_notional_micros=0,
        mirror=True,
        fee=_FEES[venue],
        yes_token="" if is_kalshi else token(number),
        no_token="" if is_kalshi else token(number, no=True),
        rules_text=_RULES,
        close_ns=now_ns + OPEN_FOR_NS,
    )


def markets(now_ns: int) -> list[MarketSpec]:
    """All of them, in the order of their slots."""
    return [market(venue, number, now_ns) for venue in VENUES for number in range(PAIR)]


def relations() -> list[Relation]:
    """Exactly one of each pair wins."""
    return [
        Relation(
            name=f"drill-{venue.name.lower()}",
            kind=RelationKind.PARTITION,
            exhaustive=True,
            member=tuple(
                Member(
                    venue=venue,
                    symbol=symbol(venue, number),
                    rules_sha256=fingerprint(_RULES),
                    ruler="drill",
                )
                for number in range(PAIR)
            ),
            approved_by="drill",
            approved_on="2026-11-29",
        )
        for venue in VENUES
    ]


class Frames:
    """Frames of all pairs. A venue that counts its messages finds none missing."""

    def __init__(self) -> None:
        self._sequence = 0

    def opening(self) -> Iterator[tuple[Venue, bytes]]:
        """A quiet book of each market."""
        for venue in VENUES:
            for number in range(PAIR):
                ask = _OTHER if number != CHEAP else _QUIET
                yield venue, self._kalshi_book(number, ask) if venue is Venue.KALSHI else _book(number, ask)

    def of(self, beat: Beat) -> bytes:
        """The offer comes, or goes."""
        return self._delta(beat) if beat.venue is Venue.KALSHI else _change(beat)

    def _kalshi_book(self, number: int, ask: int) -> bytes:
        self._sequence += 1
        return (
            f'{{"type":"orderbook_snapshot","sid":1,"seq":{self._sequence},"msg":{{'
            f'"market_ticker":"{symbol(Venue.KALSHI, number)}","market_id":"{_MARKET_ID}",'
            f'"yes_dollars_fp":[["0.{_BID}00","{_SIZE}.00"]],'
            f'"no_dollars_fp":[["0.{100 - ask}00","{_SIZE}.00"]]}}}}'
        ).encode()

    def _delta(self, beat: Beat) -> bytes:
        """A bid for NO is an offer of YES."""
        self._sequence += 1
        level = LEVELS[beat.offer]
        return (
            f'{{"type":"orderbook_delta","sid":1,"seq":{self._sequence},"msg":{{'
            f'"market_ticker":"{symbol(Venue.KALSHI, CHEAP)}","market_id":"{_MARKET_ID}",'
            f'"price_dollars":"0.{100 - level.cents}00","delta_fp":"{level.change}.00",'
            f'"side":"no","ts":"2026-01-01T00:00:00.000000Z"}}}}'
        ).encode()


def _book(number: int, ask: int) -> bytes:
    return (
        f'{{"event_type":"book","asset_id":"{token(number)}","market":"{_CONDITION}",'
        f'"bids":[{{"price":"0.{_BID}","size":"{_SIZE}"}}],"asks":[{{"price":"0.{ask}","size":"{_SIZE}"}}],'
        f'"timestamp":"1767225600000"}}'
    ).encode()


def _change(beat: Beat) -> bytes:
    """Both tokens say so, as the venue does."""
    level = LEVELS[beat.offer]
    best = level.offers[0][0]
    entries = (
        (token(CHEAP), level.cents, "SELL", _BID, best),
        (token(CHEAP, no=True), 100 - level.cents, "BUY", 100 - best, 100 - _BID),
    )
    changes = ",".join(
        f'{{"asset_id":"{asset}","price":"0.{price}","size":"{level.size}","side":"{side}","hash":"{_HASH}",'
        f'"best_bid":"0.{bid}","best_ask":"0.{ask}"}}'
        for asset, price, side, bid, ask in entries
    )
    return (
        f'{{"market":"{_CONDITION}","price_changes":[{changes}],"timestamp":"1767225600000",'
        '"event_type":"price_change"}'
    ).encode()


class Level(NamedTuple):
    """The one that a frame changes, in cents and contracts, and the offers behind it: price and size each."""

    cents: int
    change: int
    size: int
    offers: tuple[tuple[int, int], ...]


LEVELS: Final = {
    Offer.CHEAP: Level(_OFFER, _SIZE, _SIZE, ((_OFFER, _SIZE), (_QUIET, _SIZE))),
    Offer.GONE: Level(_OFFER, -_SIZE, 0, ((_QUIET, _SIZE),)),
    Offer.MORE: Level(_QUIET, _MORE, _SIZE + _MORE, ((_QUIET, _SIZE + _MORE),)),
    Offer.LESS: Level(_QUIET, -_MORE, _SIZE, ((_QUIET, _SIZE),)),
}


class Rows:
    """Rows of books as those frames make them, and the tops that announce them, under ``epoch``.

    For stages whose books are another process's.
    """

    def __init__(self, epoch: int) -> None:
        self._updates = 0
        self._made = {
            (slot, offer): _announced(slot, epoch, LEVELS[offer]) for slot in range(SLOTS) for offer in Offer
        }

    def next(self, slot: int, now_ns: int, offer: Offer) -> tuple[Records, Records]:
        """BOOK_ROW and TOP of a market, one update later."""
        self._updates += 1
        row, top, row_words, top_words = self._made[slot, offer]
        row_words[_ROW_UPDATES] = top_words[_TOP_UPDATES] = self._updates
        row_words[_ROW_RECV] = top_words[_TOP_RECV] = top_words[_TOP_BOOK] = now_ns
        return row, top


def _announced(slot: int, epoch: int, level: Level) -> tuple[Records, Records, memoryview, memoryview]:
    offers = level.offers if slot % PAIR == CHEAP else ((_OTHER, _SIZE),)
    row: Records = np.zeros(1, BOOK_ROW)
    top: Records = np.zeros(1, TOP)
    row["vwap_buy_e6"] = row["vwap_sell_e6"] = NO_PRICE
    for made in (row, top):
        made["slot"], made["generation"], made["epoch"] = slot, 1, epoch
        made["venue"], made["trust"] = VENUES[slot // PAIR], Trust.LIVE
    top["prev_trust"], top["flags"] = Trust.LIVE, TopFlag.BEST_CHANGED
    for side, levels in (("bid", ((_BID, _SIZE),)), ("ask", offers)):
        row[f"n_{side}s"] = len(levels)
        row[f"{side}_e4"] = top[f"declared_{side}_e4"] = NO_PRICE
        for place, (cents, size) in enumerate(levels):
            row[f"{side}_e4"][0, place] = cents * _E4_PER_CENT
            row[f"{side}_size_e6"][0, place] = size * SIZE_ONE_E6
        top[f"{side}_e4"] = top[f"prev_{side}_e4"] = row[f"{side}_e4"][0, 0]
        top[f"{side}_size_e6"] = row[f"{side}_size_e6"][0, 0]
    return row, top, row.view(np.int64).data, top.view(np.int64).data
