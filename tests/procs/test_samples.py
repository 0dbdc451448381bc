"""The packaged recordings: whole, licensed for it, described, and what importers make of their sources."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from procs.importers.convert import convert, open_imports
from procs.places import PACKAGES_ROOT, samples_dir
from procs.recording import SUFFIX, RecordingHeader
from procs.recording_reader import RecordingReader

ALLOWED = {"MIT", "CC BY 4.0"}
BYTES_MAX = 8_000_000
SAMPLES = sorted(samples_dir().glob(f"*{SUFFIX}"))
README = samples_dir() / "README.md"
DOCS = PACKAGES_ROOT / "docs" / "recordings.md"


def _read(path: Path) -> tuple[RecordingHeader, int]:
    with RecordingReader(path) as reader:
        return reader.header, sum(batch.count for batch in reader.batches())


@pytest.fixture(scope="module")
def read() -> dict[str, tuple[RecordingHeader, int]]:
    """Header and number of frames by name; raises where one is not whole."""
    return {path.name.removesuffix(SUFFIX): _read(path) for path in SAMPLES}


def test_they_are_real_of_both_venues_and_small(read: dict[str, tuple[RecordingHeader, int]]) -> None:
    headers = [header for header, _ in read.values()]
    assert not any(header.synthetic for header in headers)
    assert {"polymarket", "both"} <= {header.venue for header in headers}
    assert sum(path.stat().st_size for path in samples_dir().iterdir()) <= BYTES_MAX


def test_each_says_where_it_came_from_in_its_header_and_beside_it(
    read: dict[str, tuple[RecordingHeader, int]],
) -> None:
    rows = re.findall(r"^\| `(\w+)\.ndjson\.zst` \| (.+) \| (.+) \|$", README.read_text(), re.MULTILINE)
    assert {name: (source, licence) for name, source, licence in rows} == {
        name: (header.provenance.source, header.provenance.licence) for name, (header, _) in read.items()
    }
    assert {licence for _, _, licence in rows} <= ALLOWED


def test_the_docs_count_them_right(read: dict[str, tuple[RecordingHeader, int]]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| .+, (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert {name: (frames, markets, licence) for name, frames, markets, licence in rows} == {
        name: (f"{frames:,}", f"{len(header.markets):,}", header.provenance.licence)
        for name, (header, frames) in read.items()
    }


@pytest.mark.parametrize(
    ("name", "sources", "category"),
    [
        ("btc15m_bbo_20260401", "polymarket_books/btc15m_bbo_20260401.csv.zst", "crypto"),
        ("weather_20260803", "cross_venue/weather_books/*", ""),
    ],
)
def test_importing_the_source_again_gives_the_same_bytes(
    shared_data: Path, read: dict[str, tuple[RecordingHeader, int]], name: str, sources: str, category: str
) -> None:
    out = io.BytesIO()
    opened = open_imports(sorted(shared_data.glob(sources)), category)
    assert convert(opened, read[name][0].provenance, out).damage is None
    assert out.getvalue() == (samples_dir() / f"{name}{SUFFIX}").read_bytes()
