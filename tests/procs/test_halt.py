"""The halt: latched before it is said, kept through everything, lifted by name only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.catalog.catalog import MARKET_ROW
from engine.config import RiskConfig
from engine.reasons import Reason
from engine.records import BOOK_ROW
from engine.risk.gate import Gate
from engine.risk.limits import gate_limits
from procs.config_files import load_config
from procs.control_words import ControlWords, Word
from procs.halt import LATCH_BYTES_MAX, LATCH_HALTS_MAX, Halt, HaltFollower, HaltSwitch, LatchFailed
from procs.operator_refusals import Denied, RefusedByState

ROOT = Path(__file__).resolve().parents[2]
NOW_NS = 1_793_534_400_000_000_000


class Engine:
    """The run directory and the state directory of one engine."""

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        self.state_dir = folder / "state"
        self.run_dir.mkdir(mode=0o700)

    def start(self) -> HaltSwitch:
        """As a start does it: new words."""
        (self.run_dir / "control").unlink(missing_ok=True)
        return HaltSwitch.create(self.run_dir, self.state_dir, 1)

    def attach(self) -> HaltSwitch:
        return HaltSwitch.attach(self.run_dir, self.state_dir)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_a_halt_is_latched_and_said_and_a_resume_needs_its_reason(engine: Engine) -> None:
    switch = engine.start()
    assert not switch.state().halted
    engine.attach().halt(Reason.HALTED, "ada", "spread\nlooks wrong")
    state = switch.state()
    assert (state.halted, state.word, state.reasons) == (True, True, ["operator"])
    assert (state.halts[0].who, state.halts[0].text) == ("ada", "spread\nlooks wrong")
    assert switch.path.stat().st_mode & 0o777 == 0o600
    for named in ([], ["daily_loss"]):
        with pytest.raises(Denied, match="halted by operator: name each with --reason; not named: operator"):
            switch.resume(named)
        assert engine.attach().state().word
    assert switch.resume(["operator"]) == state
    assert not engine.attach().state().halted
    assert not switch.path.exists()
    with pytest.raises(RefusedByState, match="not halted"):
        switch.resume(["operator"])


def test_every_reason_has_to_be_named(engine: Engine) -> None:
    switch = engine.start()
    switch.halt(Reason.DAILY_LOSS, "gate")
    switch.halt(Reason.HALTED, "ada")
    switch.halt(Reason.DAILY_LOSS, "gate")
    assert switch.state().reasons == ["daily_loss", "operator"]
    with pytest.raises(Denied, match="not named: daily_loss"):
        switch.resume(["operator"])
    assert len(switch.resume(["operator", "daily_loss"]).halts) == 3


def test_the_latch_survives_the_engine(engine: Engine) -> None:
    engine.start().halt(Reason.DRAWDOWN, "gate")
    again = engine.start()
    assert again.state().word, "halted before anybody could send"
    assert again.state().reasons == ["drawdown"]
    again.resume(["drawdown"])
    assert not engine.start().state().halted


def test_without_an_engine_the_latch_is_all_there_is(engine: Engine) -> None:
    switch = engine.attach()
    assert switch.words is None
    assert not switch.state().halted, "where nothing has ever run"
    switch.halt(Reason.HALTED, "ada")
    assert switch.state().word is None
    assert switch.state().halted
    assert engine.start().state().word


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]\n",
        b"null\n",
        b'{"reason": "halted"}\n',
        b'{"reason": "halted", "who": "a", "pid": "1", "at_ns": 2, "text": ""}\n',
        b'{"reason": "halted", "who": "a", "pid": 1, "at_ns": 2, "text": "", "more": 1}\n',
        b" " * (LATCH_BYTES_MAX + 1),
    ],
)
def test_a_latch_that_cannot_be_read_is_a_halt(engine: Engine, content: bytes) -> None:
    engine.state_dir.mkdir()
    (engine.state_dir / "halt.json").write_bytes(content)
    switch = engine.start()
    assert switch.state().word
    assert switch.state().reasons == ["unreadable"]
    assert str(switch.path) in switch.state().halts[0].text
    with pytest.raises(Denied, match="halted by unreadable"):
        switch.resume(["operator"])
    switch.resume(["unreadable"])
    assert not switch.state().halted


def _link(path: Path) -> None:
    path.symlink_to("/dev/null")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_link, _folder])
def test_a_latch_that_is_no_file_is_a_halt(engine: Engine, make: Callable[[Path], None]) -> None:
    engine.state_dir.mkdir()
    make(engine.state_dir / "halt.json")
    assert engine.start().state().reasons == ["unreadable"]


def test_a_state_folder_that_has_gone_is_a_halt(engine: Engine) -> None:
    switch = engine.start()
    engine.state_dir.rmdir()
    assert switch.state().reasons == ["unreadable"]


def test_a_latch_that_cannot_be_written_still_halts(engine: Engine) -> None:
    switch = engine.start()
    engine.state_dir.rmdir()
    engine.state_dir.touch()  # in the way
    with pytest.raises(LatchFailed, match=r"halt\.json: .*: halted until the next restart"):
        switch.halt(Reason.HALTED, "ada")
    assert switch.words is not None
    assert switch.words.is_set(Word.HALTED)
    with pytest.raises(LatchFailed, match="NOT halted, no engine runs here"):
        HaltSwitch(engine.state_dir, None).halt(Reason.HALTED, "ada")


def test_a_halt_is_in_force_when_word_and_latch_both_say_so(engine: Engine) -> None:
    switch = engine.start()
    assert switch.words is not None
    assert not switch.in_force
    switch.halt(Reason.HALTED, "ada")
    assert switch.in_force
    switch.path.unlink()
    assert (switch.in_force, switch.state().halted) == (False, True)
    switch.latch(Reason.HALTED)
    assert switch.in_force
    switch.words.clear(Word.HALTED, switch.words.read(Word.HALTED))
    assert (switch.in_force, switch.state().halted) == (False, True)
    switch.latch(Reason.HALTED)
    assert switch.in_force


def test_the_latch_is_bounded(engine: Engine) -> None:
    switch = engine.start()
    for number in range(LATCH_HALTS_MAX + 5):
        switch.halt(Reason.HALTED, f"who {number}", "x" * 10_000)
    halts = switch.state().halts
    assert len(halts) == LATCH_HALTS_MAX
    first_and_newest = ("who 0", f"who {LATCH_HALTS_MAX + 4}")
    assert (halts[0].who, halts[-1].who) == first_and_newest
    assert switch.path.stat().st_size < LATCH_BYTES_MAX


class CrossedWords:
    """Words on which a halt of somebody else lands between what a resume reads and what it clears."""

    def __init__(self, words: ControlWords, halt: Callable[[], None]) -> None:
        self._words = words
        self._halt = halt

    def __getattr__(self, name: str) -> object:
        return getattr(self._words, name)

    def clear(self, word: Word, seen: int) -> bool:
        self._halt()
        return self._words.clear(word, seen)


def test_a_resume_that_a_halt_crosses_ends_halted(engine: Engine) -> None:
    switch = engine.start()
    switch.halt(Reason.HALTED, "ada")
    assert switch.words is not None
    other = engine.attach()
    crossed = CrossedWords(switch.words, lambda: other.halt(Reason.HALTED, "bob"))
    with pytest.raises(RefusedByState, match="halted again while it was being resumed"):
        HaltSwitch(engine.state_dir, crossed).resume(["operator"])  # type: ignore[arg-type]
    assert switch.state().word
    assert switch.path.exists(), "and a restart knows it"


def test_a_halt_whose_latch_a_resume_removes_writes_it_again(engine: Engine) -> None:
    switch = engine.start()
    switch.halt(Reason.HALTED, "ada")
    resumer = engine.attach()

    class Late(CrossedWords):
        def set(self, word: Word, code: int = 1) -> bool:
            resumer.resume(["operator"])  # after our latch, before our word
            return self._words.set(word, code)

    assert switch.words is not None
    late = Late(switch.words, lambda: None)
    HaltSwitch(engine.state_dir, late).halt(Reason.HALTED, "bob")  # type: ignore[arg-type]
    assert switch.state().word
    assert [halt.who for halt in switch.state().halts] == ["bob"]


HALT_AND_DIE = """
import os, sys
from pathlib import Path
from procs import kernels
kernels.set_cache_dir()
from engine.reasons import Reason
from procs.halt import HaltSwitch
HaltSwitch.attach(Path(sys.argv[1]), Path(sys.argv[2])).halt(Reason.HALTED, "child")
os.kill(os.getpid(), 9)
"""


def test_a_halt_outlives_the_process_that_set_it(engine: Engine) -> None:
    switch = engine.start()
    command = [sys.executable, "-c", HALT_AND_DIE, str(engine.run_dir), str(engine.state_dir)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert switch.state().word
    assert json.loads(switch.path.read_text())["who"] == "child"
    assert switch.state().halts[0].pid != os.getpid()


def gate_of(risk: RiskConfig, latch: Callable[[Reason], None] | None = None) -> Gate:
    return Gate(gate_limits(risk, {}), np.zeros(1, MARKET_ROW), np.zeros(1, BOOK_ROW), latch)


def test_a_gate_follows_the_words(engine: Engine) -> None:
    switch = engine.start()
    assert switch.words is not None
    gate = gate_of(load_config().risk, switch.latch)
    follower = HaltFollower(ControlWords.attach(engine.run_dir), gate)
    assert follower.follow() == 0
    engine.attach().halt(Reason.HALTED, "ada")
    assert follower.follow() == 1 << Word.HALTED
    assert gate.halted
    assert len(switch.state().halts) == 1, "what is latched already is not latched again"
    switch.words.set(Word.PAUSED)
    assert follower.follow() == 1 << Word.HALTED | 1 << Word.PAUSED
    assert gate.state["paused"] == 1
    switch.resume(["operator"])
    assert follower.follow() == 1 << Word.PAUSED
    assert not gate.halted
    switch.words.clear(Word.PAUSED, switch.words.read(Word.PAUSED))
    follower.follow()
    assert gate.state["paused"] == 0


def test_a_gate_that_halts_itself_latches_and_stops_the_others(engine: Engine) -> None:
    switch = engine.start()
    gate, other = gate_of(load_config().risk, switch.latch), gate_of(load_config().risk)
    assert switch.words is not None
    followers = [HaltFollower(switch.words, each) for each in (gate, other)]
    gate.halt(Reason.DAILY_LOSS)
    for follower in followers:
        follower.follow()
    assert (gate.halted, other.halted) == (True, True)
    assert int(other.state["halted"]) == Reason.DAILY_LOSS + 1
    assert switch.state().reasons == ["daily_loss"]
    assert engine.start().state().reasons == ["daily_loss"]


def test_a_gate_that_comes_up_halted_halts_the_word(engine: Engine) -> None:
    switch = engine.start()
    assert switch.words is not None
    gate = gate_of(load_config().risk)
    gate.state["halted"] = Reason.DRAWDOWN + 1  # as a journal restores it
    follower = HaltFollower(switch.words, gate)
    assert follower.follow() == 1 << Word.HALTED
    assert switch.state().reasons == ["drawdown"]
    switch.resume(["drawdown"])
    assert follower.follow() == 0
    assert not gate.halted


def test_a_word_set_before_the_first_look_halts_the_gate(engine: Engine) -> None:
    switch = engine.start()
    switch.halt(Reason.HALTED, "ada")
    assert switch.words is not None
    gate = gate_of(load_config().risk)
    HaltFollower(switch.words, gate).follow()
    assert gate.halted


def test_what_the_latch_holds_is_what_was_said(engine: Engine) -> None:
    switch = HaltSwitch(engine.state_dir, None, lambda: NOW_NS)
    switch.halt(Reason.ORDER_RATE, "ada", "why")
    assert switch.state().halts == (Halt("order_rate", "ada", os.getpid(), NOW_NS, "why"),)
