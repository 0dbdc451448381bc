"""Entries of the journal, laid by a kernel into a buffer: the same bytes as ``engine.ledger.journal.encode``.

``buffer`` and ``payload`` are bytes as numpy arrays of uint8; ``CRC_TABLE`` is handed in, as all tables are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.ledger.journal import CHECKED_FROM, HEAD_BYTES, JOURNAL_VERSION

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]

_POLYNOMIAL: Final = 0xEDB8_8320  # of CRC-32, as zlib has it
_ALL_ONES: Final = 0xFFFF_FFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


CRC_TABLE: Final[Words] = np.array([_remainder(byte) for byte in range(256)], np.uint32)


@kernel
def _put(buffer: Bytes, at: int, value: int, n_bytes: int) -> int:
    """Write a number, little end first; where it ends."""
    for index in range(n_bytes):
        buffer[at + index] = value >> 8 * index & 0xFF
    return at + n_bytes


@kernel
def _crc32(buffer: Bytes, first: int, end: int, table: Words) -> int:
    crc = np.int64(_ALL_ONES)
    for at in range(first, end):
        crc = np.int64(table[(crc ^ buffer[at]) & 0xFF]) ^ crc >> 8
    return int(crc ^ _ALL_ONES)


@kernel
def lay_entry(
    buffer: Bytes, at: int, sequence: int, kind: int, is_grouped: bool, payload: Bytes, table: Words
) -> int:
    """Write one entry at ``at``; where it ends. The buffer has room for it."""
    n_bytes = len(payload)
    end = at + HEAD_BYTES + n_bytes
    place = _put(buffer, at + CHECKED_FROM, sequence, 8)
    place = _put(buffer, place, kind, 2)
    place = _put(buffer, place, 1 if is_grouped else 0, 2)
    place = _put(buffer, place, JOURNAL_VERSION, 4)
    for index in range(n_bytes):
        buffer[place + index] = payload[index]
    _put(buffer, at, n_bytes, 4)
    _put(buffer, at + 4, _crc32(buffer, at + CHECKED_FROM, end, table), 4)
    return end


def warm() -> None:
    """Compile the kernel."""
    lay_entry(np.zeros(HEAD_BYTES, np.uint8), 0, 0, 0, True, np.zeros(0, np.uint8), CRC_TABLE)
