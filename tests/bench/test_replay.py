"""The replay bench: its made session is sound, its plain peer keeps books, measurements are JSON lines."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bench import replay
from bench._kalshi_stream import MARKETS, write_session
from bench._plain import PlainBooks
from procs.check import Check
from procs.config_files import load_config
from procs.importers import open_source

DELTAS = 2_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short made session."""
    return write_session(tmp_path_factory.mktemp("bench") / "kalshi.ndjson.zst", load_config(), DELTAS)


def test_the_made_session_has_no_gap_and_no_fault(session: Path) -> None:
    report = Check(session).run()
    assert report.frames == DELTAS + MARKETS
    assert (report.rejected, report.seq_gaps, report.resyncs, report.crossed) == (0, 0, 0, 0)
    assert {state: count for state, count in report.trust.items() if count} == {"live": MARKETS}


def test_the_plain_way_ends_with_the_same_levels(session: Path) -> None:
    check = Check(session)
    check.run()
    plain = PlainBooks()
    with closing(open_source(session)) as source:
        assert plain.run(source.batches()) == DELTAS + MARKETS
    for name, dumped in check.dump().items():
        yes, no = plain.books[name.removeprefix("kalshi:")]
        assert _levels(dumped["bids"]) == {(round(float(price), 4), size) for price, size in yes.items()}
        assert _levels(dumped["asks"]) == {(round(1 - float(price), 4), size) for price, size in no.items()}


def _levels(side: object) -> set[tuple[float, float]]:
    assert isinstance(side, list)
    return {(round(float(price), 4), float(size)) for price, size in side}


def test_the_plain_way_knows_polymarket() -> None:
    plain = PlainBooks()
    level = {"price": "0.5", "size": "3"}
    plain.apply([{"event_type": "book", "asset_id": "7", "bids": [level], "asks": []}])
    plain.apply({"event_type": "price_change", "price_changes": [{"asset_id": "7", "side": "SELL", **level}]})
    assert plain.books["7"] == ({"0.5": 3.0}, {"0.5": 3.0})
    gone = {"asset_id": "7", "side": "BUY", "price": "0.5", "size": "0"}
    plain.apply({"event_type": "price_change", "price_changes": [gone]})
    assert plain.books["7"] == ({}, {"0.5": 3.0})
    plain.apply({"event_type": "book", "asset_id": "7", "bids": [{"price": "0.4", "size": None}], "asks": []})
    assert list(plain.books["7"][0]) == ["0.4"]


@pytest.mark.parametrize(
    "what", ["check", *(pytest.param(what, marks=pytest.mark.soak) for what in ("plain", "paper"))]
)
def test_a_measurement_counts_every_frame(session: Path, what: str) -> None:
    found = replay.run(what, session)
    assert found["frames"] == DELTAS + MARKETS
    assert found["per_s"] > 0
    assert found["peak_mib"] > 0
