"""Books as anyone would write them first: dictionaries, one update at a time. The oracle of the tests here.

Nothing of ``engine.book`` is used. Sizes are integers in 1e-6, None for an unknown size; prices are in 1e-4.
Bounds of memory are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

import numpy as np

from engine.reasons import Reason
from engine.records import (
    NO_PRICE,
    TOP_LEVELS,
    VWAP_NOTIONALS_MICROS,
    MarketState,
    Side,
    TopFlag,
    Trust,
    UpdateFlag,
    UpdateKind,
)

Size = int | None
Levels = dict[int, Size]

ENDED = (MarketState.CLOSED, MarketState.SETTLED)
SNAPSHOT_KINDS = (UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END)
LEVEL_MAX, SIDE_MAX = 10**14, 10**15


def average_e6(levels: list[tuple[int, int]], notional_micros: int, *, buys: bool) -> int:
    """Price in 1e-6 dollar of meeting a notional exactly, rounded against us; NO_PRICE if short."""
    need = Fraction(notional_micros, 10**6)
    contracts = Fraction(0)
    for price, size in levels:
        dollars = Fraction(size * price, 10**10)
        if dollars >= need:
            contracts += need / Fraction(price, 10**4)
            each = Fraction(notional_micros) / contracts
            return ceil(each) if buys else floor(each)
        contracts += Fraction(size, 10**6)
        need -= dollars
    return NO_PRICE


def _is_doubt(misses: list[int]) -> bool:
    """Frames in a row that disagreed, by venue time in ns (0: none): two, or 64 of one millisecond."""
    if len(misses) < 2 or len(misses) >= 64:
        return len(misses) >= 64
    first, last = misses[0], misses[-1]
    return last == 0 or first // 1_000_000 != last // 1_000_000


@dataclass
class Market:
    """One market: everything the store should know about it."""

    generation: int
    venue: int
    prices: tuple[int, ...]  # rising
    mirror: bool
    epoch: int
    sides: tuple[Levels, Levels] = field(default_factory=lambda: ({}, {}))
    trust: Trust = Trust.UNSYNCED
    doubt: Reason = Reason.NO_SNAPSHOT
    doubt_ns: int = 0
    state: int = 0
    update_count: int = 0
    recv_ns: int = 0
    venue_ns: int = 0
    best: tuple[int, int] = (NO_PRICE, NO_PRICE)
    shown_trust: Trust = Trust.UNSYNCED
    crossed_since: int | None = None
    frame_ns: int = 0
    top_misses: list[int] = field(default_factory=list)  # venue times of frames in a row
    mirror_misses: list[int] = field(default_factory=list)
    differs: dict[tuple[int, int], Size] = field(default_factory=dict)
    snapshot: str | None = None  # "own", "sibling"
    missing: int = 0
    flaw: Reason | None = None
    seen: set[str] = field(default_factory=set)
    declared: tuple[int, int] = (NO_PRICE, NO_PRICE)
    sibling_top: tuple[int, int] = (NO_PRICE, NO_PRICE)

    def __post_init__(self) -> None:
        self.on_grid = frozenset(self.prices)

    def best_of(self, side: int) -> int:
        levels = self.sides[side]
        if not levels:
            return NO_PRICE
        return max(levels) if side == Side.BID else min(levels)

    def ranked(self, side: int) -> list[tuple[int, int]]:
        """Best first, unknown sizes as 0."""
        levels = sorted(self.sides[side].items(), reverse=side == Side.BID)
        return [(price, size or 0) for price, size in levels]

    @property
    def crossed(self) -> bool:
        bid, ask = self.best_of(0), self.best_of(1)
        return bid != NO_PRICE and ask != NO_PRICE and bid >= ask

    def row(self) -> dict[str, object]:
        """The levels and averages that the published row should show."""
        shown: dict[str, object] = {}
        for side, name in ((0, "bid"), (1, "ask")):
            best = self.ranked(side)[:TOP_LEVELS]
            blank = TOP_LEVELS - len(best)
            shown[f"n_{name}s"] = len(best)
            shown[f"{name}_e4"] = [price for price, _ in best] + [NO_PRICE] * blank
            shown[f"{name}_size_e6"] = [size for _, size in best] + [0] * blank
            word = "sell" if side == 0 else "buy"
            shown[f"vwap_{word}_e6"] = [
                average_e6(self.ranked(side), notional, buys=side == 1) for notional in VWAP_NOTIONALS_MICROS
            ]
        return shown


class PlainBooks:
    """A store of dictionaries with the semantics that ``engine.book.apply`` documents."""

    def __init__(self, boot_epoch: int, burst_ns: int) -> None:
        self.markets: dict[int, Market] = {}
        self.boot_epoch = boot_epoch
        self.burst_ns = burst_ns
        self.epochs = 0

    def open(self, slot: int, generation: int, venue: int, prices: tuple[int, ...], *, mirror: bool) -> None:
        self.markets[slot] = Market(generation, venue, prices, mirror, self._epoch())

    def _epoch(self) -> int:
        self.epochs += 1
        return self.boot_epoch * 2**32 + self.epochs

    def apply(self, updates: np.ndarray, now_ns: int) -> list[dict[str, int]]:
        """Tops of one frame."""
        touched: list[int] = []
        for update in updates:
            slot = self._slot(update)
            if slot is None:
                continue
            if slot not in touched:
                touched.append(slot)
            self._one(self.markets[slot], update)
        self._compare_siblings(updates)
        return [self._end(slot, now_ns) for slot in touched]

    def _slot(self, update: np.void) -> int | None:
        kind, slot = int(update["kind"]), int(update["slot"])
        market = self.markets.get(slot)
        if market is None or market.generation != update["generation"]:
            return None
        if kind not in set(UpdateKind) or kind == UpdateKind.CONNECTED:
            return None
        if update["flags"] & UpdateFlag.SIBLING and (not market.mirror or kind == UpdateKind.LEVEL_ADD):
            return None
        return slot

    def _one(self, market: Market, update: np.void) -> None:
        kind, aux = int(update["kind"]), int(update["aux"])
        sibling = bool(update["flags"] & UpdateFlag.SIBLING)
        market.recv_ns = int(update["recv_ns"])
        market.frame_ns = int(update["venue_ns"])
        market.venue_ns = market.frame_ns or market.venue_ns
        if kind in SNAPSHOT_KINDS:
            market.seen.add("content")
            self._snapshot(market, update, "sibling" if sibling else "own")
        elif kind in (UpdateKind.LEVEL_SET, UpdateKind.LEVEL_ADD):
            market.seen.add("content")
            if not sibling:
                self._write(market, update)
        elif kind == UpdateKind.DECLARED_TOP:
            said = (int(update["price_e4"]), aux)
            if sibling:
                market.sibling_top = said
                market.seen.add("sibling_top")
            else:
                market.declared = said
                market.seen.add("declared")
        elif kind == UpdateKind.TICKER and "declared" not in market.seen:
            market.declared = (int(update["price_e4"]), aux)
            market.seen.add("ticker")
        elif kind == UpdateKind.DOUBT:
            self._doubt(market, Reason(aux), market.recv_ns)
        elif kind == UpdateKind.MARKET_STATE:
            market.state = aux
            if aux in ENDED:
                market.trust, market.doubt = Trust.DEAD, Reason.MARKET_CLOSED
        elif kind == UpdateKind.GRID_CHANGE:
            step = int(update["price_e4"])
            prices = tuple(range(0, 10_001, step if step > 0 and 10_000 % step == 0 else 1))
            if not sibling or prices != market.prices:
                self._regrid(market, prices)

    def _regrid(self, market: Market, prices: tuple[int, ...]) -> None:
        market.prices, market.on_grid = prices, frozenset(prices)
        market.sides = ({}, {})
        market.differs = {}
        market.snapshot = None
        market.epoch = self._epoch()
        self._doubt(market, Reason.GRID_CHANGED, market.recv_ns)

    def _doubt(self, market: Market, reason: Reason, at_ns: int) -> None:
        if market.trust is Trust.DEAD:
            return
        if market.trust is not Trust.UNSYNCED:
            market.trust = Trust.SUSPECT
        market.doubt = reason
        market.doubt_ns = max(market.doubt_ns, at_ns)

    def _snapshot(self, market: Market, update: np.void, source: str) -> None:
        kind = int(update["kind"])
        if kind == UpdateKind.SNAPSHOT_BEGIN:
            may = market.trust not in (Trust.LIVE, Trust.DEAD) and market.doubt is not Reason.MIRROR_BROKEN
            if source == "own" or may:
                market.sides = ({}, {})
                market.snapshot, market.missing, market.flaw = source, int(update["size_e6"]), None
                market.seen.add("snapshot")
        elif market.snapshot != source:
            if source == "own":
                self._doubt(market, Reason.RING_LAPPED, market.recv_ns)
                if kind == UpdateKind.SNAPSHOT_LEVEL:
                    self._write(market, update)
        elif kind == UpdateKind.SNAPSHOT_LEVEL:
            market.missing -= 1
            self._write(market, update)
        else:
            self._snapshot_end(market)

    def _snapshot_end(self, market: Market) -> None:
        flaw = Reason.RING_LAPPED if market.missing else market.flaw
        market.snapshot = None
        before = market.trust
        if before is not Trust.LIVE:
            market.epoch = self._epoch()
        if flaw is not None:
            self._doubt(market, flaw, market.recv_ns)
        elif before not in (Trust.LIVE, Trust.DEAD) and market.recv_ns >= market.doubt_ns:
            market.trust, market.doubt = Trust.LIVE, Reason.NONE
            market.top_misses, market.mirror_misses = [], []
            market.differs = {}

    def _write(self, market: Market, update: np.void) -> None:
        price, amount, side = int(update["price_e4"]), int(update["size_e6"]), int(update["side"])
        market.update_count += 1
        levels = market.sides[side]
        if price not in market.on_grid:
            self._fault(market, Reason.OFF_GRID)
        elif update["flags"] & UpdateFlag.SIZE_UNKNOWN:
            levels[price] = None
        elif update["kind"] == UpdateKind.LEVEL_ADD:
            old = levels.get(price, 0)
            if old is not None:
                self._put(market, levels, price, old + amount)
                if old + amount < 0:
                    levels.pop(price, None)
        else:
            self._put(market, levels, price, amount)

    def _put(self, market: Market, levels: Levels, price: int, size: int) -> None:
        if size < 0:
            if market.trust is Trust.LIVE or market.snapshot is not None:
                self._fault(market, Reason.NEGATIVE_LEVEL)
            return
        others = sum(known or 0 for at, known in levels.items() if at != price)
        if size > LEVEL_MAX or others + size > SIDE_MAX:
            self._fault(market, Reason.LEVEL_BOUND)
        elif size:
            levels[price] = size
        else:
            levels.pop(price, None)

    def _fault(self, market: Market, reason: Reason) -> None:
        if market.snapshot is not None:
            market.flaw = reason
        else:
            self._doubt(market, reason, market.recv_ns)

    def _compare_siblings(self, updates: np.ndarray) -> None:
        """What the sibling said in this frame, laid beside the books after it."""
        aside: tuple[int, tuple[Levels, Levels]] | None = None
        flaw: Reason | None = None
        for update in updates:
            slot, kind = self._slot(update), int(update["kind"])
            if slot is None or not update["flags"] & UpdateFlag.SIBLING:
                continue
            market = self.markets[slot]
            side, price = int(update["side"]), int(update["price_e4"])
            said: Size = None if update["flags"] & UpdateFlag.SIZE_UNKNOWN else int(update["size_e6"])
            if kind == UpdateKind.SNAPSHOT_BEGIN:
                market.differs = {}
                aside, flaw = (slot, ({}, {})), None
            elif kind == UpdateKind.LEVEL_SET and price in market.on_grid:
                self._compare(market, side, price, said)
            elif kind == UpdateKind.LEVEL_SET:
                self._doubt(market, Reason.OFF_GRID, int(update["recv_ns"]))
            elif kind == UpdateKind.SNAPSHOT_LEVEL and aside and aside[0] == slot:
                if price not in market.on_grid:
                    flaw = Reason.OFF_GRID
                elif said == 0:
                    aside[1][side].pop(price, None)
                else:
                    aside[1][side][price] = said
            elif kind == UpdateKind.SNAPSHOT_END and aside and aside[0] == slot:
                if flaw is None:
                    self._compare_books(market, aside[1])
                else:
                    self._doubt(market, flaw, int(update["recv_ns"]))
                aside = None

    def _compare_books(self, market: Market, theirs: tuple[Levels, Levels]) -> None:
        for side in (0, 1):
            for price in {*theirs[side], *market.sides[side]}:
                self._compare(market, side, price, theirs[side].get(price, 0))

    @staticmethod
    def _same(market: Market, side: int, price: int, said: Size) -> bool:
        if price not in market.sides[side]:
            return said == 0
        ours = market.sides[side][price]
        return said != 0 if ours is None or said is None else said == ours

    def _compare(self, market: Market, side: int, price: int, said: Size) -> None:
        if self._same(market, side, price, said):
            market.differs.pop((side, price), None)
        else:
            market.differs[side, price] = said

    def _end(self, slot: int, now_ns: int) -> dict[str, int]:
        market = self.markets[slot]
        if market.snapshot is not None:
            market.snapshot = None
            self._doubt(market, Reason.RING_LAPPED, market.recv_ns)
        best = (market.best_of(0), market.best_of(1))
        flags = TopFlag.SNAPSHOT if "snapshot" in market.seen else TopFlag(0)
        if {"declared", "ticker"} & market.seen:
            flags |= TopFlag.DECLARED
            agrees = market.declared == best
            flags |= TopFlag.DECLARED_AGREES if agrees else TopFlag(0)
            if "declared" not in market.seen:
                flags |= TopFlag.TICKER
            elif market.trust is Trust.LIVE:
                market.top_misses = [] if agrees else [*market.top_misses, market.frame_ns]
                if _is_doubt(market.top_misses):
                    self._doubt(market, Reason.TOP_DISAGREES, market.recv_ns)
        if market.mirror and self._pair_differs(market, best):
            flags |= TopFlag.MIRROR_DIFFERS
        market.seen = set()
        return self.announce(slot, now_ns, flags)

    def _pair_differs(self, market: Market, best: tuple[int, int]) -> bool:
        market.differs = {
            (side, price): said
            for (side, price), said in market.differs.items()
            if not self._same(market, side, price, said)
        }
        levels_differ = differs = bool(market.differs)
        if "sibling_top" in market.seen:
            differs = differs or market.sibling_top != best
        if {"content", "sibling_top"} & market.seen:
            market.mirror_misses = [*market.mirror_misses, market.frame_ns] if differs else []
            lasts = _is_doubt(market.mirror_misses) or (levels_differ and len(market.mirror_misses) >= 2)
            if lasts and market.trust is Trust.LIVE:
                self._doubt(market, Reason.MIRROR_BROKEN, market.recv_ns)
        return differs

    def announce(self, slot: int, now_ns: int, flags: TopFlag) -> dict[str, int]:
        """The TOP of a market as a dictionary."""
        market = self.markets[slot]
        best = (market.best_of(0), market.best_of(1))
        if best != market.best:
            flags |= TopFlag.BEST_CHANGED
        if None in [*market.sides[0].values(), *market.sides[1].values()]:
            flags |= TopFlag.SIZE_UNKNOWN
        if market.crossed:
            flags |= TopFlag.CROSSED
        if not market.crossed or market.trust is not Trust.LIVE:
            market.crossed_since = None
        elif market.crossed_since is None:
            market.crossed_since = now_ns
        if market.crossed_since is not None and now_ns - market.crossed_since >= self.burst_ns:
            self._doubt(market, Reason.CROSSED_TOO_LONG, now_ns)
            market.crossed_since = None
        said = market.declared if flags & TopFlag.DECLARED else (NO_PRICE, NO_PRICE)
        top = {
            "recv_ns": market.recv_ns,
            "venue_ns": market.venue_ns,
            "book_ns": now_ns,
            "epoch": market.epoch,
            "update_count": market.update_count,
            "bid_size_e6": (market.sides[0].get(best[0]) or 0),
            "ask_size_e6": (market.sides[1].get(best[1]) or 0),
            "slot": slot,
            "generation": market.generation,
            "bid_e4": best[0],
            "ask_e4": best[1],
            "prev_bid_e4": market.best[0],
            "prev_ask_e4": market.best[1],
            "declared_bid_e4": said[0],
            "declared_ask_e4": said[1],
            "doubt": int(market.doubt),
            "trust": int(market.trust),
            "prev_trust": int(market.shown_trust),
            "venue": market.venue,
            "flags": int(flags),
        }
        market.best, market.shown_trust = best, market.trust
        return top

    def on_time(self, now_ns: int) -> dict[int, dict[str, int]]:
        """Tops by slot of what has been crossed for a whole burst."""
        due = [
            slot
            for slot, market in self.markets.items()
            if market.crossed_since is not None and now_ns - market.crossed_since >= self.burst_ns
        ]
        return {slot: self.announce(slot, now_ns, TopFlag(0)) for slot in due}
