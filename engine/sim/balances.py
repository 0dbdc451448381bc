"""Our account at the simulated venue: cash, tokens, and what of both is spoken for.

Nothing is sold that is not there and nothing bought that cannot be paid at its limit. Polymarket: YES and
NO are two tokens. Kalshi: one signed position, so an order *gains* one outcome; what we hold of the other
is closed first, which needs no cash, and a pair of YES and NO becomes one dollar at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.records import Direction, Outcome
from engine.units import PRICE_ONE_E4, SIZE_ONE_E6

Market = tuple[int, int]  # slot and generation: what comes to a slot later is another market


@dataclass(slots=True)
class Holding:
    """One market; both lists by Outcome. ``locked_e6``: reserved for sales, or bought and not yet final."""

    size_e6: list[int] = field(default_factory=lambda: [0, 0])
    locked_e6: list[int] = field(default_factory=lambda: [0, 0])

    def free_e6(self, outcome: int) -> int:
        """What can be sold now; never negative."""
        return max(self.size_e6[outcome] - self.locked_e6[outcome], 0)


@dataclass(slots=True)
class Reservation:
    """What one open order holds: cash, and ``size_e6`` tokens of ``outcome``."""

    outcome: int
    size_e6: int
    cash_micros: int


class Balances:
    """``cash_micros`` is the whole balance; some of it may be promised, or not final yet."""

    def __init__(self, nets_pairs: bool, cash_micros: int) -> None:
        self.cash_micros = cash_micros
        self.reserved_micros = 0
        self.unsettled_micros = 0  # proceeds of sales that are not final
        self._nets_pairs = nets_pairs
        self._holdings: dict[Market, Holding] = {}

    def holding(self, market: Market) -> Holding:
        """The holding of a market, empty when there was none."""
        return self._holdings.setdefault(market, Holding())

    def all_holdings(self) -> Iterable[tuple[Market, Holding]]:
        """Every market that was ever asked about, with its holding."""
        return self._holdings.items()

    @property
    def free_cash_micros(self) -> int:
        """What a new order can use."""
        return self.cash_micros - self.reserved_micros - self.unsettled_micros

    def reserve(
        self, market: Market, direction: int, outcome: int, size_e6: int, price_e4: int, fee_micros: int
    ) -> Reservation | None:
        """Set aside what the order can need at its limit; None when it is not there."""
        holding = self.holding(market)
        sells = direction == Direction.SELL
        if sells and not self._nets_pairs:
            if holding.free_e6(outcome) < size_e6:
                return None
            held = Reservation(outcome, size_e6, 0)
        else:
            held = self._reserve_gain(holding, sells, outcome, size_e6, price_e4, fee_micros)
        if held.cash_micros > max(self.free_cash_micros, 0):
            return None
        holding.locked_e6[held.outcome] += held.size_e6
        self.reserved_micros += held.cash_micros
        return held

    def _reserve_gain(
        self, holding: Holding, sells: bool, outcome: int, size_e6: int, price_e4: int, fee_micros: int
    ) -> Reservation:
        other = outcome if sells else 1 - outcome
        closing = min(size_e6, holding.free_e6(other)) if self._nets_pairs else 0
        price = PRICE_ONE_E4 - price_e4 if sells else price_e4
        cost = -(-(size_e6 - closing) * price // PRICE_ONE_E4)
        # what closes a holding pays its fee out of the proceeds
        fee = -(-fee_micros * (size_e6 - closing) // size_e6)
        return Reservation(other, closing, cost + fee)

    def shrink(self, market: Market, held: Reservation, filled_e6: int, left_e6: int) -> None:
        """Give back what a fill used up; ``left_e6`` of the order remain, 0 gives back all."""
        tokens = held.size_e6 if left_e6 == 0 else min(held.size_e6, filled_e6)
        opening = filled_e6 + left_e6 - held.size_e6  # tokens are used first, cash is for the rest
        if left_e6 == 0:
            cash = held.cash_micros
        elif opening:
            cash = held.cash_micros * (filled_e6 - tokens) // opening
        else:
            cash = held.cash_micros * filled_e6 // (filled_e6 + left_e6)
        self.holding(market).locked_e6[held.outcome] -= tokens
        self.reserved_micros -= cash
        held.size_e6 -= tokens
        held.cash_micros -= cash

    def trade(
        self, market: Market, direction: int, outcome: int, size_e6: int, cash_micros: int, fee_micros: int
    ) -> None:
        """Move tokens and cash of one fill; ``cash_micros`` is its notional, unsigned."""
        sizes = self.holding(market).size_e6
        self.cash_micros -= fee_micros
        if direction == Direction.BUY:
            sizes[outcome] += size_e6
            self.cash_micros -= cash_micros
        else:
            sizes[outcome] -= size_e6
            self.cash_micros += cash_micros
        if not self._nets_pairs:
            return
        if sizes[outcome] < 0:  # sold beyond the holding: that part is the other outcome, paid at 1 - p
            sizes[1 - outcome] -= sizes[outcome]
            self.cash_micros += sizes[outcome]
            sizes[outcome] = 0
        pairs = min(sizes)
        sizes[Outcome.YES] -= pairs
        sizes[Outcome.NO] -= pairs
        self.cash_micros += pairs  # a contract of 1e6 pays 1e6 micro-dollars

    def hold_provisional(
        self, market: Market, direction: int, outcome: int, size_e6: int, cash_micros: int
    ) -> None:
        """Until the trade is final: what was bought cannot be sold, what was received cannot be spent."""
        if direction == Direction.BUY:
            self.holding(market).locked_e6[outcome] += size_e6
        else:
            self.unsettled_micros += cash_micros

    def drop_provisional(
        self, market: Market, direction: int, outcome: int, size_e6: int, cash_micros: int
    ) -> None:
        """The trade is final, one way or the other."""
        self.hold_provisional(market, direction, outcome, -size_e6, -cash_micros)

    def payout_micros(self, market: Market, yes_value_e4: int) -> int:
        """What the market pays at settlement, each outcome rounded down."""
        yes, no = self.holding(market).size_e6
        return yes * yes_value_e4 // PRICE_ONE_E4 + no * (PRICE_ONE_E4 - yes_value_e4) // PRICE_ONE_E4

    def settle(self, market: Market, yes_value_e4: int) -> int:
        """Turn a holding into cash; answers what was paid."""
        paid = self.payout_micros(market, yes_value_e4)
        self.cash_micros += paid
        self._holdings[market] = Holding()
        return paid


def notional_micros(direction: int, size_e6: int, price_e4: int) -> int:
    """What a fill costs (a purchase, rounded up) or brings (a sale, rounded down)."""
    product = size_e6 * price_e4
    return -(-product // PRICE_ONE_E4) if direction == Direction.BUY else product // PRICE_ONE_E4


assert SIZE_ONE_E6 == 10**6, "pairs of YES and NO turn into cash one to one"
