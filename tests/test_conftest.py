"""The test set-up itself: what is skipped aloud, and that plain twins are plain all the way down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import units
from tests.plain_twin import PlainTwin

ROOT = Path(__file__).resolve().parent.parent

SAMPLE = """
import pytest

@pytest.mark.shared_data
def test_marked(shared_data): assert shared_data.is_dir()

def test_by_fixture(shared_data): assert shared_data.is_dir()

@pytest.mark.compiled_only
def test_compiled(): assert True
"""


def _run_sample(tmp_path: Path, with_data: bool, plain: bool) -> str:
    """Run SAMPLE under a copy of our conftest in a tree of its own and answer what pytest printed."""
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir(parents=True)
    for name in ("__init__.py", "conftest.py", "plain_twin.py"):
        (tests / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tests / "test_sample.py").write_text(SAMPLE)
    (tests.parent / "pytest.ini").write_text("[pytest]\nmarkers =\n shared_data: a\n compiled_only: b\n")
    if with_data:
        (tmp_path / "shared" / "data").mkdir(parents=True)
    environment = dict(os.environ, PYTHONPATH=f"{tests.parent}:{ROOT}", NUMBA_DISABLE_JIT=str(int(plain)))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests"]
    done = subprocess.run(
        command, cwd=tests.parent, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_absent_data_is_counted_aloud(tmp_path: Path) -> None:
    said = _run_sample(tmp_path, with_data=False, plain=False)
    assert "2 tests needing shared data: NOT run (../shared/data is absent)" in said
    assert "1 passed, 2 skipped" in said


@pytest.mark.soak
def test_present_data_is_used(tmp_path: Path) -> None:
    said = _run_sample(tmp_path, with_data=True, plain=False)
    assert "2 tests needing shared data: run; 0 more are not selected here" in said
    assert "3 passed" in said


@pytest.mark.soak  # `make test` has a plain half
def test_plain_run_skips_what_needs_the_compiler(tmp_path: Path) -> None:
    said = _run_sample(tmp_path, with_data=True, plain=True)
    assert "means nothing when kernels run as plain Python" in said
    assert "2 passed, 1 skipped" in said


@pytest.mark.compiled_only
def test_twin_is_plain_all_the_way_down(plain_twin: PlainTwin) -> None:
    twin = plain_twin("engine.units")
    assert hasattr(units.muldiv_floor, "py_func")
    assert not hasattr(twin.muldiv_floor, "py_func")
    assert not hasattr(twin.muldiv_floor.__globals__["_muldiv"], "py_func")


def test_twin_leaves_the_original_in_place(plain_twin: PlainTwin) -> None:
    plain_twin("engine.units")
    assert sys.modules["engine.units"] is units


def test_twins_of_one_fixture_know_each_other(plain_twin: PlainTwin) -> None:
    assert plain_twin("engine.errors").Reason is plain_twin("engine.reasons").Reason


def test_hypothesis_is_derandomized(request: pytest.FixtureRequest) -> None:
    from hypothesis import settings

    if settings.get_current_profile_name() == "suite":
        assert settings().derandomize
    assert settings().deadline is None
