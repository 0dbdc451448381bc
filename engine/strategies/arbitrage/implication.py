"""If A happens, so does B: YES of B and NO of A pay at least one dollar between them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.records import SignalKind
from engine.strategies.candidate import Candidate, buy_no, buy_yes
from engine.units import CASH_ONE_MICROS


def of_pair(premise: int, conclusion: int, relation: int, *, premise_mirrors: bool) -> Iterator[Candidate]:
    """The candidate of an IMPLICATION relation, if NO of the premise can be bought."""
    if premise_mirrors:
        legs = (buy_yes(conclusion), buy_no(premise))
        yield Candidate(SignalKind.IMPLICATION, legs, CASH_ONE_MICROS, relation)
