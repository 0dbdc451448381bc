"""Levels of a book, in the usual spelling and in others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import BOOK_UPDATE, Side, UpdateKind
from engine.venues.polymarket import _levels as module
from engine.venues.polymarket.vocabulary import NAMES
from engine.venues.scan import UNSURE, seal
from engine.venues.workspace import FIELDS_SEEN, Workspace

SPACE = Workspace(1, NAMES)


def read(text: str, limit: int = 50) -> tuple[int, list[tuple[int, int]]]:
    """Cursor behind a list of levels, and what was read."""
    raw = text.encode()
    SPACE.memory[: len(raw)] = raw
    seal(SPACE.words, len(raw))
    SPACE.words[FIELDS_SEEN] = 5
    out = np.zeros(64, BOOK_UPDATE)
    cursor, at = module.read_levels(SPACE.words, out, 2, limit, 0, Side.ASK)
    found = out[2:at]
    assert all(record["kind"] == UpdateKind.SNAPSHOT_LEVEL and record["side"] == Side.ASK for record in found)
    assert int(SPACE.words[FIELDS_SEEN]) & 7 == 5  # the message's own fields stay
    return cursor, [(int(record["price_e4"]), int(record["size_e6"])) for record in found]


def test_the_usual_spelling_takes_the_short_way() -> None:
    raw = b'{"price":"0.48","size":"30.5"}'
    SPACE.memory[: len(raw)] = raw
    seal(SPACE.words, len(raw))
    assert module._usual(SPACE.words, 0) == (len(raw), 4_800, 30_500_000)


levels = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10**13)), max_size=8)


@given(levels, st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]), st.booleans(), st.booleans())
def test_levels_however_they_are_spelled(
    wanted: list[tuple[int, int]], separators: tuple[str, str], turned: bool, numbers: bool
) -> None:
    def text(units: int, decimals: int) -> str | float:
        written = f"{units // 10**decimals}.{units % 10**decimals:0{decimals}d}"
        return float(written) if numbers and len(written) < 15 else written

    sides = [{"price": text(price, 4), "size": text(size, 6)} for price, size in wanted]
    ordered = [dict(reversed(level.items())) for level in sides] if turned else sides
    written = json.dumps(ordered, separators=separators)
    if "e" in written.replace("price", "").replace("size", ""):
        return  # an exponent is left to the general parser
    assert read(written) == (len(written), wanted)


@pytest.mark.parametrize(
    "level",
    [
        '{"price":"0.5","size":"1","price":"0.5"}',
        '{"price":"0.5"}',
        '{"size":"1"}',
        "{}",
        '{"price":"0.5","size":"-1"}',
        '{"price":"1.5","size":"1"}',
        '{"price":"","size":"1"}',
        '{"price":"0.5","size":null}',
        '{"price":"0.5","size":[]}',
        '{"price":"0.5","size":"1"',
        '{"price":"0.5","size":"1"]',
        '{"price":"0.5" "size":"1"}',
        '{"price":"0.5","sise":"1"}',
        '{"prico":"0.5","size":"1"}',
        '{"price":"0.5\\n","size":"1"}',
        '["0.5","1"]',
        "5",
    ],
)
def test_what_is_no_level(level: str) -> None:
    assert read(f"[{level}]")[0] == UNSURE
    assert read(f'[{{"price":"0.4","size":"2"}},{level}]')[0] == UNSURE


@pytest.mark.parametrize("text", ["{}", '"x"', "[1]", '[{"price":"0.5","size":"1"},]', "["])
def test_what_is_no_list_of_levels(text: str) -> None:
    assert read(text)[0] == UNSURE


def test_other_members_of_a_level_are_skipped() -> None:
    assert read('[{"price":"0.5","n":3,"size":"1"}]') == (34, [(5_000, 1_000_000)])


def test_levels_beyond_the_limit_are_not_written() -> None:
    text = '[{"price":"0.5","size":"1"},{"price":"0.6","size":"1"}]'
    assert read(text, limit=4) == (len(text), [(5_000, 10**6), (6_000, 10**6)])
    assert read(text, limit=3) == (UNSURE, [(5_000, 10**6)])
