from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketSpec
from engine.catalog.matcher import match, proposal
from engine.catalog.relations import RelationBook
from engine.records import Venue
from procs.cli.config_match import toml_of
from procs.cli.main import main
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from tests.engine.catalog.specs import market

RULES = "Resolves YES if the Federal Reserve cuts at the September 17, 2026 meeting."
TITLE = 'Will the Fed "cut" rates on September 17, 2026?'
KALSHI = market("KXFED-26SEP17-CUT", rules_text=RULES, title=TITLE)
SAME = market("0xsame", Venue.POLYMARKET, RULES, TITLE)
OTHER = market("0xother", Venue.POLYMARKET, RULES, TITLE.replace("17", "18"))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return record(tmp_path / "a.zst", KALSHI, SAME, OTHER)


def record(path: Path, *markets: MarketSpec) -> Path:
    header = RecordingHeader(
        venue="both",
        kind="stream",
        start_ns=0,
        markets=markets,
        provenance=Provenance("test", "none", "2026-09-01"),
    )
    with path.open("wb") as file, RecordingWriter(file, header):
        pass
    return path


def test_pairs_are_shown_with_what_differs(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "match", str(recording)]) == 0
    shown = capsys.readouterr().out
    assert "2 pairs, 1 proposed" in shown
    assert "told apart by  day 1" in shown
    assert "    differs in day (2026-09-17 | 2026-09-18)\n" in shown
    assert "    nothing that can be read differs\n" in shown
    assert "\n[[relation]]\n" in shown


def test_long_texts_are_named_and_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mute = replace(SAME, rules_text="")
    assert main(["config", "match", str(record(tmp_path / "a.zst", KALSHI, mute))]) == 0
    shown = capsys.readouterr().out
    assert "    differs in source (federal reserve | not stated), rules\n" in shown
    assert RULES not in shown


def test_a_proposal_is_an_entry_that_nobody_approved(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "match", str(recording), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [pair["differences"] for pair in document["pairs"]] == [{}, {"day": ["2026-09-17", "2026-09-18"]}]
    assert document["refused"] == 0
    (entry,) = document["proposals"]
    (relation,) = RelationBook.from_tree(tomllib.loads(entry), "proposal").relation
    assert (relation.approved_by, relation.approved_on) == ("", "")
    assert [member.symbol for member in relation.member] == ["KXFED-26SEP17-CUT", "0xsame"]


def test_the_entry_is_the_relation() -> None:
    catalog = Catalog(2)
    catalog.add_market(KALSHI)
    catalog.add_market(SAME)
    (pair,) = match(catalog).candidates
    relation = proposal(pair, catalog)
    assert RelationBook.from_tree(tomllib.loads(toml_of(relation)), "x").relation == (relation,)


def test_few_pairs_are_shown_and_the_rest_counted(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "match", str(recording), "--pairs", "1"]) == 0
    assert "2 pairs, 1 not shown, 1 proposed" in capsys.readouterr().out


def test_two_recordings_of_one_market_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = record(tmp_path / "a.zst", KALSHI, SAME), record(tmp_path / "b.zst", KALSHI, OTHER)
    assert main(["config", "match", str(first), str(second), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 2


def test_recordings_without_metadata_are_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "match", str(record(tmp_path / "a.zst"))]) == 2
    assert "no recording carries metadata" in capsys.readouterr().err
