"""A turn of an optimizer stage in one compiled call: ends of plans, signals in, plans out.

What competes with nobody is planned here (``engine.optimizer.alone``); the rest, and what an event says of
fills, is left to the stage, which then has the rest of the turn done: ``Stop`` says what.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.catalog.catalog import MARKET_ROW
from engine.execution.terms import VENUES
from engine.jit import inlined, kernel
from engine.optimizer.allocator import SIGNALS_MAX
from engine.optimizer.alone import NOT_ALONE, Plans, Sheet, plan_alone
from engine.optimizer.batch import BATCH_LEGS_MAX
from engine.optimizer.booking import LIMITS
from engine.optimizer.fill import JOBS_MAX
from engine.optimizer.holds import MARKET_COLUMNS, PART_COLUMNS, Held, release_hold
from engine.optimizer.holds import STATES as HELD_STATES
from engine.optimizer.keyed import COLUMNS as KEYED
from engine.optimizer.pricing import COLUMNS
from engine.optimizer.proof import WALK
from engine.optimizer.shadow import STATES, TAKE_COLUMNS, Takes, release_takes
from engine.optimizer.sizing import OPPORTUNITY, SEGMENT_COLUMNS, SEGMENTS_MAX
from engine.records import (
    BOOK_ROW,
    LEGS_MAX,
    ORDER_EVENT,
    PLAN_HEAD,
    PLAN_LEG,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    TOP_LEVELS,
)
from engine.venues.workspace import Words
from procs.plan_kernel import Place, Sent, send_plans, take_signals
from procs.tick_rate import spent_ns
from procs.top_kernel import LED_TURN
from shm.arrays import array_at
from shm.atomics import read_ticks
from shm.barrier import announced
from shm.cells import poll
from shm.layout import Status
from shm.reader import EVERY_MESSAGE


class Stop(IntEnum):
    """Why a call came back before the end of its turn."""

    EVENTS = -1  # events were read that are more than ends of plans, or nobody waits for this stage any more
    ROWS = -2  # signals were read, and some of their rows the stage has to fetch itself
    TOGETHER = -3  # signals were read that have to be decided together
    FENCED = -4  # nobody waits for this stage's reading of signals any more
    NO_ROOM_FOR_PLANS = -5
    NO_ROOM_FOR_DECISIONS = -6
    GARBLED = -7  # a signal was not what had been published, and was passed over
    NOT_READY = -8  # who had this turn taken did not know: markets or cash are to be learned first


class Begin(IntEnum):
    """Where a call begins."""

    REST = 0  # with the signals that wait
    TURN = 1
    FETCHED = 2  # with the signals that were read last: their rows are there now
    LED = LED_TURN  # as TURN, by somebody else: the stage may have something to do before


_SHEET: Final = len(Sheet._fields) - 2  # arrays of it, without books and markets
_HELD: Final = Place.SHEET + _SHEET
_TAKES: Final = _HELD + len(Held._fields)
_NEXT_ID: Final = _TAKES + len(Takes._fields)
PLACES: Final = _NEXT_ID + 1

_STOP_EVENTS, _STOP_ROWS, _TOGETHER, _FENCED, _PLANS_FULL, _DECISIONS_FULL, _STOP_GARBLED, _NOT_READY = (
    int(stop) for stop in Stop
)
_GARBLED: Final = int(Status.GARBLED)
_TURN, _FETCHED = int(Begin.TURN), int(Begin.FETCHED)
_NO_PLANS_SENT, _ALL_SENT = int(Sent.NO_ROOM_FOR_PLANS), int(Sent.ALL)
_FIRST: Final = int(Place.SHEET)
_EVENTS_RING, _EVENTS_READER, _EVENTS, _EVENTS_TAGS, _EVENTS_ROOM, _N_EVENTS = (
    int(place) for place in list(Place)[list(Place).index(Place.EVENTS_RING) :][:6]
)
_CATALOG, _CATALOG_SEEN = int(Place.CATALOG), int(Place.CATALOG_SEEN)
_NS_PER_TICK, _TAKEN, _N_SIGNALS, _ALL_SIGNALS, _ALL_PLANS, _MARKETS = (
    int(place) for place in list(Place)[list(Place).index(Place.NS_PER_TICK) :][:6]
)
_N_EVENT_ROWS, _N_PLAN_ROWS, _N_PARTS, _N_TAKES, _N_TAKEN_ROWS = (
    int(place) for place in list(Place)[list(Place).index(Place.N_EVENT_ROWS) :][:5]
)
_HEADS, _LEGS, _ROWS, _N_MARKETS = (
    int(place) for place in (Place.HEADS, Place.LEGS, Place.ROWS, Place.N_MARKETS)
)
_N_LEFT, _N_CELLS = int(Place.N_LEFT), int(Place.N_CELLS)
_PLAN_HEADS, _PLAN_LEGS = int(Place.PLAN_HEADS), int(Place.PLAN_LEGS)


@inlined
def _sheet_at(places: Words) -> Sheet:
    return Sheet(
        array_at(places[_ROWS], (places[_N_MARKETS],), BOOK_ROW),
        array_at(places[_MARKETS], (places[_N_MARKETS],), MARKET_ROW),
        array_at(places[_FIRST], (LIMITS,), np.int64),
        array_at(places[_FIRST + 1], (JOBS_MAX,), OPPORTUNITY),
        array_at(places[_FIRST + 2], (3, BATCH_LEGS_MAX, TOP_LEVELS), np.int64),
        array_at(places[_FIRST + 3], (BATCH_LEGS_MAX,), np.int64),
        array_at(places[_FIRST + 4], (2, BATCH_LEGS_MAX), np.int64),
        array_at(places[_FIRST + 5], (SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64),
        array_at(places[_FIRST + 6], (JOBS_MAX, 4), np.int64),
        array_at(places[_FIRST + 7], (BATCH_LEGS_MAX,), np.int64),
        array_at(places[_FIRST + 8], (BATCH_LEGS_MAX, COLUMNS), np.int64),
        array_at(places[_FIRST + 9], (3, BATCH_LEGS_MAX, TOP_LEVELS), np.int64),
        array_at(places[_FIRST + 10], (BATCH_LEGS_MAX,), np.int64),
        array_at(places[_FIRST + 11], (LEGS_MAX, TOP_LEVELS), np.int64),
        array_at(places[_FIRST + 12], (VENUES,), np.int64),
        array_at(places[_FIRST + 13], (WALK,), np.int64),
    )


@inlined
def _held_at(places: Words) -> Held:
    return Held(
        array_at(places[_HELD], (VENUES, 2), np.int64),
        array_at(places[_HELD + 1], (places[_N_MARKETS], MARKET_COLUMNS), np.int64),
        array_at(places[_HELD + 2], (places[_N_EVENT_ROWS], KEYED), np.int64),
        array_at(places[_HELD + 3], (places[_N_PLAN_ROWS], KEYED), np.int64),
        array_at(places[_HELD + 4], (places[_N_PARTS], PART_COLUMNS), np.int64),
        array_at(places[_HELD + 5], (HELD_STATES,), np.int64),
    )


@inlined
def _takes_at(places: Words) -> Takes:
    return Takes(
        array_at(places[_TAKES], (places[_N_MARKETS], 2), np.int64),
        array_at(places[_TAKES + 1], (places[_N_TAKES], TAKE_COLUMNS), np.int64),
        array_at(places[_TAKES + 2], (places[_N_TAKEN_ROWS], KEYED), np.int64),
        array_at(places[_TAKES + 3], (STATES,), np.int64),
    )


@inlined
def _plans_at(places: Words) -> Plans:
    return Plans(
        array_at(places[_PLAN_HEADS], (SIGNALS_MAX,), PLAN_HEAD),
        array_at(places[_PLAN_LEGS], (BATCH_LEGS_MAX,), PLAN_LEG),
        array_at(places[_NEXT_ID], (1,), np.int64),
    )


@kernel
def _end_plans(n_events: int, places: Words, held: Held, takes: Takes) -> bool:
    """Let go of what plans that are done held; False, and nothing, where an event says more than that."""
    events = array_at(places[_EVENTS], (n_events,), ORDER_EVENT)
    for index in range(n_events):
        if events[index]["fill_size_e6"] != 0 or events[index]["plan_id"] == 0:
            return False
    for index in range(n_events):
        plan_id = int(events[index]["plan_id"])
        if events[index]["plan_done"] != 0 and release_hold(plan_id, held):
            release_takes(plan_id, takes)
    return True


@kernel
def _read_events(places: Words) -> int:
    """Have waiting events read: how many, or a Status."""
    ring, reader, cells = int(places[_EVENTS_RING]), int(places[_EVENTS_READER]), int(places[_EVENTS])
    tags, room = int(places[_EVENTS_TAGS]), int(places[_EVENTS_ROOM])
    n_events = poll(ring, reader, cells, tags, room, EVERY_MESSAGE)
    places[_N_EVENTS], places[_TAKEN] = n_events, max(n_events, 0)
    return n_events


@kernel
def _read_signals(places: Words) -> int:
    """Have waiting signals read, and counted: how many, or a Status."""
    n_signals = take_signals(places)
    if n_signals > 0:
        places[_N_SIGNALS] = n_signals
        places[_TAKEN] += places[_N_CELLS]
        places[_ALL_SIGNALS] += n_signals
    return n_signals


@kernel
def take_turn(now_ns: int, begin: int, places_at: int) -> int:
    """Take a turn, or the rest of one (Begin): how many cells it had; below zero a Stop.

    ``places_at`` is the address of PLACES words. The time passes for what plans are stamped with, and stands
    still for what is decided.
    """
    began = read_ticks()
    places = array_at(places_at, (PLACES,), np.int64)
    if begin == LED_TURN:
        if announced(int(places[_CATALOG])) != places[_CATALOG_SEEN]:
            return _NOT_READY
        begin = int(np.int64(_TURN))
    sheet, held, takes, plans = _sheet_at(places), _held_at(places), _takes_at(places), _plans_at(places)
    if begin == _TURN:
        n_events = _read_events(places)
        if n_events != 0 and (n_events < 0 or not _end_plans(n_events, places, held, takes)):
            return _STOP_EVENTS
    heads = array_at(places[_HEADS], (SIGNALS_MAX,), SIGNAL_HEAD)
    legs = array_at(places[_LEGS], (BATCH_LEGS_MAX,), SIGNAL_LEG)
    while True:
        n_signals = int(places[_N_SIGNALS]) if begin == _FETCHED else _read_signals(places)
        if n_signals == 0:
            return int(places[_TAKEN])
        if n_signals < 0:
            return _STOP_GARBLED if n_signals == _GARBLED else _FENCED
        if begin != _FETCHED and places[_N_LEFT] != 0:
            return _STOP_ROWS
        begin = int(np.int64(0))
        n_plans = plan_alone(n_signals, now_ns, heads, legs, sheet, held, takes, plans)
        if n_plans == NOT_ALONE:
            return _TOGETHER
        places[_ALL_PLANS] += n_plans
        sent_ns = now_ns + spent_ns(began, int(places[_NS_PER_TICK]))
        sent = send_plans(n_plans, int(np.int64(0)), n_signals, now_ns, sent_ns, places)
        if sent != _ALL_SENT:
            return _PLANS_FULL if sent == _NO_PLANS_SENT else _DECISIONS_FULL
