"""Every recorded file: nothing rejected, books equal dictionaries, every word of the venue checked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from engine.catalog.market import MarketSpec
from engine.units import units_to_decimal
from engine.venues.counts import Count
from procs.check import Check, CheckReport
from procs.importers import open_source
from procs.recording_frames import Frame, pack
from procs.replay import Replay
from tests.procs.mutations import MUTATIONS
from tests.procs.recorded import Comparison, files, name_of

pytestmark = pytest.mark.shared_data

PATHS: Final = files()

# Sequence breaks, returns to LIVE, crossed frames and tickers (agree, late, never), counted independently.
KALSHI: Final = {
    "kxbtc15m_20260513T202034Z": (0, 0, 0, 0, (750, 49, 57)),
    "kxbtc15m_20260513T211949Z": (0, 0, 0, 93, (775, 44, 42)),
    "kxbtc15m_20260513T222021Z": (0, 0, 0, 0, (713, 25, 33)),
    "kxbtc15m_20260513T230108Z": (0, 0, 0, 15, (734, 40, 71)),
    "kxbtc15m_20260514T002426Z": (0, 0, 0, 0, (727, 69, 40)),
    "kxbtc15m_20260514T021209Z": (0, 0, 0, 44, (810, 34, 39)),
    "kxbtc15m_20260514T043808Z": (0, 0, 1, 0, (729, 52, 61)),
    "kxbtc15m_20260514T053423Z": (0, 0, 0, 0, (652, 45, 61)),
    "kxbtc15m_20260514T122254Z": (0, 0, 0, 2, (743, 40, 59)),
    "kxbtc15m_20260514T130107Z": (0, 0, 0, 0, (748, 20, 35)),
    "demo_session_20260701": (0, 0, 0, 0, (0, 0, 0)),
    "kxbtcmaxy_2025-11-04": (0, 1, 1, 0, (0, 0, 0)),
    "kxbtcmaxy_2025-11-05": (0, 2, 4, 0, (0, 0, 0)),
}

# Declarations compared on LIVE books; those on books that never had a snapshot, and how many of these agree.
POLYMARKET: Final = {
    "nhl_final_20260607_0130": (0, 206_365, 177_602),
    "btc15m_l5_1771633800": (14_306, 0, 0),
    "btc15m_l5_1771634700": (14_300, 0, 0),
    "btc15m_l5_1771635600": (14_302, 0, 0),
    "btc15m_l5_1771636500": (616, 0, 0),
    "updown_l5_20260310": (1_798, 0, 0),
}


def _expected_dump(comparison: Comparison) -> dict[str, dict[str, list[list[str | None]]]]:
    dump = {}
    for name, book in comparison.plain.books.items():
        bids, asks = (
            [
                [units_to_decimal(price, 4), units_to_decimal(size, 6) if size else None]
                for price, size in side
            ]
            for side in book.levels()
        )
        dump[name] = {"bids": bids, "asks": asks}
    return dump


# Of several files of one kind a small one is looked at each time, and all of them by `make soak`; so are the
# two largest, of which the packaged sample has a part, Kalshi's quarters of an hour, and the two that are no
# streams. Kinds by how their names begin, and the one looked at.
OFTEN: Final = {
    "kxbtcmaxy_": "2025-11-04",
    "btc15m_l5_": "1771636500",
    "weather_": "chicago",
    "atlanta_": "kalshi",
    "austin_": "kalshi",
    "los_angeles_": "kalshi",
}
LARGEST: Final = (
    *("nhl_final_20260607_0130", "btc15m_20260928_books", "kxbtc15m_"),
    *("demo_rest_20260701", "price_change_v1_20250125"),
)


def _marked(path: Path) -> object:
    is_one_of_many = any(
        path.name.startswith(kind) and looked_at not in path.name for kind, looked_at in OFTEN.items()
    )
    is_large = any(name in path.name for name in LARGEST)
    return pytest.param(path, marks=pytest.mark.soak if is_one_of_many or is_large else ())


@pytest.mark.parametrize("path", [_marked(path) for path in PATHS], ids=[name_of(path) for path in PATHS])
def test_file(path: Path) -> None:
    check = Check(path)
    report = check.run()
    source = open_source(path)
    comparison = Comparison(source.header.markets)
    assert comparison.run(source.frames()) == ""
    assert (report.rejected, report.unknown, report.damage) == (0, 0, None)
    assert report.updates == comparison.plain.writes
    dump = check.dump()
    books = {name: {"bids": book["bids"], "asks": book["asks"]} for name, book in dump.items()}
    assert {name: books[name] for name in comparison.plain.books} == _expected_dump(comparison)
    assert all(not side for name in set(books) - set(comparison.plain.books) for side in books[name].values())
    _assert_words(report, path.name.split(".")[0])


def _assert_words(report: CheckReport, stem: str) -> None:
    """What the venue declared was compared, and agrees or is explained."""
    assert report.tob_mismatch == 0
    assert report.tob_checked == report.tob_agree + sum(report.tob_explained.values())
    assert report.tob_doubted <= report.tob_checked // 100
    declared = POLYMARKET.get(stem, (0, 0, 0))
    assert (report.tob_checked, report.tob_unsynced, report.tob_unsynced_agree) == declared
    if stem in KALSHI:
        gaps, restarts, resyncs, crossed, tickers = KALSHI[stem]
        assert (report.seq_gaps, report.seq_restarts, report.resyncs) == (gaps, restarts, resyncs)
        assert len(report.breaks) == gaps + restarts
        assert all(0 < found.frame <= found.line for found in report.breaks), "several rows make a snapshot"
        assert report.crossed == crossed
        assert (report.ticker_agree, report.ticker_late, report.ticker_never) == tickers
        assert report.trust["live"] == report.markets


def test_the_folders_are_complete() -> None:
    assert len(PATHS) == 46
    assert set(KALSHI) | set(POLYMARKET) <= {path.name.split(".")[0] for path in PATHS}


@pytest.mark.soak
def test_places_of_the_restarts(shared_data: Path) -> None:
    report = Check(shared_data / "kalshi_ws/kxbtcmaxy_2025-11-05.parquet").run()
    assert report.unit == "row"
    assert [(found.frame, found.line, found.seq, found.reason) for found in report.breaks] == [
        (6063, 6135, 2, "sequence_restart"),
        (6208, 6353, 2, "sequence_restart"),
    ]


# One random delta of a recorded stream deleted, doubled, swapped with the next, or altered.

NOT_EACH_TIME: Final = ("kxbtc15m", "nhl")
STREAMS: Final = (
    "kalshi_ws/kxbtc15m_20260513T202034Z.ndjson.zst",
    "kalshi_ws/demo_session_20260701.jsonl.zst",
    "kalshi_ws/kxbtcmaxy_2025-11-04.parquet",
    "polymarket_ticks/nhl_final_20260607_0130.parquet",
)


def sequence_faults(specs: Sequence[MarketSpec], frames: Sequence[Frame]) -> int:
    """Numbers that were skipped, stepped back or came twice, as the engine counts them."""
    replay = Replay(specs)
    for batch in pack(frames):
        replay.feed(batch, np.maximum.accumulate(batch.recv_ns))
    counted = (Count.SEQ_GAPS, Count.SEQ_RESTARTS, Count.DUPLICATES)
    return sum(int(codec.counts[what]) for codec in replay.codecs.values() for what in counted)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param(name, how, marks=pytest.mark.soak if any(one in name for one in NOT_EACH_TIME) else ())
        for name in STREAMS
        for how in MUTATIONS
    ],
)
def test_one_altered_delta_is_noticed(shared_data: Path, name: str, how: str) -> None:
    source = open_source(shared_data / name)
    frames: list[Frame] = list(islice(source.frames(), 1_500))
    known = sequence_faults(source.header.markets, frames)
    for seed in range(3):
        altered = MUTATIONS[how](frames, random.Random(f"{name} {how} {seed}"))
        comparison = Comparison(source.header.markets)
        differs = comparison.run(frames, altered)
        assert differs or comparison.duplicates() == 1, f"seed {seed}"
        if "kalshi" in name and how != "alter":  # by the engine alone; an altered one has its number
            assert sequence_faults(source.header.markets, altered) > known, f"seed {seed}"
    assert Comparison(source.header.markets).run(frames, list(frames)) == ""
