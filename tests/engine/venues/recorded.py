"""Reading the recorded files, for tests that have them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import zstandard


def lines(path: Path) -> Iterator[bytes]:
    """Lines of a zstandard file, without their ends."""
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        for line in io.BufferedReader(stream):
            yield line.rstrip(b"\n")
