"""Which sources this process runs: processes of two builds never share an engine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from procs.kernels import PACKAGES
from procs.places import PACKAGES_ROOT


def build_id(root: Path = PACKAGES_ROOT) -> str:
    """16 hex digits over every source of ours: name and content."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]
