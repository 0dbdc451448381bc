"""Specs from what was seen: grids, pairs, bounds."""

from __future__ import annotations

import pytest

from engine.catalog.market import GroupKind
from procs.importers import markets
from procs.importers.markets import KALSHI_STEPS, POLYMARKET_STEPS, MarketNotes, price_ranges
from procs.importers.wire import decimal_text, fixed_text

CENTS = ((0, 10_000, 100),)
TAPERED = ((0, 1000, 10), (1000, 9000, 100), (9000, 10_000, 10))


@pytest.mark.parametrize(
    ("prices", "kalshi", "polymarket"),
    [
        (set(), CENTS, CENTS),
        ({100, 5000, 9900}, CENTS, CENTS),
        ({10, 5000}, TAPERED, ((0, 10_000, 10),)),
        ({5000, 9990}, TAPERED, ((0, 10_000, 10),)),
        ({5010}, ((0, 10_000, 10),), ((0, 10_000, 10),)),
        ({5050}, ((0, 10_000, 10),), ((0, 10_000, 50),)),
        ({5025}, ((0, 10_000, 1),), ((0, 10_000, 25),)),
        ({1, 5010}, ((0, 1000, 1), (1000, 9000, 10), (9000, 10_000, 1)), ((0, 10_000, 1),)),
        ({5001}, ((0, 10_000, 1),), ((0, 10_000, 1),)),
    ],
)
def test_coarsest_grid_that_holds_every_price(prices: set[int], kalshi: object, polymarket: object) -> None:
    assert price_ranges(prices, KALSHI_STEPS) == kalshi
    assert price_ranges(prices, POLYMARKET_STEPS) == polymarket


def test_prices_that_no_grid_holds_are_left_to_the_codec() -> None:
    notes = MarketNotes()
    notes.kalshi("A").seen.update({"0.00005", "nonsense", ".5"})
    assert notes.kalshi("A").prices_e4() == {5000}


def test_the_second_tokens_prices_count_from_the_other_end() -> None:
    notes = MarketNotes()
    notes.token("1", "0xm", "YES").seen.add("0.5")
    notes.token("2", "0xm", "NO").seen.add("0.505")
    (spec,) = notes.specs()
    assert spec.price_ranges == ((0, 10_000, 50),)


def test_outcomes_decide_which_token_is_yes() -> None:
    notes = MarketNotes("sports")
    notes.token("2", "0xm", "NO")
    notes.token("1", "0xm", "YES")
    notes.token("3", "0xalone")
    first, second = notes.specs()
    assert (first.yes_token, first.no_token, first.symbol) == ("1", "2", "0xm")
    assert (second.yes_token, second.no_token, second.symbol) == ("3", "", "3")
    assert first.category == "sports"


def test_three_tokens_under_one_id_are_three_books() -> None:
    notes = MarketNotes()
    for token in "123":
        notes.token(token, "0xm")
    assert [spec.symbol for spec in notes.specs()] == ["1", "2", "3"]


def test_a_stated_tick_that_does_not_hold_every_price_is_not_believed() -> None:
    notes = MarketNotes()
    note = notes.token("1")
    note.step_e4 = 100
    note.seen.add("0.505")
    (spec,) = notes.specs()
    assert spec.price_ranges == ((0, 10_000, 50),)
    assert "price_ranges" in spec.defaulted


def test_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markets, "MARKETS_MAX", 2)
    notes = MarketNotes()
    notes.kalshi("a")
    notes.token("b")
    with pytest.raises(ValueError, match="more than 2 markets"):
        notes.kalshi("c")


def test_groups_travel_into_specs() -> None:
    notes = MarketNotes()
    note = notes.kalshi("a")
    note.group, note.group_kind, note.group_size = "g", GroupKind.EXACTLY_ONE, 4
    (spec,) = notes.specs()
    assert (spec.group, spec.group_kind, spec.group_size) == ("g", GroupKind.EXACTLY_ONE, 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.31, "0.31"),
        (50, "50"),
        (5681.5, "5681.5"),
        (198.0, "198"),
        (1e-05, "0.00001"),
        (1e22, "10000000000000000000000"),
    ],
)
def test_decimal_text_is_shortest_and_plain(value: float, text: str) -> None:
    assert decimal_text(value) == text
    assert float(text) == value


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [("0.02", 4, "0.0200"), ("1e-2", 4, "0.01" + "00"), ("-50", 2, "-50.00"), ("0.12345", 4, "0.12345")],
)
def test_fixed_text_pads_and_never_cuts(value: str, decimals: int, text: str) -> None:
    assert fixed_text(value, decimals) == text
