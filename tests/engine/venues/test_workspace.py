"""The layout of a codec's memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from engine.venues import workspace as layout
from engine.venues.counts import COUNTS_SIZE
from engine.venues.workspace import Workspace

REGIONS = [  # begin and size, in the order of memory
    (0, layout.FRAME_BYTES_MAX // 8 + layout.SENTINEL_WORDS + 1),
    (layout.FRAME_AT, layout.SPANS_AT - layout.FRAME_AT),
    (layout.SPANS_AT, layout.SPAN_WORDS * layout.FIELDS_MAX),
    (layout.UNKNOWN_AT, 2 * layout.UNKNOWN_MAX),
    (layout.COUNTS_AT, COUNTS_SIZE),
    (layout.NAMES_AT, layout.NAME_TABLE_WORDS * layout.NAME_TABLES_MAX),
    (layout.YES_SCALE_AT, layout.CONNS_MAX),
    (layout.RECENT_AT, layout.RECENT_MAX),
    (layout.SEEN_AT, 2 * layout.SEEN_MAX),
    (layout.TRACKERS_AT, layout.TRACKER_WORDS * layout.TRACKERS_MAX),
    (layout.MEMBERS_AT, layout.MEMBER_WORDS * layout.MEMBERS_MAX),
    (layout.ROWS_AT, 0),
]
SCALARS = (
    *(layout.ACTION, layout.SID, layout.SEQ, layout.ROW, layout.RECORDS, layout.SKIPPED, layout.FIELDS_SEEN),
    *(layout.TOUCHED, layout.UNKNOWN_COUNT, layout.REASON, layout.SPARED, layout.STAMP, layout.FRAME_STAMP),
    *(layout.MEMBER_FREE, layout.SERIAL, layout.CHECK_HASH, layout.VENUE_NS),
)


def test_regions_follow_each_other() -> None:
    for (begin, size), (after, _) in pairwise(REGIONS):
        assert begin + size == after


def test_scalars_have_a_word_each_within_their_region() -> None:
    assert len(set(SCALARS)) == len(SCALARS)
    assert all(layout.FRAME_AT <= scalar < layout.SPANS_AT for scalar in SCALARS)


def test_the_frame_is_the_beginning_of_the_words() -> None:
    space = Workspace(4, np.zeros(0, np.int64))
    space.memory[:8] = b"abcdefgh"
    assert int(space.words[0]) == int.from_bytes(b"abcdefgh", "little")
    assert len(space.memory) == layout.FRAME_BYTES_MAX
    assert len(space.words) == layout.ROWS_AT + 4 * layout.ROW_WORDS


def test_names_lie_where_kernels_look_for_them() -> None:
    space = Workspace(1, np.arange(1, 2 * layout.NAME_TABLE_WORDS + 1))
    assert int(space.words[layout.NAMES_AT]) == 1
    assert int(space.words[layout.NAMES_AT + layout.NAME_TABLE_WORDS]) == layout.NAME_TABLE_WORDS + 1


def test_every_member_is_on_the_free_list_once() -> None:
    words = Workspace(1, np.zeros(0, np.int64)).words
    seen = set()
    member = int(words[layout.MEMBER_FREE])
    while member != layout.NONE:
        assert member not in seen
        seen.add(member)
        member = int(words[member + layout.MEMBER_WORDS - 1])
    assert seen == set(range(layout.MEMBERS_AT, layout.ROWS_AT, layout.MEMBER_WORDS))


def test_records_and_their_words_are_the_same_memory() -> None:
    space = Workspace(1, np.zeros(0, np.int64))
    space.out_words[0] = 77
    assert int(space.out[0]["recv_ns"]) == 77
    assert len(space.out) == layout.OUT_RECORDS


def test_unknown_symbols_come_once_each_in_order() -> None:
    space = Workspace(1, np.zeros(0, np.int64))
    space.memory[:6] = b"bbaabb"
    space.words[layout.UNKNOWN_COUNT] = 3
    space.words[layout.UNKNOWN_AT : layout.UNKNOWN_AT + 6] = [0, 2, 2, 4, 4, 6]
    assert space.unknown_symbols() == [b"bb", b"aa"]
