"""Break engine/ and shm/ on purpose, one mistake at a time, and see whether the tests notice.

``python -m tests.mutation.run --count 60 --seed 1`` draws mutants evenly over the kinds of mistake and over
the sources, makes each in a copy of the tree, and runs the tests that mirror the broken module, then those
beside them, with kernels as plain Python; where plain Python leaves out what production runs
(``COMPILED_TOO``), the mirroring tests run compiled as well. Exit 1 when fewer than ``--floor`` percent are
noticed, 2 when the tests fail without any mistake.

A mutant that does not come to an end within its time has been noticed, and is told apart; its time is of the
processor, so that a machine busy with something else does not feign it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.mutation.operators import KINDS, Mutant, find_edits, find_originals, make_mutant
from tests.tidy_rules import tracked_files

ROOT = Path(__file__).resolve().parent.parent.parent
EQUIVALENT = Path(__file__).parent / "equivalent.toml"

MUTATED = ("engine/", "shm/")
COMPILED_TOO = {"shm/atomics.py"}  # one side of each choice between compiled and plain
WARM = "warm"  # modules that only call kernels for the compiler's sake, as functions of that name do
COPIED_BYTES_MAX = 16 << 20
SELECTED = "not shared_data and not soak"
SELECTED_PLAIN = f"{SELECTED} and not compiled_only"
TIMES_SLOWER_MAX = 4
CPU_S_MIN = 60.0
UNBROKEN_CPU_S_MAX = 1800.0  # for the tests of one folder without any mistake
WAITING_TIMES_MAX = 10  # of its processor time may a run take by the clock; then it waits for nothing

Seconds = dict[str, float]  # by test file, without any mistake

PYTEST_OK = 0
PYTEST_NO_TESTS = 5


@dataclass(frozen=True)
class Site:
    """One edit of one file, not made yet."""

    path: str
    kind: str
    line: int
    index: int


class Outcome(Enum):
    """How a run of tests ended."""

    PASSED = "SURVIVED"
    FAILED = "killed"
    ENDLESS = "endless"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: ``by`` names the tests that noticed, and is empty for a survivor."""

    site: Site
    mutant: Mutant
    by: str
    outcome: Outcome

    @property
    def line(self) -> str:
        """One line for a person."""
        what = f"{self.mutant.before} -> {self.mutant.after}".replace("\n", " ")
        return f"{self.site.path}:{self.site.line}: {self.site.kind}: {what}"


def offers(module: str, name: str) -> bool:
    """Whether one of our modules has ``name``."""
    path = ROOT / (module.replace(".", "/") + ".py")
    return path.is_file() and re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) is not None


def mirrored_tests(path: str, root: Path = ROOT) -> list[tuple[str, ...]]:
    """What to run for a source, in this order: the files that mirror it, then the others of that folder."""
    folder = root / "tests" / Path(path).parent
    stem = Path(path).stem.lstrip("_")
    mirrored = sorted({*folder.glob(f"test_{stem}.py"), *folder.glob(f"test_{stem}_*.py")})
    others = sorted(set(folder.glob("test_*.py")) - set(mirrored))
    groups = [
        tuple(found.relative_to(root).as_posix() for found in group) for group in (mirrored, others) if group
    ]
    return groups if mirrored else []


def load_equivalent(path: Path = EQUIVALENT) -> set[tuple[str, str, str]]:
    """Known equivalent mutants as (path, before, after)."""
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    assert all(row["why"] for row in rows), "an equivalent mutant without its reason"
    return {(row["path"], row["before"], row["after"]) for row in rows}


def find_sites(paths: Iterable[str], root: Path = ROOT) -> list[Site]:
    """Every edit of the given sources."""
    return [
        Site(path, kind, line, index)
        for path in paths
        for index, (kind, line) in enumerate(find_edits((root / path).read_text(encoding="utf-8"), offers))
    ]


def draw(sites: Sequence[Site], count: int, seed: int) -> list[Site]:
    """Take ``count`` sites by chance: kinds in turn, files in turn within a kind, so that none crowds in."""
    chance = random.Random(seed)
    by_kind: dict[str, list[Site]] = {}
    for kind in KINDS:
        of_kind = [site for site in sites if site.kind == kind]
        chance.shuffle(of_kind)
        met: dict[str, int] = {}
        rank: dict[Site, int] = {}
        for site in of_kind:
            rank[site] = met[site.path] = met.get(site.path, -1) + 1
        by_kind[kind] = sorted(of_kind, key=rank.__getitem__)
    drawn: list[Site] = []
    while len(drawn) < count and any(by_kind.values()):
        for kind in KINDS:
            if by_kind[kind] and len(drawn) < count:
                drawn.append(by_kind[kind].pop(0))
    return drawn


class Workplace:
    """A copy of the tree in which one mutant at a time is tried."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self._tree = folder / "checkout"
        for name in tracked_files(root):
            if (root / name).stat().st_size <= COPIED_BYTES_MAX:
                (self._tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, self._tree / name)
        self._environment = {
            **os.environ,
            "PR3DICT_CACHE_DIR": str(folder / "cache"),
            "PR3DICT_HYPOTHESIS_PROFILE": "mutate",
            "PYTHONDONTWRITEBYTECODE": "1",  # two mutants of one size and second would share their byte code
            "PYTHONPATH": str(self._tree),
        }

    def run(self, tests: Sequence[str], cpu_s: float, *options: str, plain: bool = True) -> Outcome:
        """Run tests until the first that fails, or the time is over."""
        command = [
            "sh",
            "-c",
            f'ulimit -t {int(cpu_s)}; exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            SELECTED_PLAIN if plain else SELECTED,
            *options,
            *tests,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self._tree,
                env={**self._environment, "NUMBA_DISABLE_JIT": str(int(plain))},
                timeout=WAITING_TIMES_MAX * cpu_s,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome.ENDLESS
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return Outcome.ENDLESS
        return Outcome.PASSED if done.returncode in (PYTEST_OK, PYTEST_NO_TESTS) else Outcome.FAILED

    def measure(self, tests: Sequence[str]) -> Seconds:
        """Seconds that each test file takes as it is; empty when one fails or they take too long."""
        written = self._tree / "measured.xml"
        if self.run(tests, UNBROKEN_CPU_S_MAX, f"--junitxml={written}") is not Outcome.PASSED:
            return {}
        seconds = dict.fromkeys(tests, 0.0)
        for case in ET.parse(written).iter("testcase"):
            module = re.match(r"(?:\w+\.)*test_\w+", case.attrib["classname"])  # a class may follow
            if module is not None:
                seconds[module.group().replace(".", "/") + ".py"] += float(case.attrib["time"])
        return seconds

    def try_mutant(self, site: Site, seconds: Seconds) -> Verdict:
        """Make the mutant, run its tests until some notice, and put the original back."""
        path = self._tree / site.path
        original = path.read_text(encoding="utf-8")
        mutant = make_mutant(original, site.index, offers)
        path.write_text(mutant.source, encoding="utf-8")
        try:
            groups = mirrored_tests(site.path)
            runs = [(tests, True) for tests in groups]
            if site.path in COMPILED_TOO:
                runs.insert(1, (groups[0], False))
            for tests, plain in runs:
                outcome = self.run(tests, limit_cpu_s(tests, seconds), plain=plain)
                if outcome is not Outcome.PASSED:
                    return Verdict(site, mutant, tests[0], outcome)
        finally:
            path.write_text(original, encoding="utf-8")
        return Verdict(site, mutant, "", Outcome.PASSED)


def limit_cpu_s(tests: Iterable[str], seconds: Seconds) -> float:
    """How long tests may compute with a mutant, from what they take without."""
    return max(CPU_S_MIN, TIMES_SLOWER_MAX * sum(seconds[test] for test in tests))


def measure_all(workplaces: queue.SimpleQueue[Workplace], sites: Sequence[Site], workers: int) -> Seconds:
    """Seconds of every test file that some mutant of ``sites`` may meet; empty if one fails.

    A folder at a time: the files that mirror a source and the others of their folder are all there is.
    """
    folders = sorted(
        {tuple(sorted(itertools.chain.from_iterable(mirrored_tests(site.path)))) for site in sites}
    )

    def measure(tests: tuple[str, ...]) -> Seconds:
        place = workplaces.get()
        try:
            measured = place.measure(tests)
        finally:
            workplaces.put(place)
        if not measured:
            sys.stdout.write(f"without a mutant these fail, or do not end: {' '.join(tests)}\n")
        return measured

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(measure, folders))
    return {test: spent for measured in found for test, spent in measured.items()} if all(found) else {}


def try_all(
    workplaces: queue.SimpleQueue[Workplace], sites: Sequence[Site], seconds: Seconds, workers: int
) -> list[Verdict]:
    """Verdicts in the order of ``sites``."""

    def attempt(site: Site) -> Verdict:
        place = workplaces.get()
        try:
            verdict = place.try_mutant(site, seconds)
        finally:
            workplaces.put(place)
        sys.stdout.write(f"{verdict.outcome.value:<8} {verdict.line}\n")
        sys.stdout.flush()
        return verdict

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(attempt, sites))


def report(verdicts: Sequence[Verdict], floor_percent: float) -> int:
    """Write the rate by kind and the survivors; 0 when enough were noticed."""
    for kind in KINDS:
        of_kind = [verdict for verdict in verdicts if verdict.site.kind == kind]
        if of_kind:
            sys.stdout.write(
                f"{kind:<11} {sum(bool(v.by) for v in of_kind):>3} of {len(of_kind):>3} killed\n"
            )
    survivors = [verdict for verdict in verdicts if not verdict.by]
    rate = 100.0 * (len(verdicts) - len(survivors)) / max(1, len(verdicts))
    endless = sum(verdict.outcome is Outcome.ENDLESS for verdict in verdicts)
    sys.stdout.write("".join(f"survived: {verdict.line}\n" for verdict in survivors))
    killed = f"{rate:.1f} % killed ({endless} by never ending)"
    sys.stdout.write(f"{len(verdicts)} mutants, {killed}, floor {floor_percent:g} %\n")
    return int(not verdicts or rate < floor_percent)


def drop_equivalent(sites: Sequence[Site], known: set[tuple[str, str, str]], root: Path = ROOT) -> list[Site]:
    """Sites whose mutants are not known to behave as the original does."""
    texts = {path: (root / path).read_text(encoding="utf-8") for path, _, _ in known}
    originals = {path: find_originals(text, offers) for path, text in texts.items()}
    suspects = {(path, before) for path, before, _ in known}

    def is_known(site: Site) -> bool:
        if site.path not in texts or (site.path, originals[site.path][site.index]) not in suspects:
            return False
        mutant = make_mutant(texts[site.path], site.index, offers)
        return (site.path, mutant.before, mutant.after) in known

    return [site for site in sites if not is_known(site)]


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, try, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other mutants")
    parser.add_argument("--floor", type=float, default=90.0, help="percent that must be noticed")
    parser.add_argument("--workers", type=int, default=2, help="mutants tried at the same time")
    parser.add_argument("--only", default="", help="sources whose path begins with this")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of mistake")
    args = parser.parse_args(argv)
    names = [name for name in tracked_files(ROOT) if name.startswith(MUTATED) and name.endswith(".py")]
    sources = [name for name in names if Path(name).stem != WARM]
    tested = [name for name in sources if name.startswith(args.only) and mirrored_tests(name)]
    known = drop_equivalent(find_sites(tested), load_equivalent())
    sites = draw([site for site in known if site.kind in args.kinds], args.count, args.seed)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workplaces: queue.SimpleQueue[Workplace] = queue.SimpleQueue()
        for number in range(args.workers):
            workplaces.put(Workplace(Path(folder) / str(number)))
        began_s = time.monotonic()
        seconds = measure_all(workplaces, sites, args.workers)
        if sites and not seconds:
            return 2
        sys.stdout.write(f"{len(seconds)} test files pass unbroken in {time.monotonic() - began_s:.0f} s\n")
        sys.stdout.flush()
        return report(try_all(workplaces, sites, seconds, args.workers), args.floor)


if __name__ == "__main__":
    sys.exit(main())
