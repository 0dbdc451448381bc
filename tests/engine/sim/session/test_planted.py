from __future__ import annotations

import pytest

from engine.catalog.relations import RelationKind
from engine.records import Side, SignalKind
from engine.sim.session.planted import TIERS, planted_scenarios
from engine.sim.session.scenario import Scenario
from engine.units import PRICE_ONE_E4, SIZE_ONE_E6

CLOSE = 1_793_793_600 * 10**9
SCENARIOS = planted_scenarios(CLOSE)
WHOLE = {label: sum(sizes) * SIZE_ONE_E6 for label, sizes in TIERS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_best_size_takes_all_that_was_planted_and_nothing_behind_it(scenario: Scenario) -> None:
    optimum = scenario.expected.optimum
    assert optimum is not None
    assert optimum.size_e6 == WHOLE[scenario.name.rsplit("-", 1)[1]]
    assert optimum.profit_micros >= optimum.size_e6 * 2 // 100  # two cents a set and more


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_neither_the_quiet_nor_the_planted_books_are_crossed(scenario: Scenario) -> None:
    for name, quotes in scenario.quotes.items():
        planted = {
            side: dict(quotes.levels[side])
            | {
                level.price_e4: level.size_e6
                for of, level in scenario.changes
                if of == name and level.side is side
            }
            for side in Side
        }
        assert max(planted[Side.BID]) < min(planted[Side.ASK]), name


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_last_change_is_one_level_of_a_market_of_its_own(scenario: Scenario) -> None:
    last = scenario.changes[-1][0]
    assert [name for name, _ in scenario.changes].count(last) == 1
    assert set(scenario.settles_at_e4) <= set(scenario.markets)


def test_a_sale_follows_its_purchase_and_sells_what_it_bought() -> None:
    for index, scenario in enumerate(SCENARIOS):
        if scenario.expected.kinds == (SignalKind.COMPLEMENT_SELL,):
            bought = SCENARIOS[index - 1]
            assert bought.expected.kinds == (SignalKind.COMPLEMENT_BUY,)
            assert bought.markets is scenario.markets
            assert bought.expected.optimum is not None
            assert scenario.expected.optimum is not None
            assert bought.expected.optimum.size_e6 == scenario.expected.optimum.size_e6


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_markets_settle_as_their_relations_say(scenario: Scenario) -> None:
    values = scenario.settles_at_e4
    assert set(values.values()) <= {0, PRICE_ONE_E4}
    for relation in scenario.relations:
        ends = [values[name] for name in relation.members]
        if relation.kind is RelationKind.PARTITION:
            assert sorted(ends) == [0] * (len(ends) - 1) + [PRICE_ONE_E4]
        else:
            assert relation.kind is not RelationKind.IMPLICATION or ends == sorted(ends)
            assert relation.kind is not RelationKind.SAME or len(set(ends)) == 1
            assert relation.kind is not RelationKind.COMPLEMENT or sorted(ends) == [0, PRICE_ONE_E4]
