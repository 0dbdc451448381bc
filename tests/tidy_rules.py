"""The rules of the house that no linter knows: each takes sources, gives findings as ``path:line: what``."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import stdlib_module_names
from typing import cast

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
LINE_CHARS_MAX = 110

FLOORS = ("engine", "shm", "procs", "bench", "tests")
MAY_IMPORT = {
    "engine": {"engine"},
    "shm": {"shm"},
    "procs": {"engine", "shm", "procs"},
    "bench": {"engine", "shm", "procs", "bench"},
    "tests": set(FLOORS),
}
SHM_LIBRARIES = {"numpy", "numba", "llvmlite"}

# engine/ is handed clocks, seeds and file objects; it cannot reach for them
IMPURE_MODULES = {
    *("asyncio", "multiprocessing", "random", "secrets", "select", "selectors", "shutil", "signal", "socket"),
    *("ssl", "subprocess", "tempfile", "threading", "time", "uuid"),
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval"}
VIEWS = {"bytes_at"}  # of memory that lives anyway
IMPURE_METHODS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "os.open", "io.open", "os.environ"),
    *("os.getenv", "os.urandom", "np.random", "numpy.random", "os.getpid"),
}

NAMES_THAT_SAY_NOTHING = {
    "utils",
    "util",
    "helper",
    "helpers",
    "manager",
    "managers",
    "common",
    "misc",
    "base",
}

# Called from outside the sources: by the shell, the kernel cache, the subcommand table.
ENTRY_POINTS = {"main", "warm", "add_arguments", "run"}

# Spelled in halves, for this file is searched too.
_WORDS = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
_HOSTS = "|".join(
    ("py" + r"pi\.org", "python" + r"hosted\.org", r"registry\." + "npmjs", r"deb\." + r"debian\.org")
)
_PLACES = "|".join(
    f"/{name}/" for name in ("wo" + "rk", "fa" + "rm", "ho" + "me/[a-z]+", "Us" + "ers/[a-z]+")
)
UNFINISHED = re.compile(rf"\b(?:{_WORDS})\b")
REGISTRY = re.compile(_HOSTS)
MACHINE_PATH = re.compile(rf"(?<![\w.$}}~-])(?:{_PLACES})")
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf]")


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the top of the tree, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Syntax tree of the file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree: every rule looks through them."""
        return list(ast.walk(self.tree))

    @property
    def floor(self) -> str:
        """First folder of the path."""
        return self.path.split("/")[0]

    @property
    def module(self) -> str:
        """Dotted name of the module."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.AST, what: str) -> str:
        """Finding at a node."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


def tracked_files(root: Path) -> list[str]:
    """Paths git keeps, that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def read_text(path: Path) -> str | None:
    """Text of a file; None when it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def imported_modules(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Yield each dotted name a file may import; ``from a import b`` gives ``a`` and ``a.b``."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node, node.module
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def floor_imports(source: Source) -> Iterator[str]:
    """Nothing imports upwards, and the transport knows no library but its own."""
    for node, name in imported_modules(source):
        top = name.split(".")[0]
        if top in FLOORS and top not in MAY_IMPORT[source.floor]:
            yield source.at(node, f"{source.floor}/ must not import {top}/ ({name})")
        foreign = top not in FLOORS and top not in stdlib_module_names and top not in SHM_LIBRARIES
        if source.floor == "shm" and foreign:
            yield source.at(node, f"shm/ imports numpy, numba and the standard library, not {top}")


def is_agent(source: Source) -> bool:
    """Whether the file defines an agent, which is what a process is made of."""
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef):
            methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            protocol = any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
            if {"on_start", "do_work", "on_close"} <= methods and not protocol:
                return True
    return False


def agents_import_each_other(sources: Sequence[Source]) -> Iterator[str]:
    """Agents speak through rings; one that imports another cannot be moved to a process of its own."""
    agents = [source for source in sources if source.floor == "procs" and is_agent(source)]
    names = {source.module for source in agents}
    for source in agents:
        for node, name in imported_modules(source):
            if name in names and name != source.module:
                yield source.at(node, f"agent module imports agent module {name}")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def impurities(source: Source) -> Iterator[str]:
    """engine/ has no clock, no randomness, no files, no sockets, no threads."""
    if source.floor != "engine":
        return
    for node, name in imported_modules(source):
        if name.split(".")[0] in IMPURE_MODULES:
            yield source.at(node, f"engine/ must not import {name}")
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield source.at(node, f"engine/ must not call {node.func.id}()")
        if isinstance(node, ast.Attribute) and ".".join(_dotted(node).split(".")[-2:]) in IMPURE_METHODS:
            yield source.at(node, f"engine/ must not use {_dotted(node)}")


def prints(source: Source) -> Iterator[str]:
    """Only the command line and the benches print."""
    if source.floor in ("bench", "tests") or source.path.startswith("procs/cli/"):
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield source.at(node, "print outside procs/cli and bench")


def addresses_of_nothing(source: Source) -> Iterator[str]:
    """Whoever takes the address of an array keeps the array: that of a call's result is gone by then."""
    for node in source.nodes:
        owner = None
        if isinstance(node, ast.Call) and _dotted(node.func).endswith("address_of") and node.args:
            owner = node.args[0]
        elif isinstance(node, ast.Attribute) and _dotted(node).endswith(".ctypes.data"):
            owner = cast(ast.Attribute, node.value).value
        if isinstance(owner, ast.Call) and _dotted(owner.func).split(".")[-1] not in VIEWS:
            yield source.at(node, "address of an array that nobody keeps")


def sizes(source: Source) -> Iterator[str]:
    """Ceilings of files, functions and lines."""
    lines = source.text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{source.path}:{len(lines)}: {len(lines)} lines, ceiling {FILE_LINES_MAX}"
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            yield f"{source.path}:{number}: {len(line)} characters, ceiling {LINE_CHARS_MAX}"
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            span = (node.end_lineno or node.lineno) - node.lineno + 1
            if span > FUNCTION_LINES_MAX:
                yield source.at(node, f"{node.name} has {span} lines, ceiling {FUNCTION_LINES_MAX}")


def empty_names(source: Source) -> Iterator[str]:
    """A file is named for what it is about."""
    stem = Path(source.path).stem.removeprefix("test_").strip("_")
    if stem in NAMES_THAT_SAY_NOTHING:
        yield f"{source.path}:1: the name {stem} says nothing"


def forbidden_text(path: str, text: str) -> Iterator[str]:
    """Unfinished business, and words that tie the tree to one machine or one registry."""
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{path}:{number}: unfinished: finish it or open an issue"
        if REGISTRY.search(line):
            yield f"{path}:{number}: names a package registry's host"
        if MACHINE_PATH.search(line):
            yield f"{path}:{number}: names a path of one machine"
        if EMOJI.search(line):
            yield f"{path}:{number}: emoji"


def _only_a_menu(source: Source) -> bool:
    menu = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
    return source.path.endswith("__init__.py") and all(isinstance(node, menu) for node in source.tree.body)


def missing_tests(sources: Sequence[Source]) -> Iterator[str]:
    """Every module of engine/ and shm/ has the test file that mirrors it."""
    paths = {source.path for source in sources}
    for source in sources:
        if source.floor not in ("engine", "shm") or _only_a_menu(source):
            continue
        path = Path(source.path)
        mirrored = f"tests/{path.parent.as_posix()}/test_{path.stem.lstrip('_')}.py"
        if mirrored not in paths:
            yield f"{source.path}:1: has no test file {mirrored}"


@dataclass(frozen=True)
class _Definition:
    source: Source
    name: str
    first: int
    last: int


def _defined_names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return []


def _definitions(source: Source) -> Iterator[_Definition]:
    for node in source.tree.body:
        for name in _defined_names(node):
            if not name.startswith("__") and name != "_":
                yield _Definition(source, name, node.lineno, node.end_lineno or node.lineno)


def _references(source: Source) -> Iterator[tuple[str, int]]:
    for node in source.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield node.name.split(".")[-1], node.lineno


def _exported(source: Source) -> set[str]:
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and _defined_names(node) == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return set()


def dead_code(sources: Iterable[Source]) -> Iterator[str]:
    """Every function, class and constant of a module is used by something that is not a test.

    Works on names: a name used anywhere counts as a use of all that bear it, a private one only in its file.
    """
    alive = [source for source in sources if source.floor != "tests"]
    uses: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for source in alive:
        for name, line in _references(source):
            uses[name].append((source.path, line))
    for source in alive:
        exported = _exported(source) | ENTRY_POINTS
        for found in _definitions(source):
            elsewhere = [
                (path, line)
                for path, line in uses[found.name]
                if not (path == source.path and found.first <= line <= found.last)
                and (path == source.path or not found.name.startswith("_"))
            ]
            if not elsewhere and found.name not in exported and source.floor != "bench":
                yield f"{source.path}:{found.first}: {found.name} is not used"
