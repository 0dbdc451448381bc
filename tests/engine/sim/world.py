"""A small recorded world for tests: a catalog, a plain book, frames and requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import Catalog
from engine.catalog.market import FeeKind, FeeSpec, GroupKind, MarketSpec
from engine.facts import request_facts
from engine.ids import IdSource, order_identity
from engine.records import (
    BOOK_UPDATE,
    ORDER_REQUEST,
    Direction,
    Outcome,
    ReportKind,
    RequestKind,
    Side,
    TimeInForce,
    UpdateKind,
    Venue,
)
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import NO_FAULTS, FaultPlan
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.venue import SimVenue
from engine.units import NS_PER_MS, NS_PER_S

Rows = npt.NDArray[np.void]
Levels = Sequence[tuple[int, int]]  # (YES price e4, size e6)

ONE = 1_000_000  # one contract
DOLLAR = 1_000_000
MS = NS_PER_MS
S = NS_PER_S

KALSHI_FEE = FeeSpec(
    kind=FeeKind.KALSHI_QUADRATIC, rate_ppm=70_000, maker_rate_ppm=17_500, unit_micros=1, precision_micros=100
)
POLY_FEE = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=40_000, unit_micros=10)
FREE = replace(POLY_FEE, rate_ppm=0)

KALSHI = MarketSpec(
    venue=Venue.KALSHI,
    symbol="K",
    price_ranges=((0, 10_000, 100),),
    lot_e6=10_000,
    min_size_e6=10_000,
    min_notional_micros=0,
    mirror=True,
    fee=KALSHI_FEE,
)
POLY = MarketSpec(
    venue=Venue.POLYMARKET,
    symbol="P",
    price_ranges=((0, 10_000, 100),),
    lot_e6=10_000,
    min_size_e6=5 * ONE,
    min_notional_micros=DOLLAR,
    mirror=True,
    fee=POLY_FEE,
)


def neg_risk(symbol: str, group: str = "E", size: int = 3, fee: FeeSpec | None = POLY_FEE) -> MarketSpec:
    """A member of a neg-risk event."""
    return replace(
        POLY,
        symbol=symbol,
        group=group,
        group_kind=GroupKind.EXACTLY_ONE,
        group_size=size,
        neg_risk=True,
        fee=fee,
    )


def catalog_of(*specs: MarketSpec) -> Catalog:
    """Markets in slots 0, 1, ... in order."""
    catalog = Catalog(max(len(specs), 4))
    for spec in specs:
        catalog.add_market(spec)
    return catalog


class ListBook:
    """A public book in plain dictionaries: an independent reading of BOOK_UPDATE."""

    def __init__(self) -> None:
        self.sides: dict[tuple[int, int], dict[int, int]] = {}
        self.untrusted: set[int] = set()

    def apply(self, updates: Rows, n: int, now_ns: int) -> int:
        for update in updates[:n]:
            key = int(update["slot"]), int(update["side"])
            price, size, kind = int(update["price_e4"]), int(update["size_e6"]), int(update["kind"])
            if kind == UpdateKind.SNAPSHOT_BEGIN:
                self.sides[key[0], Side.BID] = {}
                self.sides[key[0], Side.ASK] = {}
            elif kind in (UpdateKind.LEVEL_SET, UpdateKind.SNAPSHOT_LEVEL):
                self.sides.setdefault(key, {})[price] = size
            elif kind == UpdateKind.LEVEL_ADD:
                side = self.sides.setdefault(key, {})
                side[price] = side.get(price, 0) + size
        return n

    def levels(self, slot: int, side: int) -> tuple[list[int], list[int]]:
        held = {price: size for price, size in self.sides.get((slot, side), {}).items() if size > 0}
        prices = sorted(held, reverse=side == Side.BID)
        return prices, [held[price] for price in prices]

    def is_tradable(self, slot: int) -> bool:
        return slot not in self.untrusted


def update(
    kind: UpdateKind, slot: int, side: Side = Side.BID, price_e4: int = 0, size_e6: int = 0, aux: int = 0
) -> np.void:
    row: np.void = np.zeros(1, BOOK_UPDATE)[0]
    row["kind"], row["slot"], row["side"] = kind, slot, side
    row["price_e4"], row["size_e6"], row["aux"], row["generation"] = price_e4, size_e6, aux, 1
    return row


def frame(*updates: np.void) -> Rows:
    return np.array(list(updates), BOOK_UPDATE)


def snapshot(slot: int, bids: Levels = (), asks: Levels = ()) -> Rows:
    levels = [update(UpdateKind.SNAPSHOT_LEVEL, slot, Side.BID, p, s) for p, s in bids]
    levels += [update(UpdateKind.SNAPSHOT_LEVEL, slot, Side.ASK, p, s) for p, s in asks]
    return frame(update(UpdateKind.SNAPSHOT_BEGIN, slot), *levels, update(UpdateKind.SNAPSHOT_END, slot))


def level(slot: int, side: Side, price_e4: int, size_e6: int) -> Rows:
    return frame(update(UpdateKind.LEVEL_SET, slot, side, price_e4, size_e6))


def trade(slot: int, side: Side, price_e4: int, size_e6: int) -> Rows:
    return frame(update(UpdateKind.TRADE, slot, side, price_e4, size_e6))


class Desk:
    """A simulated venue and somebody who sends to it by hand and reads everything at once."""

    def __init__(
        self,
        *specs: MarketSpec,
        cash_micros: int = 1_000 * DOLLAR,
        latency: LatencyModel | None = None,
        faults: FaultPlan = NO_FAULTS,
        times: SettlementTimes | None = None,
    ) -> None:
        self.catalog = catalog_of(*specs)
        self.book = ListBook()
        self.now_ns = S
        self.ids = IdSource(1)
        self.venue = SimVenue(
            specs[0].venue,
            self.catalog,
            self.book,
            latency or constant(0, 0),
            7,
            cash_micros=cash_micros,
            faults=faults,
            times=times,
        )

    def show(self, updates: Rows, after_ns: int = 0) -> None:
        """Let the recorded market send one frame."""
        self.now_ns += after_ns
        self.venue.on_update(updates, len(updates), self.now_ns)

    def request(
        self,
        direction: Direction,
        outcome: Outcome,
        price_e4: int,
        size_e6: int,
        tif: TimeInForce = TimeInForce.FAK,
        *,
        slot: int = 0,
        kind: RequestKind = RequestKind.NEW,
        expire_ns: int = 0,
    ) -> np.void:
        """A complete ORDER_REQUEST with a fresh id and identity."""
        row: np.void = np.zeros(1, ORDER_REQUEST)[0]
        row["order_id"] = self.ids.next_id()
        row["kind"], row["venue"] = kind, self.venue.venue
        row["slot"], row["generation"] = slot, self.catalog.rows[slot]["generation"]
        row["direction"], row["outcome"], row["tif"] = direction, outcome, tif
        row["price_e4"], row["size_e6"], row["expire_ns"] = price_e4, size_e6, expire_ns
        if kind != RequestKind.CONVERT:
            row["identity"] = np.frombuffer(order_identity(request_facts(row)), np.uint8)
        return row

    def send(self, request: np.void) -> list[np.void]:
        """Send and read what comes back by now."""
        self.venue.on_request(request, self.now_ns)
        return self.read()

    def read(self, after_ns: int = 0) -> list[np.void]:
        """Everything that has arrived after some more time."""
        self.now_ns += after_ns
        return [np.array([report])[0] for report in self.venue.advance(self.now_ns)]

    def buy(
        self, price_e4: int, size_e6: int, tif: TimeInForce = TimeInForce.FAK, *, slot: int = 0
    ) -> list[np.void]:
        """Buy YES."""
        return self.send(self.request(Direction.BUY, Outcome.YES, price_e4, size_e6, tif, slot=slot))

    def sell(
        self, price_e4: int, size_e6: int, tif: TimeInForce = TimeInForce.FAK, *, slot: int = 0
    ) -> list[np.void]:
        """Sell YES."""
        return self.send(self.request(Direction.SELL, Outcome.YES, price_e4, size_e6, tif, slot=slot))

    def buy_no(self, price_e4: int, size_e6: int, tif: TimeInForce = TimeInForce.FAK) -> list[np.void]:
        """Buy NO."""
        return self.send(self.request(Direction.BUY, Outcome.NO, price_e4, size_e6, tif))


def kinds(reports: Sequence[np.void]) -> list[ReportKind]:
    """What was said, in order."""
    return [ReportKind(int(report["kind"])) for report in reports]


def constant(request_ns: int, report_ns: int) -> LatencyModel:
    """The same time always."""
    return LatencyModel(1, Route(Lognormal(request_ns, request_ns), Lognormal(report_ns, report_ns)))
