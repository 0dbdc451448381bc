"""A catalog of pairs for measurements: two markets of which exactly one wins, quiet until a frame says else.

Every pair is an approved relation. Quiet, the two asks sum to more than a dollar; a frame that lowers the
first market's ask makes buying both an opportunity without doubt, and the next one takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.catalog.market import FeeKind, FeeSpec, MarketSpec
from engine.catalog.relations import Member, Relation, RelationKind
from engine.catalog.rules import fingerprint
from engine.config import Config
from engine.records import Venue
from engine.units import NS_PER_DAY, SIZE_ONE_E6
from procs.config_files import load_config

START_NS: Final = 1_790_000_000_000_000_000
QUIET_ASK: Final = 60
CHEAP_ASK: Final = 40
OTHER_ASK: Final = 55
SIZE: Final = 400
RULES: Final = "Resolves as the official result says."
# Nothing may stand in the way of an opportunity: books do not age, cash and limits suffice.
SETTINGS: Final = (
    "strategy.book_age_max_ns=86400000000000",
    "risk.book_age_max_ns=86400000000000",
    "strategy.leg_skew_max_ns=86400000000000",
    "optimizer.slots=100000",
    "venues.polymarket.paper_cash_micros=1000000000000",
    "risk.position_max_e6=1000000000000",
    "risk.market_exposure_max_micros=1000000000000",
    "risk.event_exposure_max_micros=1000000000000",
    # Nor of plan after plan, each held: books show what was bought as worth less.
    "risk.heat_max_ppm=1000000",
    "risk.daily_loss_max_micros=1000000000000",
    "risk.drawdown_warn_ppm=1000000",
    "risk.drawdown_stop_ppm=1000000",
    "venues.polymarket.orders_per_second=100000",
    "venues.polymarket.orders_burst=100000",
)


def config_of(slots: int) -> Config:
    """Settings as shipped, but for what would end an opportunity, with room for so many markets."""
    return load_config(assignments=[*SETTINGS, f"engine.market_slots={slots}"])


def yes_token(market: int) -> str:
    """Token of a market's YES."""
    return f"{5_100_000 + market:d}".ljust(77, "3")


def market_of(number: int) -> MarketSpec:
    """A Polymarket market without fees that closes in a month."""
    return MarketSpec(
        venue=Venue.POLYMARKET,
        symbol=f"0x{number:064x}",
        price_ranges=((0, 10_000, 100),),
        lot_e6=10_000,
        min_size_e6=SIZE_ONE_E6,
        min_notional_micros=0,
        mirror=True,
        fee=FeeSpec(FeeKind.POLYMARKET_CURVE),
        yes_token=yes_token(number),
        no_token=f"{6_100_000 + number:d}".ljust(77, "4"),
        rules_text=RULES,
        close_ns=START_NS + 30 * NS_PER_DAY,
    )


def pair_of(number: int) -> Relation:
    """Exactly one of the two markets of pair ``number`` wins."""
    return Relation(
        name=f"pair-{number}",
        kind=RelationKind.PARTITION,
        exhaustive=True,
        member=tuple(
            Member(
                venue=Venue.POLYMARKET,
                symbol=f"0x{2 * number + side:064x}",
                rules_sha256=fingerprint(RULES),
                ruler="bench",
            )
            for side in range(2)
        ),
        approved_by="bench",
        approved_on="2026-11-01",
    )


def opening(markets: int) -> Iterator[bytes]:
    """A book of each market."""
    for number in range(markets):
        ask = OTHER_ASK if number % 2 else QUIET_ASK
        yield (
            f'{{"event_type":"book","asset_id":"{yes_token(number)}","market":"0x{number:064x}",'
            f'"bids":[{{"price":"0.20","size":"{SIZE}"}}],'
            f'"asks":[{{"price":"0.{ask}","size":"{SIZE}"}}],"timestamp":"1790000000000"}}'
        ).encode()


def change(market: int, *, is_cheap: bool) -> bytes:
    """The ask at CHEAP_ASK comes, or goes; both tokens say so, as the venue does."""
    size = SIZE if is_cheap else 0
    best = CHEAP_ASK if is_cheap else QUIET_ASK
    no_token = f"{6_100_000 + market:d}".ljust(77, "4")
    entries = (
        (yes_token(market), CHEAP_ASK, "SELL", 20, best),
        (no_token, 100 - CHEAP_ASK, "BUY", 100 - best, 80),
    )
    changes = ",".join(
        f'{{"asset_id":"{asset}","price":"0.{price}","size":"{size}","side":"{side}","hash":"{"a3" * 20}",'
        f'"best_bid":"0.{bid}","best_ask":"0.{ask}"}}'
        for asset, price, side, bid, ask in entries
    )
    return (
        f'{{"market":"0x{market:064x}","price_changes":[{changes}],"timestamp":"1790000000000",'
        '"event_type":"price_change"}'
    ).encode()
