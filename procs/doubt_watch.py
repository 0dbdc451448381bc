"""Books of one venue that wait for a snapshot, or have not been heard of for too long, and asking for them.

A book in doubt, and one that never had a snapshot, is named to the feed, which asks within its budget and not
twice. So is one that another reader of the same updates has lost, however well ours is, and a LIVE book that
nothing was heard of for ``silence_ns``, for a venue can lose a single market of a connection that is well:
the answer shows that it is still there. Without one it falls into doubt after twice as long. Looking costs a
comparison over all rows, and a call for each book that is named: every LOOK_EVERY_NS while rows change or
somebody wants a book, else every WHOLE_EVERY_NS. Thousands may wait, as at a start; a look names NAMED_MAX of
them at most, those with stakes first, and the next look goes on behind them: that is still more than any
venue's budget lets be asked for, and nobody's frames wait for the others.

The rows may be those of another process, read from shared memory a moment ago, and what is told of a book may
take a moment to show in its row: a silence is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from engine.catalog.market import MarketRef, MarketSpec
from engine.reasons import Reason
from engine.records import Trust
from procs.lost_books import WANTED_ROW
from procs.registry import market_symbols
from shm.ring import Records

LOOK_EVERY_NS: Final = 50_000_000
WHOLE_EVERY_NS: Final = (
    250_000_000  # a look at every book, though none has changed: what waits is asked for again
)

NAMED_MAX: Final = 128  # of one list in one look

_LIVE: Final = int(Trust.LIVE)  # comparing a number of numpy's with an enum's member takes microseconds

Slots = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_WAITING: Final = np.zeros(max(Trust) + 1, np.bool_)
_WAITING[[Trust.UNSYNCED, Trust.SUSPECT, Trust.RESYNC]] = True


class Feed(Protocol):
    """Who asks for books (``procs.feed_shell.FeedShell``)."""

    def want_snapshot(self, symbol: str, *, urgent: bool = False) -> bool:
        """Ask for a book; whether it will be asked for now."""
        ...

    def snapshot_arrived(self, symbol: str) -> None:
        """A book that waited is LIVE."""
        ...


class Books(Protocol):
    """Who is told of what was found out (``procs.book_notes.NoteWriter``)."""

    def resync_requested(self, ref: MarketRef, now_ns: int) -> None:
        """A snapshot of a book in doubt was asked for."""
        ...

    def doubt(self, ref: MarketRef, reason: Reason, heard_ns: int, now_ns: int) -> None:
        """A book that was heard of at ``heard_ns`` last falls into doubt."""
        ...


def with_stakes(positions: Records) -> Callable[[Slots], Mask]:
    """In which slots something is held, or an order in flight; ``positions``: POSITION_ROW by slot.

    A sale reserves no cash, but sells what is held. The rows are another process's, and read as they are: one
    that is being written may be taken for urgent, or for routine until the next look.
    """
    columns = [positions[name] for name in ("reserved_micros", "yes_e6", "no_e6")]

    def has_orders(slots: Slots) -> Mask:
        found = np.zeros(len(slots), np.bool_)
        for column in columns:
            found |= column[slots] != 0
        return found

    return has_orders


class Turns:
    """Serves lists of slots that may be too long for one look, none of them for ever before another."""

    def __init__(self) -> None:
        self._from = [0, 0]  # by urgency: slot that the next list is begun at

    def next(self, slots: Slots, is_urgent: Mask) -> list[tuple[int, bool]]:
        """At most NAMED_MAX of ``slots`` (ascending), each with whether it is urgent: those first."""
        served: list[tuple[int, bool]] = []
        for urgent in (True, False):
            some = slots[is_urgent == urgent]
            at = int(np.searchsorted(some, self._from[urgent]))
            some = np.concatenate((some[at:], some[:at]))[: NAMED_MAX - len(served)]
            if len(some):
                self._from[urgent] = int(some[-1]) + 1
            served += [(slot, urgent) for slot in some.tolist()]
        return served


class DoubtWatch:
    """Asks for books. ``rows``: BOOK_ROW by slot, which ``refresh`` brings up to date before each look.

    It answers whether any has changed; without one any row may have changed at any time.

    ``has_orders``: in which slots we have some. ``wanted``: WANTED_ROW by slot, where another reader says
    that it wants a snapshot. ``now_ns`` is of the clock that stamps receipt. ``asked`` counts books that were
    asked for, ``silent`` those that were told to be silent.
    """

    def __init__(
        self,
        rows: Records,
        books: Books,
        feed: Feed,
        silence_ns: int,
        refresh: Callable[[], bool] = lambda: True,
        has_orders: Callable[[Slots], Mask] | None = None,
        wanted: Records | None = None,
    ) -> None:
        self.asked = 0
        self.silent = 0
        self._rows = rows
        self._books = books
        self._feed = feed
        self._silence_ns = silence_ns
        self._refresh = refresh
        self._has_orders = has_orders
        self._refs: dict[int, MarketRef] = {}
        self._symbols: dict[int, tuple[str, ...]] = {}
        self._slots: Slots = np.empty(0, np.int64)
        self._trusts, self._heard_ns = rows["trust"], rows["recv_ns"]
        self._quiet, self._doubted, self._wishes = Turns(), Turns(), Turns()
        self._waited = np.zeros(len(rows), np.bool_)  # by slot, when it was looked at last
        self._lost = np.zeros(len(rows), np.bool_)  # by slot: told to be silent, and not heard of since
        self._asked_live: dict[
            int, int
        ] = {}  # slot of a LIVE book that was asked for to when it was heard of
        self._wanted = np.zeros(len(rows), WANTED_ROW) if wanted is None else wanted
        self._served = self._wanted["wanted_ns"].copy()
        self._next_ns = 0
        self._whole_ns = 0

    def add(self, ref: MarketRef, spec: MarketSpec) -> None:
        """Watch a market; one that had the slot before is forgotten."""
        self._refs[ref.slot] = ref
        self._symbols[ref.slot] = tuple(symbol.decode() for symbol, _, _ in market_symbols(spec))
        self._slots = np.array(sorted(self._symbols), np.int64)

    def look(self, now_ns: int) -> int:
        """Ask for what waits, if it is time to; how many books were newly asked for or told to be silent."""
        if 0 < self._next_ns - now_ns <= LOOK_EVERY_NS:  # further off: the clock stepped back
            return 0
        self._next_ns = now_ns + LOOK_EVERY_NS
        has_news = self._refresh() or len(self._unserved()) > 0
        if not has_news and 0 < self._whole_ns - now_ns <= WHOLE_EVERY_NS:
            return 0
        self._whole_ns = now_ns + WHOLE_EVERY_NS
        trusts = self._trusts[self._slots]
        ages_ns = np.where(trusts == _LIVE, now_ns - self._heard_ns[self._slots], 0)
        for slot in self._slots[self._waited[self._slots] & (trusts == _LIVE)].tolist():
            for symbol in self._symbols[slot]:
                self._feed.snapshot_arrived(symbol)
        self._tell_answered()
        is_lost = ages_ns >= 2 * self._silence_ns
        silent = self._slots[is_lost & ~self._lost[self._slots]].tolist()
        self._lost[self._slots] = is_lost
        for slot in silent:
            self._books.doubt(self._refs[slot], Reason.FEED_SILENT, int(self._heard_ns[slot]), now_ns)
        is_quiet = (ages_ns >= self._silence_ns) & ~is_lost
        asked = len(self._ask(self._quiet, self._slots[is_quiet]))
        waiting = _WAITING[self._trusts[self._slots]]
        self._waited[self._slots] = waiting
        doubted = self._ask(self._doubted, self._slots[waiting])
        for slot in doubted:
            self._books.resync_requested(self._refs[slot], now_ns)
        asked += len(doubted) + self._serve()
        self.asked += asked
        self.silent += len(silent)
        return asked + len(silent)

    def _tell_answered(self) -> None:
        """A LIVE book that was asked for has been heard of since: the next need of it is a new one."""
        for slot, before_ns in list(self._asked_live.items()):
            if int(self._trusts[slot]) != _LIVE or self._heard_ns[slot] > before_ns:
                del self._asked_live[slot]
                for symbol in self._symbols[slot]:
                    self._feed.snapshot_arrived(symbol)

    def _unserved(self) -> Slots:
        """Slots that another reader wants, and that were not asked for since."""
        is_wanted: Mask = self._wanted["wanted_ns"][self._slots] != self._served[self._slots]
        return self._slots[is_wanted]

    def _serve(self) -> int:
        """Ask for what another reader wants, until it can be asked for; how many books."""
        served = self._ask(self._wishes, self._unserved())
        self._served[served] = self._wanted["wanted_ns"][served]
        return len(served)

    def _ask(self, turns: Turns, slots: Slots) -> list[int]:
        """Name some of ``slots`` to the feed; those that it will ask for now."""
        none = np.zeros(len(slots), np.bool_)
        is_urgent = none if self._has_orders is None else self._has_orders(slots)
        taken = []
        for slot, urgent in turns.next(slots, is_urgent):
            if int(self._trusts[slot]) == _LIVE:
                self._asked_live.setdefault(slot, int(self._heard_ns[slot]))
            wanted = [self._feed.want_snapshot(symbol, urgent=urgent) for symbol in self._symbols[slot]]
            if any(wanted):
                taken.append(slot)
        return taken
