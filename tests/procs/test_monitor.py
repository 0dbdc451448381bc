"""Scrapes over real HTTP of an engine's run directory, held against the conventions for names."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from engine.errors import ConfigError
from engine.reasons import Reason
from procs.build_id import build_id
from procs.cli.main import main
from procs.control_words import Word
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessState
from procs.monitor import Monitor
from procs.monitor_metrics import BOUNDS_NS, fold
from shm.counters import Counters
from shm.histogram import Histogram, Histograms
from shm.layout import PAYLOAD_BYTES
from shm.ring import RefusingRing
from tests.procs.served import EPOCH

NS = 1e9
ROOT = Path(__file__).resolve().parents[2]
PROMTOOL = shutil.which("promtool")


class Engine:
    """A run directory with something of everything."""

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        self.state_dir = folder / "state"
        self.run_dir.mkdir(mode=0o700)
        self.switch = HaltSwitch.create(self.run_dir, self.state_dir, EPOCH)
        self.health = HealthTable.create(("feed", "executor"), self.run_dir, EPOCH)
        writer = self.health.writer("feed")
        now_ns = time.monotonic_ns()
        writer.start(["feed", "book"], EPOCH, "spin", now_ns)
        writer.set_state(ProcessState.READY)
        writer.beat(now_ns + 3_600 * 10**9, 100, 40, 7)  # however long the tests take
        self.counters = Counters.create(
            ("frames,venue=kalshi", "frames,venue=polymarket", "wait_ns", "open_orders_now"),
            name="feed.counters",
            directory=self.run_dir,
        )
        self.counters.add("frames,venue=kalshi", 12)
        self.counters.add("wait_ns", 2_500_000_000)
        self.counters.set("open_orders_now", 3)
        self.latency = Histograms.create(("book", "strategy"), name="latency.feed", directory=self.run_dir)
        for value in (500, 1_500, 3_000_000, 11 * 10**9):
            self.latency["book"].record(value)
        self.latency["book"].record(-5)
        ring = RefusingRing.create(16, PAYLOAD_BYTES[1], ("executor",), name="plans", directory=self.run_dir)
        for _ in range(17):
            ring.publish(np.zeros(1, np.dtype((np.void, PAYLOAD_BYTES[1]))))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@contextmanager
def serving(monitor: Monitor) -> Iterator[int]:
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            monitor.poll(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield monitor.port
    finally:
        over.set()
        thread.join()
        monitor.close()


def get(port: int, path: str = "/metrics", accept: str = "") -> tuple[int, str, str]:
    """Status, content type and text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def scrape(engine: Engine) -> str:
    with serving(Monitor(engine.run_dir, engine.state_dir, 0)) as port:
        status, content_type, text = get(port)
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    return text


def values(text: str) -> dict[str, float]:
    """Value by name and labels, as they stand there."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_scrape_says_what_shared_memory_says(engine: Engine) -> None:
    found = values(scrape(engine))
    expected = {
        'pr3dict_frames_total{source="feed",venue="kalshi"}': 12,
        'pr3dict_frames_total{source="feed",venue="polymarket"}': 0,
        'pr3dict_wait_seconds_total{source="feed"}': 2.5,
        'pr3dict_open_orders{source="feed"}': 3,
        'pr3dict_ring_messages_total{ring="plans"}': 16,
        'pr3dict_ring_refusals_total{cause="full",ring="plans"}': 1,
        'pr3dict_ring_reader_lag_cells{reader="executor",ring="plans"}': 16,
        'pr3dict_process_up{process="feed"}': 1,
        'pr3dict_process_up{process="executor"}': 0,
        'pr3dict_process_condition{process="feed",state="ready"}': 1,
        'pr3dict_process_condition{process="feed",state="gone"}': 0,
        'pr3dict_process_condition{process="executor",state="absent"}': 1,
        'pr3dict_process_passes_total{process="feed"}': 100,
        'pr3dict_process_work_total{process="feed"}': 40,
        'pr3dict_process_idle_sleeps_total{process="feed"}': 7,
        'pr3dict_stage_latency_seconds_bucket{le="1e-06",source="latency.feed",stage="book"}': 2,
        'pr3dict_stage_latency_seconds_bucket{le="2e-06",source="latency.feed",stage="book"}': 3,
        'pr3dict_stage_latency_seconds_bucket{le="10.0",source="latency.feed",stage="book"}': 4,
        'pr3dict_stage_latency_seconds_bucket{le="+Inf",source="latency.feed",stage="book"}': 5,
        'pr3dict_stage_latency_seconds_count{source="latency.feed",stage="book"}': 5,
        'pr3dict_stage_latency_seconds_count{source="latency.feed",stage="strategy"}': 0,
        'pr3dict_clock_steps_back_total{source="latency.feed",stage="book"}': 1,
        "pr3dict_halted": 0,
        "pr3dict_paused": 0,
        "pr3dict_monitor_attach_failures_total": 0,
    }
    assert {name: found.get(name) for name in expected} == expected
    total_s = found['pr3dict_stage_latency_seconds_sum{source="latency.feed",stage="book"}']
    assert total_s == pytest.approx(11.003002, rel=1 / 64)
    assert found['pr3dict_process_resident_memory_bytes{process="feed"}'] > 1 << 20
    assert found['pr3dict_process_open_fds{process="feed"}'] > 2
    start_s = found['pr3dict_process_start_time_seconds{process="feed"}']
    assert abs(start_s - time.time()) < 3_600
    assert any(name.startswith("pr3dict_build_info{") and build_id() in name for name in found)


def test_a_halt_and_a_pause_are_seen_at_the_next_scrape(engine: Engine) -> None:
    with serving(Monitor(engine.run_dir, engine.state_dir, 0)) as port:
        assert values(get(port)[2])["pr3dict_halted"] == 0
        engine.switch.halt(Reason.DAILY_LOSS, "gate")
        assert engine.switch.words is not None
        engine.switch.words.set(Word.PAUSED)
        engine.counters.add("frames,venue=kalshi")
        found = values(get(port)[2])
    assert (found["pr3dict_halted"], found["pr3dict_paused"]) == (1, 1)
    assert found['pr3dict_halt_reason{reason="daily_loss"}'] == 1
    assert found['pr3dict_frames_total{source="feed",venue="kalshi"}'] == 13


UNITS = ("_seconds", "_bytes", "_dollars", "_contracts", "_cells", "_info")
ABBREVIATED = re.compile(r"_(ns|us|ms|micros|millis|e4|e6|kb|mb|pct)(_|$)")


def against_the_conventions(family: Metric) -> list[str]:
    """What is wrong with one family by the published conventions."""
    wrong = []
    if not re.fullmatch(r"pr3dict_[a-z][a-z0-9_]*", family.name):
        wrong.append("name")
    if not family.documentation or family.documentation == family.name:
        wrong.append("help")
    if ABBREVIATED.search(family.name):
        wrong.append("unit that is not a base unit")
    if family.type == "gauge" and family.name.endswith("_total"):
        wrong.append("gauge called total")
    if family.type == "counter" and not all(
        sample.name.endswith(("_total", "_created")) for sample in family.samples
    ):
        wrong.append("counter not called total")
    if family.type not in ("gauge", "counter", "histogram"):
        wrong.append(f"type {family.type}")
    for sample in family.samples:
        wrong += [f"label {key}" for key in sample.labels if not re.fullmatch(r"[a-z_]+", key)]
        wrong += [f"label {key} in the name" for key in sample.labels if family.name.endswith(f"_{key}")]
    return wrong


def test_names_units_and_help_keep_to_the_conventions(engine: Engine) -> None:
    text = scrape(engine)
    families = list(parse(text))
    assert len(families) > 30
    assert {family.name: wrong for family in families if (wrong := against_the_conventions(family))} == {}
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each family stands there once"
    timed = [family.name for family in families if "latency" in family.name or "_age_" in family.name]
    assert timed
    assert all(name.endswith(UNITS) for name in timed)


def test_the_rules_find_what_breaks_them() -> None:
    text = (
        "# HELP pr3dict_wait_ns x\n# TYPE pr3dict_wait_ns gauge\npr3dict_wait_ns 1\n"
        "# HELP other_total x\n# TYPE other_total gauge\nother_total 1\n"
        "# TYPE pr3dict_plain gauge\npr3dict_plain 1\n"
        '# HELP pr3dict_open_fds x\n# TYPE pr3dict_open_fds gauge\npr3dict_open_fds{fds="1"} 1\n'
    )
    found = [against_the_conventions(family) for family in parse(text)]
    assert found == [
        ["unit that is not a base unit"],
        ["name", "gauge called total"],
        ["help"],
        ["label fds in the name"],
    ]


def test_open_metrics_is_served_to_whoever_asks_for_it(engine: Engine) -> None:
    with serving(Monitor(engine.run_dir, engine.state_dir, 0)) as port:
        _, content_type, text = get(port, accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    strict = list(parse_open(text))  # type: ignore[no-untyped-call]
    assert len(strict) > 30, "the strict parser takes all of it"


def test_promtool_finds_nothing(engine: Engine) -> None:
    if PROMTOOL is None:
        pytest.skip("promtool is not on this machine (package prometheus): NOT checked by it")
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=scrape(engine), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_buckets_are_cumulative_and_never_flatter() -> None:
    histogram = Histogram()
    rng = np.random.default_rng(20_261_128)
    recorded = np.exp(rng.uniform(np.log(100), np.log(20e9), 5_000)).astype(np.int64)
    for value in recorded.tolist():
        histogram.record(value)
    folded = fold(histogram.counts)
    assert [float(bound) for bound, _ in folded[:-1]] == [bound / NS for bound in BOUNDS_NS]
    assert folded[-1] == ("+Inf", 5_000)
    for bound_ns, (_, count) in zip(BOUNDS_NS, folded, strict=False):
        exact = int((recorded <= bound_ns).sum())
        sure = int((recorded <= bound_ns * (1 - 1 / 64)).sum())
        assert sure <= count <= exact
    counts = [count for _, count in folded]
    assert counts == sorted(counts)


def test_other_paths_and_clients_that_leave_do_no_harm(engine: Engine) -> None:
    with serving(Monitor(engine.run_dir, engine.state_dir, 0)) as port:
        assert get(port, "/")[0] == 404
        rude = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        rude.connect()
        rude.sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        rude.close()
        assert get(port, "/metrics?x=1")[0] == 200


def test_where_no_engine_runs_there_are_metrics_too(tmp_path: Path) -> None:
    with serving(Monitor(tmp_path / "none", tmp_path / "state", 0)) as port:
        found = values(get(port)[2])
    assert found["pr3dict_halted"] == 0


def test_a_port_in_use_is_one_line(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Monitor(engine.run_dir, engine.state_dir, 0)) as port:
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use"):
            Monitor(engine.run_dir, engine.state_dir, port)
        dirs = ["--run-dir", str(engine.run_dir), "--state-dir", str(engine.state_dir)]
        assert main(["monitor", *dirs, "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"pr3dict: monitor: 127.0.0.1:{port}: Address already in use\n"
    assert main(["monitor", *dirs, "--port", "70000"]) == 2


def test_the_command_serves_until_told(engine: Engine) -> None:
    command = [sys.executable, "-m", "procs.cli.main", "monitor", "--port", "0"]
    dirs = ["--run-dir", str(engine.run_dir), "--state-dir", str(engine.state_dir)]
    process = subprocess.Popen([*command, *dirs], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/metrics", process.stdout.readline())
        assert found is not None
        assert get(int(found[1]))[0] == 200
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
