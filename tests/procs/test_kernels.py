"""The kernel cache: what its name depends on, what is removed, and that one process compiles for all."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import Role
from procs import kernels
from procs.places import CACHE_DIR_VARIABLE, PACKAGES_ROOT
from tests.data import recordings as made

KERNEL = """\
from engine.jit import kernel
from engine.units import (
    ONE,
)

@kernel
def f(x):
    return x + ONE
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small source tree: a kernel, what it imports, what that imports, and a bystander."""
    sources = {
        "engine/__init__.py": "",
        "engine/jit.py": "import numba\n",
        "engine/units.py": "from engine import base\nONE = base.UNIT\n",
        "engine/base.py": "UNIT = 1\n",
        "engine/bystander.py": "import engine.units\n",
        "engine/book/__init__.py": "",
        "engine/book/ladder.py": KERNEL,
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def _names(tree: Path) -> set[str]:
    found = kernels.SourceTree(tree)
    reached = found.reach(found.with_kernels)
    return {found.modules[name].relative_to(tree).as_posix() for name in reached}


def test_sources_are_kernels_and_what_they_import(tree: Path) -> None:
    expected = {"__init__.py", "jit.py", "units.py", "base.py", "book/ladder.py"}
    assert _names(tree) == {f"engine/{name}" for name in expected}


@pytest.mark.parametrize(
    "decorator", ["@njit", "@numba.njit(cache=True)", "@intrinsic", "@extending.overload(f)", "@brief"]
)
def test_every_way_to_define_a_kernel_counts(tree: Path, decorator: str) -> None:
    (tree / "engine/other.py").write_text(f"{decorator}\ndef f(x): ...\n")
    assert "engine/other.py" in _names(tree)


def test_indented_kernel_counts_and_a_mention_does_not(tree: Path) -> None:
    (tree / "engine/inner.py").write_text("def make():\n    @kernel\n    def f(x): ...\n")
    (tree / "engine/mention.py").write_text('"""See @kernel."""\n')
    assert "engine/inner.py" in _names(tree)
    assert "engine/mention.py" not in _names(tree)


@pytest.mark.parametrize("name", ["engine/base.py", "engine/units.py", "engine/book/ladder.py"])
def test_hash_follows_whatever_reaches_a_kernel(tree: Path, name: str) -> None:
    before = kernels.sources_hash(tree)
    (tree / name).write_text((tree / name).read_text() + "# changed\n")
    assert kernels.sources_hash(tree) != before


def test_hash_ignores_a_bystander(tree: Path) -> None:
    before = kernels.sources_hash(tree)
    (tree / "engine/bystander.py").write_text("X = 1\n")
    assert kernels.sources_hash(tree) == before


def test_hash_follows_the_compiler(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kernels.sources_hash(tree)
    monkeypatch.setattr(kernels, "version", lambda name: "0.0")
    assert kernels.sources_hash(tree) != before


def test_hash_follows_a_moved_line_between_files(tree: Path) -> None:
    before = kernels.sources_hash(tree)
    base, units = tree / "engine/base.py", tree / "engine/units.py"
    moved = base.read_text()
    base.write_text("")
    units.write_text(moved + units.read_text())
    assert kernels.sources_hash(tree) != before


def _run(code: str, cache: Path, root: Path = PACKAGES_ROOT) -> str:
    environment = {**os.environ, CACHE_DIR_VARIABLE: str(cache), "PYTHONPATH": f"{root}:{PACKAGES_ROOT}"}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_set_cache_dir_names_a_directory_for_numba(tmp_path: Path) -> None:
    said = _run(
        "import os, procs.kernels as k; k.set_cache_dir(); print(os.environ['NUMBA_CACHE_DIR'])", tmp_path
    )
    assert said == str(tmp_path / f"kernels-{kernels.sources_hash()}")
    assert Path(said).is_dir()


def test_set_cache_dir_refuses_to_come_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numba  # noqa: F401

    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    with pytest.raises(RuntimeError, match="before numba"):
        kernels.set_cache_dir()


def test_set_cache_dir_may_be_called_again(tmp_path: Path) -> None:
    code = """
import procs.kernels as k
first = k.set_cache_dir()
import numba
k.sources_hash = lambda root: "edited-meanwhile"
print(first == k.set_cache_dir())
"""
    assert _run(code, tmp_path) == "True"


def _generations(parent: Path, ages_s: list[float], now_s: float) -> list[Path]:
    made = []
    for number, age_s in enumerate(ages_s):
        path = parent / f"kernels-{number}"
        path.mkdir()
        os.utime(path, (now_s - age_s, now_s - age_s))
        made.append(path)
    return made


def test_newest_generations_stay(tmp_path: Path) -> None:
    now_s = 1_000_000.0
    made = _generations(tmp_path, [0, 5000, 6000, 7000, 8000], now_s)
    (tmp_path / "something-else").mkdir()
    assert set(kernels._remove_stale(tmp_path, made[0], now_s)) == {made[3], made[4]}
    assert {path.name for path in tmp_path.iterdir()} == {
        "kernels-0",
        "kernels-1",
        "kernels-2",
        "something-else",
    }


def test_generations_in_use_stay(tmp_path: Path) -> None:
    now_s = 1_000_000.0
    made = _generations(tmp_path, [0, 10, 20, 30, kernels.UNUSED_S_MIN, kernels.UNUSED_S_MIN + 1], now_s)
    assert kernels._remove_stale(tmp_path, made[0], now_s) == [made[5]]


WARM_ONE = """
import procs.kernels as k, sys
k.set_cache_dir()
sys.stdout.write(str(k.warm([], [["warm_probe"]], [])))
"""


def _probe(tmp_path: Path) -> Path:
    """A module whose warm() takes note of each call."""
    log = tmp_path / "calls"
    (tmp_path / "warm_probe.py").write_text(
        f"def warm():\n    with open({str(log)!r}, 'a') as f: f.write('x')\n"
    )
    return log


def test_warm_runs_once(tmp_path: Path) -> None:
    log = _probe(tmp_path)
    assert _run(WARM_ONE, tmp_path / "cache", tmp_path) == "True"
    assert _run(WARM_ONE, tmp_path / "cache", tmp_path) == "False"
    assert log.read_text() == "x"


def test_only_one_of_several_processes_warms(tmp_path: Path) -> None:
    log = _probe(tmp_path)
    environment = {
        **os.environ,
        CACHE_DIR_VARIABLE: str(tmp_path),
        "PYTHONPATH": f"{tmp_path}:{PACKAGES_ROOT}",
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", WARM_ONE]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = sorted(process.communicate()[0] for process in running)
    assert answers == ["False", "False", "False", "True"]
    assert log.read_text() == "x"


def test_interrupted_warm_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with pytest.raises(ModuleNotFoundError):
        kernels.warm([], [["no_such_module"]], [])
    assert kernels.warm([], [], []) is True
    assert kernels.warm([], [], []) is False


def test_another_list_of_modules_is_another_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _probe(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert kernels.warm([], [], []) is True
    assert kernels.warm(["warm_probe"], [], []) is True
    assert log.read_text() == "x"


@pytest.mark.compiled_only
def test_every_kernel_is_compiled_before_it_is_needed() -> None:
    kernels.set_cache_dir()
    kernels.warm()
    assert kernels.never_warmed() == [], "no warm() calls these"


# Runs the command and prints every function that numba compiled on the way.
LISTEN = """\
import sys
from procs import kernels
kernels.set_cache_dir()
from numba.core import event
heard = event.RecordingListener()
event.register("numba:compile", heard)
from procs.cli.main import main
code = main(sys.argv[1:])
print([str(what.data["dispatcher"].py_func) for _, what in heard.buffer if what.is_start], file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.compiled_only
def test_a_start_compiles_nothing(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]])),
        made.polymarket([{"event_type": "book", "asset_id": made.YES_TOKEN, "bids": [], "asks": []}], 1),
    ]
    path = made.write(tmp_path / "r.ndjson.zst", made.header("both"), frames)
    for command in (["check", str(path)], ["book", str(path), made.TICKER]):
        done = subprocess.run(
            [sys.executable, "-c", LISTEN, *command],
            capture_output=True,
            text=True,
            cwd=PACKAGES_ROOT,
            check=True,
        )
        assert done.stderr == "[]\n"


def test_a_kernel_without_compiled_code_is_cold(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "book_0123"
    cache.mkdir(parents=True)
    assert kernels.cold_kernels(cache.parent, tree) == ["engine.book.ladder.f"]
    (cache / "ladder.g-7.py311.nbi").touch()
    assert kernels.cold_kernels(cache.parent, tree) == ["engine.book.ladder.f"]
    (cache / "ladder.f-7.py311.nbi").touch()
    assert kernels.cold_kernels(cache.parent, tree) == []


def _defines_warm(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "warm" for node in tree.body)


def test_every_module_with_a_warm_up_is_listed() -> None:
    found = {name for name, path in kernels._modules(PACKAGES_ROOT).items() if _defines_warm(path)}
    groups = (*kernels.WARM_GROUPS, *kernels.WARM_LAST)
    listed = {*kernels.WARM_FIRST, *(name for group in groups for name in group)}
    assert found - {"procs.kernels"} == listed, "mend WARM_GROUPS in procs/kernels.py"


def test_every_role_has_its_kernels_and_none_is_loaded_that_is_not_warmed() -> None:
    groups = (*kernels.WARM_GROUPS, *kernels.WARM_LAST)
    listed = {*kernels.WARM_FIRST, *(name for group in groups for name in group)}
    assert kernels.OF_ROLES.keys() == {role.name.lower() for role in Role}
    loaded = {*kernels.OF_ALL, *(name for names in kernels.OF_ROLES.values() for name in names)}
    assert loaded <= listed
    assert listed - loaded == {"procs.replay_apply", "procs.check_frames", "procs.recording_lines"}


@pytest.mark.compiled_only
def test_every_kernel_that_python_calls_is_loaded_before_a_process_is_ready() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.procs.called_kernels"],
        capture_output=True,
        check=True,
        text=True,
        cwd=PACKAGES_ROOT,
    )
    said = json.loads(done.stdout)
    assert said["called"] > 100
    assert said["late"] == [], "call it in a warm() of its module"


def test_another_processor_is_another_cache(tmp_path: Path) -> None:
    """Code that was compiled for one is not even looked at on another: numba would compile it anew."""
    text = "processor : 0\nmodel name : A\nbogomips : {}\nflags : fpu {}\n\nprocessor : 1\nmodel name : {}\n"
    said = set()
    for number, words in enumerate([(1, "avx", "A"), (2, "avx", "B"), (2, "avx2", "A")]):
        path = tmp_path / str(number)
        path.write_text(text.format(*words))
        said.add(kernels.processor(path))
    assert said == {"model name : A\nflags : fpu avx\n", "model name : A\nflags : fpu avx2\n"}
    assert kernels.processor(tmp_path / "none") == ""


def test_what_was_not_compiled_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes minutes, in which others wait for the process."""
    called: list[str] = []
    monkeypatch.setattr(importlib, "import_module", called.append)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernels.load(["feed"])
    assert called == []


def _complete(directory: Path, hashes: dict[str, str]) -> Path:
    """A generation whose warming ended, with compiled files of each module."""
    for name in hashes:
        *_, folder, stem = name.split(".")
        (directory / f"{folder}_0123").mkdir(parents=True, exist_ok=True)
        (directory / f"{folder}_0123" / f"{stem}.f-7.py311.nbi").write_text(directory.name)
    (directory / "warm.json").write_text(json.dumps({"modules": [], "cold": [], "hashes": hashes}))
    return directory


def test_what_no_change_reached_is_inherited(tree: Path, tmp_path: Path) -> None:
    (tree / "engine/book/other.py").write_text("@kernel\ndef f(x): ...\n")
    (tmp_path / "cache").mkdir()
    old = _complete(tmp_path / "cache/kernels-old", kernels.module_hashes(tree))
    assert sorted(path.name for path in old.glob("book_*/*")) == [
        "ladder.f-7.py311.nbi",
        "other.f-7.py311.nbi",
    ]
    (tree / "engine/base.py").write_text("UNIT = 2\n")  # only the ladder imports it
    new = tmp_path / "cache/kernels-new"
    new.mkdir()
    assert kernels.inherit(new, kernels.module_hashes(tree), tree) == ["engine.book.other"]
    assert [path.name for path in new.glob("book_*/*")] == ["other.f-7.py311.nbi"]


def test_nothing_is_inherited_from_an_interrupted_generation(tree: Path, tmp_path: Path) -> None:
    hashes = kernels.module_hashes(tree)
    (tmp_path / "cache").mkdir()
    (_complete(tmp_path / "cache/kernels-old", hashes) / "warm.json").unlink()
    new = tmp_path / "cache/kernels-new"
    new.mkdir()
    assert kernels.inherit(new, hashes, tree) == []
    assert list(new.iterdir()) == []


def test_the_newest_generation_is_the_heir(tree: Path, tmp_path: Path) -> None:
    hashes = kernels.module_hashes(tree)
    (tmp_path / "cache").mkdir()
    for age_s, name in ((9, "kernels-a"), (5, "kernels-b"), (7, "kernels-c")):
        os.utime(_complete(tmp_path / "cache" / name, hashes), (1_000 - age_s, 1_000 - age_s))
    new = tmp_path / "cache/kernels-new"
    new.mkdir()
    assert kernels.inherit(new, hashes, tree) == ["engine.book.ladder"]
    assert [path.read_text() for path in new.glob("book_*/*")] == ["kernels-b"]
