"""Sets of markets of which at most one wins, or exactly one.

* Buy all YES: pays one dollar, only if the set is exhaustive.
* Buy NO of n members: at most one of them loses, so n - 1 dollars come back. True of any part of the set:
members
  without a bid are left out.
* Convert (neg-risk, the whole set listed): NO of k members becomes k - 1 dollars and YES of all others at
once. On
  mirrored books every choice of k has the same edge, because buying NO and selling YES take the same bid.
  What differs is when: a purchase is certain when it fills, a sale comes after the conversion. So the members
  with the lowest bids are sold, as long as their bids add up to no more than SALES_MAX_E4 a set (that is what
  can slip), and NO of the others is bought; of at least one. What finds no bid is kept: it can only win.

Buying all NO of a set that can be converted is the conversion without its advantage, and no candidate of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.jit import kernel
from engine.optimizer.levels import Ints, Rows
from engine.records import Direction, Outcome, SignalKind
from engine.strategies.candidate import Candidate, buy_no, buy_yes
from engine.units import CASH_ONE_MICROS

SALES_MAX_E4: Final = 3_500  # of one set, sold after its conversion
FOR_CONVERSION: Final = 1  # SIGNAL_LEG.convert
FROM_CONVERSION: Final = 2

_SELL: Final = int(Direction.SELL)
_YES: Final = int(Outcome.YES)


def of_set(
    slots: Sequence[int], relation: int, *, exhaustive: bool, converts: bool, mirrored: bool
) -> Iterator[Candidate]:
    """Candidates of one set; ``mirrored``: NO of every member can be bought."""
    yes = tuple(buy_yes(slot) for slot in slots)
    yield Candidate(SignalKind.PARTITION_BUY_YES, yes, CASH_ONE_MICROS, relation, certain=exhaustive)
    if not mirrored:
        return
    no = tuple(buy_no(slot) for slot in slots)
    payoff = (len(slots) - 1) * CASH_ONE_MICROS
    if converts:
        yield Candidate(SignalKind.NEG_RISK_CONVERT, no, payoff, relation, locks=False)
    else:
        yield Candidate(SignalKind.PARTITION_BUY_NO, no, payoff, relation)


@kernel
def drop_without_bid(legs: Rows, n_legs: int, books: Rows) -> int:
    """Keep the SIGNAL_LEG records whose book has a bid, in their order; how many."""
    kept = 0
    for leg in range(n_legs):
        if books[legs[leg]["slot"]]["n_bids"] > 0:
            if kept != leg:
                legs[kept] = legs[leg]
            kept += 1
    return kept


@kernel
def choose_sales(legs: Rows, n_legs: int, books: Rows, order: Ints) -> int:
    """Turn the legs with the lowest bids into sales after the conversion; how many are still bought.

    ``legs``: BUY NO of books that have bids, sorted here by falling bid, so that sales come last; its last
    record is scratch, and so is ``order``.
    """
    spare = legs.shape[0] - 1
    for leg in range(n_legs):
        order[leg] = books[legs[leg]["slot"]]["bid_e4"][0]
    for leg in range(1, n_legs):  # insertion sort: sets are small and nearly in order
        at = leg
        while at > 0 and order[at - 1] < order[at]:
            order[at - 1], order[at] = order[at], order[at - 1]
            legs[spare] = legs[at]
            legs[at] = legs[at - 1]
            legs[at - 1] = legs[spare]
            at -= 1
    sold_e4 = 0
    bought = n_legs
    while bought > 1 and sold_e4 + order[bought - 1] <= SALES_MAX_E4:
        bought -= 1
        sold_e4 += int(order[bought])
    for leg in range(n_legs):
        legs[leg]["convert"] = FOR_CONVERSION if leg < bought else FROM_CONVERSION
        if leg >= bought:
            legs[leg]["direction"] = _SELL
            legs[leg]["outcome"] = _YES
    return bought
