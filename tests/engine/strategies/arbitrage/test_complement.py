from __future__ import annotations

from engine.records import Outcome, SignalKind
from engine.strategies.arbitrage.complement import of_market, of_pair


def test_both_sides_of_one_mirrored_market() -> None:
    found = of_market(4)
    assert found.is_mirror
    assert [(leg.slot, leg.outcome) for leg in found.legs] == [(4, Outcome.YES), (4, Outcome.NO)]


def test_a_pair_whose_books_mirror_has_a_second_purchase() -> None:
    plain = list(of_pair(1, 2, 9, mirrored=False))
    both = list(of_pair(1, 2, 9, mirrored=True))
    assert [found.kind for found in plain] == [SignalKind.COMPLEMENT_BUY, SignalKind.COMPLEMENT_SELL]
    assert len(both) == 3
    assert {leg.outcome for leg in both[1].legs} == {Outcome.NO}
    assert {found.relation for found in both} == {9}
