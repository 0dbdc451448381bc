"""A venue's market as a plain list of changes, two connections that bring them, and what comes out of it.

The model knows at which change each connection is, so that every book that is shown can be looked up among
those that plain dictionaries make of the same changes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from engine.records import BOOK_UPDATE, UpdateKind
from engine.venues.race import LEG_CONNS, Race
from engine.venues.workspace import Records

Book = dict[tuple[int, int], int]
MS = 1_000_000
NO_REASON = 101


@dataclass(frozen=True)
class Step:
    """One change of a level at the venue's time ``stamp_ns``."""

    side: int
    price_e4: int
    size_e6: int
    is_added: bool
    stamp_ns: int

    def on(self, book: Book) -> Book:
        after = dict(book)
        size = self.size_e6 + (book.get((self.side, self.price_e4), 0) if self.is_added else 0)
        after[self.side, self.price_e4] = size
        return {key: value for key, value in after.items() if value > 0}

    def record(self, slot: int = 0) -> Records:
        kind = UpdateKind.LEVEL_ADD if self.is_added else UpdateKind.LEVEL_SET
        row = (0, self.stamp_ns, self.size_e6, slot, 1, self.price_e4, 0, 0, kind, self.side, 9, 0)
        return np.array([row], BOOK_UPDATE)


def whole(book: Book, slot: int = 0, stamp_ns: int = 0) -> Records:
    """A snapshot of ``book``."""
    levels = sorted(book.items())
    rows = [(0, stamp_ns, len(levels), slot, 1, 0, 0, 0, UpdateKind.SNAPSHOT_BEGIN, 0, 0, 0)]
    rows += [
        (0, stamp_ns, size, slot, 1, price, 0, 0, UpdateKind.SNAPSHOT_LEVEL, side, 0, 0)
        for (side, price), size in levels
    ]
    rows.append((0, stamp_ns, 0, slot, 1, 0, 0, 0, UpdateKind.SNAPSHOT_END, 0, 9, 0))
    return np.array(rows, BOOK_UPDATE)


def doubt(slot: int = 0) -> Records:
    """A doubt about a connection's market."""
    return np.array([(0, 0, 0, slot, 1, 0, NO_REASON, 0, UpdateKind.DOUBT, 0, 9, 0)], BOOK_UPDATE)


@dataclass
class Shown:
    """What a reader of the published records has: a book, and whether it may be traded on."""

    book: Book = field(default_factory=dict)
    is_live: bool = False
    doubts: int = 0

    def take(self, records: Records) -> None:
        for row in records:
            key = int(row["side"]), int(row["price_e4"])
            kind = int(row["kind"])
            if kind == UpdateKind.SNAPSHOT_BEGIN:
                self.book = {}
            elif kind == UpdateKind.SNAPSHOT_END:
                self.is_live = True
            elif kind == UpdateKind.DOUBT:
                self.is_live = False
                self.doubts += 1
            elif kind in (UpdateKind.SNAPSHOT_LEVEL, UpdateKind.LEVEL_SET, UpdateKind.LEVEL_ADD):
                added = self.book.get(key, 0) if kind == UpdateKind.LEVEL_ADD else 0
                self.book[key] = int(row["size_e6"]) + added
        self.book = {key: size for key, size in self.book.items() if size > 0}


class TwoSockets:
    """Changes ``steps`` over two connections: ``at[leg]`` were brought by it, ``happened`` are over."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.books: list[Book] = [{}]
        for step in steps:
            self.books.append(step.on(self.books[-1]))
        self.race = Race()
        self.shown = Shown()
        self.happened = 0
        self.at: list[int | None] = [None, None]  # None: no connection
        self.newest = 0  # the latest change that was shown

    def connect(self, leg: int) -> None:
        """A connection begins with a snapshot as of now."""
        self.at[leg] = self.happened
        self.say(leg, whole(self.books[self.happened]))

    def bring(self, leg: int) -> None:
        """The next change comes over a connection."""
        at = self.at[leg]
        assert at is not None
        self.happened = max(self.happened, at + 1)
        self.at[leg] = at + 1
        self.say(leg, self.steps[at].record())

    def ask(self, leg: int) -> None:
        """A snapshot in mid-stream, as of what the connection has brought."""
        at = self.at[leg]
        assert at is not None
        self.say(leg, whole(self.books[at]))

    def die(self, leg: int) -> None:
        """A connection ends."""
        self.at[leg] = None
        self.say(leg, doubt())

    def gap(self, leg: int, missing: int) -> None:
        """A connection loses changes and says so with the next one."""
        at = self.at[leg]
        assert at is not None
        self.at[leg] = min(at + missing, len(self.steps))
        self.happened = max(self.happened, self.at[leg] or 0)
        self.say(leg, doubt())

    def say(self, leg: int, records: Records) -> None:
        """Something comes over a connection."""
        self.shown.take(self.race.admit(records, leg * LEG_CONNS))

    def look(self) -> int | None:
        """At which change the shown book is at least, never earlier than before; None while it is in doubt.

        AssertionError for a book that the venue never had, or not since.
        """
        if not self.shown.is_live:
            self.newest = 0  # a snapshot after a doubt may be of any time
            return None
        since = [at for at in range(self.newest, len(self.books)) if self.books[at] == self.shown.book]
        assert since, f"{self.shown.book} is no book of the venue's from change {self.newest} on"
        self.newest = since[0]
        return self.newest


def random_steps(draw: random.Random, count: int, *, is_added: bool) -> list[Step]:
    """Changes of few levels, each later than the one before; the books often return to what they were."""
    steps, book = [], Book()
    for number in range(count):
        side, price = draw.randrange(2), 4_000 + 100 * draw.randrange(3)
        now = book.get((side, price), 0)
        size = draw.randrange(4)
        step = Step(side, price, size - now if is_added else size, is_added, (number + 1) * MS)
        book = step.on(book)
        steps.append(step)
    return steps
