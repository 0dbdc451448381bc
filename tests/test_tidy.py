"""The rules of the house, held against this tree, and against small trees that break them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests import tidy_rules as rules
from tests.tidy_rules import Source

ROOT = Path(__file__).resolve().parent.parent

PER_FILE = (
    rules.floor_imports,
    rules.impurities,
    rules.prints,
    rules.addresses_of_nothing,
    rules.sizes,
    rules.empty_names,
)
PER_TREE = (rules.agents_import_each_other, rules.missing_tests, rules.dead_code)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    """Every tracked Python file of our packages."""
    names = [name for name in rules.tracked_files(ROOT) if name.endswith(".py")]
    return [Source(name, (ROOT / name).read_text(encoding="utf-8")) for name in names if "/" in name]


def _said(findings: Iterable[str]) -> str:
    return "\n" + "\n".join(sorted(findings))


@pytest.mark.parametrize("rule", PER_FILE, ids=lambda rule: rule.__name__)
def test_files(sources: list[Source], rule: Callable[[Source], Iterator[str]]) -> None:
    findings = [found for source in sources if source.floor in rules.FLOORS for found in rule(source)]
    assert not findings, _said(findings)


@pytest.mark.parametrize("rule", PER_TREE, ids=lambda rule: rule.__name__)
def test_tree(sources: list[Source], rule: Callable[[list[Source]], Iterator[str]]) -> None:
    findings = list(rule(sources))
    assert not findings, _said(findings)


def test_text_of_every_tracked_file() -> None:
    findings: list[str] = []
    for name in rules.tracked_files(ROOT):
        text = rules.read_text(ROOT / name)
        findings += rules.forbidden_text(name, text or "")
    assert not findings, _said(findings)


def test_sources_are_all_seen(sources: list[Source]) -> None:
    assert {source.floor for source in sources} >= {"engine", "shm", "procs", "tests"}


# Below: each rule finds what it is for, and leaves alone what looks like it.

BROKEN = [
    (rules.floor_imports, "engine/a.py", "import shm.ring\n"),
    (rules.floor_imports, "engine/a.py", "from procs import places\n"),
    (rules.floor_imports, "engine/a.py", "def f():\n    from bench import x\n"),
    (rules.floor_imports, "shm/a.py", "from engine.units import X\n"),
    (rules.floor_imports, "shm/a.py", "import orjson\n"),
    (rules.floor_imports, "procs/a.py", "import tests.conftest\n"),
    (rules.floor_imports, "procs/a.py", "from bench import x\n"),
    (rules.impurities, "engine/a.py", "import time\n"),
    (rules.impurities, "engine/a.py", "from random import Random\n"),
    (rules.impurities, "engine/a.py", "import asyncio.events\n"),
    (rules.impurities, "engine/a.py", "x = open('f')\n"),
    (rules.impurities, "engine/a.py", "now = datetime.datetime.now()\n"),
    (rules.impurities, "engine/a.py", "x = np.random.default_rng()\n"),
    (rules.prints, "procs/a.py", "print(1)\n"),
    (rules.prints, "shm/a.py", "def f():\n    print(1)\n"),
    (rules.addresses_of_nothing, "tests/a.py", "wait(address_of(timespec_of(1)))\n"),
    (rules.addresses_of_nothing, "shm/a.py", "x = np.zeros(1).ctypes.data\n"),
    (rules.sizes, "shm/a.py", "x = 1\n" * 501),
    (rules.sizes, "shm/a.py", f"x = '{'x' * 110}'\n"),
    (rules.sizes, "shm/a.py", "def f():\n" + "    x = 1\n" * 60),
    (rules.empty_names, "engine/book/utils.py", ""),
    (rules.empty_names, "tests/engine/test_common.py", ""),
]

SOUND = [
    (rules.floor_imports, "engine/a.py", "import numpy, orjson\nfrom engine.units import X\n"),
    (
        rules.floor_imports,
        "shm/a.py",
        "import mmap, numpy, numba\nfrom llvmlite import ir\nfrom shm.ring import X\n",
    ),
    (rules.floor_imports, "procs/a.py", "import shm.ring, engine.units, procs.b\n"),
    (rules.floor_imports, "tests/a.py", "import procs, engine, shm, bench\n"),
    (rules.impurities, "procs/a.py", "import time\nx = open('f')\n"),
    (rules.impurities, "engine/a.py", "from datetime import UTC\nx = journal.open(1)\nmarket.random = 1\n"),
    (rules.prints, "procs/cli/a.py", "print(1)\n"),
    (rules.prints, "bench/a.py", "print(1)\n"),
    (rules.addresses_of_nothing, "shm/a.py", "x = address_of(words[1:])\ny = words.ctypes.data\n"),
    (rules.addresses_of_nothing, "procs/a.py", "x = address_of(segment.bytes_at(0, 8))\n"),
    (rules.sizes, "shm/a.py", "x = 1\n" * 500),
    (rules.sizes, "shm/a.py", f"x = '{'x' * 104}'\n"),
    (rules.sizes, "shm/a.py", "def f():\n" + "    x = 1\n" * 59),
    (rules.empty_names, "engine/book/ladder.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_rule_finds(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    findings = list(rule(Source(path, text)))
    assert findings
    assert all(found.startswith(f"{path}:") for found in findings)


@pytest.mark.parametrize(("rule", "path", "text"), SOUND)
def test_rule_leaves_alone(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


AGENT = "class A:\n    def on_start(self): ...\n    def do_work(self): ...\n    def on_close(self): ...\n"


def test_agents_that_import_each_other_are_found() -> None:
    agents = [Source("procs/a.py", AGENT), Source("procs/b.py", "from procs.a import A\n" + AGENT)]
    assert list(rules.agents_import_each_other(agents)) == [
        "procs/b.py:1: agent module imports agent module procs.a"
    ]


def test_a_runner_may_import_agents_and_agents_may_import_the_protocol() -> None:
    protocol = Source("procs/agent.py", AGENT.replace("class A", "class Agent(Protocol)"))
    agent = Source("procs/a.py", "from procs.agent import Agent\n" + AGENT)
    runner = Source("procs/runner.py", "from procs.a import A\n")
    assert list(rules.agents_import_each_other([protocol, agent, runner])) == []


def test_module_without_test_file_is_found() -> None:
    tree = [Source("engine/__init__.py", '"""A menu."""\n'), Source("engine/a.py", "X = 1\n")]
    assert list(rules.missing_tests(tree)) == ["engine/a.py:1: has no test file tests/engine/test_a.py"]
    assert list(rules.missing_tests([*tree, Source("tests/engine/test_a.py", "")])) == []
    assert list(rules.missing_tests([Source("engine/__init__.py", "def f(): ...\n")])) != []


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("def used(): ...\ndef main():\n    used()\n", []),
        ("def recursive():\n    recursive()\n", ["recursive"]),
        ("class Unused: ...\n", ["Unused"]),
        ("LIMIT: int = 1\nOTHER = 2\n", ["LIMIT", "OTHER"]),
        ("LIMIT = 1\nassert LIMIT\n", []),
        ("__all__ = ['Public']\nclass Public: ...\n", []),
        ("def warm(): ...\n", []),
    ],
)
def test_dead_code_is_found(text: str, dead: list[str]) -> None:
    findings = list(rules.dead_code([Source("engine/a.py", text)]))
    assert [found.split(": ")[1].split()[0] for found in findings] == dead


def test_a_test_keeps_nothing_alive_and_a_private_name_is_used_at_home() -> None:
    defined = Source("engine/a.py", "def f(): ...\ndef _g(): ...\n")
    tested = Source("tests/a.py", "from engine.a import f\nf()\n")
    namesake = Source("engine/b.py", "import x\nx._g()\n")
    assert len(list(rules.dead_code([defined, tested, namesake]))) == 2
    assert (
        len(list(rules.dead_code([defined, Source("procs/a.py", "from engine.a import f\n"), namesake]))) == 1
    )


@pytest.mark.parametrize(
    "line",
    [
        "# TO" + "DO later",
        "# FIX" + "ME",
        "see https://py" + "pi.org/simple",
        "https://files.python" + "hosted.org/x",
        "DATA = '/wo" + "rk/shared'",
        "/ho" + "me/alice/pr3dict",
        "done \U0001f600",
    ],
)
def test_forbidden_text_is_found(line: str) -> None:
    assert [found.split(" ")[0] for found in rules.forbidden_text("a.md", f"fine\n{line}\n")] == ["a.md:2:"]


@pytest.mark.parametrize(
    "line",
    ["bid -> ask", "~/wo" + "rk/x", "the mastodon", "├── engine", "$HOME/wo" + "rk/x", "a/wo" + "rk/b"],
)
def test_harmless_text_is_left_alone(line: str) -> None:
    assert list(rules.forbidden_text("a.md", line)) == []
