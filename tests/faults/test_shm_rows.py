"""Rows S4 to S7 of the fault matrix with the whole engine: shared memory that is stale, full, gone, garbage.

What the transport alone shows with real processes (S1, S2, S3, and S4 to S7 at a single segment) is named in
docs/faults-processes.md and not repeated.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from engine.records import VENUE_REPORT, ReportKind
from procs.halt import HaltSwitch
from procs.run_directory import RunDirectory, living
from shm.layout import CELL_HEADER_BYTES, RING, SEGMENT
from shm.ring import RefusingRing
from shm.table import Table
from tests.faults.live_engine import LOOK_S, LiveEngine, command, trading, until
from tests.procs.test_run_directory import description

SEED = 20_261_128
COMES_S = 2.0
GARBLED = [("requests.polymarket", "venues"), ("plans", "executor"), ("reports.polymarket", "executor")]
PAYLOAD = np.dtype((np.void, 112))
FULL = "mount -t tmpfs -o size=4m,mode=0700 none {where}"


def stale_plans(run_dir: Path) -> None:
    """A run directory whose engine, of another layout, is dead."""
    left = RunDirectory.claim(run_dir)
    left.describe(description())
    table = Table.create(4, np.dtype([("a", "<i8")]), name="plans", directory=run_dir)
    table.segment.header["version"] = 99
    table.segment.close()
    left.lock.release()


@pytest.mark.soak
@pytest.mark.compiled_only
@pytest.mark.parametrize("name", ["plans", "control"])
def test_s4_s6_a_stale_segment_is_made_anew_and_one_that_vanishes_ends_the_engine(
    name: str, tmp_path: Path
) -> None:
    """S4: begun afresh over what a dead engine of another layout left. S6: never a write into what is gone.

    A ring cannot be attached anew in the middle of a run: who reads it would not know what it missed.
    """
    stale_plans(tmp_path / "run")
    with trading(tmp_path, "split") as engine:
        raw = (engine.run_dir / "plans").read_bytes()
        assert int(np.frombuffer(raw[: SEGMENT.itemsize], SEGMENT)[0]["version"]) != 99
        plans = engine.run_dir / name
        raw = plans.read_bytes()
        plans.unlink()
        plans.write_bytes(raw)
        until(lambda: engine.owner.poll() is not None, "the end of the engine")
        _, err = engine.owner.communicate()
        assert engine.owner.returncode == 1
        assert f"{plans}: deleted or replaced under a running engine" in err
        assert err.count("\n") == 1, err
        assert living(engine.run_dir) == ()


@pytest.mark.compiled_only
def test_s5_a_full_file_system_ends_the_start_in_one_line(tmp_path: Path) -> None:
    """Not a SIGBUS later: everything is allocated before a process is started."""
    where = tmp_path / "full"
    where.mkdir(mode=0o700)
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    mount = FULL.format(where=where)
    allowed = os.geteuid() == 0 and shutil.which("unshare") is not None
    if not allowed or subprocess.run([*unshare, mount], check=False, capture_output=True).returncode:
        pytest.skip("no private mount is allowed here")
    sample = Path(__file__).resolve().parents[2] / "procs" / "samples"
    recording = sorted(sample.glob("*.zst"))[0]
    argv = command("run", "--markets", str(recording), "--run-dir", str(where / "run"), "--port", "0")
    argv += ["--state-dir", str(tmp_path / "state")]
    looked = f'{mount} && "$0" "$@"; code=$?; ls {where}/run; exit $code'
    done = subprocess.run(
        [*unshare, looked, *argv], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("pr3dict: ")]
    assert line.endswith("(No space left on device)")
    assert set(done.stdout.split()) <= {"engine.lock"}, "nothing half made is left"


def test_s7_random_bytes_in_the_head_of_a_cell_are_never_a_message(tmp_path: Path) -> None:
    """A cell whose sequence or tag is garbage is not read, and what is behind it is not read past it."""
    draw = random.Random(SEED)
    for number in range(200):
        ring = RefusingRing.create(64, 112, ("it",), name=f"ring{number}", directory=_private(tmp_path))
        sent = np.frombuffer(draw.randbytes(8 * 112), PAYLOAD)
        assert ring.publish_each(sent) == 8
        broken = draw.randrange(8)
        assert ring.segment.path is not None
        with ring.segment.path.open("r+b") as file:
            file.seek(ring.segment.size_bytes - 64 * 128 + broken * 128)
            file.write(draw.randbytes(CELL_HEADER_BYTES))
        reader = ring.reader("it", 0)
        records = reader.records(PAYLOAD)
        got = b""
        while (n := reader.poll()) > 0:
            got += records[:n].tobytes()
        assert got == sent[:broken].tobytes(), f"seed {SEED}, ring {number}"


def at_cell(ring: RefusingRing, position: int) -> int:
    """Byte of the object at which the cell of a position begins."""
    return RING.itemsize + (position % ring.capacity) * (CELL_HEADER_BYTES + ring.payload_bytes)


def unread(ring: RefusingRing) -> int:
    """Position of a message that was not read, -1 for none; of reports, one that says what traded."""
    first, head = int(ring.header["readers"][0]["position"]), int(ring.header["head"])
    for position in range(first, head):
        if ring.segment.path is None or not ring.segment.path.name.startswith("reports"):
            return position
        payload = ring.segment.bytes_at(at_cell(ring, position) + CELL_HEADER_BYTES, VENUE_REPORT.itemsize)
        if int(payload.view(VENUE_REPORT)[0]["kind"]) == ReportKind.FILLED:
            return position
    return -1


def stop_before(engine: LiveEngine, pid: int, ring: RefusingRing) -> int:
    """Stop a reader while a message comes that it has not read; the position of its first cell."""

    def is_unread() -> bool:
        assert engine.owner.poll() is None, engine.owner.communicate()
        os.kill(pid, signal.SIGSTOP)
        end_s = time.monotonic() + COMES_S
        while time.monotonic() < end_s:
            if unread(ring) >= 0:
                return True
            time.sleep(LOOK_S)
        os.kill(pid, signal.SIGCONT)  # nothing was on its way when it was stopped
        return False

    until(is_unread, "a message that was not read")
    return unread(ring)


@pytest.mark.soak
@pytest.mark.compiled_only
@pytest.mark.parametrize(("name", "reader"), GARBLED)
def test_s7_garbage_in_an_order_ring_is_dropped_counted_and_halts(
    name: str, reader: str, tmp_path: Path
) -> None:
    """Written over while its reader is stopped. A resume by name, and trading goes on with nothing amiss.

    An executor that a report is missing to is begun again, and compares every account before it trades.
    """
    draw = random.Random(SEED)
    with trading(tmp_path, "split", rounds=100) as engine:
        pid = engine.fit(reader)
        ring = RefusingRing.attach(name, 112, engine.run_dir)
        at = at_cell(ring, stop_before(engine, pid, ring))
        assert ring.segment.path is not None
        with ring.segment.path.open("r+b") as file:
            file.seek(SEGMENT.itemsize + at + CELL_HEADER_BYTES + draw.randrange(96))
            file.write(draw.randbytes(16))
        os.kill(pid, signal.SIGCONT)
        switch = HaltSwitch.attach(engine.run_dir, engine.state_dir)
        until(lambda: switch.state().halted, "the halt")
        [halt] = switch.state().halts
        assert (halt.reason, halt.who, halt.pid) == ("message_garbled", reader, pid)
        assert halt.text.startswith(f"{name}: the message before cell ")
        assert "\n" not in halt.text
        assert int(ring.header["readers"][0]["garbled"]) == 1
        ends = name.startswith("reports")
        if ends:
            pid = engine.fit(reader, not_pid=pid)
            said = (engine.run_dir / f"{reader}.stderr").read_text().splitlines()[-1]
            assert said == f"pr3dict: {halt.text}: this executor ends, for accounts to be compared"
        else:
            until(lambda: engine.rows()[reader].error == halt.text, "the same line beside the process")
        assert [found.reason for found in switch.state().halts] == ["message_garbled"]
        code, out, _ = engine.ask("status", "--json")
        assert json.loads(out)["halted"], out
        until(lambda: not engine.past().open_plans, "the end of what was open")
        code, _, err = engine.ask("resume", "--reason", "message_garbled")
        assert code == 0, err
        engine.trades_on()
        assert engine.fit(reader) == pid, "nobody else had to be begun again"
        assert switch.state().halts == (), "the accounts were the same"
        engine.end()


def _private(tmp_path: Path) -> Path:
    folder = tmp_path / "rings"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
