"""A turn of a strategy stage in one compiled call: tops read, rows fetched, decided on, all published.

The kernels are the scanner's and the rings' own. They take one array, ``places``: the addresses and lengths
of all they work on (``procs.frame_kernels`` says why). What cannot be done here is left to the stage, which
then has the rest of the turn done: ``Stop`` says what. Where signals were given an optimizer that is here has
its turn behind it, in the same call.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.catalog.catalog import MARKET_ROW
from engine.code import NOBODY, call
from engine.jit import inlined, kernel
from engine.optimizer.sizing import OPPORTUNITY, SEGMENT_COLUMNS, SEGMENTS_MAX
from engine.records import (
    BOOK_ROW,
    DECISION,
    LEGS_MAX,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    TOP,
    TOP_LEVELS,
    Venue,
)
from engine.strategies.candidates import CANDIDATE, CANDIDATE_LEG
from engine.strategies.evaluate import NUMBERS, Desk
from engine.strategies.filters import TERMS, State
from engine.strategies.scanner import (
    DECISIONS,
    DECISIONS_MAX,
    HEADS,
    OWNERS,
    SIGNAL_LEGS_MAX,
    SIGNALS_MAX,
    Output,
    Table,
    scan,
)
from engine.venues.workspace import Words
from procs.tick_rate import spent_ns
from shm.arrays import array_at
from shm.atomics import load_relaxed, read_ticks
from shm.barrier import announced
from shm.cells import LAPS_AT, poll, publish_each, publish_parts
from shm.histogram import record_since
from shm.reader import EVERY_MESSAGE
from shm.table import read_row


class Place(IntEnum):
    """Where in ``places`` an address or a number is."""

    DECISIONS_RING = 0
    SIGNALS_RING = 1
    DECIDED = 2  # histograms of the ladder; 0: nobody counts
    SIGNALLED = 3
    NS_PER_TICK = 4
    QUIET = 5  # 1: signals are found, and not published
    GIVEN = 6  # signals published since the start
    READ = 7  # tops since the start
    BOOKS_TABLE = 8  # by Venue, the first of them unused
    N_EVENTS = 11  # that were read; below zero a Status
    CATALOG = 12  # its barrier; 0: nobody has to follow it
    CATALOG_SEEN = 13  # the version that was followed
    N_RINGS = 14  # of tops
    RINGS_READ = 15  # in this turn
    TAKEN = 16  # tops, in this turn
    TOPS = 17  # those that were read last, how many, and the first that is left
    N_TOPS = 18
    NEXT = 19
    N_MARKETS = 20
    N_CANDIDATES = 21
    N_LEGS = 22
    N_TOUCHING = 23
    BY_HAND = 24  # uint8 by slot: whose rows the stage fetches itself
    PLANNER = 25  # code of an optimizer's turn, which has its own behind ours when we gave signals; or NOBODY
    PLANNER_PLACES = 26  # address of what it works on
    PLANNER_STOP = 27  # below zero: what it has left
    HANDED_OVER = 28  # signals given before its last turn
    MARKETS = 29  # of the scanner from here on: state, table, desk, out, in the order of their fields
    BOOKS = 30
    TERMS = 31
    ROWS = 32
    LEGS = 33
    TOUCHING = 34
    TOUCHING_FROM = 35
    BUSY = 36
    SIGNAL_ID = 37
    LAST_REASON = 38
    DESK_LEGS = 39
    JOB = 40
    NUMBERS = 41
    LEVELS = 42
    DEPTH = 43
    WORK = 44
    SEGMENTS = 45
    HELD = 46
    DECISIONS = 47
    HEADS = 48
    SIGNAL_LEGS = 49
    FILLED = 50
    OWNERS = 51
    NEXT_SIGNAL_ID = 52
    RINGS = 53  # of tops, RingPlace each; behind them that of the events


class RingPlace(IntEnum):
    """What ``places`` has of a ring that is read, from RINGS on."""

    RING = 0
    READER = 1
    BUFFER = 2
    TAGS = 3
    ROOM = 4
    LAPS = 5  # that were told of


class Stop(IntEnum):
    """Why a call came back before the end of its turn."""

    EVENTS = -1  # events were read, or nobody waits for this stage any more: nothing else was looked at
    NEWS = -2  # the catalog has another version, and the tops that were read may name what is new
    LAPPED = -3  # tops of the ring read last are lost
    BY_HAND = -4  # something is ours in the row of the next top, or its writer is at it
    FULL = -5  # a ring has no room
    PLANS = -6  # an optimizer has left something, and all else is done


LED_TURN: Final = 3  # how an optimizer's turn begins that another has it take (procs.plan_turn.Begin)
RINGS_MAX: Final = len(Venue)
EVENTS: Final = Place.RINGS + RINGS_MAX * len(RingPlace)
PLACES: Final = EVENTS + len(RingPlace)
_EVENTS, _NEWS, _LAPPED, _BY_HAND, _FULL, _PLANS = (int(stop) for stop in Stop)
(
    _DECISIONS_RING,
    _SIGNALS_RING,
    _DECIDED,
    _SIGNALLED,
    _RATE,
    _QUIET,
    _GIVEN,
    _READ,
    _TABLES,
    _N_EVENTS,
    _CATALOG,
    _CATALOG_SEEN,
    _N_RINGS,
    _RINGS_READ,
    _TAKEN,
    _TOPS,
    _N_TOPS,
    _NEXT,
    _N_MARKETS,
    _N_CANDIDATES,
    _N_LEGS,
    _N_TOUCHING,
    _HANDS,
    _PLANNER,
    _PLANNER_PLACES,
    _PLANNER_STOP,
    _HANDED_OVER,
) = (int(place) for place in list(Place)[: list(Place).index(Place.MARKETS)])
(
    _MARKETS,
    _BOOKS,
    _TERMS,
    _ROWS,
    _LEGS,
    _TOUCHING,
    _TOUCHING_FROM,
    _BUSY,
    _SIGNAL_ID,
    _LAST_REASON,
    _DESK_LEGS,
    _JOB,
    _NUMBERS,
    _LEVELS,
    _DEPTH,
    _WORK,
    _SEGMENTS,
    _HELD,
    _DECISIONS,
    _HEADS,
    _SIGNAL_LEGS,
    _FILLED,
    _OWNERS,
    _NEXT_SIGNAL_ID,
    _RINGS,
) = (int(place) for place in list(Place)[list(Place).index(Place.MARKETS) :])
_RING, _READER, _BUFFER, _TAGS, _ROOM, _LAPS = (int(place) for place in RingPlace)
_RING_PLACES: Final = len(RingPlace)
_ROW_BYTES: Final = BOOK_ROW.itemsize
_HEAD_BYTES: Final = SIGNAL_HEAD.itemsize
_LEG_BYTES: Final = SIGNAL_LEG.itemsize


@inlined
def _state_at(places: Words) -> State:
    return State(
        array_at(places[_MARKETS], (places[_N_MARKETS],), MARKET_ROW),
        array_at(places[_BOOKS], (places[_N_MARKETS],), BOOK_ROW),
        array_at(places[_TERMS], (1,), TERMS),
    )


@inlined
def _table_at(places: Words) -> Table:
    n_candidates = places[_N_CANDIDATES]
    return Table(
        array_at(places[_ROWS], (n_candidates,), CANDIDATE),
        array_at(places[_LEGS], (places[_N_LEGS],), CANDIDATE_LEG),
        array_at(places[_TOUCHING], (places[_N_TOUCHING],), np.int64),
        array_at(places[_TOUCHING_FROM], (places[_N_MARKETS] + 1,), np.int64),
        array_at(places[_BUSY], (n_candidates,), np.int64),
        array_at(places[_SIGNAL_ID], (n_candidates,), np.int64),
        array_at(places[_LAST_REASON], (n_candidates,), np.int64),
    )


@inlined
def _desk_at(places: Words) -> Desk:
    return Desk(
        array_at(places[_DESK_LEGS], (LEGS_MAX + 1,), SIGNAL_LEG),
        array_at(places[_JOB], (1,), OPPORTUNITY),
        array_at(places[_NUMBERS], (NUMBERS,), np.int64),
        array_at(places[_LEVELS], (3, LEGS_MAX, TOP_LEVELS), np.int64),
        array_at(places[_DEPTH], (LEGS_MAX,), np.int64),
        array_at(places[_WORK], (2, LEGS_MAX), np.int64),
        array_at(places[_SEGMENTS], (SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64),
        array_at(places[_HELD], (places[_N_MARKETS], 2), np.int64),
    )


@inlined
def _out_at(places: Words) -> Output:
    return Output(
        array_at(places[_DECISIONS], (DECISIONS_MAX,), DECISION),
        array_at(places[_HEADS], (SIGNALS_MAX,), SIGNAL_HEAD),
        array_at(places[_SIGNAL_LEGS], (SIGNAL_LEGS_MAX,), SIGNAL_LEG),
        array_at(places[_FILLED], (3,), np.int64),
        array_at(places[_OWNERS], (OWNERS,), np.int64),
        array_at(places[_NEXT_SIGNAL_ID], (1,), np.int64),
    )


@inlined
def is_row(slot: int, venue: int, n_markets: int) -> bool:
    """Whether there is a row of that name: a message may be garbage, and nothing else looks at it here."""
    return 0 <= slot < n_markets and 0 < venue <= RINGS_MAX


@kernel
def _publish_signals(places: Words, out: Output, now_ns: int) -> bool:
    """Stamp the signals of a top and publish each with its legs; whether there was room for all."""
    legs = int(places[_SIGNAL_LEGS])
    for number in range(int(out.filled[HEADS])):
        head = out.heads[number]
        n_legs = int(head["n_legs"])
        if places[_SIGNALLED] != 0:
            head["signal_ns"] = now_ns
            record_since(int(places[_SIGNALLED]), int(head["book_ns"]), now_ns)
        address = int(places[_HEADS]) + number * _HEAD_BYTES
        if publish_parts(int(places[_SIGNALS_RING]), address, 1, legs, n_legs, 0) <= 0:
            return False
        legs += n_legs * _LEG_BYTES
    return True


@kernel
def _read(ring: int, places: Words) -> int:
    """Have what waits in a ring read, whose places begin at ``ring``: cells, or a Status."""
    buffer, tags, room = int(places[ring + _BUFFER]), int(places[ring + _TAGS]), int(places[ring + _ROOM])
    return poll(int(places[ring + _RING]), int(places[ring + _READER]), buffer, tags, room, EVERY_MESSAGE)


@kernel
def _read_next_ring(places: Words) -> int:
    """Have the tops of the next ring read; 0, or a Stop before they may be decided on."""
    ring = _RINGS + int(places[_RINGS_READ]) * _RING_PLACES
    n_tops = max(_read(ring, places), 0)
    places[_RINGS_READ] += 1
    places[_TOPS], places[_N_TOPS], places[_NEXT] = places[ring + _BUFFER], n_tops, 0
    places[_TAKEN] += n_tops
    places[_READ] += n_tops
    if n_tops > 0 and places[_CATALOG] != 0:
        version = announced(int(places[_CATALOG]))
        is_news = version != places[_CATALOG_SEEN]
        places[_CATALOG_SEEN] = version
    else:
        is_news = False
    laps = load_relaxed(int(places[ring + _READER]) + LAPS_AT)
    if laps != places[ring + _LAPS]:
        places[ring + _LAPS] = laps
        return _LAPPED
    return _NEWS if is_news else 0


@inlined
def _hand_over(now_ns: int, places: Words) -> int:
    """Give an optimizer that is here its turn where it has signals; the tops of this turn, or a Stop."""
    if places[_PLANNER] != NOBODY and places[_HANDED_OVER] != places[_GIVEN]:
        places[_HANDED_OVER] = places[_GIVEN]
        places[_PLANNER_STOP] = call(int(places[_PLANNER]), now_ns, LED_TURN, int(places[_PLANNER_PLACES]))
        if places[_PLANNER_STOP] < 0:
            return _PLANS
    return int(places[_TAKEN])


@kernel
def take_turn(now_ns: int, is_new: int, places_at: int) -> int:
    """Take a turn (``is_new`` 1), or the rest of one (0): how many tops it had; below zero a Stop.

    ``places_at`` is the address of PLACES words. The time passes for what is told of it, by the processor's
    counter, and stands still for what is decided on the tops of one call.
    """
    began = read_ticks()
    places = array_at(places_at, (PLACES,), np.int64)
    if is_new != 0:
        places[_RINGS_READ] = places[_TAKEN] = places[_N_TOPS] = places[_NEXT] = 0
        places[_N_EVENTS] = _read(EVENTS, places)
        if places[_N_EVENTS] != 0:
            return _EVENTS
    by_hand = array_at(places[_HANDS], (places[_N_MARKETS],), np.uint8)
    state, table, desk, out = _state_at(places), _table_at(places), _desk_at(places), _out_at(places)
    while True:
        index = int(places[_NEXT])
        if index >= places[_N_TOPS]:
            if places[_RINGS_READ] >= places[_N_RINGS]:
                return _hand_over(now_ns + spent_ns(began, int(places[_RATE])), places)
            stop = _read_next_ring(places)
            if stop != 0:
                return stop
            now_ns += spent_ns(began, int(places[_RATE]))
            began = read_ticks()
            continue
        tops = array_at(places[_TOPS], (places[_N_TOPS],), TOP)
        top = tops[index]
        slot, venue = int(top["slot"]), int(top["venue"])
        if not is_row(slot, venue, int(places[_N_MARKETS])):
            return _BY_HAND  # the stage says what is wrong with it
        row = int(places[_BOOKS]) + slot * _ROW_BYTES
        if by_hand[slot] != 0 or read_row(int(places[_TABLES + venue]), slot, row) < 0:
            return _BY_HAND
        scan(tops, index, now_ns, state, table, desk, out)
        n_decisions, n_signals = int(out.filled[DECISIONS]), int(out.filled[HEADS])
        decisions = int(places[_DECISIONS])
        if publish_each(int(places[_DECISIONS_RING]), decisions, n_decisions, 0) != n_decisions:
            return _FULL
        stamp_ns = now_ns + spent_ns(began, int(places[_RATE]))
        if n_signals > 0 and places[_QUIET] == 0:
            if not _publish_signals(places, out, stamp_ns):
                return _FULL
            places[_GIVEN] += n_signals
        if places[_DECIDED] != 0:
            record_since(int(places[_DECIDED]), int(top["book_ns"]), stamp_ns)
        places[_NEXT] = index + 1
