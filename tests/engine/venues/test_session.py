from __future__ import annotations

from engine.venues.session import ERROR_CHARS_MAX, as_error, compact


def test_texts_have_no_white_space() -> None:
    assert compact({"a": [1, "x"]}) == b'{"a":[1,"x"]}'


def test_what_a_venue_says_is_cut() -> None:
    assert as_error("x" * 10_000) == "x" * ERROR_CHARS_MAX
