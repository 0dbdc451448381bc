"""From the label of a counter to a metric's name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procs.metric_names import MetricName, metric_name, plain, source_of


@pytest.mark.parametrize(
    ("label", "family", "is_gauge", "labels", "divisor"),
    [
        ("frames", "pr3dict_frames", False, {}, 1),
        ("frames_total", "pr3dict_frames", False, {}, 1),
        ("frames,venue=kalshi,shard=2", "pr3dict_frames", False, {"venue": "kalshi", "shard": "2"}, 1),
        ("wait_ns", "pr3dict_wait_seconds", False, {}, 1e9),
        ("cash_micros_now", "pr3dict_cash_dollars", True, {}, 1e6),
        ("filled_e6", "pr3dict_filled_contracts", False, {}, 1e6),
        ("open_orders_now", "pr3dict_open_orders", True, {}, 1),
        ("Bad Frames!", "pr3dict_bad_frames", False, {}, 1),
        ("closes,Code=1006", "pr3dict_closes", False, {"code": "1006"}, 1),
        ("x,=", "pr3dict_x", False, {"unnamed": ""}, 1),
    ],
)
def test_name(label: str, family: str, is_gauge: bool, labels: dict[str, str], divisor: float) -> None:
    assert metric_name(label) == MetricName(family, is_gauge, labels, divisor)


def test_help_is_in_words() -> None:
    assert metric_name("wait_ns").text == "wait seconds, since its process started"
    assert metric_name("open_orders_now").text == "open orders, as its process says now"


@given(st.text(max_size=64))
def test_whatever_the_label_the_name_is_one(label: str) -> None:
    name = metric_name(label)
    assert re.fullmatch(r"pr3dict_[a-z0-9_]+", name.family)
    assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in name.labels)


@pytest.mark.parametrize(
    ("segment", "source"), [("counters.feed", "feed"), ("feed.counters", "feed"), ("x", "x")]
)
def test_source(segment: str, source: str) -> None:
    assert source_of(segment) == source


def test_plain() -> None:
    assert [plain(text) for text in ("A-b", "é", "__", "a__b")] == ["a_b", "unnamed", "unnamed", "a__b"]
