"""The benches of table, wake and sockets, small: what is sent arrives, in order, and books are whole."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
from pathlib import Path

import pytest

from bench import path, sockets, table, wake
from bench._result import Result

pytestmark = pytest.mark.compiled_only

PEER = importlib.util.find_spec("websockets") is not None
CORE = max(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    monkeypatch.setattr(path, "PAIRS", 3)


def test_reads_of_a_table_add_up() -> None:
    filled = table.filled()
    assert table.compiled(filled, 10 * table.ROWS)["ns"] > 0
    filled.rows["words"][3, 0] += 1
    with pytest.raises(RuntimeError, match="add up"):
        table.compiled(filled, 10 * table.ROWS)


def test_shared_dictionaries_answer() -> None:
    with table.dictionaries(Result("table", {})) as others:
        assert {read() for read in others.values()} == {bytes(64)}


@pytest.mark.parametrize("rings", [pytest.param(False, marks=pytest.mark.soak), True])
def test_every_record_comes_to_the_loop(tmp_path: Path, rings: bool) -> None:
    folder = tmp_path / "rings"
    folder.mkdir(0o700)
    loop = wake.Loop(folder, CORE)
    try:
        way = loop.sleeping if rings else loop.turning
        for _ in range(2):
            assert loop.run(way, 50, rings=rings)["p50_ns"] > 0
    finally:
        loop.close()


def test_every_frame_of_a_socket_reaches_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    with sockets.server(CORE, 500) as server:
        assert sockets.sustained(server.url, 500)["per_s"] > 0
        monkeypatch.setattr(sockets, "DEADLINE_S", 0.2)
        with pytest.raises(RuntimeError, match="frames came in"):
            sockets.sustained(server.url, 501)


def test_the_age_of_a_signal_counts_from_its_own_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MISSED_MAX", 0.9)  # others may be at work on these cores
    package = importlib.import_module("websockets.asyncio.client") if PEER else None
    with sockets.server(CORE, 30, 20_000) as server:
        run = sockets.signalled(server, 30)
        assert 0 < run["p50_ns"] < 30 * 20_000_000 + sockets.DEADLINE_S * 1e9
        assert run["missed_share"] <= sockets.MISSED_MAX
        if package is not None:
            assert asyncio.run(sockets._plain_signal(package, server, 30))["p50_ns"] > 0


def test_arrivals_are_noted_before_they_are_handed_on() -> None:
    heard: list[tuple[bytes, int]] = []

    class Sink:
        def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
            assert arrivals.recv_ns[-1] == recv_ns
            heard.append((payload, recv_ns))

        def on_disconnect(self, recv_ns: int, conn: int) -> None:
            heard.append((b"", recv_ns))

    arrivals = sockets.Arrivals(Sink())
    arrivals.on_frame(b"x", 3, 0)
    arrivals.on_disconnect(4, 0)
    assert heard == [(b"x", 3), (b"", 4)]
    assert arrivals.recv_ns == [3]
