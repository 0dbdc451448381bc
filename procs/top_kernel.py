"""One compiled call for the tops a strategy stage has read: rows fetched, candidates decided, all published.

The kernels are the scanner's and the rings' own. They take one array, ``places``: the addresses and lengths
of all they work on (``procs.frame_kernels`` says why). What cannot be done here is left to the stage: a row
of which something is ours already, or whose writer is at it; and keeping in mind whose signals were given.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.catalog.catalog import MARKET_ROW
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
)
from engine.strategies.candidates import CANDIDATE, CANDIDATE_LEG
from engine.strategies.evaluate import NUMBERS, Desk
from engine.strategies.filters import TERMS, State
from engine.strategies.scanner import (
    DECISIONS,
    DECISIONS_MAX,
    HEADS,
    SIGNAL_LEGS_MAX,
    SIGNALS_MAX,
    Output,
    Table,
    scan,
)
from engine.venues.workspace import Words
from procs.frame_kernels import NS_PER_TICK_SHIFT
from shm.arrays import array_at
from shm.atomics import read_ticks
from shm.cells import publish_each, publish_parts
from shm.histogram import record
from shm.table import read_row


class Place(IntEnum):
    """Where in ``places`` an address or a number is."""

    DECISIONS_RING = 0
    SIGNALS_RING = 1
    DECIDED = 2  # histograms of the ladder; 0: nobody counts
    SIGNALLED = 3
    NS_PER_TICK = 4
    QUIET = 5  # 1: signals are found, and not published
    STOPPED = 6  # why the last call came back: Stop
    BOOKS_TABLE = 7  # by Venue, the first of them unused
    TOPS = 10
    N_TOPS = 11
    N_MARKETS = 12
    N_CANDIDATES = 13
    N_LEGS = 14
    N_TOUCHING = 15
    BY_HAND = 16  # uint8 by slot: whose rows the stage fetches itself
    MARKETS = 17  # of the scanner from here on: state, table, desk, out, in the order of their fields
    BOOKS = 18
    TERMS = 19
    ROWS = 20
    LEGS = 21
    TOUCHING = 22
    TOUCHING_FROM = 23
    BUSY = 24
    SIGNAL_ID = 25
    LAST_REASON = 26
    DESK_LEGS = 27
    JOB = 28
    NUMBERS = 29
    LEVELS = 30
    DEPTH = 31
    WORK = 32
    SEGMENTS = 33
    HELD = 34
    DECISIONS = 35
    HEADS = 36
    SIGNAL_LEGS = 37
    FILLED = 38
    OWNERS = 39
    NEXT_SIGNAL_ID = 40


class Stop(IntEnum):
    """Why a call came back before the last top."""

    END = 0  # it did not
    BY_HAND = 1  # this top is for the stage to look at
    SIGNALS = 2  # the top before this one gave some
    FULL = 3  # a ring has no room


PLACES: Final = max(Place) + 1
_BY_HAND, _SIGNALS, _FULL = int(Stop.BY_HAND), int(Stop.SIGNALS), int(Stop.FULL)
(
    _DECISIONS_RING,
    _SIGNALS_RING,
    _DECIDED,
    _SIGNALLED,
    _RATE,
    _QUIET,
    _STOPPED,
    _TABLES,
    _TOPS,
    _N_TOPS,
    _N_MARKETS,
    _N_CANDIDATES,
    _N_LEGS,
    _N_TOUCHING,
    _HANDS,
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
) = (int(place) for place in list(Place)[list(Place).index(Place.MARKETS) :])
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
        array_at(places[_OWNERS], (2 * SIGNALS_MAX,), np.int64),
        array_at(places[_NEXT_SIGNAL_ID], (1,), np.int64),
    )


@kernel
def _publish_signals(places: Words, out: Output, now_ns: int) -> bool:
    """Stamp the signals of a top and publish each with its legs; whether there was room for all."""
    legs = int(places[_SIGNAL_LEGS])
    for number in range(int(out.filled[HEADS])):
        head = out.heads[number]
        n_legs = int(head["n_legs"])
        if places[_SIGNALLED] != 0:
            head["signal_ns"] = now_ns
            record(int(places[_SIGNALLED]), now_ns - int(head["book_ns"]))
        address = int(places[_HEADS]) + number * _HEAD_BYTES
        if publish_parts(int(places[_SIGNALS_RING]), address, 1, legs, n_legs, 0) <= 0:
            return False
        legs += n_legs * _LEG_BYTES
    return True


@kernel
def decide_tops(first: int, n_tops: int, now_ns: int, places: Words) -> int:
    """Decide on the tops from ``first`` to ``n_tops``: the first that is left; Place.STOPPED says why."""
    began = read_ticks()
    tops = array_at(places[_TOPS], (places[_N_TOPS],), TOP)
    by_hand = array_at(places[_HANDS], (places[_N_MARKETS],), np.uint8)
    state, table, desk, out = _state_at(places), _table_at(places), _desk_at(places), _out_at(places)
    places[_STOPPED] = 0
    for index in range(first, n_tops):
        top = tops[index]
        slot = int(top["slot"])
        row = int(places[_BOOKS]) + slot * _ROW_BYTES
        if by_hand[slot] != 0 or read_row(int(places[_TABLES + int(top["venue"])]), slot, row) < 0:
            places[_STOPPED] = _BY_HAND
            return index
        scan(tops, index, now_ns, state, table, desk, out)
        n_decisions, n_signals = int(out.filled[DECISIONS]), int(out.filled[HEADS])
        decisions = int(places[_DECISIONS])
        if publish_each(int(places[_DECISIONS_RING]), decisions, n_decisions, 0) != n_decisions:
            places[_STOPPED] = _FULL
            return index
        spent_ns = ((read_ticks() - began) * int(places[_RATE])) >> NS_PER_TICK_SHIFT
        if n_signals > 0 and places[_QUIET] == 0 and not _publish_signals(places, out, now_ns + spent_ns):
            places[_STOPPED] = _FULL
            return index
        if places[_DECIDED] != 0:
            record(int(places[_DECIDED]), now_ns + spent_ns - int(top["book_ns"]))
        if n_signals > 0:
            places[_STOPPED] = _SIGNALS
            return index + 1
    return n_tops
