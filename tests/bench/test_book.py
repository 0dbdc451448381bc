"""The book bench, small: each way writes the same levels, and every row has its runs."""

from __future__ import annotations

import pytest

from bench import book
from bench._book_peers import DictBook, peer_books
from bench._result import Result

pytestmark = pytest.mark.compiled_only

ROWS = [(0, 4_000, 5_000_000), (1, 6_000, 300_000_000), (0, 4_100, 900_000_000), (0, 4_000, 0), (1, 6_100, 9)]


def test_every_row_has_its_runs_and_peers_stand_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TICKS", (1_001,)), ("UPDATES", 4_000), ("RUNS", 2)):
        monkeypatch.setattr(book, name, value)
    result = Result("book", {})
    book.measure(result)
    assert all(len(row.runs) == len(row.switches) == 2 for row in result.rows)
    assert all(run["ns"] >= run["fastest_chunk_ns"] > 0 for row in result.rows for run in row.runs)
    beside = {what for what, peer, _, _ in result.ratios() if peer == "dictionaries"}
    places = ("1,001 ticks", "1,001 ticks, near the middle")
    assert beside == {f"{what}, {place}" for what in (book.WRITE, book.AVERAGES) for place in places}


def test_peers_keep_the_same_book() -> None:
    for kept in peer_books(Result("book", {}), ROWS).values():
        for row in ROWS:
            kept.write(*row)
        hundred, *_ = kept.vwaps(0)
        assert hundred == pytest.approx(0.41), "two hundred and fifty at 41 cents"


def test_the_best_of_a_dictionary_follows_a_deletion() -> None:
    kept = DictBook()
    for row in ROWS:
        kept.write(*row)
    assert kept.best == [4_100, 6_000]
    kept.write(0, 4_100, 0)
    assert kept.best[0] == -1
