"""Kernels that Python calls and ``kernels.load`` has not loaded: ``python -m tests.procs.called_kernels``.

Read from the sources: a kernel is called by Python where a function that is none names it (one in a table of
kernels is not seen). A process that has loaded the kernels of every role has a version of each; those that it
lacks are printed, as JSON.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Iterator, Mapping

from procs import kernels
from procs.places import PACKAGES_ROOT

kernels.set_cache_dir()  # before numba is imported

DECORATORS = {"kernel", "inlined", "brief"}
OFFLINE = {"procs.check", "procs.recording_reader", "procs.replay"}  # what reads recordings
OF_ENGINES = ("engine", "shm", "procs")

Kernel = tuple[str, str]  # module, name


def _is_kernel(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(one, ast.Name) and one.id in DECORATORS for one in node.decorator_list
    )


def _defined(trees: Mapping[str, ast.Module]) -> set[Kernel]:
    """Every kernel of these modules."""
    return {
        (module, node.name)
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and _is_kernel(node)
    }


def _names(module: str, tree: ast.Module, defined: set[Kernel]) -> dict[str, Kernel]:
    """Kernels by what they are called in a module: ``name``, or ``module.name``."""
    found = {name: (home, name) for home, name in defined if home == module}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for given in node.names:
                called, whole = given.asname or given.name, f"{node.module}.{given.name}"
                if (node.module, given.name) in defined:
                    found[called] = node.module, given.name
                found |= {f"{called}.{name}": (home, name) for home, name in defined if home == whole}
    return found


def _named(node: ast.AST, *, in_function: bool) -> Iterator[str]:
    """What functions that are no kernels, and no warm-ups, name below a node."""
    for below in ast.iter_child_nodes(node):
        is_function = isinstance(below, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function and (_is_kernel(below) or getattr(below, "name", "") == "warm"):
            continue
        if in_function and isinstance(below, ast.Name):
            yield below.id
        if in_function and isinstance(below, ast.Attribute) and isinstance(below.value, ast.Name):
            yield f"{below.value.id}.{below.attr}"
        yield from _named(below, in_function=in_function or is_function)


def called_by_python() -> set[Kernel]:
    """Kernels that a running engine calls from Python."""
    sources = kernels.SourceTree(PACKAGES_ROOT).texts
    trees = {name: ast.parse(text) for name, text in sources.items() if name.split(".")[0] in OF_ENGINES}
    defined = _defined(trees)
    found = set()
    for module, tree in trees.items():
        if module not in OFFLINE:
            names = _names(module, tree, defined)
            found |= {names[name] for name in _named(tree, in_function=False) if name in names}
    return found


def main() -> int:
    """Load what all roles need; say what else is called."""
    kernels.load(kernels.OF_ROLES)
    called = sorted(called_by_python())
    late = [(module, name) for module, name in called if not _versions(module, name)]
    print(json.dumps({"called": len(called), "late": [f"{module}.{name}" for module, name in late]}))
    return 0


def _versions(module: str, name: str) -> int:
    return len(getattr(importlib.import_module(module), name).overloads)


if __name__ == "__main__":
    sys.exit(main())
