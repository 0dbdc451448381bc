"""Complements: two contracts of which exactly one pays.

On one mirrored book, buying YES and NO is crossing that book: it is looked at so that it can be counted, and
never traded. Two books of their own (tokens whose books do not mirror each other) are a real pair: buy both
under a dollar, or sell both from inventory over a dollar. Where both books also mirror their NO, the pair of
NO is a second purchase.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.records import SignalKind
from engine.strategies.candidate import Candidate, buy_no, buy_yes, sell_yes
from engine.units import CASH_ONE_MICROS


def of_market(slot: int) -> Candidate:
    """Both sides of one mirrored market."""
    legs = (buy_yes(slot), buy_no(slot))
    return Candidate(SignalKind.COMPLEMENT_BUY, legs, CASH_ONE_MICROS, is_mirror=True)


def of_pair(one: int, other: int, relation: int, *, mirrored: bool) -> Iterator[Candidate]:
    """Two markets of which exactly one wins; ``mirrored``: NO of both can be bought, too."""
    buys = (buy_yes(one), buy_yes(other))
    yield Candidate(SignalKind.COMPLEMENT_BUY, buys, CASH_ONE_MICROS, relation)
    if mirrored:
        opposite = (buy_no(one), buy_no(other))
        yield Candidate(SignalKind.COMPLEMENT_BUY, opposite, CASH_ONE_MICROS, relation)
    sales = (sell_yes(one), sell_yes(other))
    # the pair would have paid a dollar: that is what a sale gives up
    yield Candidate(SignalKind.COMPLEMENT_SELL, sales, -CASH_ONE_MICROS, relation, locks=False)
