"""Wire frames of both venues as they come from a socket, in memory, made from a seed.

Field names, order, widths of ids and the share of deletions are those of live frames; prices lie on the tick
around a middle that does not move. No two frames of a list are equal.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.records import Outcome, Venue
from engine.venues.codec import MarketDataCodec
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable

SEED: Final = 11
CONDITION: Final = "0x" + "5f" * 32
HASH: Final = "a3" * 20
MARKETS: Final = 8
DELETED: Final = 0.3
START_MS: Final = 1_790_000_000_000


def token(market: int, outcome: Outcome) -> str:
    """A token of 77 digits."""
    return f"{7_300_000 + 2 * market + (outcome is Outcome.NO):d}".ljust(77, "7")


def ticker(market: int) -> str:
    """A Kalshi market."""
    return f"KXBENCH15M-26NOV281530-T{market:02d}"


def codec_of(venue: Venue) -> MarketDataCodec:
    """A codec that knows the MARKETS of these frames, by slot."""
    symbols = SymbolTable(4 * MARKETS)
    for market in range(MARKETS):
        if venue is Venue.KALSHI:
            symbols.add(ticker(market).encode(), market, 1)
        else:
            symbols.add(token(market, Outcome.YES).encode(), market, 1)
            symbols.add(token(market, Outcome.NO).encode(), market, 1, Outcome.NO, mirrored=True)
    return KalshiCodec(symbols) if venue is Venue.KALSHI else PolymarketCodec(symbols, check_hash=False)


class Chance:
    """Prices and sizes in the manner of a busy market."""

    def __init__(self) -> None:
        self._draws = np.random.default_rng(SEED)

    def market(self) -> int:
        """Some market."""
        return int(self._draws.integers(MARKETS))

    def tick(self) -> int:
        """Ticks away from the middle: most of the trade is near it."""
        return int(min(self._draws.geometric(0.2), 40))

    def is_buy(self) -> bool:
        """One of the sides."""
        return bool(self._draws.integers(2))

    def cents(self) -> int:
        """Hundredths of a share or a contract."""
        return int(self._draws.integers(100, 1_000_000))

    def is_gone(self) -> bool:
        """Whether a level is taken away."""
        return bool(self._draws.random() < DELETED)


def price_changes(frames: int, changes: int) -> list[bytes]:
    """Polymarket ``price_change``; entries go to the two tokens of a market in turn: a pair is one change."""
    chance = Chance()
    made = []
    for number in range(frames):
        market = chance.market()
        entries: list[str] = []
        is_buy, yes, size = False, 0, 0
        for index in range(changes):
            if index % 2 == 0:
                is_buy, ticks, size = chance.is_buy(), chance.tick(), chance.cents()
                size = 0 if chance.is_gone() else size
                yes = 50 - ticks if is_buy else 50 + ticks
            mirrored = index % 2 == 1
            price, side = (100 - yes, not is_buy) if mirrored else (yes, is_buy)
            entries.append(
                f'{{"asset_id":"{token(market, Outcome(mirrored))}","price":"0.{price:02d}",'
                f'"size":"{size / 100:g}","side":"{"BUY" if side else "SELL"}","hash":"{HASH}",'
                f'"best_bid":"0.49","best_ask":"0.51"}}'
            )
        made.append(
            f'{{"market":"{CONDITION}","price_changes":[{",".join(entries)}],'
            f'"timestamp":"{START_MS + number}","event_type":"price_change"}}'.encode()
        )
    return made


def books(frames: int, levels: int) -> list[bytes]:
    """Polymarket ``book`` with ``levels`` in all, half of them bids; from the worst to the best."""
    chance = Chance()
    made = []
    for number in range(frames):
        bids, asks = (
            ",".join(
                f'{{"price":"0.{(5_000 + sign * (levels // 2 - rank) * 10) // 10:03d}",'
                f'"size":"{chance.cents() / 100:g}"}}'
                for rank in range(levels // 2)
            )
            for sign in (-1, 1)
        )
        made.append(
            f'{{"market":"{CONDITION}","asset_id":"{token(chance.market(), Outcome.YES)}",'
            f'"timestamp":"{START_MS + number}","hash":"{HASH}","bids":[{bids}],"asks":[{asks}],'
            f'"event_type":"book"}}'.encode()
        )
    return made


def kalshi_snapshots(frames: int, levels: int) -> list[bytes]:
    """Kalshi ``orderbook_snapshot`` of ``levels`` in all, one after the other of one subscription."""
    chance = Chance()
    return [_snapshot(chance, number % MARKETS, number + 1, levels) for number in range(frames)]


def kalshi_deltas(frames: int) -> list[bytes]:
    """A small snapshot of each market, then ``frames`` of ``orderbook_delta``; no size falls below zero."""
    chance = Chance()
    made = [_snapshot(chance, market, market + 1, 0) for market in range(MARKETS)]
    held: dict[tuple[int, bool, int], int] = {}
    for number in range(frames):
        place = chance.market(), chance.is_buy(), 45 - chance.tick()
        before = held.get(place, 0)
        change = -before if before and chance.is_gone() else chance.cents()
        held[place] = before + change
        text = (
            f'{{"type":"orderbook_delta","sid":1,"seq":{MARKETS + 1 + number},"msg":{{"market_ticker":'
            f'"{ticker(place[0])}","market_id":"9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",'
            f'"price_dollars":"0.{place[2]:02d}00","delta_fp":"{change / 100:.2f}",'
            f'"side":"{"yes" if place[1] else "no"}","ts":"2026-09-21T12:00:00.{number % 1_000_000:06d}Z"}}}}'
        )
        made.append(text.encode())
    return made


def _snapshot(chance: Chance, market: int, seq: int, levels: int) -> bytes:
    sides = [
        ",".join(
            f'["0.{45 - rank:02d}00","{chance.cents() / 100:.2f}"]' for rank in reversed(range(levels // 2))
        )
        for _ in range(2)
    ]
    return (
        f'{{"type":"orderbook_snapshot","sid":1,"seq":{seq},"msg":{{"market_ticker":"{ticker(market)}",'
        f'"market_id":"9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1","yes_dollars_fp":[{sides[0]}],'
        f'"no_dollars_fp":[{sides[1]}]}}}}'
    ).encode()
