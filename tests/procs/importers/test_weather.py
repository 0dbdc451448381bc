"""Weather polls: prices without sizes, groups only where the bins leave no gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog.market import GroupKind
from procs.importers.weather_groups import (
    OPEN_HIGH,
    OPEN_LOW,
    Bin,
    leaves_no_gap,
    question_bin,
    ticker_bins,
    ticker_event,
)
from tests.data import foreign
from tests.procs.importers.opened import frames, opened, texts, trees


def test_polymarket_rows(tmp_path: Path) -> None:
    path = foreign.weather_polymarket(tmp_path / "x")
    got = trees(path)
    assert len(got) == 3  # the poll without a book is no frame
    assert got[0] == [
        {
            "event_type": "book",
            "market": "0xa",
            "asset_id": "71",
            "bids": [{"price": "0.08", "size": None}],
            "asks": [{"price": "0.1", "size": None}],
            "timestamp": "1785846272519",
        },
        {
            "event_type": "book",
            "market": "0xa",
            "asset_id": "72",
            "bids": [{"price": "0.9", "size": None}],
            "asks": [{"price": "0.92", "size": None}],
            "timestamp": "1785846272519",
        },
    ]
    assert isinstance(got[2], list)
    assert [book["asset_id"] for book in got[2]] == ["0xc:YES", "0xc:NO"]
    assert "timestamp" not in got[2][0]


def test_polymarket_group_is_exhaustive_when_no_degree_is_missing(tmp_path: Path) -> None:
    specs = opened(foreign.weather_polymarket(tmp_path / "x")).header.markets
    assert {spec.group for spec in specs} == {"highest temperature in Austin on August 4, 2026"}
    assert {(spec.group_kind, spec.group_size) for spec in specs} == {(GroupKind.EXACTLY_ONE, 3)}
    assert specs[0].rules_text == "Will the highest temperature in Austin be 89°F or below on August 4?"
    assert {spec.category for spec in specs} == {"weather"}


def test_kalshi_rows(tmp_path: Path) -> None:
    path = foreign.weather_kalshi(tmp_path / "x")
    assert texts(path) == [
        (
            '{"type":"orderbook_snapshot","msg":{"market_ticker":"KXHIGHAUS-26AUG04-T97",'
            '"yes_dollars_fp":[["0.0200",null]],"no_dollars_fp":[["0.9700",null]]}}'
        ),
        (
            '{"type":"orderbook_snapshot","msg":{"market_ticker":"KXHIGHAUS-26AUG04-B97.5",'
            '"no_dollars_fp":[["0.9800",null]]}}'
        ),
        '{"type":"orderbook_snapshot","msg":{"market_ticker":"KXHIGHAUS-26AUG04-T98"}}',
    ]
    assert {frame.recv_ns for frame in frames(path)} == {1785790049428490000}
    head = opened(path).header
    assert {(spec.group, spec.group_kind, spec.group_size) for spec in head.markets} == {
        ("KXHIGHAUS-26AUG04", GroupKind.EXACTLY_ONE, 3)
    }
    assert {"sizes", "sid", "seq"} <= set(head.lacks)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "Will the highest temperature in New York City be between 62-63°F on March 20?",
            ("highest temperature in New York City on March 20", Bin(62, 63)),
        ),
        (
            "Will the lowest temperature in Oslo be -4°F or below on March 2?",
            ("lowest temperature in Oslo on March 2", Bin(OPEN_LOW, -4)),
        ),
        (
            "Will the highest temperature in Rome be 90°F or higher on May 2?",
            ("highest temperature in Rome on May 2", Bin(90, OPEN_HIGH)),
        ),
        ("Will it rain in Rome on May 2?", None),
    ],
)
def test_questions(question: str, expected: object) -> None:
    assert question_bin(question) == expected


def test_tickers() -> None:
    event = "KXHIGHAUS-26AUG04"
    assert ticker_event(f"{event}-B97.5") == event
    assert ticker_event("KXBTCD-26JUL0317-60499") is None
    tickers = [f"{event}-{bin_}" for bin_ in ("T97", "B97.5", "B99.5", "T100")]
    assert sorted(ticker_bins(tickers)) == [
        Bin(OPEN_LOW, 96),
        Bin(97, 98),
        Bin(99, 100),
        Bin(101, OPEN_HIGH),
    ]
    assert leaves_no_gap(ticker_bins(tickers))
    assert not leaves_no_gap(ticker_bins(tickers[:-1]))


@pytest.mark.parametrize(
    "bins",
    [
        [],
        [Bin(OPEN_LOW, 5)],
        [Bin(OPEN_LOW, 5), Bin(7, OPEN_HIGH)],
        [Bin(OPEN_LOW, 5), Bin(5, OPEN_HIGH)],
        [Bin(OPEN_LOW, 5), Bin(6, 7), Bin(6, 7), Bin(8, OPEN_HIGH)],
        [Bin(0, OPEN_HIGH)],
    ],
)
def test_gaps_and_overlaps_are_seen(bins: list[Bin]) -> None:
    assert not leaves_no_gap(bins)


def test_a_missing_bin_leaves_the_group_at_most_one(tmp_path: Path) -> None:
    import zstandard

    text = zstandard.ZstdDecompressor().decompress(foreign.weather_kalshi(tmp_path / "x").read_bytes())
    lines = text.splitlines(keepends=True)
    path = foreign.write_text(tmp_path / "y", b"".join(lines[:2] + lines[3:]))
    specs = opened(path).header.markets
    assert {(spec.group_kind, spec.group_size) for spec in specs} == {(GroupKind.AT_MOST_ONE, 0)}
