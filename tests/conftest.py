"""What every test shares: the kernel cache, one hypothesis profile, recorded data, plain twins of kernels."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from procs import kernels

kernels.set_cache_dir()  # before anything imports numba

from tests.plain_twin import PlainTwin, kernels_are_plain  # noqa: E402

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")

# Looked through every 700 new objects, as Python does by itself, what numba and pytest keep takes a twelfth
# of the time of all tests.
gc.set_threshold(20_000, 20, 50)

# Two busy cores make wall clock limits a matter of luck, so no test has one.
_UNTIMED = [HealthCheck.too_slow]
# In `make test` properties are looked at briefly and always alike; `make fuzz` goes deep. Plain kernels are a
# hundred times slower, and a mutant is given more chances to be noticed than the tree.
for _name, _compiled, _plain in (("suite", 35, 10), ("mutate", 50, 30)):
    settings.register_profile(
        _name,
        derandomize=True,
        deadline=None,
        print_blob=True,
        max_examples=_plain if kernels_are_plain() else _compiled,
        database=None,
        suppress_health_check=_UNTIMED,
    )
settings.register_profile(
    "fuzz", deadline=None, print_blob=True, max_examples=5000, database=None, suppress_health_check=_UNTIMED
)
settings.load_profile(os.environ.get("PR3DICT_HYPOTHESIS_PROFILE", "suite"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what a run depends on besides the sources."""
    seed = config.getoption("--hypothesis-seed", default=None)
    profile = settings.get_current_profile_name()
    by = "derandomized: each test's seed is a hash of the test" if seed is None else f"seed {seed}"
    if seed is None and profile == "fuzz":
        by = "random seed; a failure prints the blob that reproduces it"
    mode = "plain Python (NUMBA_DISABLE_JIT)" if kernels_are_plain() else os.environ["NUMBA_CACHE_DIR"]
    return [f"kernels: {mode}", f"hypothesis profile {profile}, {by}"]


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark and skip what cannot run here."""
    plain = pytest.mark.skip(reason="means nothing when kernels run as plain Python")
    compiled = pytest.mark.skip(reason="runs plain twins of kernels: once, in the plain half, is enough")
    absent = pytest.mark.skip(reason="../shared/data is absent")
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")
        if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
            item.add_marker(absent)
        if item.get_closest_marker("compiled_only") and kernels_are_plain():
            item.add_marker(plain)
        if item.get_closest_marker("plain_only") and not kernels_are_plain():
            item.add_marker(compiled)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the tests that need recorded data, so that their absence is never taken for success."""
    reports = [report for outcome in OUTCOMES for report in terminalreporter.stats.get(outcome, [])]
    needing = {report.nodeid for report in reports if "shared_data" in getattr(report, "keywords", {})}
    left = sum("shared_data" in item.keywords for item in terminalreporter.stats.get("deselected", []))
    said = "run" if SHARED_DATA.is_dir() else "NOT run (../shared/data is absent)"
    terminalreporter.write_line(
        f"{len(needing)} tests needing shared data: {said}; {left} more are not selected here", bold=True
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recorded market data; read-only."""
    return SHARED_DATA


@pytest.fixture(scope="session")
def plain_twin() -> PlainTwin:
    """Callable from a module's dotted name to a copy of it whose kernels are plain Python."""
    return PlainTwin()
