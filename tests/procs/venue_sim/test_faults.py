"""Fault plans: what they may say, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.records import Venue
from procs.venue_sim import faults
from procs.venue_sim.faults import KINDS, Close, Fault, Gap, HalfOpen, Oversized, Refuse, read_plan

PLAN = """
[[fault]]
venue = "kalshi"
kind = "close"
at_frame = 120
connection = 1
symbol = "KXA-1"
code = 1012
reason = "maintenance"

[[fault]]
venue = "polymarket"
kind = "half_open"
connection = 2

[[fault]]
venue = "kalshi"
kind = "refuse"
at_frame = 120
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.toml"


def test_a_plan_is_read(plan: Path) -> None:
    plan.write_text(PLAN)
    assert read_plan(plan) == (
        Fault(
            venue=Venue.KALSHI,
            kind=Close(code=1012, reason="maintenance"),
            at_frame=120,
            connection=1,
            symbol="KXA-1",
        ),
        Fault(venue=Venue.POLYMARKET, kind=HalfOpen(), connection=2),
        Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=60_000, status=503), at_frame=120),
    )


@pytest.mark.parametrize(
    ("connection", "symbol", "is_it"),
    [(0, "", True), (3, "", True), (2, "", False), (0, "B", True), (0, "C", False), (2, "B", False)],
)
def test_to_whom_it_is_done(connection: int, symbol: str, is_it: bool) -> None:
    fault = Fault(venue=Venue.KALSHI, kind=HalfOpen(), at_frame=1, connection=connection, symbol=symbol)
    assert fault.is_of(3, iter(["A", "B"])) is is_it


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_planned_without_more_words(plan: Path, name: str) -> None:
    plan.write_text(f'[[fault]]\nvenue = "kalshi"\nkind = "{name}"\nat_frame = 3\n')
    (fault,) = read_plan(plan)
    assert fault == Fault(venue=Venue.KALSHI, kind=KINDS[name](), at_frame=3)
    assert str(fault) == f"{name} at frame 3"


def test_an_empty_plan_is_none(plan: Path) -> None:
    plan.write_text("")
    assert read_plan(plan) == ()


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (['kind = "close"', "at_frame = 1"], "fault 1: venue None, expected one of polymarket, kalshi"),
        (['venue = "nyse"', 'kind = "close"'], "fault 1: venue 'nyse', expected"),
        (['venue = "kalshi"', "at_frame = 1"], "fault 1: kind None, expected one of close, half_open"),
        (['venue = "kalshi"', 'kind = "explode"'], "fault 1: kind 'explode', expected one of"),
        (['venue = "kalshi"', 'kind = "close"'], "neither at_frame nor connection says when"),
        (['venue = "kalshi"', 'kind = "close"', "at_frame = -1"], "at_frame"),
        (['venue = "kalshi"', 'kind = "close"', "at_frame = 1", "code = 999"], "code"),
        (['venue = "kalshi"', 'kind = "close"', "at_frame = 1", "code = 1005"], "1005 is not a close code"),
        (['venue = "kalshi"', 'kind = "close"', "at_frame = 1", "cod = 1001"], "cod"),
        (['venue = "kalshi"', 'kind = "gap"', "at_frame = 1", 'frames = "two"'], "frames"),
        (['venue = "polymarket"', 'kind = "skip_numbers"', "at_frame = 1"], "only Kalshi has sequence"),
        (['venue = "kalshi"', 'kind = "refuse"', "connection = 1"], "at_frame says when"),
        (['venue = "kalshi"', 'kind = "refuse"', "at_frame = 1", "status = 200"], "200 refuses nothing"),
        (['venue = "kalshi"', 'kind = "oversized"', "at_frame = 1", "size_bytes = 5"], "size_bytes"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file_and_the_fault(
    plan: Path, lines: list[str], what: str
) -> None:
    plan.write_text("[[fault]]\n" + "\n".join(lines) + "\n")
    with pytest.raises(ConfigError) as said:
        read_plan(plan)
    assert str(said.value).startswith(f"{plan}: fault 1: ")
    assert what in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("speed = 1\n", "unknown key 'speed', expected"),
        ("fault = 3\n", "fault: expected tables"),
        ("fault = [3]\n", "fault: expected tables"),
        ("[[fault]\n", "not TOML"),
    ],
)
def test_a_plan_of_another_shape(plan: Path, text: str, what: str) -> None:
    plan.write_text(text)
    with pytest.raises(ConfigError, match=what):
        read_plan(plan)


def test_the_number_of_faults_is_bounded(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS_MAX", 3)
    plan.write_text(PLAN)
    assert len(read_plan(plan)) == 3
    plan.write_text(PLAN + PLAN)
    with pytest.raises(ConfigError, match="6 faults, at most 3"):
        read_plan(plan)


def test_bounds_hold_from_python_too() -> None:
    with pytest.raises(ValueError, match="neither at_frame nor connection"):
        Fault(venue=Venue.KALSHI, kind=Gap())
    with pytest.raises(ValueError, match="123 bytes"):
        Close(reason="x" * 124)
    assert Oversized().size_bytes == 100_000_000
