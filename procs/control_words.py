"""Words in shared memory that steer every process of an engine: halted, paused, stopping.

Any process of the operator may set them, so each is one word that changes by compare-exchange and says in
itself what, who and when::

    | 23 bits seconds after the segment was made | 22 bits pid | 8 bits count | 10 bits code |

Code 0 is "not set". The count rises with each change, also when the word is set while it is set: whoever
clears it clears what was read, and never what was set meanwhile. A stage asks with one compiled call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

import numpy as np

from shm.atomics import address_of, compare_exchange, load_acquire, read_word, store_release
from shm.jit import kernel
from shm.layout import HOT_BYTES, SegmentKind, layout_hash
from shm.segment import Segment

SEGMENT_NAME: Final = "control"
NS_PER_S: Final = 1_000_000_000

CODE_BITS: Final = 10
COUNT_BITS: Final = 8
PID_BITS: Final = 22  # Linux's own ceiling
SECONDS_BITS: Final = 23  # 97 days, then it stays there
COUNT_SHIFT: Final = CODE_BITS
PID_SHIFT: Final = COUNT_SHIFT + COUNT_BITS
SECONDS_SHIFT: Final = PID_SHIFT + PID_BITS
CODE_MASK: Final = (1 << CODE_BITS) - 1
COUNT_MASK: Final = (1 << COUNT_BITS) - 1
SECONDS_MAX: Final = (1 << SECONDS_BITS) - 1
SET_TRIES_MAX: Final = 64


class Word(IntEnum):
    """Place of each word, in lines of its own: a stage that polls one meets no writer of another."""

    HALTED = 0  # code: the Reason, and 1
    PAUSED = 1
    STOPPING = 2


CONTROL: Final = np.dtype(
    {
        "names": ["halted", "paused", "stopping", "made_ns"],
        "formats": ["<i8"] * 4,
        "offsets": [word * HOT_BYTES for word in range(4)],
        "itemsize": 4 * HOT_BYTES,
    }
)
MADE_AT: Final = 3 * HOT_BYTES


@kernel
def set_word(address: int, said: int) -> int:
    """Set a word to ``said`` (without its count) and raise the count; answers the word before.

    A writer that others overtake at every try stores without comparing: what is asked for is never lost.
    """
    for _ in range(SET_TRIES_MAX):
        before = load_acquire(address)
        count = ((before >> COUNT_SHIFT) + 1) & COUNT_MASK
        if compare_exchange(address, before, said | (count << COUNT_SHIFT)) == 1:
            return before
    store_release(address, said)
    return load_acquire(address)


@kernel
def clear_word(address: int, seen: int) -> int:
    """Clear the word that was read as ``seen``; 0 when it is another by now, and nothing was changed."""
    return compare_exchange(address, seen, seen & (COUNT_MASK << COUNT_SHIFT))


@kernel
def state_bits(control: int) -> int:
    """Which words are set: 1 << Word of each."""
    bits = 0
    for word in range(3):
        if load_acquire(control + word * HOT_BYTES) & CODE_MASK != 0:
            bits |= 1 << word
    return bits


@dataclass(frozen=True, slots=True)
class Setting:
    """A word that is set: its code, who set it and when (ns since 1970, of whole seconds)."""

    code: int
    pid: int
    at_ns: int


class ControlWords:
    """The words of one engine."""

    def __init__(self, segment: Segment, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.segment = segment
        self.address = address_of(segment.bytes_at(0, CONTROL.itemsize))
        self._clock_ns = clock_ns

    @classmethod
    def create(
        cls,
        directory: Path | None,
        epoch: int = 0,
        *,
        halted_code: int = 0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> Self:
        """Make them, halted from the first moment on when ``halted_code`` is one.

        Raises SegmentExists when the directory has some, SegmentRefused, or OSError when there is no room.
        """
        segment = Segment.create(
            SEGMENT_NAME, CONTROL.itemsize, SegmentKind.PLAIN, layout_hash(CONTROL), epoch, directory
        )
        segment.bytes_at(0, CONTROL.itemsize).view(CONTROL)["made_ns"] = clock_ns()
        words = cls(segment, clock_ns)
        if halted_code:
            words.set(Word.HALTED, halted_code)
        segment.seal()
        return words

    @classmethod
    def attach(cls, directory: Path, epoch: int | None = None) -> Self:
        """Map those of an engine; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Segment.attach(SEGMENT_NAME, SegmentKind.PLAIN, layout_hash(CONTROL), directory, epoch))

    def set(self, word: Word, code: int = 1) -> bool:
        """Set a word, in the name of this process; whether it was not set before.

        Raises ValueError for a code outside 1..CODE_MASK.
        """
        if not 0 < code <= CODE_MASK:
            raise ValueError(f"code {code} is not within 1..{CODE_MASK}")
        seconds = (self._clock_ns() - read_word(self.address + MADE_AT)) // NS_PER_S
        said = code | os.getpid() << PID_SHIFT | min(max(seconds, 0), SECONDS_MAX) << SECONDS_SHIFT
        return set_word(self.address + word * HOT_BYTES, said) & CODE_MASK == 0

    def read(self, word: Word) -> int:
        """The word as it is, for ``clear`` and ``setting_of``."""
        return read_word(self.address + word * HOT_BYTES)

    def clear(self, word: Word, seen: int) -> bool:
        """Clear a word that was read as ``seen``; False when it was set again meanwhile."""
        return clear_word(self.address + word * HOT_BYTES, seen) == 1

    def bits(self) -> int:
        """Which words are set, by one compiled call: 1 << Word of each."""
        return state_bits(self.address)

    def is_set(self, word: Word) -> bool:
        """Whether this word is set."""
        return self.read(word) & CODE_MASK != 0

    def setting_of(self, seen: int) -> Setting | None:
        """What a word says that was read as ``seen``; None when it is not set."""
        if not seen & CODE_MASK:
            return None
        pid = (seen >> PID_SHIFT) & ((1 << PID_BITS) - 1)
        at_ns = read_word(self.address + MADE_AT) + (seen >> SECONDS_SHIFT) * NS_PER_S
        return Setting(seen & CODE_MASK, pid, at_ns)


def warm() -> None:
    """Compile the kernels of this module."""
    words = ControlWords.create(None)
    words.set(Word.PAUSED)
    words.clear(Word.PAUSED, words.read(Word.PAUSED))
    words.bits()
