"""The benches of table, wake and sockets, small: what is sent arrives, in order, and books are whole."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench import path, sockets, table, wake
from bench._result import Result

pytestmark = pytest.mark.compiled_only

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


@pytest.mark.parametrize("rings", [False, True])
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
    with sockets.server(CORE, 500) as url:
        assert sockets.one_run(url, 500)["per_s"] > 0
        monkeypatch.setattr(sockets, "DEADLINE_S", 0.2)
        with pytest.raises(asyncio.TimeoutError):
            sockets.one_run(url, 501)
