from __future__ import annotations

from procs.feed_counters import CODES_MAX, OTHER_CODE, FeedCounters


def test_close_codes_are_counted_and_their_number_is_bounded() -> None:
    counters = FeedCounters()
    for code in (1000, 1006, 1000, *range(4000, 4000 + 2 * CODES_MAX)):
        counters.closed(code)
    assert counters.closes[1000] == 2
    assert len(counters.closes) == CODES_MAX + 1
    assert counters.closes[OTHER_CODE] == CODES_MAX + 2
    assert counters.closes.total() == 3 + 2 * CODES_MAX
