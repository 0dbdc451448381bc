"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import NS_PER_S
from procs.cli import render_values as show

MIN, HOUR, DAY = 60 * NS_PER_S, 3_600 * NS_PER_S, 86_400 * NS_PER_S


@pytest.mark.parametrize(
    ("micros", "decimals", "text"),
    [
        (0, 6, "$0.000000"),
        (1, 6, "$0.000001"),
        (-1_234_567_891, 6, "-$1,234.567891"),
        (1_234_567_891, 2, "$1,234.57"),
        (1_004_999, 2, "$1.00"),
        (1_005_000, 2, "$1.01"),
        (-1_005_000, 2, "-$1.01"),
        (999_999, 2, "$1.00"),
        (49, 4, "$0.000049"),
        (50, 4, "$0.0001"),
        (-49, 4, "-$0.000049"),
        (-50, 4, "-$0.0001"),
        (10**15, 4, "$1,000,000,000.0000"),
    ],
)
def test_dollars(micros: int, decimals: int, text: str) -> None:
    assert show.dollars(micros, decimals) == text


@given(st.integers(-(10**15), 10**15))
def test_dollars_to_the_micro_dollar_are_exact(micros: int) -> None:
    text = show.dollars(micros)
    assert int(text.replace("$", "").replace(",", "").replace(".", "")) == micros


@given(st.integers(-(10**15), 10**15), st.integers(2, 6))
def test_rounded_dollars_are_off_by_half_a_unit_at_most_and_never_hide_something(
    micros: int, decimals: int
) -> None:
    text = show.dollars(micros, decimals).replace("$", "").replace(",", "")
    whole, _, fraction = text.lstrip("-").partition(".")
    shown = (int(whole) * 10**6 + int(fraction.ljust(6, "0"))) * (-1 if text.startswith("-") else 1)
    assert abs(shown - micros) * 2 <= 10 ** (6 - decimals)
    assert (shown == 0) == (micros == 0)


@pytest.mark.parametrize(
    ("micros", "text"), [(1_200_000, "+$1.2000"), (-30_000, "-$0.0300"), (0, "$0.0000"), (7, "+$0.000007")]
)
def test_gain_has_its_sign(micros: int, text: str) -> None:
    assert show.gain(micros) == text


@pytest.mark.parametrize(
    ("size_e6", "text"),
    [(0, "0"), (1_234_500_000, "1,234.5"), (1, "0.000001"), (-20_000_000, "-20"), (10**15, "1,000,000,000")],
)
def test_contracts(size_e6: int, text: str) -> None:
    assert show.contracts(size_e6) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "-"),
        (0, 10, "0.0 %"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (10, 10, "100.0 %"),
        (1, 10_000, "< 0.1 %"),
        (5, 10_000, "0.1 %"),
        (9_999, 10_000, "> 99.9 %"),
    ],
)
def test_share_never_says_nothing_or_all_of_what_is_neither(part: int, whole: int, text: str) -> None:
    assert show.share(part, whole) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.0 s"),
        (4_200 * 10**6, "4.2 s"),
        (MIN, "1 min 0 s"),
        (HOUR - 1, "59 min 59 s"),
        (HOUR, "1 h 0 min"),
        (DAY - 1, "23 h 59 min"),
        (3 * DAY + 5 * HOUR, "3 d 5 h"),
    ],
)
def test_span(ns: int, text: str) -> None:
    assert show.span(ns) == text


def test_moment_is_in_utc_and_says_so() -> None:
    assert show.moment(1_777_377_600 * NS_PER_S + 999) == "2026-04-28 12:00:00 UTC"


def test_counts_and_memory_carry_separators_and_units() -> None:
    assert show.count(1_234_567) == "1,234,567"
    assert show.memory(1) == "1 MiB"
    assert show.memory(2_000 * 1024 * 1024) == "2,000 MiB"
    assert [show.plural(n, "file") for n in (0, 1, 1_000)] == ["0 files", "1 file", "1,000 files"]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 us"),
        (1_534, "1.53 us"),
        (12_040, "12.0 us"),
        (999_400, "999 us"),
        (12_000_000, "12.0 ms"),
        (2_500_000_000, "2.50 s"),
        (59_000_000_000, "59.0 s"),
        (61_000_000_000, "1 min 1 s"),
    ],
)
def test_short_times_in_their_own_unit(ns: int, text: str) -> None:
    assert show.short_time(ns) == text
