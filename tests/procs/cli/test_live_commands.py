"""``latency``, ``book``, ``positions`` and ``funnel`` on the run directory of an engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import ACCOUNT_ROW, Venue
from procs.cli.main import main
from shm.histogram import Histograms
from tests.procs.served import run_directory
from tests.procs.test_live_view import LiveEngine


@pytest.fixture
def live() -> Iterator[LiveEngine]:
    with run_directory() as directory:
        yield LiveEngine(directory)


class Command:
    """Runs a command on the live engine and gives what it wrote."""

    def __init__(self, live: LiveEngine, capsys: pytest.CaptureFixture[str]) -> None:
        self._dirs = ["--run-dir", str(live.directory), "--state-dir", str(live.directory / "state")]
        self._capsys = capsys
        self.err = ""

    def __call__(self, *argv: str, code: int = 0) -> str:
        assert main([*argv, *self._dirs]) == code
        written = self._capsys.readouterr()
        self.err = written.err
        return written.out


@pytest.fixture
def command(live: LiveEngine, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(live, capsys)


def test_latency_by_stage(live: LiveEngine, command: Command) -> None:
    command("latency", code=5)
    assert command.err == f"pr3dict: {live.directory}: no engine runs here (no histograms)\n"
    stages = Histograms.create(("book", "strategy"), name="latency.market", directory=live.directory)
    for value in (100, 1_530, 12_000_000):
        stages["book"].record(value)
    stages["book"].record(-1)
    document = json.loads(command("latency", "--json"))
    book, strategy = document["stages"]
    assert book == {
        "of": "latency.market",
        "stage": "book",
        "count": 4,
        "p50_ns": 100,
        "p99_ns": 12_000_000,
        "p99.9_ns": 12_000_000,
        "max_ns": 12_000_000,
        "below_zero": 1,
    }
    assert (strategy["stage"], strategy["count"]) == ("strategy", 0)
    said = command("latency")
    assert "100 ns" in said
    assert "12.0 ms" in said
    assert [line.split()[1] for line in said.splitlines() if line.strip().startswith("latency.market")] == [
        "book",
        "strategy",
    ]


def test_the_live_book_of_a_market(live: LiveEngine, command: Command) -> None:
    assert json.loads(command("book", "kalshi:KXFED-HOLD", "--json"))["trust"] == "unsynced"
    live.quote(Venue.KALSHI, live.kalshi)
    for name in ("kalshi:KXFED-HOLD", "KXFED-HOLD"):
        assert json.loads(command("book", name, "--json")) == {
            "market": "kalshi:KXFED-HOLD",
            "at_ns": 1_700_000_000_000_000_000,
            "trust": "live",
            "bids": [["0.4", "5"], ["0.39", "1"]],
            "asks": [["0.5", "2.5"]],
        }
    lines = command("book", "KXFED-HOLD", "--depth", "1").splitlines()
    assert lines[0].startswith("kalshi:KXFED-HOLD  live  2023-11-14")
    assert "0.39" not in "".join(lines)
    command("book", "KXFED", code=2)
    assert f"{live.directory}: no market 'KXFED'; near: kalshi:KXFED-HOLD" in command.err
    command("book", "KXFED-HOLD", "--at", "+1", code=2)
    assert "a running engine shows its book as it is now" in command.err


def test_positions_and_cash(live: LiveEngine, command: Command) -> None:
    assert "none" in command("positions")
    live.hold(live.poly, 3_000_000)
    live.hold(live.kalshi, 0)
    live.accounts.write(Venue.POLYMARKET, np.array([(7_000_000, 20_000)], ACCOUNT_ROW))
    said = command("positions")
    assert "polymarket:0xabc" in said
    assert "-$0.05" in said
    assert "$7.00" in said
    assert "kalshi:KXFED-HOLD" not in said, "it is flat"
    assert "kalshi:KXFED-HOLD" in command("positions", "--all")
    document = json.loads(command("positions", "--json"))
    assert document["accounts"] == {"polymarket": {"cash_micros": 7_000_000, "fees_micros": 20_000}}
    assert document["positions"][0]["market"] == "polymarket:0xabc"
    assert document["positions"][0]["yes_e6"] == 3_000_000


def test_a_settlement_that_differs_is_shown_beside_the_positions(live: LiveEngine, command: Command) -> None:
    assert "Settlements" not in command("positions")
    assert json.loads(command("positions", "--json"))["disputes"] == []
    live.dispute(live.poly, 31_000_000, 30_000_000)
    said = command("positions")
    assert "Settlements that differ" in said
    assert "31.00" in said
    assert json.loads(command("positions", "--json"))["disputes"] == [
        {"market": "polymarket:0xabc", "stated_micros": 31_000_000, "expected_micros": 30_000_000}
    ]


def test_the_live_funnel(live: LiveEngine, command: Command) -> None:
    live.decide(Reason.NO_EDGE, 2)
    live.decide(Reason.NONE, 1)
    document = json.loads(command("funnel", "--json"))
    assert [(row["reason"], row["count"]) for row in document["funnel"]] == [("no_edge", 2), ("none", 1)]
    assert command.err == ""
    live.decide(Reason.NO_EDGE, 300)
    command("funnel")
    assert "decisions before these are in the rings no more" in command.err
    command("funnel", "--edge", "net", code=2)
    assert "--edge and --venue need a decision log" in command.err
