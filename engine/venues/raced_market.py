"""One market heard over two connections ("legs"): which of their messages are new, and whether they agree.

A venue sends every connection the same changes of a market in the same order; that is all that is taken for
granted. A change is known by what it says and the venue's time of it, never by numbers of a connection. What
was published and a leg has yet to bring is *owed* by it:

================================================ ====================================================
a change from a leg that is JOINED               what is done
================================================ ====================================================
it is owed, and nothing of an earlier time is    dropped; owed no more
it is owed, something of another time before it  mismatch: the leg has skipped what the other brought
nothing is owed by the leg                       new: published, and owed by the other leg
what is owed is all of the same millisecond      *held*, until the other leg brings it too
anything else                                    mismatch
================================================ ====================================================

The venue does not promise an order within one millisecond, so there the first order counts. A mismatch puts
the market in doubt, and nothing is published of it before a snapshot.

A leg is LOST after a doubt about its connection, APART with a book of its own that could not be aligned yet,
and JOINED when it is known which of the published changes it has brought: by bringing one of them that is
like no other, or one that the other then brings, or by a snapshot that equals the published book while
nothing is owed. A leg that joined by such likeness alone may still be behind (a book can return to what it
was): its first change must be later than the last one published, or one of those.

A snapshot begins what is published when no leg is JOINED. One that only says what its leg has said is handed
on, with what the leg still owes behind it, for a reader may have asked for it; the other leg's copy of it is
dropped. One that says something else is the venue's word where nothing is owed, and the other leg has to join
anew; where something is owed its leg has, for it was subscribed anew and may have missed what it owes.
The same sizes twice in a row from one leg count once; changes of sizes are numbered where they come from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from itertools import islice
from typing import Final, NamedTuple

from engine.venues.emit import Row

LEGS: Final = 2
RECENT_MAX: Final = 64  # published changes that a leg may find its place by
OWED_MAX: Final = 256  # a leg that is further behind has to join anew
HELD_MAX: Final = 32
ECHOES_MAX: Final = 8  # snapshots of the other leg whose copy is dropped

BookLevels = dict[tuple[int, int], int]  # (side, price_e4) to size_e6
Rows = list[Row]  # BOOK_UPDATE records
Likeness = tuple[tuple[int, ...], ...]  # what records say, whoever brought them


class Change(NamedTuple):
    """Records that change one book as one."""

    likeness: Likeness
    stamp_ns: int  # the venue's; 0: it gave none
    moves: tuple[tuple[int, int, int, bool], ...]  # (side, price_e4, size_e6, whether it is added)
    rows: Rows


class Snapshot(NamedTuple):
    """A whole book."""

    likeness: Likeness
    levels: BookLevels
    rows: Rows


class Place(IntEnum):
    """Where a leg is with regard to what was published."""

    LOST = 0
    APART = 1
    JOINED = 2


class Mismatch(Exception):
    """The two legs contradict each other; which of them is wrong cannot be known."""


class Leg:
    """What one connection has said of a market."""

    def __init__(self) -> None:
        self.place = Place.LOST
        self.book: BookLevels | None = None  # as this leg has told it
        self.owed: deque[Change] = deque()
        self.held: list[Change] = []
        self.early: deque[Change] = deque(maxlen=RECENT_MAX)  # brought since it left, without a gap
        self.echoes: deque[Likeness] = deque(
            maxlen=ECHOES_MAX
        )  # published snapshots that it may bring as well
        self.last: Likeness = ()  # likeness of the last change
        self.joined_ns = 0  # venue's time of the change by which it joined; of that time more may follow
        self.by_likeness = False  # joined by a snapshot, and no change has confirmed it yet

    @property
    def is_at_end(self) -> bool:
        """Whether it has brought all that was published, and holds nothing back."""
        return self.place is Place.JOINED and not self.owed and not self.held

    def lose(self) -> None:
        """Nothing is known any more."""
        self.place, self.book, self.last = Place.LOST, None, ()
        self.leave()
        self.early.clear()

    def leave(self) -> None:
        """Its place among the published changes is not known any more, if it was."""
        if self.place is Place.JOINED:
            self.place = Place.LOST if self.book is None else Place.APART
        self.owed.clear()
        self.held.clear()

    def join(self, owed: Iterable[Change] = (), held: Iterable[Change] = (), joined_ns: int = 0) -> None:
        """From here on it is known what the leg has yet to bring, and what it brought before the other."""
        self.place, self.by_likeness, self.joined_ns = Place.JOINED, False, joined_ns
        self.owed, self.held = deque(owed), list(held)
        self.early.clear()

    def join_by_likeness(self) -> None:
        """It shows what was published."""
        self.join()
        self.by_likeness = True

    def says_again(self, change: Change) -> bool:
        """Whether it says twice in a row what can be said twice: sizes, not changes of sizes."""
        before, self.last = self.last, change.likeness
        return before == change.likeness and not any(is_added for _, _, _, is_added in change.moves)

    def tell(self, change: Change) -> None:
        """Take a change into the leg's own book."""
        if self.book is None:
            return
        for side, price_e4, size_e6, is_added in change.moves:
            now_e6 = size_e6 + (self.book.get((side, price_e4), 0) if is_added else 0)
            if now_e6 > 0:
                self.book[side, price_e4] = now_e6
            else:
                self.book.pop((side, price_e4), None)


class RacedMarket:
    """The merged stream of one market. Methods answer what is to be published, in order; () is nothing.

    ``Mismatch`` is raised after both legs were lost: whoever calls says that the market is in doubt.
    """

    def __init__(self) -> None:
        self.legs = (Leg(), Leg())
        self._recent: deque[Change] = deque(maxlen=RECENT_MAX)
        self._latest_ns = 0  # the venue's time of the last change that was published

    @property
    def is_led(self) -> bool:
        """Whether what is published is whole."""
        return any(leg.place is Place.JOINED for leg in self.legs)

    def leads(self, number: int) -> bool:
        """Whether leg ``number`` has brought all that was published, and holds nothing back."""
        return self.legs[number].is_at_end

    def lose(self, number: int) -> bool:
        """Leg ``number`` may have missed something; whether the published stream may have."""
        leg, other = self.legs[number], self.legs[1 - number]
        if self._is_like(other, leg):
            other.join_by_likeness()
        if leg.place is Place.JOINED and other.held:
            other.leave()  # only the leg that is lost could have said in which order
        leg.lose()
        return not self.is_led

    def forget(self) -> None:
        """Nothing that was said so far is of use: both legs are lost."""
        for leg in self.legs:
            leg.lose()
        self._recent.clear()

    def change(self, number: int, change: Change) -> tuple[Rows, ...]:
        """A change from leg ``number``."""
        leg, other = self.legs[number], self.legs[1 - number]
        if leg.says_again(change):
            return ()
        leg.tell(change)
        if leg.place is Place.JOINED and leg.by_likeness:
            self._confirm(leg, other, change)
        if leg.place is not Place.JOINED:
            self._find_place(leg, other, change)
        elif self._is_new(leg, change):
            return (change.rows, *self._publish(leg, other, change))
        self._meet(leg, other)
        return ()

    def snapshot(self, number: int, snapshot: Snapshot) -> tuple[Rows, ...]:
        """A snapshot from leg ``number``: what is to be published brings a reader to what is published."""
        leg, other = self.legs[number], self.legs[1 - number]
        if not self.is_led:
            return self._begin(leg, other, snapshot)
        if leg.place is Place.JOINED and leg.book not in (None, snapshot.levels):
            if leg.is_at_end:
                return self._begin(leg, other, snapshot)
            if other.place is not Place.JOINED:
                self._mismatch()
            leg.leave()
        leg.book, leg.last = dict(snapshot.levels), ()
        is_echo = snapshot.likeness in leg.echoes
        if is_echo:
            leg.echoes.remove(snapshot.likeness)
        if leg.place is not Place.JOINED:
            leg.place = Place.APART
            leg.early.clear()  # a leg that was subscribed anew has a gap before its snapshot
            if not self._is_like(leg, other):
                return ()
            leg.join_by_likeness()
        if is_echo or leg.held:
            return ()
        other.echoes.append(snapshot.likeness)
        return (snapshot.rows, *(change.rows for change in leg.owed))

    def _begin(self, leg: Leg, other: Leg, snapshot: Snapshot) -> tuple[Rows, ...]:
        """Lead with a snapshot from ``leg``; the other has to find its place."""
        self._recent.clear()
        leg.book, leg.last = dict(snapshot.levels), ()
        leg.join()
        other.leave()
        other.echoes.append(snapshot.likeness)
        if self._is_like(other, leg):
            other.join_by_likeness()
        return (snapshot.rows,)

    @staticmethod
    def _is_like(leg: Leg, other: Leg) -> bool:
        """Whether a leg that is APART shows what was published, all of which the other has brought."""
        return (
            leg.place is Place.APART and other.is_at_end and leg.book is not None and leg.book == other.book
        )

    def _mismatch(self) -> None:
        self.forget()
        raise Mismatch

    def _confirm(self, leg: Leg, other: Leg, change: Change) -> None:
        """Look at the first change of a leg that joined by likeness: is it where we took it to be.

        If it turns out to be one of the last that were published, the leg owes that one and what came behind.
        """
        leg.by_likeness = False
        at = _only_place(self._recent, change)
        if at is not None:
            leg.owed, leg.joined_ns = deque(list(self._recent)[at:]), change.stamp_ns
        elif other.place is Place.JOINED and (leg.owed or change.stamp_ns <= self._latest_ns):
            leg.leave()
        elif 0 < change.stamp_ns < self._latest_ns:
            self._mismatch()

    def _find_place(self, leg: Leg, other: Leg, change: Change) -> None:
        """A change from a leg that is not JOINED: perhaps one that was published."""
        leg.early.append(change)
        at = _only_place(self._recent, change)
        if other.place is Place.JOINED and at is not None:
            leg.join(list(self._recent)[at + 1 :], self._unpublished(leg.early, change), change.stamp_ns)

    def _is_new(self, leg: Leg, change: Change) -> bool:
        """The table above: whether to publish. Raises Mismatch."""
        at = next((at for at, owed in enumerate(leg.owed) if owed.likeness == change.likeness), None)
        if at is None and change.stamp_ns == leg.joined_ns and self._is_known(change):
            return False
        before = leg.owed if at is None else islice(leg.owed, at)
        if any(owed.stamp_ns != change.stamp_ns or not change.stamp_ns for owed in before):
            self._mismatch()
        if at is not None:
            del leg.owed[at]
            return False
        if leg.owed or leg.held:
            leg.held.append(change)
            if len(leg.held) > HELD_MAX:
                self._mismatch()
            return False
        return True

    def _publish(self, leg: Leg, other: Leg, change: Change) -> tuple[Rows, ...]:
        """Take note of what is published; -> what the other leg had brought before it, and goes with it."""
        self._note(change)
        if other.place is not Place.JOINED:
            at = _only_place(other.early, change)
            if at is None:
                return ()
            ahead = list(other.early)[at + 1 :]
            held = self._unpublished(list(other.early)[:at], change)
            if held:
                other.join((), held + ahead, change.stamp_ns)
                return ()
            other.join(joined_ns=change.stamp_ns)
            for early in ahead:
                self._note(early)
                leg.owed.append(early)
            return tuple(early.rows for early in ahead)
        both = next((at for at, held in enumerate(other.held) if held.likeness == change.likeness), None)
        if both is not None:
            del other.held[both]
        else:
            other.owed.append(change)
            if len(other.owed) > OWED_MAX:
                other.leave()
        if any(held.stamp_ns < change.stamp_ns for held in other.held):
            self._mismatch()
        return ()

    def _unpublished(self, early: Iterable[Change], change: Change) -> list[Change]:
        """What a leg brought in the millisecond of ``change``, and the other has not."""
        known = {published.likeness for published in self._recent}
        return [one for one in early if one.stamp_ns == change.stamp_ns and one.likeness not in known]

    def _is_known(self, change: Change) -> bool:
        """Whether it was published before the leg joined, within one millisecond."""
        return change.stamp_ns > 0 and any(known.likeness == change.likeness for known in self._recent)

    def _note(self, change: Change) -> None:
        self._recent.append(change)
        self._latest_ns = max(self._latest_ns, change.stamp_ns)

    def _meet(self, leg: Leg, other: Leg) -> None:
        """Legs that are both at the end of what was published have the same book, and their places."""
        if not (leg.is_at_end and other.is_at_end) or leg.by_likeness or other.by_likeness:
            return
        while self._recent and self._recent[0].stamp_ns < self._latest_ns:
            self._recent.popleft()
        for one, two in ((leg, other), (other, leg)):
            if one.book is None and two.book is not None:
                one.book = dict(two.book)


def _only_place(changes: deque[Change], change: Change) -> int | None:
    """Where a change that is like no other is among ``changes``; without the venue's time none is."""
    places = [at for at, known in enumerate(changes) if known.likeness == change.likeness]
    return places[0] if len(places) == 1 and change.stamp_ns else None
