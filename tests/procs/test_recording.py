"""The format: header, writer, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest
import zstandard

from engine.errors import RecordingDamaged, RecordingFormat
from engine.records import Venue
from procs import recording
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from tests.data import recordings as made


def _text(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


def _written(frames: int, raw: str = '{"a":"b"}') -> bytes:
    out = io.BytesIO()
    with RecordingWriter(out, made.header()) as writer:
        for at in range(frames):
            writer.write(made.START_NS + at, Venue.KALSHI, 3, raw)
    return out.getvalue()


def test_header_comes_back_whole() -> None:
    head = made.header("both", lacks=("sid", "sizes"), subscriptions=("a", "b"))
    assert RecordingHeader.from_line(head.to_line().rstrip(b"\n"), "f") == head


def test_lines_are_spelled_as_documented() -> None:
    lines = _text(_written(2)).splitlines()
    assert lines[0].startswith(b'{"pr3dict_recording":1,"venue":"kalshi","kind":"stream","start_ns":')
    assert lines[1] == (
        b'{"recv_ns":1700000000000000000,"venue":"kalshi","conn":3,"raw":"{\\"a\\":\\"b\\"}"}'
    )
    assert orjson.loads(lines[2])["recv_ns"] == made.START_NS + 1


def test_same_input_same_bytes() -> None:
    assert _written(500) == _written(500)


def test_blocks_are_cut_at_line_ends_and_carry_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "BLOCK_BYTES", 1000)
    data = _written(100)
    blocks = data.count(b"\x28\xb5\x2f\xfd")
    assert blocks > 5
    assert zstandard.get_frame_parameters(data).has_checksum
    decoder = zstandard.ZstdDecompressor().decompressobj()
    assert decoder.decompress(data) == made.header().to_line()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(decoder.unused_data).endswith(b"\n")


def test_what_is_flushed_is_in_the_file_as_a_block_of_its_own() -> None:
    out = io.BytesIO()
    writer = RecordingWriter(out, made.header())
    writer.write(made.START_NS, Venue.KALSHI, 3, "a")
    assert out.getvalue() == b""
    writer.flush()
    writer.flush()  # nothing waits: nothing is written
    assert out.getvalue().count(b"\x28\xb5\x2f\xfd") == 2, "the header has a block of its own"
    assert _text(out.getvalue()).count(b"\n") == 2
    writer.write(made.START_NS, Venue.KALSHI, 3, "b")
    writer.close()
    assert out.getvalue().count(b"\x28\xb5\x2f\xfd") == 3
    assert _text(out.getvalue()).count(b"\n") == 3


def test_a_writer_that_failed_writes_no_end() -> None:
    out = io.BytesIO()
    with pytest.raises(RuntimeError), RecordingWriter(out, made.header()):
        raise RuntimeError("stop")
    assert out.getvalue() == b""


@pytest.mark.parametrize(("recv_ns", "conn"), [(-1, 0), (2**62 + 1, 0), (0, -1), (0, 1024)])
def test_writer_refuses_what_a_reader_could_not_hold(recv_ns: int, conn: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        RecordingWriter(io.BytesIO(), made.header()).write(recv_ns, Venue.KALSHI, conn, "x")


def test_writer_refuses_a_line_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LINE_BYTES_MAX", 100)
    with pytest.raises(ValueError, match="at most 100"):
        RecordingWriter(io.BytesIO(), made.header()).write(0, Venue.KALSHI, 0, "x" * 100)


def _tree(**changes: object) -> bytes:
    return orjson.dumps({**orjson.loads(made.header().to_line()), **changes})


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        (_tree(pr3dict_recording=2), RecordingFormat, "format version 2, this build reads 1"),
        (b'{"recv_ns":1}', RecordingFormat, "not a recording"),
        (b"[]", RecordingFormat, "not a recording"),
        (b'{"pr3dict_recording":', RecordingDamaged, "not JSON"),
        (_tree(venue="nasdaq"), RecordingFormat, "unknown venue 'nasdaq'"),
        (_tree(kind="film"), RecordingFormat, "unknown kind 'film'"),
        (_tree(lacks=["charm"]), RecordingFormat, "'charm', which is not on the list"),
        (_tree(start_ns=-1), RecordingFormat, "start_ns -1 is out of range"),
        (_tree(colour="red"), RecordingFormat, "colour: unknown key"),
        (_tree(synthetic="no"), RecordingFormat, "synthetic: expected true or false"),
        (_tree(markets=[{"symbol": "x"}]), RecordingFormat, "markets[0].venue: missing"),
    ],
)
def test_bad_headers_are_one_line_that_names_the_file(line: bytes, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        RecordingHeader.from_line(line, "some.zst")
    assert str(caught.value).startswith("some.zst line 1: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_lack_has_a_meaning() -> None:
    assert all(meaning and name == name.lower() for name, meaning in recording.LACKS.items())
    RecordingHeader(
        venue="kalshi",
        kind="rest",
        start_ns=0,
        provenance=Provenance("", "", ""),
        lacks=tuple(recording.LACKS),
    )


def test_packaged_header_round_trips_on_disk(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.ndjson.zst", made.header(), [])
    assert RecordingHeader.from_line(_text(path.read_bytes()).rstrip(b"\n"), "r") == made.header()
