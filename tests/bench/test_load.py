"""The load test, short: every frame is in the books, and what would be wrong is seen."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from bench import load, path
from bench._result import RATE, Result
from bench.load import Look, growth_mib, rates, worst_tenth
from engine.records import Venue

pytestmark = pytest.mark.compiled_only

CORE = max(os.sched_getaffinity(0))
LOOKS = [Look(2.0 * number, 100 * number, (7 + (number > 9)) * load.MIB, number) for number in range(20)]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])


def test_looks_are_summed_up() -> None:
    assert rates(LOOKS) == [50.0] * 19
    assert growth_mib(LOOKS) == 1.0
    assert growth_mib(LOOKS[:10]) == 0.0
    assert worst_tenth([100.0] * 19 + [60.0]) == 0.8
    assert worst_tenth([100.0] * 4 + [50.0]) == 0.5


def test_every_book_shows_its_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "PAIRS", 3)
    with path.run_folder() as folder:
        ran = load.sustain(CORE, folder, 0.5)
        assert ran.looks[-1].frames > ran.looks[0].frames > 0
        assert ran.wrong_books() == 0
        [books] = [book for book in ran._market.books if book.venue is Venue.POLYMARKET]
        books.store.rows["ask_e4"][2, 0] += 100
        assert ran.wrong_books() == 1


@pytest.mark.soak
def test_ten_minutes() -> None:
    """On a machine with nothing else to do the rate is kept as well; that is printed, and not asserted."""
    result = Result("load", {})
    load.measure(result, argparse.Namespace(minutes=10.0))
    [wrong, grown, mean, kept] = result.claims
    print(mean, kept, result.notes, result.rows[0].spread(RATE))
    assert wrong.holds
    assert grown.holds
