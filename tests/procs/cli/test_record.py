"""``pr3dict record`` as a process of its own, against scripted venues on real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from engine.records import Venue
from procs.cli.main import main
from procs.recording import VENUE_NAMES
from procs.recording_frames import Frame
from procs.recording_merge import merge
from procs.recording_reader import RecordingReader
from procs.replay import Replay
from tests.procs.live_feeds import expected, scripted
from tests.procs.scripted_venue import ScriptedVenue, run, until


async def start(out: Path, kalshi: ScriptedVenue, polymarket: ScriptedVenue) -> asyncio.subprocess.Process:
    """A recorder of everything both venues have, connected and subscribed."""
    markets = [
        part
        for name, server in (("kalshi", kalshi), ("polymarket", polymarket))
        for symbol in server.books
        for part in ("--market", f"{name}:{symbol}")
    ]
    urls = ["--kalshi-url", kalshi.url, "--polymarket-url", polymarket.url]
    options = ["record", "--out", str(out), "--json", *urls, *markets]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "procs.cli.main", *options, stdout=asyncio.subprocess.PIPE
    )
    await until(lambda: bool(kalshi.peers and polymarket.peers), "the recorder connects")
    await until(lambda: bool(kalshi.peer.received and polymarket.peer.received), "the recorder subscribes")
    return child


def read(path: Path) -> list[Frame]:
    with RecordingReader(path) as reader:
        return list(reader.frames())


def replayed_books(path: Path) -> dict[str, dict[str, dict[int, int]]]:
    """Every book of a recording at its end, by name."""
    with RecordingReader(path) as reader:
        replay = Replay(reader.header.markets)
        for part in merge([reader]):
            replay.feed(part.batch, part.clock_ns, part.start, part.stop)
    books = {}
    for slot, book in enumerate(replay.books):
        bids, asks = replay.levels(slot)
        books[book.name] = {"bid": dict(bids), "ask": dict(asks)}
    return books


def test_what_the_venues_say_is_recorded_and_replays_to_their_books(tmp_path: Path) -> None:
    out = tmp_path / "live.ndjson.zst"

    async def record() -> None:
        async with scripted(Venue.KALSHI) as kalshi, scripted(Venue.POLYMARKET) as polymarket:
            child = await start(out, kalshi, polymarket)
            for size in range(1, 50):
                kalshi.change("KXA-1", "yes", "0.4100", float(size))
                polymarket.change("101", "BUY", "0.41", float(size))
            kalshi.peer.close(1012)
            await until(lambda: len(kalshi.peers) == 2 and len(kalshi.peer.received) == 2, "it comes back")
            kalshi.change("KXB-2", "no", "0.5000", 3.0)
            await until(lambda: out.stat().st_size > 0, "the first block is out")
            child.send_signal(signal.SIGTERM)
            stdout, _ = await child.communicate()
            assert child.returncode == 0
            said = json.loads(stdout)
            assert said["venues"]["kalshi"]["reconnects"] == 1
            assert said["venues"]["kalshi"]["closes"] == {"1012": 1}
            assert said["venues"]["polymarket"]["books_live"] == 3
            assert said["frames"] == len(read(out))
            found = replayed_books(out)
            for server, venue in ((kalshi, Venue.KALSHI), (polymarket, Venue.POLYMARKET)):
                for symbol in server.books:
                    assert found[f"{VENUE_NAMES[venue]}:{symbol}"] == expected(server, symbol)

    run(record())
    conns = [(frame.venue, frame.conn) for frame in read(out)]
    assert len(set(conns)) == 3  # the connection that came back has a number of its own


def test_a_kill_leaves_what_was_flushed(tmp_path: Path) -> None:
    out = tmp_path / "live.ndjson.zst"

    async def record() -> None:
        async with scripted(Venue.KALSHI) as kalshi, scripted(Venue.POLYMARKET) as polymarket:
            child = await start(out, kalshi, polymarket)
            kalshi.change("KXA-1", "yes", "0.4100", 7.0)
            await until(lambda: out.stat().st_size > 0, "a block is out")
            size = out.stat().st_size
            kalshi.change("KXA-1", "yes", "0.4100", 8.0)
            await until(lambda: out.stat().st_size > size, "another block is out")
            child.kill()
            await child.communicate()
            assert replayed_books(out)["kalshi:KXA-1"] == expected(kalshi, "KXA-1")

    run(record())


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("pr3dict: ")
    return said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no market: name some with --market"),
        (["--market", "kalshi"], "--market kalshi: expected polymarket:TOKEN or kalshi:TICKER"),
        (["--market", "nyse:X"], "--market nyse:X: expected"),
        (["--markets", "absent.ndjson.zst"], "absent.ndjson.zst: No such file"),
        (
            ["--market", "kalshi:X", "--kalshi-url", "http://127.0.0.1/"],
            "ws_url 'http://127.0.0.1/' is no address of a WebSocket",
        ),
        (
            ["--market", "kalshi:X", "--set", "paths.credentials_dir=/nonexistent"],
            "/nonexistent: No such file",
        ),
    ],
)
def test_a_mistake_is_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live.ndjson.zst"
    assert main(["record", "--out", str(out), *options]) == 2
    assert said in one_line(capsys)
    assert not out.exists()


def test_a_recording_that_exists_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "live.ndjson.zst"
    out.write_bytes(b"precious")
    options = ["--market", "kalshi:X", "--kalshi-url", "ws://127.0.0.1:9/"]
    assert main(["record", "--out", str(out), *options]) == 2
    assert "exists already" in one_line(capsys)


def test_a_venue_that_never_lets_us_in_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live.ndjson.zst"
    options = ["--market", "kalshi:X", "--kalshi-url", "ws://127.0.0.1:9/", "--for", "0.2", "--json"]
    assert main(["record", "--out", str(out), *options]) == 1
    assert "kalshi: never connected (ConnectionRefusedError" in one_line(capsys)
    assert read(out) == []
