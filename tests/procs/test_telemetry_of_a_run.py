"""What a running engine tells of itself: real processes and sockets, one engine for all that is asked."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.records import Venue
from engine.sim.session.build import START_NS
from engine.sim.session.planted import complement_buy, partition_buy_yes
from procs.found_segments import attached_histograms, found_segments
from procs.health import HealthTable
from procs.metric_names import COUNTERS_AFFIX
from shm.counters import Counters
from shm.errors import ShmError
from tests.procs.cli.test_run import Engine, _first_line, command
from tests.procs.planted_session import CLOSE_NS, session_of
from tests.procs.test_paper_processes import recorded

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

SPEED = "5"
PATIENT = (  # a machine with much else to do is no reason to miss what is planted
    "strategy.deadline_ns=60000000000",
    "strategy.book_age_max_ns=120000000000",
    "strategy.leg_skew_max_ns=120000000000",
    "risk.book_age_max_ns=120000000000",
)
ADDING_UP = ("receive_book", "book_signal", "signal_plan", "plan_order")
RUNGS = {*ADDING_UP, "book_decision", "journal_flush", "order_ack", "receive_order"}


PATIENCE_S = 900.0  # seconds are enough where nothing else runs


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that the engine does."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited for {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Watched(Engine):
    """A running engine with the port of its metrics."""

    def __init__(self, recording: Path, venues: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        settings = [argument for setting in PATIENT for argument in ("--set", setting)]
        super().__init__(recording, venues, folder, "--port", str(self.port), *settings)
        self.run_dir = folder / "run"

    def is_fit(self) -> bool:
        """As ``health`` says; looked up here, for a command takes its time to start."""
        with suppress(FileNotFoundError, ShmError):
            rows = HealthTable.attach(self.run_dir).read()
            return all(row.condition(time.monotonic_ns()) == "ready" for row in rows)
        return False

    def count(self, rung: str) -> int:
        """Values that a rung has counted."""
        segments = attached_histograms().refresh(found_segments(self.run_dir))
        return sum(found[rung].count for _, found in segments if rung in found.labels)

    def scrape(self) -> dict[tuple[str, str], float]:
        """Sums over all processes, by name of the sample and venue ("" for none)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        found: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(connection.getresponse().read().decode()):
            for sample in family.samples:
                key = sample.name, sample.labels.get("venue", sample.labels.get("stage", ""))
                found[key] = found.get(key, 0.0) + sample.value
        connection.close()
        return found

    def stages(self) -> dict[str, dict[str, Any]]:
        code, document = self.ask("latency")
        return {row["stage"]: row for row in document["stages"]} if code == 0 else {}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An engine that has traded on what the venues play."""
    folder = tmp_path_factory.mktemp("watched")
    session = session_of(
        partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET),
        complement_buy(("medium", (110,)), CLOSE_NS),
    )
    later_ns = time.time_ns() - START_NS
    session.markets[:] = [replace(spec, close_ns=spec.close_ns + later_ns) for spec in session.markets]
    recording = recorded(session, folder / "session.ndjson.zst")
    play = command("venue-sim", str(recording), "--speed", SPEED, "--start-when-subscribed", "all")
    with subprocess.Popen(play, stdout=subprocess.PIPE) as sim:
        started = Watched(recording, _first_line(sim.stdout)["endpoints"], folder)
        try:
            until(started.is_fit, "an engine that is fit")
            until(lambda: started.count("order_ack") > 0, "an order that is answered")
            yield started
        finally:
            started.process.terminate()
            started.process.communicate()
            sim.terminate()
            sim.communicate()


def test_every_rung_has_counted(engine: Watched) -> None:
    stages = engine.stages()
    assert set(stages) == RUNGS
    for name, row in stages.items():
        assert row["count"] > 0, name
        assert row["below_zero"] == 0, name
        assert 0 < row["p50_ns"] <= row["p99_ns"] <= row["max_ns"], name
    assert stages["receive_book"]["of"] == "latency.market"
    assert stages["plan_order"]["of"] == "latency.trade"
    assert (
        stages["receive_order"]["max_ns"]
        >= stages["plan_order"]["max_ns"]
        >= stages["journal_flush"]["p50_ns"]
    )


def test_single_plans_say_where_their_time_went(engine: Watched) -> None:
    code, document = engine.ask("latency", "--last", "5")
    assert code == 0
    assert document["plans"]
    for plan in document["plans"]:
        times = [plan[f"{rung}_ns"] for rung in ADDING_UP]
        assert all(time_ns > 0 for time_ns in times), plan
        assert sum(times) == plan["receive_order_ns"]
    assert any(plan["order_ack_ns"] > 0 for plan in document["plans"])
    assert len(engine.ask("latency", "--last", "1")[1]["plans"]) == 1
    said = subprocess.run(command("latency", "--last", "5", *engine.folders), capture_output=True, text=True)
    assert "partition_buy_yes" in said.stdout or "complement_buy" in said.stdout


def test_metrics_are_what_the_stages_counted(engine: Watched) -> None:
    def told() -> bool:  # counters are at most a second old
        return engine.scrape()["pr3dict_executor_orders_total", ""] > 0

    until(told, "counters that are told")
    metrics = engine.scrape()
    for venue in ("polymarket", "kalshi"):
        assert metrics["pr3dict_feed_frames_total", venue] > 0
        assert (
            metrics["pr3dict_feed_updates_total", venue] >= metrics["pr3dict_book_updates_total", venue] > 0
        )
        assert metrics["pr3dict_sockets_live", venue] == 1
        assert metrics["pr3dict_feed_rejected_total", venue] == 0
        assert metrics["pr3dict_books", venue] > 0
        assert metrics["pr3dict_cash_dollars", venue] > 0
    assert metrics["pr3dict_cash_dollars", "polymarket"] != 10_000, "it has traded"
    assert metrics["pr3dict_strategy_signals_total", ""] >= metrics["pr3dict_optimizer_plans_total", ""] > 0
    assert metrics["pr3dict_executor_ready", ""] == 1
    assert metrics["pr3dict_refusals_total", ""] > 0
    assert metrics["pr3dict_process_passes_total", ""] > 0
    for rung in RUNGS:
        assert metrics["pr3dict_stage_latency_seconds_count", rung] > 0


def test_a_loop_that_sleeps_says_so(engine: Watched) -> None:
    """With a wish to yield nobody sleeps; the simulated venues park."""
    rows = {row["name"]: row for row in engine.ask("status")[1]["processes"]}
    assert rows["venues"]["idle_sleeps"] > 0
    assert rows["market"]["passes"] > 0


def test_processes_that_do_not_sleep_drill_while_they_wait(engine: Watched) -> None:
    """The others have no such counter."""

    def beats(process: str) -> int:
        return Counters.attach(f"{COUNTERS_AFFIX}.{process}", engine.run_dir)["drills"]

    until(lambda: beats("market") > 0 and beats("trade") > 0, "a drill of each")
    assert engine.scrape()["pr3dict_drills_total", ""] > 0
    with pytest.raises(KeyError):
        beats("venues")
    rows = {row["name"]: row for row in engine.ask("status")[1]["processes"]}
    assert not any("drills" in str(row) for row in rows.values()), "one has failed"


def test_what_changes_is_told_to_who_listens(engine: Watched) -> None:
    with subprocess.Popen(command("tail", *engine.folders), stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout is not None
            stdout = listener.stdout

            def heard() -> bool:  # what was told before it listened is not told again
                assert engine.ask("pause")[0] == 0
                assert engine.ask("resume")[0] == 0
                return bool(select.select([stdout], [], [], 1.0)[0])

            until(heard, "a pause or its end")
            line = json.loads(stdout.readline())
        finally:
            listener.terminate()
            listener.communicate()
    assert line["event"] in ("pause", "resume")


def test_a_process_that_is_begun_again_goes_on_with_the_ladder(engine: Watched) -> None:
    """Last: the engine is another one after it."""
    before = engine.count("receive_order")
    pid = engine.pids()["trade"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not engine.is_fit(), "an engine without it")
    until(engine.is_fit, "an engine that is fit again")
    assert engine.pids()["trade"] != pid
    assert engine.count("receive_order") >= before > 0
    assert engine.ask("latency", "--last", "1")[1]["plans"]
    result = engine.end()
    assert result["data"]["frames"] > 0
