"""Whole frames into a book store, each at its own receive time, in one compiled call."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.apply import apply_updates
from engine.book.state import BookState, Records
from engine.book.store import BookStore
from engine.jit import kernel
from engine.records import BOOK_UPDATE, UpdateFlag

_LAST: Final = int(UpdateFlag.LAST_OF_FRAME)


@kernel
def frame_end(updates: Records, begin: int, n: int) -> int:
    """Position after the last update of the frame that begins at ``begin``; n when nothing ends it."""
    end = begin + 1
    while end < n and int(updates[end - 1]["flags"]) & _LAST == 0:
        end += 1
    return end


@kernel
def apply_frames(state: BookState, updates: Records, n: int) -> None:
    """Apply the frames in ``updates[:n]``; receive times must not step back."""
    begin = 0
    while begin < n:
        end = frame_end(updates, begin, n)
        apply_updates(state, updates[begin:end], end - begin, int(updates[begin]["recv_ns"]))
        begin = end


def warm() -> None:
    """Compile every kernel here."""
    store = BookStore(1, 0, 1)
    apply_frames(store.state, np.zeros(1, BOOK_UPDATE), 1)
