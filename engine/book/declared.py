"""Whether a book stands against what its venue declared with the same frame.

One such frame is tolerated before the book is doubted, and more of one venue millisecond: changes cross on
their way. It is not traded meanwhile.
"""

from __future__ import annotations

from typing import Final

from engine.jit import kernel
from engine.records import TopFlag

_DECLARED: Final = int(TopFlag.DECLARED)
_WORD: Final = int(TopFlag.DECLARED | TopFlag.DECLARED_AGREES | TopFlag.TICKER)


@kernel
def is_contradicted(flags: int) -> bool:
    """Whether TopFlag bits say: declared, synchronously (no ticker), and not what the book has."""
    return flags & _WORD == _DECLARED
