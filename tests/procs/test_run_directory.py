"""A run directory has one engine, one process of each name, and one build."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from engine.errors import ConfigError, EngineRunning, LayoutMismatch
from procs.build_id import build_id
from procs.config_files import load_config
from procs.run_directory import (
    DESCRIPTION,
    Description,
    InputNamed,
    RunDirectory,
    described_state_dir,
    living,
    owner_lives,
    read_description,
)
from procs.wards import started_at
from shm.counters import Counters


def description(topology: str = "two") -> Description:
    return Description(
        build=build_id(),
        boot_epoch=3,
        state_dir="state",
        config=load_config(assignments=[f"engine.topology={topology}"]),
        input=InputNamed(name="made", files=("a.zst",), align_start=True),
        latency_scale=2,
    )


def test_a_description_comes_back_whole(tmp_path: Path) -> None:
    directory = RunDirectory.claim(tmp_path / "run")
    said = description("roles")
    directory.describe(said)
    assert read_description(directory.path) == said
    assert described_state_dir(directory.path) == Path("state")


def test_the_folder_is_closed_to_all_others(tmp_path: Path) -> None:
    assert RunDirectory.claim(tmp_path / "run").path.stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="not a folder of this user alone"):
        RunDirectory.claim(tmp_path / "open")


def test_one_engine_a_folder_and_one_process_a_name(tmp_path: Path) -> None:
    engine = RunDirectory.claim(tmp_path / "run")
    engine.describe(description())
    with pytest.raises(EngineRunning, match="an engine is running already"):
        RunDirectory.claim(tmp_path / "run")
    market = RunDirectory.join(tmp_path / "run", "market")
    with pytest.raises(EngineRunning, match="process market is running already"):
        RunDirectory.join(tmp_path / "run", "market")
    RunDirectory.join(tmp_path / "run", "trade").lock.release()
    market.lock.release()
    RunDirectory.join(tmp_path / "run", "market")


def test_what_an_earlier_engine_left_is_gone_with_the_next_and_nothing_else(tmp_path: Path) -> None:
    first = RunDirectory.claim(tmp_path / "run")
    Counters.create(("a",), name="signals", directory=first.path)
    os.mkfifo(first.path / "bell.fifo")
    for name in (
        "trade.journal",
        "trade.found.json",
        "trade.stderr",
        "trade.ward",
        "engine.json",
        "control.sock",
    ):
        (first.path / name).write_bytes(b"x")
    (first.path / "folder").mkdir()
    (first.path / "halt.json").write_bytes(b"x")
    (first.path / "note").write_bytes(b"x")
    first.lock.release()
    left = {path.name for path in RunDirectory.claim(tmp_path / "run").path.iterdir()}
    assert left == {"engine.lock", "folder", "halt.json", "note"}


def test_a_folder_of_something_else_is_refused_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "thesis.txt").write_text("all there is")
    with pytest.raises(ConfigError, match="not empty, and no engine has run here"):
        RunDirectory.claim(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_what_living_processes_use_stays_when_another_owner_comes(tmp_path: Path) -> None:
    first = RunDirectory.claim(tmp_path / "run")
    first.describe(description())
    market = RunDirectory.join(first.path, "market")
    (first.path / "trade.stderr").write_bytes(b"x")
    first.lock.release()
    assert living(first.path) == ("market",)
    assert described_state_dir(first.path) == Path("state")
    again = RunDirectory.claim(first.path)
    assert (first.path / "trade.stderr").exists()
    again.lock.release()
    market.lock.release()
    assert living(first.path) == ()
    RunDirectory.claim(first.path).lock.release()
    assert not (first.path / "trade.stderr").exists()


def test_a_process_that_has_just_been_started_lives_before_it_holds_its_lock(tmp_path: Path) -> None:
    first = RunDirectory.claim(tmp_path / "run")
    pid = os.getpid()
    (first.path / "trade.ward").write_bytes(orjson.dumps({"pid": pid, "started": started_at(pid)}))
    (first.path / "control.ward").write_bytes(orjson.dumps({"pid": pid, "started": started_at(pid)}))
    first.lock.release()
    assert living(first.path) == ("trade",)
    RunDirectory.claim(first.path).lock.release()
    assert (first.path / "trade.ward").exists()
    (first.path / "trade.ward").write_bytes(orjson.dumps({"pid": pid, "started": started_at(pid) - 1}))
    assert living(first.path) == ()


def test_an_engine_is_the_same_whenever_it_began() -> None:
    live = InputNamed(name="live", files=("a.zst",), live=True, start_ns=5)
    mine = replace(description(), input=live)
    assert mine.is_same_engine(replace(mine, boot_epoch=9, input=replace(live, start_ns=6)))
    for other in (
        replace(mine, state_dir="elsewhere"),
        replace(mine, decisions="log"),
        replace(mine, input=replace(live, files=("b.zst",))),
        replace(mine, config=load_config(assignments=["engine.seed=5", "engine.topology=two"])),
    ):
        assert not mine.is_same_engine(other)


def test_a_state_directory_is_believed_while_its_engine_lives(tmp_path: Path) -> None:
    directory = RunDirectory.claim(tmp_path / "run")
    directory.describe(description())
    assert owner_lives(directory.path)
    directory.lock.release()
    assert not owner_lives(directory.path)
    assert described_state_dir(directory.path) is None


def test_nobody_joins_where_no_engine_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no engine is described here"):
        RunDirectory.join(tmp_path, "market")
    with pytest.raises(ConfigError, match="no engine is described here"):
        read_description(tmp_path)
    assert described_state_dir(tmp_path) is None


def test_another_build_is_refused_and_so_is_what_is_no_description(tmp_path: Path) -> None:
    directory = RunDirectory.claim(tmp_path / "run")
    directory.describe(replace(description(), build="0" * 16))
    with pytest.raises(LayoutMismatch, match="runs build 0000000000000000"):
        read_description(directory.path)
    (directory.path / DESCRIPTION).write_bytes(b"{")
    with pytest.raises(ConfigError, match="not JSON"):
        read_description(directory.path)
    (directory.path / DESCRIPTION).write_bytes(orjson.dumps({"build": build_id(), "odd": 1}))
    with pytest.raises(ConfigError, match="odd"):
        read_description(directory.path)


def test_seats_are_in_pipeline_order_and_the_conductor_is_where_the_venues_are() -> None:
    two = description("two")
    assert two.seats == ("market", "venues", "trade")
    assert two.conductor == 1
    assert [two.runs_a_loop(name) for name in two.seats] == [True, True, False]
    assert description("roles").seats == (
        "feed",
        "book",
        "venues",
        "executor",
        "strategy",
        "optimizer",
        "ledger",
    )


def test_a_name_that_is_not_of_the_topology_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no process 'trad' in topology two: market, trade, venues"):
        description().process("trad")
