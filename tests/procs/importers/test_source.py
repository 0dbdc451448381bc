"""An imported file as a source: whatever is wrong with it is damage, said after what is whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import zstandard

from engine.errors import Pr3dictError, RecordingDamaged
from procs.check import Check
from procs.importers import open_source
from tests.data import foreign
from tests.procs.importers.opened import opened

MUTATIONS = 10
SPLICES = (b"null", b'""', b"[]", b"{}", b"-1", b"1e400", b"NaN", b"\xff", b"9" * 20)
LETTERS = b'0123456789",:[]{}nulltrue-+. eE\n'


def _spoil(text: bytes, chance: random.Random) -> bytes:
    """One to five bytes replaced, pieces cut out or put in."""
    spoilt = bytearray(text)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(spoilt))
        what = chance.randrange(3)
        if what == 0:
            spoilt[at] = chance.choice(LETTERS)
        elif what == 1:
            del spoilt[at : at + chance.randrange(1, 30)]
        else:
            spoilt[at:at] = chance.choice(SPLICES)
    return bytes(spoilt)


@pytest.mark.parametrize("name", foreign.BUILDERS)
def test_no_damage_is_a_traceback(tmp_path: Path, name: str) -> None:
    path = foreign.BUILDERS[name](tmp_path / "x")
    content = path.read_bytes()
    is_text = content.startswith(zstandard.MAGIC_NUMBER.to_bytes(4, "little"))
    text = zstandard.ZstdDecompressor().decompress(content) if is_text else content
    for seed in range(MUTATIONS):
        print(f"seed {name} {seed}")
        spoilt = _spoil(text, random.Random(f"{name} {seed}"))
        path.write_bytes(zstandard.ZstdCompressor().compress(spoilt) if is_text else spoilt)
        try:
            Check(path).run()
        except Pr3dictError:
            continue


def test_a_value_that_is_missing_is_damage(tmp_path: Path) -> None:
    path = foreign.array_books(tmp_path / "x")
    text = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    at = text.rindex(b'"timestamp"')
    foreign.write_text(path, text[:at] + text[at:].replace(b"timestamp", b"timestump"))
    report = Check(path).run()
    assert report.frames > 0
    assert report.damage == f"{path}: malformed after {report.frames} whole frames (KeyError 'timestamp')"


@pytest.mark.parametrize("recv_ns", [-1, 2**63])
def test_a_time_out_of_range_is_damage(tmp_path: Path, recv_ns: int) -> None:
    event = foreign.capture_event("ticker", 5, {"market_ticker": "KXT-A"})
    late = foreign.capture_event("ticker", recv_ns, {"market_ticker": "KXT-A"})
    source = opened(foreign.write_json_lines(tmp_path / "x", [event, late]))
    got = source.frames()
    assert next(got).recv_ns == 5
    with pytest.raises(RecordingDamaged, match=f"receipt {recv_ns} is out of range; the 1 frames before it"):
        next(got)
    assert open_source(tmp_path / "x").header.start_ns == 5
