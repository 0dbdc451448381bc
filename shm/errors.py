"""What can go wrong between two processes that share memory.

::

    ShmError
    ├── LayoutMismatch     built from other sources, or another kind of object: stop both sides
    ├── SegmentExists      the name is taken, by a living owner or by a dead one (the message says which)
    ├── SegmentRefused     not a private regular file of this user: never mapped
    └── RingRefused        a ring, table or reader was asked for something its declaration does not allow

Kernels raise none of these; they answer with the status codes of ``shm.layout``.
"""

from __future__ import annotations


class ShmError(Exception):
    """Base of the transport's errors; the text is one line: what is wrong and where."""


class LayoutMismatch(ShmError):
    """Magic, version, kind, size, layout hash or epoch of a segment are not those the caller expects."""


class SegmentExists(ShmError):
    """A segment of this name is already there."""


class SegmentRefused(ShmError):
    """The path is a link, belongs to another user, is open to others, or has no usable name."""


class RingRefused(ShmError):
    """The request contradicts how the ring or table was declared (capacity, width, reader name)."""
