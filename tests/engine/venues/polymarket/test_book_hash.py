"""The hash of a Polymarket book."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.venues.polymarket.book_hash import check_book

# The vector of the venue's own client library.
GOLDEN: dict[str, Any] = {
    "market": "0xaabbcc",
    "asset_id": "100",
    "timestamp": "123456789",
    "hash": "0458ea5755c9f73d64a14636fa5c36ed460ec394",
    "bids": [{"price": "0.3", "size": "100"}, {"price": "0.4", "size": "100"}],
    "asks": [{"price": "0.6", "size": "100"}, {"price": "0.7", "size": "100"}],
    "min_order_size": "100",
    "tick_size": "0.01",
    "neg_risk": False,
    "last_trade_price": "0.5",
}


def test_the_golden_book() -> None:
    assert check_book(GOLDEN) is True


def test_the_golden_book_is_that_of_the_samples(shared_data: Path) -> None:
    text = (shared_data.parent / "reference" / "polymarket_samples.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["message"] for row in rows if row["channel"] == "golden book hash"] == [GOLDEN]


def test_keys_may_come_in_any_order_and_others_beside_them() -> None:
    turned = dict(reversed(GOLDEN.items())) | {"event_type": "book"}
    turned["bids"] = [dict(reversed(level.items())) for level in GOLDEN["bids"]]
    assert check_book(turned) is True


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "123456788"},
        {"bids": list(reversed(GOLDEN["bids"]))},
        {"asks": GOLDEN["asks"][:1]},
        {"neg_risk": True},
        {"tick_size": "0.010"},
        {"last_trade_price": "0.50"},
        {"hash": "0458ea5755c9f73d64a14636fa5c36ed460ec395"},
    ],
)
def test_any_other_book_disagrees(change: dict[str, Any]) -> None:
    assert check_book(GOLDEN | change) is False


@pytest.mark.parametrize("name", GOLDEN)
def test_a_book_that_lacks_a_field_cannot_be_checked(name: str) -> None:
    assert check_book({key: value for key, value in GOLDEN.items() if key != name}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"bids": "none"},
        {"bids": ["0.3"]},
        {"asks": [{"price": 0.6, "size": "100"}]},
        {"asks": [{"price": "0.6"}]},
        {"neg_risk": "false"},
        {"timestamp": 123456789},
        {"hash": None},
    ],
)
def test_a_book_spelled_otherwise_cannot_be_checked(change: dict[str, Any]) -> None:
    assert check_book(GOLDEN | change) is None
