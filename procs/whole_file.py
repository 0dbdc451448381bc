"""Output files that are there whole or not at all.

What is written goes beside the file first and takes its place at the end, so that an error, a full disk or
Ctrl-C in the middle leaves what was there before.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from engine.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PARTIAL_SUFFIX: Final = ".partial"


class _NamedFile(io.FileIO):
    """A file whose errors name what the user named: a write that fails knows no file by itself."""

    def __init__(self, path: Path, named: Path) -> None:
        self._named = named
        try:
            super().__init__(path, "wb")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(named)) from error

    def write(self, data: ReadableBuffer, /) -> int:
        """Write ``data``; an OSError names the file."""
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._named)) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes ``path`` when the block ends; when it raises, ``path`` stays as it was.

    A pipe or a device is written as it comes. Every OSError names ``path``.
    """
    target = path.resolve()
    is_stream = target.exists() and not target.is_file()  # a folder refuses to be opened
    written = target if is_stream else target.with_name(target.name + PARTIAL_SUFFIX)
    raw = _NamedFile(written, path)
    try:
        with io.BufferedWriter(raw) as file:
            yield cast(BinaryIO, file)
        if not is_stream:
            written.replace(target)
    except BaseException:
        if not is_stream:
            written.unlink(missing_ok=True)
        raise


def refuse_overwriting(out: Path, inputs: Iterable[Path], what: str) -> None:
    """ConfigError when ``out``, called ``what`` in the message, is one of the files that are read."""
    if out.exists() and any(out.samefile(path) for path in inputs):
        raise ConfigError(f"{out}: the {what} would overwrite what it is made from")
