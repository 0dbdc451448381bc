"""The runner: what it draws, what it runs, and that it tells a killed mutant from a survivor."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutation import run
from tests.mutation.operators import Mutant
from tests.mutation.run import Outcome, Site

SOURCE = "def checked(a, b):\n    return a < b\n\n\ndef unchecked(a, b):\n    return a > b\n"
TEST = "from engine.thing import checked\n\ndef test_checked():\n    assert not checked(1, 1)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one module, half of it tested."""
    root = tmp_path / "repository"
    sources = {
        "engine/__init__.py": "",
        "engine/thing.py": SOURCE,
        "tests/__init__.py": "",
        "tests/engine/__init__.py": "",
        "tests/engine/test_thing.py": TEST,
        "tests/engine/test_thing_more.py": "def test_more():\n    assert True\n",
        "tests/engine/test_neighbour.py": "class TestIt:\n    def test_it(self):\n        assert True\n",
        "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['shared_data', 'compiled_only', 'soak']\n",
    }
    for name, text in sources.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    return root


def test_mirrored_tests_come_first_and_neighbours_after(tree: Path) -> None:
    own = ("tests/engine/test_thing.py", "tests/engine/test_thing_more.py")
    assert run.mirrored_tests("engine/thing.py", tree) == [own, ("tests/engine/test_neighbour.py",)]
    assert run.mirrored_tests("engine/untested.py", tree) == []


def test_a_killed_mutant_is_told_from_a_survivor(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "mirrored_tests", lambda path: [("tests/engine/test_thing.py",)])
    place = run.Workplace(tree.parent / "place", tree)
    sites = run.find_sites(["engine/thing.py"], tree)
    verdicts = [place.try_mutant(site, {"tests/engine/test_thing.py": 1.0}) for site in sites]
    assert [(verdict.site.line, verdict.outcome) for verdict in verdicts] == [
        (2, Outcome.FAILED),
        (6, Outcome.PASSED),
    ]
    assert [verdict.by for verdict in verdicts] == ["tests/engine/test_thing.py", ""]
    assert verdicts[1].line == "engine/thing.py:6: compare: a > b -> a >= b"
    assert (tree / "engine/thing.py").read_text() == SOURCE
    assert (tree.parent / "place/checkout/engine/thing.py").read_text() == SOURCE


@pytest.mark.soak
def test_compiled_tests_are_run_where_plain_ones_see_one_side_only(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "tests/engine/test_thing.py").write_text(
        "import os\n\nfrom engine.thing import unchecked\n\n\n"
        "def test_unchecked():\n    assert os.environ['NUMBA_DISABLE_JIT'] == '1' or not unchecked(1, 1)\n"
    )
    monkeypatch.setattr(run, "mirrored_tests", lambda path: [("tests/engine/test_thing.py",)])
    site = run.find_sites(["engine/thing.py"], tree)[1]
    place = run.Workplace(tree.parent / "place", tree)
    seconds = {"tests/engine/test_thing.py": 1.0}
    assert place.try_mutant(site, seconds).outcome is Outcome.PASSED
    monkeypatch.setattr(run, "COMPILED_TOO", {"engine/thing.py"})
    assert place.try_mutant(site, seconds).outcome is Outcome.FAILED


@pytest.mark.soak
def test_a_mutant_without_end_is_noticed(tree: Path) -> None:
    (tree / "tests/engine/test_thing.py").write_text("def test_endless():\n    while True:\n        pass\n")
    place = run.Workplace(tree.parent / "place", tree)
    assert place.run(["tests/engine/test_thing.py"], 2.0) is Outcome.ENDLESS


@pytest.mark.soak
def test_a_mutant_that_waits_for_ever_is_noticed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WAITING_TIMES_MAX", 0.5)
    (tree / "tests/engine/test_thing.py").write_text(
        "import threading\n\ndef test_dead():\n    threading.Event().wait()\n"
    )
    place = run.Workplace(tree.parent / "place", tree)
    assert place.run(["tests/engine/test_thing.py"], 4.0) is Outcome.ENDLESS


@pytest.mark.soak
def test_files_are_measured_and_a_mutant_may_take_some_times_as_long(tree: Path) -> None:
    place = run.Workplace(tree.parent / "place", tree)
    tests = ("tests/engine/test_thing.py", "tests/engine/test_neighbour.py")
    measured = place.measure(tests)
    assert set(measured) == set(tests)
    assert all(0 <= seconds < run.UNBROKEN_CPU_S_MAX for seconds in measured.values())
    assert run.limit_cpu_s(tests, {"tests/engine/test_neighbour.py": 30.0, tests[0]: 5.0}) == 140.0
    assert run.limit_cpu_s(tests, measured) == run.CPU_S_MIN


def test_tests_that_fail_without_a_mutant_measure_nothing(tree: Path) -> None:
    (tree / "tests/engine/test_neighbour.py").write_text("def test_neighbour():\n    assert False\n")
    place = run.Workplace(tree.parent / "place", tree)
    assert place.measure(("tests/engine/test_thing.py", "tests/engine/test_neighbour.py")) == {}


def _sites() -> list[Site]:
    many = [Site("engine/a.py", "off_by_one", 1, index) for index in range(50)]
    return [*many, Site("engine/b.py", "off_by_one", 1, 0), Site("shm/c.py", "fence", 1, 0)]


def test_draw_is_even_over_kinds_and_files() -> None:
    drawn = run.draw(_sites(), 3, seed=1)
    assert {site.path for site in drawn} == {"engine/a.py", "engine/b.py", "shm/c.py"}


def test_draw_follows_its_seed_and_is_bounded() -> None:
    assert run.draw(_sites(), 10, seed=1) == run.draw(_sites(), 10, seed=1)
    assert run.draw(_sites(), 10, seed=1) != run.draw(_sites(), 10, seed=2)
    assert len(run.draw(_sites(), 10, seed=1)) == 10
    assert sorted(map(repr, run.draw(_sites(), 1000, seed=1))) == sorted(map(repr, _sites()))


def _verdicts(n_killed: int, n_survived: int) -> list[run.Verdict]:
    mutant = Mutant("compare", 1, "a < b", "a <= b", "")
    site = Site("engine/a.py", "compare", 1, 0)
    killed = [run.Verdict(site, mutant, "t", outcome) for outcome in (Outcome.FAILED, Outcome.ENDLESS)]
    return (killed * n_killed)[:n_killed] + [run.Verdict(site, mutant, "", Outcome.PASSED)] * n_survived


@pytest.mark.parametrize(("n_killed", "n_survived", "code"), [(9, 1, 0), (89, 11, 1), (10, 0, 0), (0, 0, 1)])
def test_report_holds_the_floor(
    capsys: pytest.CaptureFixture[str], n_killed: int, n_survived: int, code: int
) -> None:
    assert run.report(_verdicts(n_killed, n_survived), 90.0) == code
    said = capsys.readouterr().out
    assert said.count("survived: engine/a.py:1: compare: a < b -> a <= b\n") == n_survived
    assert f"({n_killed // 2} by never ending)" in said


def test_known_equivalents_are_left_out(tree: Path) -> None:
    sites = run.find_sites(["engine/thing.py"], tree)
    kept = run.drop_equivalent(sites, {("engine/thing.py", "a > b", "a >= b")}, tree)
    assert [site.line for site in kept] == [2]


def test_every_known_equivalent_still_exists() -> None:
    known = run.load_equivalent()
    sites = run.find_sites(sorted({path for path, _, _ in known}))
    kept = run.drop_equivalent(sites, known)
    assert len(sites) - len(kept) >= len(known), "tests/mutation/equivalent.toml names a mutant that is gone"


def test_an_equivalent_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "equivalent.toml"
    path.write_text('[[mutant]]\npath = "a"\nbefore = "b"\nafter = "c"\nwhy = ""\n')
    with pytest.raises(AssertionError, match="reason"):
        run.load_equivalent(path)
