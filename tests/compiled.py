"""What has been compiled in this process so far."""

from __future__ import annotations

import sys


def signatures(package: str) -> dict[str, int]:
    """Number of compiled signatures of every kernel of a package, by its name; none for plain ones."""
    found: dict[str, int] = {}
    for name, module in list(sys.modules.items()):
        if name.startswith(package):
            for attribute, value in vars(module).items():
                if hasattr(value, "nopython_signatures"):
                    found[f"{name}.{attribute}"] = len(value.nopython_signatures)
    return found
