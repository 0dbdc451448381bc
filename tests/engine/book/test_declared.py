"""A declared best price against the book, bit by bit."""

from __future__ import annotations

import pytest

from engine.book.declared import is_contradicted
from engine.records import TopFlag


@pytest.mark.parametrize(
    ("flags", "contradicted"),
    [
        (0, False),
        (TopFlag.DECLARED, True),
        (TopFlag.DECLARED | TopFlag.BEST_CHANGED | TopFlag.CROSSED, True),
        (TopFlag.DECLARED | TopFlag.DECLARED_AGREES, False),
        (TopFlag.DECLARED | TopFlag.TICKER, False),
        (TopFlag.DECLARED | TopFlag.TICKER | TopFlag.DECLARED_AGREES, False),
        (TopFlag.BEST_CHANGED | TopFlag.SNAPSHOT, False),
    ],
)
def test_only_a_synchronous_word_that_disagrees(flags: int, contradicted: bool) -> None:
    assert is_contradicted(int(flags)) == contradicted
