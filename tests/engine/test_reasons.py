from __future__ import annotations

import pytest

from engine.reasons import Reason, label


def test_words_of_known_and_unknown_codes() -> None:
    assert label(Reason.EDGE_EATEN_BY_FEES) == "edge_eaten_by_fees"
    assert label(0) == "none"
    assert label(12_345) == "reason_12345"


@pytest.mark.parametrize(
    ("first", "stage"),
    [(100, "NO_SNAPSHOT"), (200, "BOOK_NOT_LIVE"), (300, "CASH_EXHAUSTED"), (400, "HALTED")],
)
def test_each_stage_has_a_block_that_begins_where_journals_expect_it(first: int, stage: str) -> None:
    assert Reason(first).name == stage


def test_no_code_is_used_twice_and_all_fit_their_field() -> None:
    codes = [int(reason) for reason in Reason]
    assert len(set(codes)) == len(codes)
    assert all(0 <= code < 2**15 for code in codes)
