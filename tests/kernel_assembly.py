"""The assembly of kernels, also of those that came from the kernel cache, function by function.

numba shows no assembly of what it took from its cache, but the cache holds the optimised module beside the
object code; it is turned into text once more, by the same target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import llvmlite.binding as llvm

WRAPPERS = ("_ZN7cpython", "cfunc.")  # how Python comes in, not what a kernel does
LABEL = re.compile(r"^([A-Za-z_][\w$.]*):")
TYPE = re.compile(r"^\s*\.type\s+([\w$.]+),@function")
CALL = re.compile(r"^\s*(?:callq?|jmp)\s+\*?([A-Za-z_][\w$.]*)(?:@PLT)?")
ADDRESS = re.compile(r"^\s*movabsq\s+\$([A-Za-z_][\w$.]*),")
LOCKED = re.compile(r"^\s*lock\b|^\s*xchg[a-z]*\s.*\(")
OWN = re.compile(r"^(?:_ZN|\.L)")  # other compiled functions of ours, and labels


class Function(NamedTuple):
    """A compiled function: what it calls outside of compiled code, and its locked instructions."""

    name: str
    outside: frozenset[str]
    locked: tuple[str, ...]


def assembly(kernel: Any) -> list[str]:
    """Text of every version of a kernel that this process has compiled or loaded."""
    texts = []
    for compiled in kernel.overloads.values():
        library = compiled.library
        module = llvm.parse_bitcode(library._get_module_for_linking().as_bitcode())
        texts.append(library.codegen._tm.emit_assembly(module))
    return texts


def functions(text: str) -> Iterator[Function]:
    """Every function of an assembly text but the wrappers."""
    known = set(TYPE.findall(text)) | {match for line in text.splitlines() for match in TYPE.findall(line)}
    name, body = "", list[str]()
    for line in [*text.splitlines(), "end_of_text:"]:
        label = LABEL.match(line)
        if label is not None and (label[1] in known or label[1] == "end_of_text"):
            if name and not name.startswith(WRAPPERS):
                yield _function(name, body, known)
            name, body = label[1], []
        body.append(line)


def _function(name: str, body: list[str], known: set[str]) -> Function:
    referred = [found[1] for line in body for found in (CALL.match(line), ADDRESS.match(line)) if found]
    outside = frozenset(one for one in referred if one not in known and not OWN.match(one))
    return Function(name, outside, tuple(line.strip() for line in body if LOCKED.match(line)))
