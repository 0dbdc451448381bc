"""Counters and tallies."""

from __future__ import annotations

import numpy as np

from engine.records import UpdateKind
from engine.venues.counts import (
    COUNTS_SIZE,
    OTHER_TYPES,
    RECORDS_OF_KIND,
    TYPE_NAME_CHARS_MAX,
    TYPES_MAX,
    Count,
    TypeTally,
    level_updates,
)


def test_every_kind_of_record_has_its_counter() -> None:
    assert {count - RECORDS_OF_KIND for count in Count if count >= RECORDS_OF_KIND} == {
        int(kind) for kind in UpdateKind if kind is not UpdateKind.CONNECTED
    }
    assert RECORDS_OF_KIND + max(UpdateKind) < COUNTS_SIZE
    assert (RECORDS_OF_KIND, COUNTS_SIZE) == (32, 64)


def test_level_updates_are_the_three_kinds_of_level_writes() -> None:
    counts = np.zeros(COUNTS_SIZE, np.int64)
    counts[Count.SNAPSHOT_LEVELS], counts[Count.LEVEL_SETS], counts[Count.LEVEL_ADDS] = 1, 20, 300
    counts[Count.TRADES] = 4_000
    assert level_updates(counts) == 321


def test_a_tally_keeps_so_many_names_and_no_more() -> None:
    tally = TypeTally()
    for at in range(TYPES_MAX + 5):
        tally.note(f"type {at}")
        tally.note(f"type {at}")
    assert len(tally) == TYPES_MAX + 1
    assert tally["type 0"] == 2
    assert tally[OTHER_TYPES] == 10


def test_a_tally_cuts_names() -> None:
    tally = TypeTally()
    tally.note("x" * 1_000)
    assert tally == {"x" * TYPE_NAME_CHARS_MAX: 1}
