"""What a venue's side of a connection answers to a message, before any of it goes to a socket."""

from __future__ import annotations

from typing import Final, NamedTuple

NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
ABNORMAL_CLOSURE: Final = 1006  # never on the wire: the TCP connection ends without a close frame
POLICY_VIOLATION: Final = 1008


class Closing(NamedTuple):
    """A close frame."""

    code: int
    reason: str


class Answer(NamedTuple):
    """Texts in the order they are sent: acknowledgements, then snapshots; then perhaps the end."""

    replies: tuple[bytes, ...] = ()
    snapshots: tuple[bytes, ...] = ()
    closing: Closing | None = None
    refused: bool = False  # the venue said no
