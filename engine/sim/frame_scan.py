"""One look at a frame: does it concern us at all? Most frames of a recording do not."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.records import BOOK_UPDATE, UpdateKind

TOUCHES_WATCHED: Final = 1
SAYS_STATE: Final = 2

_MARKET_STATE: Final = int(UpdateKind.MARKET_STATE)


@kernel
def scan_frame(updates: npt.NDArray[np.void], n: int, watched: npt.NDArray[np.bool_]) -> int:
    """Bits for ``updates[:n]``: TOUCHES_WATCHED by a market, SAYS_STATE by a MARKET_STATE.

    A frame about the connection names no market (slot -1).
    """
    found = 0
    for index in range(n):
        slot = updates[index]["slot"]
        if updates[index]["kind"] == _MARKET_STATE:
            found |= SAYS_STATE
        if 0 <= slot < len(watched) and watched[slot]:
            found |= TOUCHES_WATCHED
    return found


def warm() -> None:
    """Compile the kernel."""
    scan_frame(np.zeros(1, BOOK_UPDATE), 1, np.zeros(1, np.bool_))
