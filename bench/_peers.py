"""Peers are optional: what is not installed is named, and the measurement goes on without it.

``requirements-bench.lock`` pins those that can be installed beside the engine.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from bench._result import Result


def peer(result: Result, module: str, package: str = "") -> ModuleType | None:
    """Import a peer; None when it is not installed, which the result then says."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        why = "not installed" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        result.missing[package or module] = why
        return None


def named(package: str, label: str = "") -> str:
    """Name of a peer in a table, with its version."""
    try:
        return f"{label or package} {version(package)}"
    except PackageNotFoundError:
        return label or package
