"""Identifiers that are never used twice, and the names venues know our orders by.

An id is one int64: the boot epoch above, a counter below. Whoever starts the engine hands in a boot epoch
that it has never handed in before, so ids of two runs never meet; within a run they rise by one::

    | 31 bits boot epoch | 32 bits counter |

An order's identity is derived from its intent alone, so it exists before anything is sent and can be
derived again after a crash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from engine.facts import RequestFacts, request_bytes
from engine.records import RequestKind, Venue

BOOT_EPOCH_MAX: Final = 2**31 - 1
COUNTER_MAX: Final = 2**32 - 1
COUNTER_BITS: Final = 32
IDENTITY_BYTES: Final = 32
INDEX_SET_MAX: Final = IDENTITY_BYTES * 8  # members of one neg-risk group a conversion can name

_DIGEST_CHARS: Final = 11  # "pr3-" + 16 digits + "-" + these = IDENTITY_BYTES
_UNNAMED: Final = bytes(IDENTITY_BYTES)
_CONVERT, _KALSHI = int(RequestKind.CONVERT), int(Venue.KALSHI)


class IdSource:
    """Rising ids of one boot epoch, 1..BOOT_EPOCH_MAX. ``last``: continue after this id."""

    def __init__(self, boot_epoch: int, last: int = 0) -> None:
        if not 0 < boot_epoch <= BOOT_EPOCH_MAX:
            raise ValueError(f"boot epoch {boot_epoch} is not within 1..{BOOT_EPOCH_MAX}")
        if last and boot_epoch_of(last) != boot_epoch:
            raise ValueError(f"id {last} is of boot epoch {boot_epoch_of(last)}, not {boot_epoch}")
        self.boot_epoch = boot_epoch
        self._counter = counter_of(last)

    @property
    def coming_id(self) -> int:
        """What ``next_id`` will answer, unless there are none left."""
        return self.boot_epoch << COUNTER_BITS | (self._counter + 1)

    def pass_over(self, number: int) -> None:
        """So many of the coming ids are used. OverflowError where there are not so many."""
        if self._counter + number > COUNTER_MAX:
            raise OverflowError(f"boot epoch {self.boot_epoch} has no ids left")
        self._counter += number

    def next_id(self) -> int:
        """The next id, above every earlier one. OverflowError after COUNTER_MAX of them."""
        self.pass_over(1)
        return self.boot_epoch << COUNTER_BITS | self._counter


def boot_epoch_of(identifier: int) -> int:
    """Boot epoch that an id was made in."""
    return identifier >> COUNTER_BITS


def counter_of(identifier: int) -> int:
    """Position of an id within its boot epoch; the first is 1."""
    return identifier & COUNTER_MAX


def order_identity(request: RequestFacts) -> bytes:
    """The IDENTITY_BYTES by which the venue of this request will know the order.

    The same intent gives the same bytes, whatever its time stamps; another order id gives others.
    ValueError for requests whose identity is not a name (a conversion carries its index set).
    """
    if request.kind == _CONVERT:
        raise ValueError("a conversion is identified by its index set")
    return name_of_order(request.venue, request.order_id, _intent_bytes(request))


def name_of_order(venue: int, order_id: int, intent: bytes) -> bytes:
    """The same of an order by its ``intent``: the ORDER_REQUEST without its two times and without a name."""
    if venue == _KALSHI:
        return kalshi_client_order_id(order_id, intent)
    return polymarket_paper_hash(intent)


def kalshi_client_order_id(order_id: int, intent: bytes) -> bytes:
    """Client order id: our order id readable in it, and a digest of the intent."""
    digest = hashlib.blake2b(intent, digest_size=8).hexdigest()
    return f"pr3-{order_id:016x}-{digest[:_DIGEST_CHARS]}".encode("ascii")


def polymarket_paper_hash(intent: bytes) -> bytes:
    """Stands in for Polymarket's order hash on paper: a digest of the intent, unique and reproducible.

    It is *not* the EIP-712 hash of the signed order: that needs a salt, an account and the signing code.
    """
    return hashlib.blake2b(intent, digest_size=IDENTITY_BYTES, person=b"pr3-paper-order").digest()


def index_set(members: Iterable[int]) -> bytes:
    """Bit mask of a neg-risk group's members, little-endian: what names the NO tokens of a conversion.

    ValueError when a member is not within 0..INDEX_SET_MAX-1.
    """
    mask = 0
    for member in members:
        if not 0 <= member < INDEX_SET_MAX:
            raise ValueError(f"group member {member} is not within 0..{INDEX_SET_MAX - 1}")
        mask |= 1 << member
    return mask.to_bytes(IDENTITY_BYTES, "little")


def index_set_members(identity: bytes) -> tuple[int, ...]:
    """Members named by an index set, rising."""
    mask = int.from_bytes(identity, "little")
    return tuple(member for member in range(INDEX_SET_MAX) if mask >> member & 1)


def _intent_bytes(request: RequestFacts) -> bytes:
    """The record without what says when, and without the name."""
    return request_bytes(RequestFacts(0, 0, *request[2:6], _UNNAMED, *request[7:]))
