"""Two connections for each shard of a venue, and one stream of updates: of the same message the first counts.

It stands between the codec, which reads both connections and keeps their numbers apart, and the ring, so it
never sees a number: records are compared by what they say. Books go by ``engine.venues.raced_market``. What
is said beside the books (trades, tickers, the life of a market, hashes) has no order there, and is told as
often as the connection that said it more often. So is a snapshot of the sibling token, which is only
compared, and only while its connection is not behind: a difference must not count twice, nor against a newer
book. A doubt about one connection is passed on for the markets that the other does not carry.

Costs Python time for each message of both connections (``python -m bench race``); without a second one
nothing of this runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.records import BOOK_UPDATE, UpdateFlag, UpdateKind
from engine.venues.emit import UNREADABLE, Row, doubt_row
from engine.venues.raced_market import LEGS, Change, Likeness, Mismatch, RacedMarket, Rows, Snapshot
from engine.venues.workspace import CONNS_MAX, Records

LEG_CONNS: Final = CONNS_MAX // LEGS  # the second connection of a shard has this number more than the first
TOLD_MAX: Final = 64  # things said of a market beside its book whose copy is known

# fields of a row: BOOK_UPDATE
_RECV, _STAMP, _SIZE, _SLOT, _GENERATION, _PRICE, _AUX, _, _KIND, _SIDE, _FLAGS, _VENUE = range(12)

_SET, _ADD, _TOP = int(UpdateKind.LEVEL_SET), int(UpdateKind.LEVEL_ADD), int(UpdateKind.DECLARED_TOP)
_BEGIN, _LEVEL, _END = (
    int(UpdateKind.SNAPSHOT_BEGIN),
    int(UpdateKind.SNAPSHOT_LEVEL),
    int(UpdateKind.SNAPSHOT_END),
)
_DOUBT, _GRID = int(UpdateKind.DOUBT), int(UpdateKind.GRID_CHANGE)
_CHANGES: Final = frozenset({_SET, _ADD, _TOP})
_SNAPSHOTS: Final = frozenset({_BEGIN, _LEVEL, _END})
_SIBLING: Final = int(UpdateFlag.SIBLING)
_SAID: Final = int(UpdateFlag.SIBLING | UpdateFlag.SIZE_UNKNOWN)
_LAST_OF_FRAME, _LAST_OF_MARKET = int(UpdateFlag.LAST_OF_FRAME), int(UpdateFlag.LAST_OF_MARKET)
_NOTHING: Final = np.empty(0, BOOK_UPDATE)


@dataclass(slots=True)
class RaceCounts:
    """Of what both connections said, in messages about one market."""

    first: int = 0  # was published
    dropped: int = 0  # had been published before, or waits for what it follows
    mismatch: int = 0  # contradicted the other connection: the market was put in doubt
    spared: int = 0  # doubts about one connection that the other made up for


class _Market:
    """A market of one generation: its book, and what was told beside it."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.book = RacedMarket()
        self._told: OrderedDict[Likeness, list[int]] = OrderedDict()

    def is_news(self, leg: int, likeness: Likeness) -> bool:
        """Whether ``leg`` says this more often than the other has."""
        times = self._told.setdefault(likeness, [0] * LEGS)
        times[leg] += 1
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return times[leg] > times[1 - leg]


class Race:
    """One venue's connections. ``counts`` says what became of what they said."""

    def __init__(self) -> None:
        self.counts = RaceCounts()
        self._markets: dict[int, _Market] = {}

    def admit(self, records: Records, conn: int) -> Records:
        """The records to publish of a frame (BOOK_UPDATE) of connection ``conn``, marked as one frame.

        An array of none when all of them were said before. ``records`` itself when all are new.
        """
        leg = conn // LEG_CONNS
        rows: Rows = records.tolist()
        of_slot: dict[int, Rows] = {}
        for row in rows:
            of_slot.setdefault(row[_SLOT], []).append(row)
        said: Rows = []
        is_whole = True
        for of_market in of_slot.values():
            of_market_said = list(self._market(of_market, leg))
            is_whole = is_whole and of_market_said == of_market
            said += of_market_said
        if is_whole:
            return records
        return _frame(said, rows[0]) if said else _NOTHING

    def _market(self, rows: Rows, leg: int) -> Iterator[Row]:
        """What to publish of the records of one market in a frame."""
        slot, generation = rows[0][_SLOT], rows[0][_GENERATION]
        market = self._markets.get(slot)
        if market is None or market.generation != generation:
            market = self._markets[slot] = _Market(generation)
        for part in _parts(rows):
            said = self._said(market, leg, part)
            if said:
                self.counts.first += 1
                for one in said:
                    yield from one
            else:
                self.counts.dropped += 1

    def _said(self, market: _Market, leg: int, part: Rows) -> tuple[Rows, ...]:
        """What to publish of records that belong together."""
        kind = part[0][_KIND]
        if kind == _DOUBT:
            is_lost = market.book.lose(leg)
            self.counts.spared += not is_lost
            return (part,) if is_lost else ()
        try:
            if kind in _CHANGES:
                return market.book.change(leg, _change(part))
            if kind in _SNAPSHOTS and not part[0][_FLAGS] & _SIBLING:
                return _snapshot(market.book, leg, part)
        except Mismatch:
            self.counts.mismatch += 1
            return ([doubt_row(part[0][_SLOT], market.generation, UNREADABLE, 0)],)
        if not market.is_news(leg, _likeness(part)):
            return ()
        if kind in _SNAPSHOTS and not market.book.leads(leg):
            return ()
        if kind == _GRID:
            market.book.forget()
        return (part,)


def _parts(rows: Rows) -> Iterator[Rows]:
    """The records of one market, cut where one kind of saying ends, and after each snapshot."""
    start = 0
    for at in range(1, len(rows)):
        if not _belongs(rows[at - 1][_KIND], rows[at][_KIND]):
            yield rows[start:at]
            start = at
    yield rows[start:]


def _belongs(before: int, kind: int) -> bool:
    """Whether a record goes on with what the one before it began."""
    if kind in _SNAPSHOTS:
        return before in _SNAPSHOTS and kind != _BEGIN
    return kind in _CHANGES and before in _CHANGES


def _likeness(part: Rows) -> Likeness:
    """What records say: without time of receipt, numbers and marks of a frame."""
    return tuple(
        (row[_KIND], row[_SIDE], row[_PRICE], row[_SIZE], row[_AUX], row[_FLAGS] & _SAID, row[_STAMP])
        for row in part
    )


def _change(part: Rows) -> Change:
    moves = tuple(
        (row[_SIDE], row[_PRICE], row[_SIZE], row[_KIND] == _ADD)
        for row in part
        if row[_KIND] != _TOP and not row[_FLAGS] & _SIBLING
    )
    return Change(_likeness(part), part[0][_STAMP], moves, part)


def _snapshot(book: RacedMarket, leg: int, part: Rows) -> tuple[Rows, ...]:
    levels = {(row[_SIDE], row[_PRICE]): row[_SIZE] for row in part[1:-1] if row[_SIZE] > 0}
    return book.snapshot(leg, Snapshot(_likeness(part), levels, part))


def _frame(rows: Rows, of_frame: Row) -> Records:
    """One frame of ``rows``, received when ``of_frame`` was."""
    frame = np.array(rows, BOOK_UPDATE)
    frame["recv_ns"] = of_frame[_RECV]
    frame["venue"] = of_frame[_VENUE]
    flags = frame["flags"] & _SAID
    last_of = {row[_SLOT]: at for at, row in enumerate(rows)}
    flags[list(last_of.values())] |= _LAST_OF_MARKET
    flags[-1] |= _LAST_OF_FRAME
    frame["flags"] = flags
    return frame
