"""Compile the scanner's kernels: one top of a market that has a candidate of every kind of leg."""

from __future__ import annotations

import numpy as np

from engine.catalog.catalog import Catalog
from engine.catalog.market import GroupKind, MarketSpec
from engine.catalog.relations import RelationTable
from engine.config import MinEdges, StrategyConfig
from engine.optimizer.levels import Rows
from engine.records import BOOK_ROW, TOP, TopFlag, Trust, Venue
from engine.strategies.scanner import ArbitrageScanner
from engine.units import LEVEL_SIZE_MAX_E6, NS_PER_S, PRICE_ONE_E4, SIZE_ONE_E6

_MEMBERS = 3


def warm() -> None:
    """Call every kernel of the scanner once, with the types it has in production."""
    catalog = Catalog(_MEMBERS)
    for number in range(_MEMBERS):
        catalog.add_market(
            MarketSpec(
                venue=Venue.POLYMARKET,
                symbol=str(number),
                price_ranges=((0, PRICE_ONE_E4, 1),),
                lot_e6=SIZE_ONE_E6,
                min_size_e6=SIZE_ONE_E6,
                min_notional_micros=0,
                mirror=True,
                group="warm",
                group_kind=GroupKind.EXACTLY_ONE,
                group_size=_MEMBERS,
                neg_risk=True,
            )
        )
    books: Rows = np.zeros(_MEMBERS, BOOK_ROW)
    books["trust"] = Trust.LIVE
    books["generation"] = 1
    books["n_bids"] = books["n_asks"] = 1
    books["bid_e4"][:, 0], books["ask_e4"][:, 0] = 4_000, 6_000
    books["bid_size_e6"][:, 0] = books["ask_size_e6"][:, 0] = LEVEL_SIZE_MAX_E6
    top: Rows = np.zeros(1, TOP)
    top["trust"], top["flags"], top["generation"] = Trust.LIVE, TopFlag.BEST_CHANGED, 1
    warm_scanner(catalog, books).on_top(top[0], 0)


def warm_scanner(catalog: Catalog, books: Rows) -> ArbitrageScanner:
    """Make a scanner for no other purpose: without relations, content with any edge."""
    return ArbitrageScanner(catalog, RelationTable((), catalog), books, _CONFIG)


_CONFIG = StrategyConfig(
    min_edge_micros=MinEdges(
        complement_buy=0,
        complement_sell=0,
        partition_buy_yes=0,
        partition_buy_no=0,
        neg_risk_convert=0,
        cross_venue=0,
        implication=0,
    ),
    min_size_e6=SIZE_ONE_E6,
    capital_cost_rate_ppm=0,
    max_legs=_MEMBERS,
    book_age_max_ns=NS_PER_S,
    leg_skew_max_ns=NS_PER_S,
    deadline_ns=NS_PER_S,
)
