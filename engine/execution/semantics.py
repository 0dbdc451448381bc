"""What each venue makes of an order: which lives it knows, how price and size are rounded before.

Rounding is against us: a purchase never pays more than planned, a sale never receives less, and never more is
traded than asked for. Prices are in the terms of the order's outcome unless a name says YES.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, lcm
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.catalog.market import RANGES_MAX
from engine.facts import MarketFacts, market_facts
from engine.records import NO_PRICE, Direction, Outcome, TimeInForce, Venue
from engine.units import NS_PER_S, PRICE_ONE_E4, SIZE_ONE_E6

_CENT_SIZE_E6: Final = 10_000  # 0.01 share: the finest size whose cents rule is defined
TAKER_TIFS: Final = frozenset({TimeInForce.FOK, TimeInForce.FAK})
_BUY, _SELL, _YES, _NO = int(Direction.BUY), int(Direction.SELL), int(Outcome.YES), int(Outcome.NO)
_RANGES: Final = struct.Struct(f"<{RANGES_MAX}i")


@dataclass(frozen=True, slots=True)
class VenueRules:
    """Order semantics of one venue.

    ``confirms``: a fill is provisional until CONFIRMED, and may end FAILED; what it bought cannot be sold
    before.
    ``nets_pairs``: YES and NO of one market become one dollar at once, and selling what is not held buys
    the other.
    ``whole_cent_buys``: orders to buy with these lives must cost whole cents at their limit.
    ``expiry_lead_ns``: how long before its stated time an order expires; ``expiry_min_ns``: shortest life
    it accepts.
    """

    tifs: frozenset[TimeInForce]
    confirms: bool
    nets_pairs: bool
    converts: bool
    whole_cent_buys: frozenset[TimeInForce]
    expiry_grid_ns: int
    expiry_min_ns: int
    expiry_lead_ns: int


RULES: Final[Mapping[int, VenueRules]] = MappingProxyType(
    {
        Venue.POLYMARKET: VenueRules(
            tifs=frozenset(TimeInForce),
            confirms=True,
            nets_pairs=False,
            converts=True,
            whole_cent_buys=TAKER_TIFS,
            expiry_grid_ns=NS_PER_S,
            expiry_min_ns=180 * NS_PER_S,
            expiry_lead_ns=60 * NS_PER_S,
        ),
        Venue.KALSHI: VenueRules(
            tifs=frozenset(TimeInForce),
            confirms=False,
            nets_pairs=True,
            converts=False,
            whole_cent_buys=frozenset(),
            expiry_grid_ns=NS_PER_S,
            expiry_min_ns=0,
            expiry_lead_ns=0,
        ),
    }
)


def yes_price_e4(price_e4: int, outcome: int) -> int:
    """Price in YES terms of a price in the terms of ``outcome``, and the other way round."""
    return PRICE_ONE_E4 - price_e4 if outcome == _NO else price_e4


def takes_bids(direction: int, outcome: int) -> bool:
    """Whether the order meets the bids of the YES book: a sale of YES, or a purchase of NO."""
    return (direction == _SELL) == (outcome == _YES)


def round_price_e4(row: np.void, direction: int, outcome: int, price_e4: int) -> int:
    """Nearest price on the grid of MARKET_ROW ``row`` that is no worse for us; NO_PRICE when there is none.

    A purchase is rounded down and a sale up, which in YES terms turns around for NO.
    """
    return grid_limit_e4(market_facts(row), direction, outcome, price_e4)


def grid_limit_e4(known: MarketFacts, direction: int, outcome: int, price_e4: int) -> int:
    """The same of a market that has been read."""
    down = (direction == _BUY) == (outcome == _YES)
    rounded = _grid_price_e4(known, yes_price_e4(price_e4, outcome), down=down)
    return NO_PRICE if rounded == NO_PRICE else yes_price_e4(rounded, outcome)


def on_grid(row: np.void, yes_e4: int) -> bool:
    """Whether an order may carry this YES price: on a step of a range, strictly inside (0, 1)."""
    return _grid_price_e4(market_facts(row), yes_e4, down=True) == yes_e4


def _grid_price_e4(known: MarketFacts, yes_e4: int, *, down: bool) -> int:
    found: list[int] = []
    starts, ends, sizes = map(_RANGES.unpack, (known.range_start_e4, known.range_end_e4, known.range_step_e4))
    if not 0 <= known.n_ranges <= len(starts):
        return NO_PRICE
    for start, end, step in zip(starts[: known.n_ranges], ends, sizes, strict=False):
        if step <= 0:
            continue  # garbage is no grid
        steps = (yes_e4 - start) // step if down else -((start - yes_e4) // step)
        nearest = start + min(max(steps, 0), (end - start) // step) * step
        if (nearest <= yes_e4 if down else nearest >= yes_e4) and 0 < nearest < PRICE_ONE_E4:
            found.append(nearest)
        elif down and nearest == PRICE_ONE_E4 <= yes_e4:
            found.append(nearest - step)
        elif not down and nearest == 0 >= yes_e4:
            found.append(step)
    if not found:
        return NO_PRICE
    return max(found) if down else min(found)


def round_size_e6(row: np.void, direction: int, tif: int, price_e4: int, size_e6: int) -> int:
    """Largest size at most ``size_e6`` that the venue accepts at this price; 0 when it accepts none."""
    return size_within_e6(market_facts(row), direction, tif, price_e4, size_e6)


def size_within_e6(known: MarketFacts, direction: int, tif: int, price_e4: int, size_e6: int) -> int:
    """The same of a market that has been read."""
    lot = lot_at_e6(known, direction, tif, price_e4)
    size = size_e6 // lot * lot
    if size < known.min_size_e6:
        return 0
    small = direction == _BUY and size * price_e4 < known.min_notional_micros * PRICE_ONE_E4
    return 0 if small else size


def lot_at_e6(known: MarketFacts, direction: int, tif: int, price_e4: int) -> int:
    """Smallest step of size at ``price_e4``: the market's lot, and whole cents where the venue asks."""
    if direction == _BUY and tif in RULES[known.venue].whole_cent_buys:
        return lcm(known.lot_e6, _CENT_SIZE_E6 * (PRICE_ONE_E4 // gcd(price_e4, PRICE_ONE_E4)))
    return known.lot_e6


def is_whole_cents(size_e6: int, price_e4: int) -> bool:
    """Whether size x price is a whole number of cents."""
    return size_e6 * price_e4 % (SIZE_ONE_E6 * PRICE_ONE_E4 // 100) == 0


def effective_expiry_ns(rules: VenueRules, expire_ns: int) -> int:
    """When the venue really expires an order that states ``expire_ns``; 0 stays 0 (never)."""
    return expire_ns // rules.expiry_grid_ns * rules.expiry_grid_ns - rules.expiry_lead_ns if expire_ns else 0


def stated_expiry_ns(rules: VenueRules, until_ns: int, now_ns: int) -> int:
    """Expiry to state for a life until ``until_ns`` at least, and no shorter than the venue allows."""
    wanted = max(until_ns + rules.expiry_lead_ns, now_ns + rules.expiry_min_ns + rules.expiry_grid_ns)
    return -(-wanted // rules.expiry_grid_ns) * rules.expiry_grid_ns
