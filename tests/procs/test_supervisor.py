"""Whom an owner kills, and whom it begins again while it stops. Processes are real; what they do is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engine.units import NS_PER_S
from procs.config_files import load_config
from procs.health import HealthTable, ProcessState
from procs.run_directory import InputNamed, RunDirectory
from procs.sign_of_life import SIGN_SUFFIX
from procs.supervisor import ATTENDANT_PATIENCE, REFUSALS, ProcessFailed, Supervisor
from procs.wards import Running, Ward, Wardship
from tests.procs.test_run_directory import description

START_S = 20
SILENT_S = 4
DRAIN_S = 300  # longer than any wait here
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
SETTINGS = (
    *("engine.topology=roles", "engine.market_slots=4", "supervisor.restart_min_ns=1000000"),
    *(f"supervisor.start_max_ns={START_S * NS_PER_S}", f"supervisor.silent_max_ns={SILENT_S * NS_PER_S}"),
    f"supervisor.drain_max_ns={DRAIN_S * NS_PER_S}",
)
NAMES = {"feed", "book", "strategy", "optimizer", "executor", "ledger", "venues"}


class Owner:
    """An owner whose processes sleep; their rows of health say what the test says."""

    def __init__(self, path: Path) -> None:
        self.path = path / "run"
        live = InputNamed(name="live", files=("x",), live=True)
        config = load_config(assignments=SETTINGS)
        wanted = replace(description(), config=config, input=live, state_dir=str(path / "state"))
        self.supervisor = Supervisor.create(RunDirectory.claim(self.path), wanted, 0)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.begun: list[str] = []

    def begin(self, name: str, command: Sequence[str]) -> Ward:
        """What ``Wardship.begin`` does, but for what is begun."""
        self.begun.append(name)
        process = subprocess.Popen(SLEEPER)
        self.processes.append(process)
        running = Running(process.pid, os.pidfd_open(process.pid), lambda _: process.wait())
        said = self.path / f"{name}.stderr"
        said.touch()
        return Ward(name, command, running, said, 0.001, time.monotonic())

    def ward(self, name: str) -> Ward:
        return self.supervisor._wards[name]

    def say(self, name: str, state: ProcessState, beat_ago_s: float = 0) -> None:
        """Write the row of a process as it would itself."""
        table = HealthTable.attach(self.path)
        writer = table.writer(name)
        writer.start(["feed"], 1, "futex", time.monotonic_ns())
        if state is not ProcessState.STARTING:
            writer.set_state(state)
        row = [found.name for found in table.read()].index(name)
        table.table.rows[row]["pid"] = self.ward(name).process.pid
        table.table.rows[row]["heartbeat_ns"] = time.monotonic_ns() - round(beat_ago_s * NS_PER_S)

    def look(self, after_s: float = 0) -> set[str]:
        """One look for those that hang, so long after the start; who was killed."""
        self.supervisor._looked_ns = time.monotonic_ns()
        began_s = max(ward.began_s for ward in self.supervisor._wards.values())
        self.supervisor._kill_hanging(began_s + after_s)
        return {name for name, ward in self.supervisor._wards.items() if _was_killed(ward)}

    def kill(self, name: str) -> None:
        """As by somebody else."""
        self.ward(name).process.send_signal(signal.SIGKILL)
        self.ward(name).process.wait(10)


def _was_killed(ward: Ward) -> bool:
    """Whether it has died, or has a SIGKILL on its way: that takes a moment."""
    process = ward.process
    if process.poll() is None and _pending_kill(process.pid):
        process.wait(10)
    return process.poll() == -signal.SIGKILL


def _pending_kill(pid: int) -> bool:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
    return bool(pending >> (signal.SIGKILL - 1) & 1) or fields["State"].split()[0] in "ZX"


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    made = Owner(tmp_path)
    monkeypatch.setattr(Wardship, "begin", lambda _, name, command, outlives=False: made.begin(name, command))
    made.supervisor.start()
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_one_that_is_not_ready_in_time_is_killed_whatever_it_says(owner: Owner) -> None:
    """ABSENT, as after an import that hangs; a row of the life before; STARTING."""
    for name in NAMES - {"feed", "strategy"}:
        owner.say(name, ProcessState.READY)
    owner.say("feed", ProcessState.STARTING)
    assert owner.look(START_S - 1) == set()
    assert owner.look(START_S + 1) == {"feed", "strategy"}


def test_venues_that_do_not_start_are_killed_as_well(owner: Owner) -> None:
    """They have no memory yet that would be lost."""
    for name in NAMES - {"venues"}:
        owner.say(name, ProcessState.READY)
    assert owner.look(START_S + 1) == {"venues"}


def test_one_that_is_ready_and_silent_is_killed_but_for_venues(owner: Owner) -> None:
    for name in NAMES:
        owner.say(name, ProcessState.READY)
    owner.say("executor", ProcessState.READY, SILENT_S + 1)
    owner.say("book", ProcessState.DEGRADED, SILENT_S + 1)
    owner.say("venues", ProcessState.READY, SILENT_S + 1)
    owner.say("ledger", ProcessState.STOPPING, SILENT_S + 1)
    owner.say("strategy", ProcessState.READY, SILENT_S - 1)
    assert owner.look(10 * START_S) == {"executor", "book"}


@pytest.mark.parametrize(
    ("began_ago_s", "sign_ago_s", "is_killed"),
    [
        (START_S - 1, None, False),  # not round its loop yet
        (START_S + 1, None, True),
        (START_S + 1, 1, False),
        (10 * START_S, ATTENDANT_PATIENCE * SILENT_S - 1, False),
        (10 * START_S, ATTENDANT_PATIENCE * SILENT_S + 1, True),
        (1, 10 * START_S, False),  # the sign is of the one before
    ],
)
def test_one_beside_the_engine_is_killed_when_it_stands_still(
    owner: Owner, began_ago_s: float, sign_ago_s: float | None, is_killed: bool
) -> None:
    for name in NAMES:
        owner.say(name, ProcessState.READY)
    owner.supervisor.attend("control", ["control"])
    [attendant] = owner.supervisor._attendants
    attendant.began_s = time.monotonic() - began_ago_s
    if sign_ago_s is not None:
        at_ns = time.monotonic_ns() - round(sign_ago_s * NS_PER_S)
        (owner.path / f"control{SIGN_SUFFIX}").write_bytes(at_ns.to_bytes(8, "little"))
    assert owner.look() == set()
    assert _was_killed(attendant) is is_killed


def test_who_is_killed_is_begun_again_and_has_its_own_time_to_start(owner: Owner) -> None:
    for name in NAMES - {"feed"}:
        owner.say(name, ProcessState.READY)
    assert owner.look(START_S + 1) == {"feed"}
    ward = owner.ward("feed")
    ward.began_s -= START_S + 1
    for later_s in (1, 2):
        owner.supervisor._look_at("feed", ward, time.monotonic() + later_s)
    assert owner.begun.count("feed") == 2
    assert owner.look() == set(), "its row is still that of the one before"


def test_a_rest_ends_with_a_process_and_not_for_one_whose_end_is_known(owner: Owner) -> None:
    long_s, began_s = 60.0, time.monotonic()
    dying = owner.ward("feed").process
    killer = threading.Thread(target=dying.send_signal, args=(signal.SIGKILL,))
    killer.start()
    owner.supervisor._rest(long_s)  # nobody else ends it
    killer.join()
    assert time.monotonic() < began_s + long_s, "it was slept out"
    assert dying.poll() == -signal.SIGKILL
    assert dying.descriptor is None
    before_ns = time.monotonic_ns()
    owner.supervisor._rest(0.02)
    assert time.monotonic_ns() - before_ns >= 20_000_000, "its end is known"


def test_a_rest_ends_when_somebody_is_to_be_begun_again(owner: Owner) -> None:
    ward = owner.ward("feed")
    owner.kill("feed")
    ward.due_s = time.monotonic() + 0.05
    owner.supervisor._rest(60.0)  # whose end is known does not end it
    assert ward.due_s - 0.001 <= time.monotonic() < ward.due_s + 50


def stopping(owner: Owner) -> threading.Thread:
    """``stop`` in a thread of its own; it is over when all processes have ended."""
    thread = threading.Thread(target=owner.supervisor.stop)
    thread.start()
    return thread


def until_begun(owner: Owner, name: str, times: int) -> None:
    """Wait until it was begun so often, and its ward is the last of these lives."""
    end_s = time.monotonic() + 60
    while owner.begun.count(name) < times or owner.ward(name).process.poll() is not None:
        assert time.monotonic() < end_s, f"{name} begun {owner.begun.count(name)} times"
        time.sleep(0.01)


def end_all(owner: Owner, but: Sequence[str] = ()) -> None:
    for name in sorted(NAMES - set(but), key=lambda name: name != "venues"):  # without them nobody comes back
        owner.kill(name)


def test_an_executor_that_dies_while_the_owner_stops_is_begun_again(owner: Owner) -> None:
    """And nobody else is: the others have nothing that is only theirs."""
    owner.kill("strategy")
    thread = stopping(owner)
    owner.kill("executor")
    until_begun(owner, "executor", 2)
    end_all(owner, but=("executor", "strategy"))
    owner.kill("executor")
    thread.join(60)
    assert not thread.is_alive()
    assert owner.begun.count("strategy") == 1


def test_one_that_waits_for_its_next_life_does_not_wait_in_a_stop(owner: Owner) -> None:
    owner.kill("executor")
    owner.ward("executor").due_s = time.monotonic() + 3_600
    thread = stopping(owner)
    until_begun(owner, "executor", 2)
    end_all(owner)
    thread.join(60)
    assert not thread.is_alive()


def test_nothing_is_begun_where_no_venue_could_answer(owner: Owner) -> None:
    owner.kill("venues")
    thread = stopping(owner)
    end_all(owner, but=("venues",))
    thread.join(60)
    assert not thread.is_alive()
    assert owner.begun.count("executor") == 1


@pytest.mark.parametrize("why", ["refused", "exhausted"])
def test_nobody_waits_for_an_executor_that_is_not_begun_again(why: str, owner: Owner) -> None:
    """The others would, for as long as a stop may take: whoever lives is asked to go at once."""
    executor = owner.ward("executor")
    if why == "refused":
        says = (sys.executable, "-S", "-c", f"raise SystemExit({REFUSALS[0]})")
        owner.kill("executor")
        refused = subprocess.Popen(says)
        executor.process = Running(refused.pid, os.pidfd_open(refused.pid), lambda _: refused.wait())
        executor.process.wait(60)
    else:
        owner.kill("executor")
        executor.restarts = owner.supervisor._config.restarts_max
    with pytest.raises(ProcessFailed, match="process executor ended with"):
        owner.supervisor._look_at("executor", executor, time.monotonic())
    thread = stopping(owner)
    thread.join(60)
    assert not thread.is_alive()
    assert {owner.ward(name).process.poll() for name in NAMES - {"executor"}} == {-signal.SIGTERM}
    assert owner.begun.count("executor") == 1
