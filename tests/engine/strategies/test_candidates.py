from __future__ import annotations

import pytest

from engine.catalog.market import GroupKind
from engine.catalog.relations import RelationKind
from engine.records import Direction, Outcome, SignalKind, Venue
from engine.strategies import candidates
from engine.strategies.candidate import NO_RELATION
from engine.strategies.candidates import CandidateTable, find_candidates
from tests.engine.strategies.stage import Stage


def kinds(table: CandidateTable, slot: int) -> list[SignalKind]:
    first, last = int(table.touching_from[slot]), int(table.touching_from[slot + 1])
    return [SignalKind(int(table.rows["kind"][number])) for number in table.touching[first:last]]


def group(stage: Stage, size: int, *, members: int = 3, kind: GroupKind = GroupKind.EXACTLY_ONE) -> None:
    for index in range(members):
        stage.add(
            f"g{index}",
            group="g",
            group_kind=kind,
            group_size=size,
            neg_risk=kind is GroupKind.EXACTLY_ONE,
        )


def test_a_mirrored_market_alone_is_looked_at_and_never_traded() -> None:
    stage = Stage()
    slot = stage.add("m")
    table = CandidateTable(stage.catalog, stage.relations())
    assert kinds(table, slot) == [SignalKind.COMPLEMENT_BUY]
    assert int(table.rows["is_mirror"][0]) == 1
    assert list(table.legs["outcome"]) == [Outcome.YES, Outcome.NO]


def test_a_token_that_stands_alone_is_nothing_by_itself() -> None:
    stage = Stage()
    stage.add("t", single_token=True)
    assert len(CandidateTable(stage.catalog, stage.relations())) == 0


def test_an_approved_pair_is_tried_both_ways() -> None:
    stage = Stage()
    one, other = stage.add("p"), stage.add("k", Venue.KALSHI)
    stage.relate(RelationKind.SAME, "p", "k")
    found = [c for c in find_candidates(stage.catalog, stage.relations()) if c.kind is SignalKind.CROSS_VENUE]
    assert [[(leg.slot, leg.outcome) for leg in c.legs] for c in found] == [
        [(one, Outcome.YES), (other, Outcome.NO)],
        [(other, Outcome.YES), (one, Outcome.NO)],
    ]
    assert all(c.payoff_micros == 1_000_000 and c.locks and c.relation == 0 for c in found)


def test_two_tokens_are_bought_together_or_sold_from_inventory() -> None:
    stage = Stage()
    stage.add("a", single_token=True)
    stage.add("b", single_token=True)
    stage.relate(RelationKind.COMPLEMENT, "a", "b")
    buy, sell = find_candidates(stage.catalog, stage.relations())
    assert (buy.kind, buy.payoff_micros, buy.locks) == (SignalKind.COMPLEMENT_BUY, 1_000_000, True)
    assert (sell.kind, sell.payoff_micros, sell.locks) == (SignalKind.COMPLEMENT_SELL, -1_000_000, False)
    assert {leg.direction for leg in sell.legs} == {Direction.SELL}


def test_an_implication_buys_no_of_the_premise_and_yes_of_the_conclusion() -> None:
    stage = Stage()
    premise, conclusion = stage.add("a", Venue.KALSHI), stage.add("b", Venue.KALSHI)
    stage.relate(RelationKind.IMPLICATION, "a", "b")
    (found,) = (c for c in find_candidates(stage.catalog, stage.relations()) if c.relation == 0)
    assert {(leg.slot, leg.outcome) for leg in found.legs} == {
        (premise, Outcome.NO),
        (conclusion, Outcome.YES),
    }


def test_a_whole_neg_risk_group_converts_instead_of_buying_all_no() -> None:
    stage = Stage()
    group(stage, size=3)
    table = CandidateTable(stage.catalog, stage.relations())
    assert kinds(table, stage.slots["g1"]) == [
        SignalKind.PARTITION_BUY_YES,
        SignalKind.NEG_RISK_CONVERT,
        SignalKind.COMPLEMENT_BUY,
    ]
    assert int(table.rows["certain"][0]) == 1
    assert int(table.rows["locks"][1]) == 0
    assert int(table.rows["payoff_micros"][1]) == 2_000_000
    assert list(table.rows["relation"][:2]) == [NO_RELATION, NO_RELATION]


@pytest.mark.parametrize("size", [0, 4])
def test_some_of_a_group_is_not_exhaustive_and_cannot_be_converted(size: int) -> None:
    stage = Stage()
    group(stage, size=size)
    table = CandidateTable(stage.catalog, stage.relations())
    assert kinds(table, stage.slots["g0"])[:2] == [
        SignalKind.PARTITION_BUY_YES,
        SignalKind.PARTITION_BUY_NO,
    ]
    assert int(table.rows["certain"][0]) == 0


def test_at_most_one_is_never_bought_as_exactly_one() -> None:
    stage = Stage()
    group(stage, size=3, kind=GroupKind.AT_MOST_ONE)
    table = CandidateTable(stage.catalog, stage.relations())
    assert int(table.rows["certain"][0]) == 0
    assert SignalKind.PARTITION_BUY_NO in kinds(table, stage.slots["g0"])


def test_a_group_that_a_relation_names_is_tried_once() -> None:
    stage = Stage()
    group(stage, size=3)
    stage.relate(RelationKind.PARTITION, "g0", "g1", "g2", exhaustive=True)
    table = CandidateTable(stage.catalog, stage.relations())
    assert kinds(table, stage.slots["g0"]).count(SignalKind.PARTITION_BUY_YES) == 1
    assert int(table.rows["relation"][0]) == 0


def test_a_relation_whose_member_has_gone_is_passed_over() -> None:
    stage = Stage()
    stage.add("p")
    slot = stage.add("k", Venue.KALSHI)
    stage.relate(RelationKind.SAME, "p", "k")
    relations = stage.relations()
    stage.catalog.remove_market(slot)
    stage.add("later", Venue.KALSHI)
    found = [c.kind for c in find_candidates(stage.catalog, relations)]
    assert SignalKind.CROSS_VENUE not in found


def test_beyond_the_bound_candidates_are_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "PER_MARKET_MAX", 1)
    stage = Stage()
    group(stage, size=3)
    table = CandidateTable(stage.catalog, stage.relations())
    assert len(table) == 1
    assert table.refused == 4
