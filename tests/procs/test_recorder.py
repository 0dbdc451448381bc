from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from engine.catalog.defaults import market_with_defaults
from engine.catalog.market import MarketSpec
from engine.errors import ConfigError, RecordingDamaged
from engine.records import Venue
from procs.config_files import load_config, load_fee_table
from procs.recorder import FLUSH_EVERY_NS, ConnNumbers, RollingRecording, Tap, part_path
from procs.recording import CONN_MAX
from procs.recording_frames import Frame
from procs.recording_reader import RecordingReader

START_NS = 1_790_000_000_000_000_000


def spec(venue: Venue, symbol: str) -> MarketSpec:
    return market_with_defaults(load_fee_table(load_config()), venue, symbol, START_NS)


MARKETS = (spec(Venue.POLYMARKET, "101"), spec(Venue.KALSHI, "KXA"))


def rolling(out: Path, bytes_max: int = 1 << 30) -> RollingRecording:
    return RollingRecording(out, MARKETS, ["polymarket:101", "kalshi:KXA"], bytes_max, lambda: START_NS)


def read(path: Path) -> list[Frame]:
    with RecordingReader(path) as reader:
        return list(reader.frames())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    with rolling(out) as recording:
        recording.write(START_NS, Venue.KALSHI, 3, b'{"type":"ok"}')
        recording.write(START_NS + 1, Venue.POLYMARKET, 4, '{"x":"\u00e9\\n"}'.encode())
        recording.write(START_NS + 2, Venue.KALSHI, 3, b"\xff{")
    assert read(out) == [
        Frame(START_NS, Venue.KALSHI, 3, b'{"type":"ok"}'),
        Frame(START_NS + 1, Venue.POLYMARKET, 4, '{"x":"\u00e9\\n"}'.encode()),
        Frame(START_NS + 2, Venue.KALSHI, 3, "\ufffd{".encode()),
    ]
    with RecordingReader(out) as reader:
        header = reader.header
    assert (header.venue, header.kind, header.start_ns, header.lacks) == ("both", "stream", START_NS, ())
    assert header.markets == MARKETS
    assert header.subscriptions == ("polymarket:101", "kalshi:KXA")
    assert (recording.frames, recording.bytes) == (3, out.stat().st_size)


def test_nothing_came(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    with rolling(out):
        pass
    assert read(out) == []


def test_a_recording_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    out.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="exists already; a recording overwrites nothing"), rolling(out):
        pass
    assert out.read_bytes() == b"precious"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), rolling(tmp_path / "no" / "a.ndjson.zst"):
        pass


def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    with rolling(out, bytes_max=2_000) as recording:
        for number in range(40):
            recording.write(START_NS + number, Venue.KALSHI, 0, os.urandom(200).hex().encode())
            recording.on_clock(number * FLUSH_EVERY_NS)
    assert [path.name for path in recording.paths[:3]] == [
        "a.ndjson.zst",
        "a.1.ndjson.zst",
        "a.2.ndjson.zst",
    ]
    assert all(path.stat().st_size < 3_500 for path in recording.paths)
    frames = [frame for path in recording.paths for frame in read(path)]
    assert [frame.recv_ns - START_NS for frame in frames] == list(range(40))
    with RecordingReader(recording.paths[1]) as reader:
        assert reader.header.lacks == ("opening_snapshot",)
        assert reader.header.start_ns == next(iter(read(recording.paths[1]))).recv_ns


def test_a_clock_that_steps_back_does_not_stop_the_flushing(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    with rolling(out) as recording:
        recording.on_clock(0)
        sizes = []
        for at in (1_000 * FLUSH_EVERY_NS, 5 * FLUSH_EVERY_NS, 5 * FLUSH_EVERY_NS + 1):
            recording.write(START_NS, Venue.KALSHI, 0, b"x")
            recording.on_clock(at)
            sizes.append(out.stat().st_size)
    assert 0 < sizes[0] < sizes[1] == sizes[2]


def fill(out: Path) -> None:
    with rolling(out) as recording:
        for number in range(50):
            recording.write(START_NS, Venue.KALSHI, 0, os.urandom(200).hex().encode())
            recording.on_clock(number * FLUSH_EVERY_NS)


def test_a_disk_that_is_full_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    out = tmp_path / "a.ndjson.zst"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            fill(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(out)


def test_names_of_parts() -> None:
    assert part_path(Path("d/x.zst"), 2) == Path("d/x.zst.2")
    assert part_path(Path("d/x.ndjson.zst"), 2) == Path("d/x.2.ndjson.zst")


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    """A child writes, flushes, writes on and is killed: what was flushed is there."""
    out = tmp_path / "a.ndjson.zst"
    says, hears = os.pipe()
    child = os.fork()
    if child == 0:
        with rolling(out) as recording:
            for number in range(1_000):
                recording.write(START_NS + number, Venue.KALSHI, 0, os.urandom(100).hex().encode())
            recording.on_clock(FLUSH_EVERY_NS)
            recording.write(START_NS + 1_000, Venue.KALSHI, 0, b"pending")
            os.write(hears, b"x")
            time.sleep(60)
        os._exit(0)
    assert os.read(says, 1) == b"x"
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(says)
    os.close(hears)
    assert [frame.recv_ns - START_NS for frame in read(out)] == list(range(1_000))


@pytest.mark.parametrize("cut", [1, 100, 5_000])
def test_a_torn_tail_costs_the_last_block_only(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "a.ndjson.zst"
    sizes = []
    with rolling(out) as recording:
        for block in range(3):
            for number in range(100):
                recording.write(START_NS + number, Venue.KALSHI, block, os.urandom(100).hex().encode())
            recording.on_clock((block + 1) * FLUSH_EVERY_NS)
            sizes.append(out.stat().st_size)
    assert sizes[2] - sizes[1] > cut
    os.truncate(out, sizes[2] - cut)
    found: list[int] = []
    with RecordingReader(out) as reader, pytest.raises(RecordingDamaged, match="frames before it are whole"):
        found.extend(frame.conn for frame in reader.frames())
    assert len(found) >= 200
    assert found[:200] == [0] * 100 + [1] * 100


class Seen:
    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int, int]] = []
        self.ended: list[int] = []

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        self.frames.append((payload, recv_ns, conn))

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        self.ended.append(conn)


def test_every_connection_has_a_number_of_its_own() -> None:
    sink, written = Seen(), []
    numbers = ConnNumbers()
    taps = [
        Tap(venue, sink, lambda *frame: written.append(frame), numbers)
        for venue in (Venue.POLYMARKET, Venue.KALSHI)
    ]
    taps[0].on_frame(b"a", 1, 0)
    taps[1].on_frame(b"b", 2, 0)
    taps[0].on_frame(b"c", 3, 0)
    taps[0].on_disconnect(4, 0)
    taps[0].on_frame(b"d", 5, 0)
    assert written == [
        (1, Venue.POLYMARKET, 0, b"a"),
        (2, Venue.KALSHI, 1, b"b"),
        (3, Venue.POLYMARKET, 0, b"c"),
        (5, Venue.POLYMARKET, 2, b"d"),
    ]
    assert sink.frames == [(b"a", 1, 0), (b"b", 2, 0), (b"c", 3, 0), (b"d", 5, 0)]
    assert sink.ended == [0]


def test_numbers_come_round_within_what_a_codec_has_room_for() -> None:
    numbers = ConnNumbers()
    assert [numbers.take() for _ in range(CONN_MAX + 2)] == [*range(CONN_MAX + 1), 0]
