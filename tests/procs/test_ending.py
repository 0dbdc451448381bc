"""How a process of a live engine ends: every way, with the locks of the others held by this test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.units import NS_PER_S
from procs.config_files import load_config
from procs.control_words import ControlWords, Word
from procs.ending import LATER_NS, Ending
from procs.run_directory import Description, FolderLock, InputNamed, RunDirectory
from tests.procs.test_run_directory import description

T_NS = 1_000 * NS_PER_S


class Engine:
    """A run directory, its words, and how often a process was told to begin its end."""

    def __init__(self, path: Path, topology: str) -> None:
        self.directory = RunDirectory.claim(path)
        self.path = path
        config = load_config(assignments=[f"engine.topology={topology}"])
        live = InputNamed(name="live", files=("x",), live=True)
        self.description: Description = replace(description(), config=config, input=live)
        self.words = ControlWords.create(path, 1)
        self.begun: list[str] = []
        self.ended: set[str] = set()  # who has said that it ended as asked
        self.drain_ns = config.supervisor.drain_max_ns
        self.orphan_ns = config.supervisor.orphan_max_ns

    def ending(self, name: str) -> Ending:
        begin = lambda: self.begun.append(name)  # noqa: E731
        return Ending(self.description, name, self.path, self.words, begin, self.ended.__contains__)

    def hold(self, name: str) -> FolderLock:
        return FolderLock(self.path / f"{name}.lock", name)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    made: list[Engine] = []

    def one(topology: str = "two") -> Engine:
        made.append(Engine(tmp_path / "run", topology))
        return made[-1]

    yield one
    for engine in made:
        engine.words.segment.close()


def done() -> bool:
    return True


def busy() -> bool:
    return False


def test_the_order(make: Callable[[str], Engine]) -> None:
    engine = make("roles")
    assert engine.description.endings == (
        "executor",
        "optimizer",
        "strategy",
        "venues",
        "book",
        "feed",
        "ledger",
    )


def test_nothing_is_over_while_nobody_asks(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    ending = engine.ending("trade")
    ending.look(T_NS)
    assert not ending.is_leaving
    assert not ending.is_over(T_NS, done)


def test_the_executor_goes_first_and_when_it_is_done(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    ending = engine.ending("trade")
    engine.words.set(Word.STOPPING)
    ending.look(T_NS)
    ending.look(T_NS + 1)
    assert engine.begun == ["trade"]
    assert not ending.is_over(T_NS + engine.drain_ns - 1, busy)
    assert ending.is_over(T_NS, done)
    assert ending.is_over(T_NS + engine.drain_ns, busy), "its time is over"


def test_the_others_wait_for_it(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    trade, ending = engine.hold("trade"), engine.ending("market")
    engine.words.set(Word.STOPPING)
    ending.look(T_NS)
    assert not ending.is_over(T_NS, done)
    assert not ending.is_over(T_NS + engine.drain_ns, done), "longer than trade may take"
    assert ending.is_over(T_NS + engine.drain_ns + LATER_NS, done)
    engine.ended.add("trade")
    trade.release()
    ending.look(T_NS + 1)
    assert not ending.is_over(T_NS + 1, busy)
    assert ending.is_over(T_NS + 1, done)


def test_the_others_wait_for_an_executor_that_died_while_somebody_can_begin_it_again(
    make: Callable[[str], Engine],
) -> None:
    engine = make("roles")
    ending = engine.ending("venues")
    engine.words.set(Word.STOPPING)
    ending.look(T_NS)
    ending.look(T_NS + 1)
    assert not ending.is_over(T_NS + 1, done), "nobody has its lock, and it has not said that it was done"
    again = engine.hold("executor")
    ending.look(T_NS + 2)
    assert not ending.is_over(T_NS + 2, done)
    engine.ended.add("executor")
    again.release()
    ending.look(T_NS + 3)
    assert ending.is_over(T_NS + 3, done), "the dead others are not waited for"


def test_nobody_waits_for_a_dead_executor_without_an_owner(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    engine.directory.lock.release()
    ending = engine.ending("market")
    engine.words.set(Word.STOPPING)
    ending.look(T_NS)
    assert ending.is_over(T_NS, done)


def test_sigterm_ends_a_process_alone_at_once(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    trade, ending = engine.hold("trade"), engine.ending("market")
    ending.terminate(T_NS)
    assert ending.is_over(T_NS, busy)
    assert not engine.words.is_set(Word.STOPPING), "the others go on"
    trade.release()


def test_sigterm_lets_an_executor_finish_and_a_second_one_does_not(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    ending = engine.ending("trade")
    ending.terminate(T_NS)
    assert engine.begun == ["trade"]
    assert not ending.is_over(T_NS, busy)
    assert ending.is_over(T_NS, done)
    ending.terminate(T_NS + 1)
    assert ending.is_over(T_NS + 1, busy)
    assert engine.begun == ["trade"]


def test_an_orphan_stops_by_itself_when_nobody_comes_back(make: Callable[[str], Engine]) -> None:
    engine = make("two")
    ending = engine.ending("market")
    ending.look(T_NS)
    engine.directory.lock.release()
    ending.look(T_NS + NS_PER_S)
    owner = engine.hold("engine")
    ending.look(T_NS + 2 * NS_PER_S)
    ending.look(T_NS + 2 * engine.orphan_ns)
    assert not ending.is_leaving, "another owner came"
    owner.release()
    ending.look(T_NS + 3 * engine.orphan_ns)
    ending.look(T_NS + 4 * engine.orphan_ns - 1)
    assert not ending.is_leaving
    ending.look(T_NS + 4 * engine.orphan_ns)
    assert ending.is_leaving
    assert engine.words.is_set(Word.STOPPING), "everybody ends"
