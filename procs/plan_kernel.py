"""An optimizer's signals in, its plans and decisions out: a compiled call each, around the allocation.

Both take one array, ``places``: the addresses and lengths of all they work on (``procs.frame_kernels`` says
why). What something of ours is in, or a row whose writer is at it, is left to the stage.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.optimizer.allocator import SIGNALS_MAX
from engine.optimizer.batch import BATCH_LEGS_MAX
from engine.optimizer.levels import Rows
from engine.records import (
    BOOK_ROW,
    DECISION,
    PLAN_HEAD,
    PLAN_LEG,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    WIDE_BYTES,
    DecisionStage,
)
from engine.venues.workspace import Words
from procs.top_kernel import is_row
from shm.arrays import array_at
from shm.atomics import load_relaxed
from shm.cells import copy_words, poll, publish_each, publish_parts
from shm.histogram import record_since
from shm.layout import COUNT_MASK, INDEX_SHIFT, WORD_BYTES, WORD_SHIFT
from shm.table import read_row


class Place(IntEnum):
    """Where in ``places`` an address or a number is."""

    SIGNALS_RING = 0
    READER = 1  # of the signals, and what it reads into
    CELLS = 2
    TAGS = 3
    ROOM = 4
    HEADS = 5  # signals and their legs, apart
    LEGS = 6
    BOOKS_TABLE = 7  # by Venue, the first of them unused
    ROWS = 10  # the stage's own, by slot
    BY_HAND = 11  # uint8 by slot: whose rows the stage fetches itself
    N_MARKETS = 12
    LEFT = 13  # legs whose rows are left to the stage, and how many
    N_LEFT = 14
    N_CELLS = 15  # that were read
    PLANS_RING = 16
    DECISIONS_RING = 17
    HISTOGRAM = 18  # signal_plan; 0: nobody counts
    PLAN_HEADS = 19
    PLAN_LEGS = 20
    REFUSED = 21  # decisions on signals that became no plan
    MADE = 22  # and on those that did
    EVENTS_RING = 23
    EVENTS_READER = 24
    EVENTS = 25
    EVENTS_TAGS = 26
    EVENTS_ROOM = 27
    N_EVENTS = 28  # that were read; below zero a Status
    NS_PER_TICK = 29
    TAKEN = 30  # events and cells of signals, in this turn
    N_SIGNALS = 31  # that were read last
    ALL_SIGNALS = 32  # and all of them since the start
    ALL_PLANS = 33
    MARKETS = 34
    N_EVENT_ROWS = 35  # of the arrays of Held and Takes
    N_PLAN_ROWS = 36
    N_PARTS = 37
    N_TAKES = 38
    N_TAKEN_ROWS = 39
    CATALOG = 40  # its barrier, and the version that was taken in; NO_VERSION: cash is not known
    CATALOG_SEEN = 41
    SHEET = 42  # from its limits on, in the order of its fields; then Held, Takes, and next_id of Plans


NO_VERSION: Final = -1  # of any catalog


class Sent(IntEnum):
    """What became of plans and decisions."""

    ALL = 0
    NO_ROOM_FOR_PLANS = 1
    NO_ROOM_FOR_DECISIONS = 2


_ALL, _PLANS_FULL, _DECISIONS_FULL = (int(sent) for sent in Sent)
_SIGNALS_RING, _READER, _CELLS, _TAGS, _ROOM, _HEADS, _LEGS, _TABLES, _ROWS, _HANDS, _N_MARKETS = (
    int(place) for place in list(Place)[: list(Place).index(Place.LEFT)]
)
_LEFT, _N_LEFT, _N_CELLS, _PLANS_RING, _DECISIONS_RING, _HISTOGRAM = (
    int(place) for place in list(Place)[list(Place).index(Place.LEFT) : list(Place).index(Place.PLAN_HEADS)]
)
_PLAN_HEADS, _PLAN_LEGS, _REFUSED, _MADE = (
    int(place) for place in (Place.PLAN_HEADS, Place.PLAN_LEGS, Place.REFUSED, Place.MADE)
)
_RECORD_WORDS: Final = WIDE_BYTES >> WORD_SHIFT
_ROW_BYTES: Final = BOOK_ROW.itemsize
_OPTIMIZER: Final = int(DecisionStage.OPTIMIZER)
_LEG_COUNT_MAX: Final = 255  # what DECISION.n_legs can say


@kernel
def take_signals(places: Words) -> int:
    """Read waiting signals, part heads from legs, fetch the rows they are about: how many, or a Status."""
    cells, tags = int(places[_CELLS]), int(places[_TAGS])
    ring, reader, room = int(places[_SIGNALS_RING]), int(places[_READER]), int(places[_ROOM])
    n_cells = poll(ring, reader, cells, tags, room, SIGNALS_MAX)
    if n_cells <= 0:
        return n_cells
    legs = array_at(places[_LEGS], (BATCH_LEGS_MAX,), SIGNAL_LEG)
    left = array_at(places[_LEFT], (BATCH_LEGS_MAX,), np.int64)
    by_hand = array_at(places[_HANDS], (places[_N_MARKETS],), np.uint8)
    n_heads = n_legs = n_left = 0
    for cell in range(n_cells):
        source = cells + cell * WIDE_BYTES
        if (load_relaxed(tags + cell * WORD_BYTES) >> INDEX_SHIFT) & COUNT_MASK == 0:
            copy_words(int(places[_HEADS]) + n_heads * WIDE_BYTES, source, _RECORD_WORDS)
            n_heads += 1
            continue
        copy_words(int(places[_LEGS]) + n_legs * WIDE_BYTES, source, _RECORD_WORDS)
        slot, venue = int(legs[n_legs]["slot"]), int(legs[n_legs]["venue"])
        is_left = not is_row(slot, venue, int(places[_N_MARKETS])) or by_hand[slot] != 0
        if not is_left:
            row = int(places[_ROWS]) + slot * _ROW_BYTES
            is_left = read_row(int(places[_TABLES + venue]), slot, row) < 0
        if is_left:
            left[n_left] = n_legs
            n_left += 1
        n_legs += 1
    places[_N_LEFT], places[_N_CELLS] = n_left, n_cells
    return n_heads


@inlined
def _trigger(slot: int, legs: Rows, first: int, n_legs: int) -> int:
    """The leg on the market that caused a plan, or its first one."""
    for leg in range(first, first + n_legs):
        if legs[leg]["slot"] == slot:
            return leg
    return first


@kernel
def _decide(plan: np.void, leg: np.void, signals: Rows, n_signals: int, now_ns: int, made: np.void) -> None:
    """DECISION that a signal became ``plan``, with the edges of the signal; ``leg`` is on its market."""
    for index in range(n_signals):
        if signals[index]["signal_id"] == plan["signal_id"]:
            made["edge_gross_micros"] = signals[index]["edge_gross_micros"]
            made["edge_net_micros"] = signals[index]["edge_net_micros"]
    made["recv_ns"] = plan["recv_ns"]
    made["decided_ns"] = now_ns
    made["signal_id"] = plan["signal_id"]
    made["plan_id"] = plan["plan_id"]
    made["epoch"] = leg["epoch"]
    made["size_e6"] = plan["size_e6"]
    made["profit_micros"] = plan["profit_micros"] if plan["size_e6"] > 0 else 0
    made["slot"] = leg["slot"]
    made["generation"] = leg["generation"]
    made["relation"] = plan["relation"]
    made["kind"] = plan["kind"]
    made["stage"] = _OPTIMIZER
    made["venue"] = leg["venue"]
    made["n_legs"] = min(int(plan["n_legs"]), _LEG_COUNT_MAX)


@kernel
def send_plans(
    n_plans: int, n_refused: int, n_signals: int, now_ns: int, stamp_ns: int, places: Words
) -> int:
    """Publish each plan with its legs, then a decision for every signal: Sent.

    Plans are stamped with ``stamp_ns`` where somebody counts how long they took.
    """
    heads = array_at(places[_PLAN_HEADS], (SIGNALS_MAX,), PLAN_HEAD)
    legs = array_at(places[_PLAN_LEGS], (BATCH_LEGS_MAX,), PLAN_LEG)
    signals = array_at(places[_HEADS], (SIGNALS_MAX,), SIGNAL_HEAD)
    made = array_at(places[_MADE], (SIGNALS_MAX,), DECISION)
    first = 0
    for number in range(n_plans):
        plan = heads[number]
        n_legs = int(plan["n_legs"])
        if places[_HISTOGRAM] != 0:
            plan["plan_ns"] = stamp_ns
            record_since(int(places[_HISTOGRAM]), int(plan["signal_ns"]), stamp_ns)
        head_at = int(places[_PLAN_HEADS]) + number * WIDE_BYTES
        legs_at = int(places[_PLAN_LEGS]) + first * WIDE_BYTES
        if publish_parts(int(places[_PLANS_RING]), head_at, 1, legs_at, n_legs, 0) <= 0:
            return _PLANS_FULL
        trigger = _trigger(int(plan["slot"]), legs, first, n_legs)
        _decide(plan, legs[trigger], signals, n_signals, now_ns, made[number])
        first += n_legs
    ring = int(places[_DECISIONS_RING])
    if publish_each(ring, int(places[_MADE]), n_plans, 0) != n_plans:
        return _DECISIONS_FULL
    is_sent = publish_each(ring, int(places[_REFUSED]), n_refused, 0) == n_refused
    return _ALL if is_sent else _DECISIONS_FULL
