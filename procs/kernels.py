"""The kernel cache: where compiled kernels are kept, and the one compilation of all of them.

numba's own cache notices that the file of a kernel changed. It does not notice a change in a kernel or a
constant that was taken from another file. So the cache directory is named by a hash of every source that can
end up in compiled code: the files that define kernels and whatever of ours they import, with the versions of
Python, numba, llvmlite and numpy, and the processor. Another hash is another directory; old ones are removed.

``set_cache_dir`` has to come before numba is imported, so this module does not import it. ``warm`` compiles
under a file lock: of several processes that start together one compiles, with as many children as there are
cores, and the others find the result. Kernels that no changed file reaches come from an older directory.
Run as ``python -m procs.kernels`` it warms the cache and says how long that took.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict

from procs.places import PACKAGES_ROOT, cache_root

PACKAGES: Final = ("engine", "shm", "procs", "bench")
COMPILERS: Final = ("llvmlite", "numba", "numpy")

# Their ``warm()`` calls every kernel once, directly or through another, with the types used in production.
# What the others call comes first, what is made of the others last: a kernel that finds what it calls in the
# cache does not compile it again. The groups, longest first, share little: compiled side by side.
WARM_FIRST: Final = ("shm.atomics", "engine.fees")
CODECS: Final = ("engine.venues.kalshi.codec", "engine.venues.polymarket.codec")
RINGS: Final = (
    "shm.barrier",
    "shm.counters",
    "shm.gating",
    "shm.histogram",
    "shm.mirror",
    "shm.sums",
    "shm.ring",
    "shm.table",
    "shm.news",
)
WAITING: Final = ("shm.futex", "shm.doorbell", "shm.waiting")
SEGMENTS: Final = (
    "procs.control_words",
    "procs.health",
    "procs.ladder",
    "engine.execution.own_takes",
    "procs.view",
    "procs.kept_warm",
)
WARM_GROUPS: Final = (
    CODECS,
    ("engine.optimizer.warm",),
    ("engine.book.store",),
    ("engine.strategies.warm",),
    RINGS,
    WAITING,
    (
        "engine.risk.reservations",
        "engine.risk.checks",
        "engine.execution.cost",
        "engine.execution.visible",
        "engine.ledger.entries",
        "engine.execution.lay_out",
        "engine.sim.frame_scan",
        "procs.recording_lines",
    ),
    SEGMENTS,
)
WARM_LAST: Final = (
    ("procs.top_scan", "procs.frame_kernels"),
    ("procs.replay_apply", "procs.check_frames", "procs.plan_post"),
)

# What a process of a running engine calls: all of them the first, the others by their roles.
OF_ALL: Final = (*WARM_FIRST, *RINGS, *WAITING, *SEGMENTS)
OF_ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "feed": (*CODECS, "procs.frame_kernels"),
        "book": ("engine.book.store", "procs.frame_kernels"),
        "strategy": ("engine.strategies.warm", "procs.top_scan"),
        "optimizer": ("engine.optimizer.warm", "procs.plan_post"),
        "executor": (
            "engine.risk.reservations",
            "engine.risk.checks",
            "engine.execution.cost",
            "engine.execution.visible",
            "engine.ledger.entries",
            "engine.execution.lay_out",
        ),
        "ledger": (),
        "venue_sim": ("engine.sim.frame_scan", "engine.book.store"),
    }
)

GENERATIONS_KEPT: Final = 3  # switching between two branches should not compile each time
UNUSED_S_MIN: Final = 3600  # a directory used within the hour may belong to a process that is still running

CPUINFO: Final = Path("/proc/cpuinfo")
_OF_PROCESSOR: Final = ("model name", "flags", "CPU implementer", "CPU part", "Features")
_DIRECTORY_PREFIX: Final = "kernels-"
STAMP: Final = "warm.json"
_LOCK: Final = "lock"

_DEFINES_KERNEL: Final = re.compile(
    r"^[ \t]*@(?:\w+\.)*(?:kernel|inlined|brief|n?jit|intrinsic|overload)\b", re.MULTILINE
)
_KERNEL: Final = re.compile(r"^@(?:kernel|brief)\b.*\n(?:@.*\n)*def[ \t]+(\w+)", re.MULTILINE)
_NAME: Final = r"(?:engine|shm|procs|bench)(?:\.\w+)*"
_FROM_IMPORT: Final = re.compile(
    rf"^[ \t]*from[ \t]+({_NAME})[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE
)
_PLAIN_IMPORT: Final = re.compile(rf"^[ \t]*import[ \t]+({_NAME})", re.MULTILINE)


def _modules(root: Path) -> dict[str, Path]:
    """Dotted name to file, for every module of our packages under ``root``."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(text: str) -> Iterator[str]:
    """Yield the dotted names that ``text`` may import; some name an object in a module and not a module."""
    for source, names in _FROM_IMPORT.findall(text):
        yield source
        for name in re.findall(r"\w+", names):
            yield f"{source}.{name}"
    yield from _PLAIN_IMPORT.findall(text)


@cache
def processor(cpuinfo: Path = CPUINFO) -> str:
    """What compiled code depends on of the processor; empty where the kernel does not say."""
    if not cpuinfo.exists():
        return ""
    with cpuinfo.open(encoding="ascii", errors="replace") as file:
        first = [line for line in takewhile(str.strip, file) if line.startswith(_OF_PROCESSOR)]
    return "".join(first)


class SourceTree:
    """The modules under a root, what each imports of ours, and which define kernels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = _modules(root)
        self.texts = {name: path.read_text(encoding="utf-8") for name, path in self.modules.items()}
        self.with_kernels = [name for name, text in self.texts.items() if _DEFINES_KERNEL.search(text)]
        self._imports: dict[str, list[str]] = {}

    def _imported(self, name: str) -> list[str]:
        if name not in self._imports:
            self._imports[name] = [found for found in _imports(self.texts[name]) if found in self.modules]
        return self._imports[name]

    def reach(self, names: Sequence[str]) -> list[str]:
        """Sorted names of these modules and of all that they import, directly or not."""
        pending = list(names)
        reached: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending.extend(self._imported(name))
        return sorted(reached)

    def hash(self, names: Sequence[str]) -> str:
        """16 hex digits over all that these modules reach and the versions of what compiles it."""
        digest = hashlib.sha256(sys.version.encode())
        digest.update(processor().encode())
        for name in COMPILERS:
            digest.update(f"{name}={version(name)}\n".encode())
        for name in self.reach(names):
            content = self.texts[name].encode()
            path = self.modules[name].relative_to(self.root).as_posix()
            digest.update(f"{path} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()[:16]


def sources_hash(root: Path = PACKAGES_ROOT) -> str:
    """16 hex digits over the kernel sources and the versions of what compiles them."""
    tree = SourceTree(root)
    return tree.hash(tree.with_kernels)


def module_hashes(root: Path = PACKAGES_ROOT) -> dict[str, str]:
    """For each module with kernels the hash of all that can end up in its compiled code."""
    tree = SourceTree(root)
    return {name: tree.hash([name]) for name in tree.with_kernels}


def _remove_stale(parent: Path, current: Path, now_s: float) -> list[Path]:
    """Remove generations that are neither among the newest nor in use lately; answer which."""
    others = [path for path in parent.glob(_DIRECTORY_PREFIX + "*") if path != current and path.is_dir()]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    stale = [path for path in others[GENERATIONS_KEPT - 1 :] if now_s - path.stat().st_mtime > UNUSED_S_MIN]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return stale


def set_cache_dir(root: Path = PACKAGES_ROOT) -> Path:
    """Point numba at the directory of these sources and return it; first called before numba is imported.

    Raises RuntimeError when numba has been imported already: kernels would be cached under a wrong name.
    """
    parent = cache_root(root)
    if "numba" in sys.modules:
        chosen = Path(os.environ.get("NUMBA_CACHE_DIR", os.devnull))
        if chosen.parent != parent or not chosen.name.startswith(_DIRECTORY_PREFIX):
            raise RuntimeError("the kernel cache directory must be set before numba is imported")
        if chosen.is_dir():
            os.utime(chosen)  # in use by one more
        return chosen  # what this process has loaded, even when a source was edited since
    directory = parent / (_DIRECTORY_PREFIX + sources_hash(root))
    directory.mkdir(parents=True, exist_ok=True)
    os.utime(directory)  # in use: the time that _remove_stale goes by
    os.environ["NUMBA_CACHE_DIR"] = str(directory)
    _remove_stale(parent, directory, time.time())
    return directory


def cold_kernels(directory: Path, root: Path = PACKAGES_ROOT) -> list[str]:
    """Dotted names of the kernels under ``root`` of which ``directory`` holds no compiled version, sorted."""
    return sorted(
        f"{name}.{kernel}"
        for name, path in _modules(root).items()
        if not name.startswith("bench.")  # a bench compiles its own peers before it measures them
        for kernel in _KERNEL.findall(path.read_text(encoding="utf-8"))
        # numba's own naming: FOLDER_<hash of its path>/MODULE.FUNCTION-LINE.pyXY.nbi
        if not any(directory.glob(f"{path.parent.name}_*/{path.stem}.{kernel}-*.nbi"))
    )


class _Stamp(TypedDict, total=False):
    """What ``warm`` writes last."""

    modules: list[str]  # whose warm() ran
    cold: list[str]  # kernels that none of them reached
    hashes: dict[str, str]  # as module_hashes


def _read_stamp(stamp: Path) -> _Stamp:
    content: _Stamp = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else {}
    return content


def inherit(directory: Path, hashes: Mapping[str, str], root: Path = PACKAGES_ROOT) -> list[str]:
    """Take over from other complete generations what no change reached; answer the modules, sorted.

    numba itself refuses a file whose source has another time stamp, so nothing foreign is ever loaded.
    """
    modules = _modules(root)
    others = [path for path in directory.parent.glob(_DIRECTORY_PREFIX + "*") if path != directory]
    taken: set[str] = set()
    for other in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        known = _read_stamp(other / STAMP).get("hashes", {})
        for name in sorted(hashes.keys() - taken):
            if known.get(name) != hashes[name]:
                continue
            path = modules[name]
            for compiled in other.glob(f"{path.parent.name}_*/{path.stem}.*"):
                target = directory / compiled.parent.name / compiled.name
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(compiled, target)
            taken.add(name)
    return sorted(taken)


def _warm_modules(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name).warm()
        gc.collect()


def _warm_group(names: Sequence[str]) -> None:
    gc.disable()  # looking through the compiler's graphs for garbage is a tenth of its time
    _warm_modules(names)


def _warm_groups(groups: Sequence[Sequence[str]]) -> None:
    """Warm each group in a process of its own, as many at a time as there are cores."""
    if not groups:
        return
    cores = len(os.sched_getaffinity(0))
    forked = multiprocessing.get_context("fork")  # with what WARM_FIRST has loaded
    pool = ProcessPoolExecutor(min(cores, len(groups)), forked)
    try:
        for done in [pool.submit(_warm_group, group) for group in groups]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # interrupted, or one failed: do not begin the others


def warm(
    first: Sequence[str] = WARM_FIRST,
    groups: Sequence[Sequence[str]] = WARM_GROUPS,
    last: Sequence[Sequence[str]] = WARM_LAST,
) -> bool:
    """Compile every kernel unless that has been done; True when this call did it.

    Needs ``set_cache_dir`` first. Blocks while another process compiles. The stamp is written last, so that a
    compilation that was interrupted is taken up again by the next call; it names the kernels that no
    ``warm()`` reached, which would be compiled in the middle of trading.
    """
    directory = Path(os.environ["NUMBA_CACHE_DIR"])
    stamp = directory / STAMP
    modules = [*first, *(name for group in (*groups, *last) for name in group)]
    with (directory / _LOCK).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _read_stamp(stamp).get("modules") == modules:
            return False
        hashes = module_hashes()
        inherit(directory, hashes)
        _warm_modules(first)
        _warm_groups(groups)
        _warm_groups(last)
        complete = _Stamp(modules=modules, cold=cold_kernels(directory), hashes=hashes)
        partial = stamp.with_suffix(".partial")
        partial.write_text(json.dumps(complete), encoding="utf-8")
        partial.replace(stamp)
    return True


def load(roles: Iterable[str]) -> None:
    """Load what a process of these roles calls, from the cache that ``warm`` has filled.

    The first call of a kernel reads its compiled code from a file, 3 to 50 ms each: the first opportunity of
    its kind would come to nothing. Where nothing has been compiled nothing is done.
    """
    is_plain = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    if is_plain or not (Path(os.environ["NUMBA_CACHE_DIR"]) / STAMP).exists():
        return
    for name in dict.fromkeys((*OF_ALL, *(name for role in roles for name in OF_ROLES[role]))):
        importlib.import_module(name).warm()


def never_warmed() -> list[str]:
    """Kernels that the last ``warm`` of this cache directory left to be compiled at their first call."""
    return _read_stamp(Path(os.environ["NUMBA_CACHE_DIR"]) / STAMP).get("cold", [])


def main() -> int:
    """Warm the cache and say on stderr what was done."""
    directory = set_cache_dir()
    began_s = time.monotonic()
    if not (directory / STAMP).exists():
        sys.stderr.write("compiling the kernels, once after a change of the sources: some minutes\n")
    compiled = warm()
    spent_s = time.monotonic() - began_s
    said = f"kernels compiled in {spent_s:.1f} s" if compiled else "kernels are compiled"
    sys.stderr.write(f"{said}: {directory}\n")
    cold = never_warmed()
    if cold:
        sys.stderr.write(
            f"{len(cold)} kernels have no warm-up and wait for their first call, like {cold[0]}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
