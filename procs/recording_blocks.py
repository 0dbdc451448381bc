"""zstd files as a stream of decompressed blocks: bounded memory, and damage said in one line.

What is handed out is whole: a zstd frame is verified before any of it leaves, unless it is larger than
HELD_BYTES_MAX (a foreign file in one frame), whose parts leave as they are decoded. The readable beginning
of a truncated file is handed out, then the error is raised. Of a frame that turns out to be corrupt nothing
more is handed out. The frames behind it can be found again by the bytes that each begins with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import zstandard

from engine.errors import RecordingDamaged, RecordingFormat

MAGIC: Final = b"\x28\xb5\x2f\xfd"
WINDOW_BYTES_MAX: Final = 1 << 27
HELD_BYTES_MAX: Final = 16 << 20
READ_BYTES: Final = 4096  # small: what one call can expand to is bounded by what it is given
SEARCHED_BYTES: Final = 1 << 20


class Truncated(RecordingDamaged):
    """A file that ends early, such as the end of its writer leaves; everything before is whole.

    ``beginning``: what could be read of the block that it ends in.
    """

    def __init__(self, name: str, beginning: bytes) -> None:
        super().__init__(f"{name}: truncated: the file ends inside a compressed block")
        self.beginning = beginning


class _Input:
    """Compressed bytes in slices; ``taken`` counts those handed out."""

    def __init__(self, file: BinaryIO, first: bytes) -> None:
        self._file = file
        self._rest = first

    def take(self) -> bytes:
        """Next slice; empty at the end of the file."""
        slice_, self._rest = self._rest[:READ_BYTES], self._rest[READ_BYTES:]
        return slice_ or self._file.read(READ_BYTES)

    def put_back(self, rest: bytes) -> None:
        """Return what the end of a zstd frame left over."""
        self._rest = rest + self._rest

    def position(self) -> int:
        """Place in the file of the next byte."""
        return self._file.tell() - len(self._rest)

    def find_frame(self, start: int) -> bool:
        """Go to the first place from ``start`` on where a zstd frame may begin; False when there is none."""
        self._file.seek(start)
        self._rest = b""
        while searched := self._file.read(SEARCHED_BYTES):
            self._rest += searched
            at = self._rest.find(MAGIC)
            if at >= 0:
                self._rest = self._rest[at:]
                return True
            self._rest = self._rest[1 - len(MAGIC) :]
        return False


def read_blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the decompressed content of ``file`` in order; ``name`` is used in messages.

    Raises RecordingFormat when the file is not zstd, RecordingDamaged where it is empty, ends early or is
    corrupt, after everything before that has been yielded.
    """
    for block in whole_blocks(file, name):
        if isinstance(block, RecordingDamaged):
            raise block
        yield block


def whole_blocks(file: BinaryIO, name: str) -> Iterator[bytes | RecordingDamaged]:
    """The same, with the damage itself in place of what is corrupt, and with what follows that."""
    magic = file.read(len(MAGIC))
    if not magic:
        raise RecordingDamaged(f"{name}: empty file")
    if magic != MAGIC[: len(magic)]:
        raise RecordingFormat(f"{name}: not a zstd file")
    source = _Input(file, magic)
    while True:
        first = source.take()
        if not first:
            return
        source.put_back(first)
        begin = source.position()
        try:
            yield from _read_frame(source, name)
        except Truncated as error:
            if not _find_whole(source, begin + 1, name):
                yield error.beginning
                raise
            yield RecordingDamaged(f"{name}: corrupt compressed data (a block without an end)")
        except RecordingDamaged as error:
            yield error
            if not source.find_frame(begin + 1):
                return


def _find_whole(source: _Input, start: int, name: str) -> bool:
    """Go to the first zstd frame from ``start`` on that is whole; False when there is none."""
    while source.find_frame(start):
        start = source.position()
        try:
            for _ in _read_frame(source, name):
                pass
        except RecordingDamaged:
            start += 1
        else:
            return source.find_frame(start)
    return False


def _read_frame(source: _Input, name: str) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompressobj()
    parts: list[bytes] = []
    held = 0
    while not decoder.eof:
        slice_ = source.take()
        if not slice_:
            raise Truncated(name, b"".join(parts))
        try:
            parts.append(decoder.decompress(slice_))
        except zstandard.ZstdError as error:
            raise RecordingDamaged(f"{name}: corrupt compressed data ({error})") from error
        held += len(parts[-1])
        if held >= HELD_BYTES_MAX:
            yield b"".join(parts)
            parts, held = [], 0
    source.put_back(decoder.unused_data)
    yield b"".join(parts)
