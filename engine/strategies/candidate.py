"""What could be an opportunity: legs that together pay a known amount, whatever happens."""

from __future__ import annotations

from typing import NamedTuple

from engine.records import Direction, Outcome, SignalKind

NO_RELATION = -1


class CandidateLeg(NamedTuple):
    """One contract of one outcome, bought or sold."""

    slot: int
    direction: Direction
    outcome: Outcome


class Candidate(NamedTuple):
    """One set of legs to look at whenever one of their books changes.

    ``payoff_micros``: guaranteed payoff of one set beyond what its legs cost and bring; where the legs are
    chosen by their prices (NO of a partition, conversions), that of all members. ``locks``: capital waits for
    the close. ``certain`` False: looks like an opportunity and is none, because the set is not exhaustive.
    """

    kind: SignalKind
    legs: tuple[CandidateLeg, ...]
    payoff_micros: int
    relation: int = NO_RELATION
    locks: bool = True
    certain: bool = True
    is_mirror: bool = False  # both sides of one book: counted, never traded


def buy_yes(slot: int) -> CandidateLeg:
    """Leg that buys YES."""
    return CandidateLeg(slot, Direction.BUY, Outcome.YES)


def buy_no(slot: int) -> CandidateLeg:
    """Leg that buys NO, which is taking a bid of the YES book."""
    return CandidateLeg(slot, Direction.BUY, Outcome.NO)


def sell_yes(slot: int) -> CandidateLeg:
    """Leg that sells YES from inventory."""
    return CandidateLeg(slot, Direction.SELL, Outcome.YES)
