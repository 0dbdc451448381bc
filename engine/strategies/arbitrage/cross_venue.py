"""One proposition on two markets, joined by an approved relation: YES here and NO there, both ways."""

from __future__ import annotations

from collections.abc import Iterator

from engine.records import SignalKind
from engine.strategies.candidate import Candidate, buy_no, buy_yes
from engine.units import CASH_ONE_MICROS


def of_pair(
    one: int, other: int, relation: int, *, one_mirrors: bool, other_mirrors: bool
) -> Iterator[Candidate]:
    """Candidates of a SAME relation. NO is for sale only where the book of YES mirrors it."""
    for yes, no, mirrors in ((one, other, other_mirrors), (other, one, one_mirrors)):
        if mirrors:
            legs = (buy_yes(yes), buy_no(no))
            yield Candidate(SignalKind.CROSS_VENUE, legs, CASH_ONE_MICROS, relation)
