"""The compiled pass of a check: frames into the books, every TOP record that comes back judged.

Counted are crossed books, declared best prices, tickers, returns to LIVE and sequence breaks; what is counted
and the rules are in ``procs.check_tally``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.apply import apply_updates
from engine.book.state import BookState, Records
from engine.book.store import BookStore
from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, NO_PRICE, Side, TopFlag, Trust, UpdateKind, Venue
from engine.units import NS_PER_MS, PRICE_ONE_E4
from procs.check_tally import (
    B_REASON,
    B_RECV,
    B_SEQ,
    B_SLOT,
    BREAKS_MAX,
    BURST_NS,
    CROSSED_KIND,
    DECLARED_KIND,
    N_BREAKS,
    N_CLOCK,
    N_DIGEST,
    N_PENDING,
    N_TRUNCATED,
    P_ASK,
    P_BID,
    P_COLUMNS,
    P_KIND,
    P_MS,
    P_RECV,
    P_SLOT,
    PENDING_MAX,
    S_CONN,
    S_DEEP_ASK,
    S_DEEP_BID,
    S_TOUCHED,
    S_UPDATES,
    TICKER_KIND,
    TICKER_WAIT_NS,
    Found,
    Longs,
    Tally,
    make_tally,
)
from procs.replay_apply import frame_end

_LIVE, _UNSYNCED, _SUSPECT, _RESYNC = (
    int(Trust.LIVE),
    int(Trust.UNSYNCED),
    int(Trust.SUSPECT),
    int(Trust.RESYNC),
)
_DOUBT, _BEGIN, _LEVEL = int(UpdateKind.DOUBT), int(UpdateKind.SNAPSHOT_BEGIN), int(UpdateKind.SNAPSHOT_LEVEL)
_ADD: Final = int(UpdateKind.LEVEL_ADD)
_GAP, _RESTART = int(Reason.SEQUENCE_GAP), int(Reason.SEQUENCE_RESTART)
_MIRROR_REASON: Final = int(Reason.MIRROR_BROKEN)
_AFTER_JUDGEMENT: Final = (int(Reason.TOP_DISAGREES), _MIRROR_REASON, int(Reason.CROSSED_TOO_LONG))
_DECLARED, _AGREES, _TICKER, _SNAPSHOT = (
    int(TopFlag.DECLARED),
    int(TopFlag.DECLARED_AGREES),
    int(TopFlag.TICKER),
    int(TopFlag.SNAPSHOT),
)
_BID: Final = int(Side.BID)
_KALSHI: Final = int(Venue.KALSHI)
_IS_CROSSED: Final = 1  # bits: what a frame left of the books it wrote
_IS_LOCKED: Final = 2
_DIGEST_FACTOR: Final = 0x01000193
_DIGEST_MASK: Final = 0xFFFFFFFF  # 32 bits: times the factor stays below 2**63

_N_BEYOND_DEPTH: Final = int(Found.BEYOND_DEPTH)
_N_BREAKS: Final = int(Found.BREAKS)
_N_CROSSED: Final = int(Found.CROSSED)
_N_CROSSED_IN_BURST: Final = int(Found.CROSSED_IN_BURST)
_N_FRAMES_WITH_RECORDS: Final = int(Found.FRAMES_WITH_RECORDS)
_N_LOCKED: Final = int(Found.LOCKED)
_N_MIRROR_BROKEN: Final = int(Found.MIRROR_BROKEN)
_N_NEXT_FRAME_SAME_MS: Final = int(Found.NEXT_FRAME_SAME_MS)
_N_PENDING_LOST: Final = int(Found.PENDING_LOST)
_N_RESYNCS: Final = int(Found.RESYNCS)
_N_SNAPSHOTS: Final = int(Found.SNAPSHOTS)
_N_TICKER_AGREE: Final = int(Found.TICKER_AGREE)
_N_TICKER_LATE: Final = int(Found.TICKER_LATE)
_N_TICKER_NEVER: Final = int(Found.TICKER_NEVER)
_N_TICKER_UNSYNCED: Final = int(Found.TICKER_UNSYNCED)
_N_TOB_AGREE: Final = int(Found.TOB_AGREE)
_N_TOB_CHECKED: Final = int(Found.TOB_CHECKED)
_N_TOB_DOUBTED: Final = int(Found.TOB_DOUBTED)
_N_TOB_MISMATCH: Final = int(Found.TOB_MISMATCH)
_N_TOB_UNSYNCED: Final = int(Found.TOB_UNSYNCED)
_N_TOB_UNSYNCED_AGREE: Final = int(Found.TOB_UNSYNCED_AGREE)


@inlined
def _count(tally: Tally, what: int) -> None:
    tally.counts[what] += 1


@kernel
def _wait(tally: Tally, top: np.void, kind: int) -> None:
    """Put the declaration of ``top`` on the waiting list."""
    at = int(tally.numbers[N_PENDING])
    if at == PENDING_MAX:
        _count(tally, _N_PENDING_LOST)
        _count(tally, _N_TICKER_NEVER if kind == TICKER_KIND else _N_TOB_MISMATCH)
        return
    entry = tally.pending[at]
    entry[P_SLOT] = top["slot"]
    entry[P_BID] = top["declared_bid_e4"]
    entry[P_ASK] = top["declared_ask_e4"]
    entry[P_RECV] = top["recv_ns"]
    entry[P_MS] = int(top["venue_ns"]) // NS_PER_MS
    entry[P_KIND] = kind
    tally.numbers[N_PENDING] = at + 1


@kernel
def _drop(tally: Tally, at: int) -> None:
    """Take an entry off the list; the last one takes its place."""
    last = int(tally.numbers[N_PENDING]) - 1
    for column in range(P_COLUMNS):
        tally.pending[at, column] = tally.pending[last, column]
    tally.numbers[N_PENDING] = last


@kernel
def _verdict(entry: Longs, equal: bool, crossed: bool, venue_ms: int, recv_ns: int) -> int:
    """Found that settles a waiting entry in the light of a later top of its book; -1 to wait on."""
    age_ns = recv_ns - int(entry[P_RECV])
    kind = int(entry[P_KIND])
    if kind == TICKER_KIND:
        if age_ns > TICKER_WAIT_NS:
            return _N_TICKER_NEVER
        return _N_TICKER_LATE if equal else -1
    same_ms = int(entry[P_MS]) > 0 and int(entry[P_MS]) == venue_ms
    if same_ms and equal:
        return _N_NEXT_FRAME_SAME_MS
    if kind == CROSSED_KIND and age_ns <= BURST_NS:
        if crossed:
            return -1
        if equal:
            return _N_CROSSED_IN_BURST
    return -1 if same_ms else _N_TOB_MISMATCH


@kernel
def _settle(tally: Tally, top: np.void) -> None:
    """Judge what waits for this book by its new best prices."""
    bid, ask = int(top["bid_e4"]), int(top["ask_e4"])
    crossed = bid != NO_PRICE and ask != NO_PRICE and bid >= ask
    venue_ms = int(top["venue_ns"]) // NS_PER_MS
    for at in range(int(tally.numbers[N_PENDING]) - 1, -1, -1):
        entry = tally.pending[at]
        if int(entry[P_SLOT]) != int(top["slot"]):
            continue
        equal = int(entry[P_BID]) == bid and int(entry[P_ASK]) == ask
        found = _verdict(entry, equal, crossed, venue_ms, int(top["recv_ns"]))
        if found >= 0:
            _count(tally, found)
            _drop(tally, at)


@kernel
def _beyond_depth(tally: Tally, top: np.void) -> bool:
    """Whether every side that differs is declared beyond the levels that the recording ever had."""
    if int(tally.numbers[N_TRUNCATED]) == 0:
        return False
    row = tally.slots[int(top["slot"])]
    bid, ask = int(top["bid_e4"]), int(top["ask_e4"])
    says_bid, says_ask = int(top["declared_bid_e4"]), int(top["declared_ask_e4"])
    if says_bid != bid and (says_bid == NO_PRICE or says_bid >= int(row[S_DEEP_BID]) or bid > says_bid):
        return False
    if says_ask == ask:
        return True
    return says_ask != NO_PRICE and says_ask > int(row[S_DEEP_ASK]) and (ask == NO_PRICE or ask > says_ask)


@kernel
def _judge_declared(tally: Tally, top: np.void, agrees: bool) -> None:
    trust, before, doubt = int(top["trust"]), int(top["prev_trust"]), int(top["doubt"])
    if trust == _UNSYNCED:
        _count(tally, _N_TOB_UNSYNCED)
        if agrees:
            _count(tally, _N_TOB_UNSYNCED_AGREE)
    elif trust == _LIVE or (before == _LIVE and doubt in _AFTER_JUDGEMENT):
        _count(tally, _N_TOB_CHECKED)
        if agrees:
            _count(tally, _N_TOB_AGREE)
        elif _beyond_depth(tally, top):
            _count(tally, _N_BEYOND_DEPTH)
        else:
            bid, ask = int(top["bid_e4"]), int(top["ask_e4"])
            crossed = bid != NO_PRICE and ask != NO_PRICE and bid >= ask
            _wait(tally, top, CROSSED_KIND if crossed else DECLARED_KIND)
    else:
        _count(tally, _N_TOB_DOUBTED)


@kernel
def _judge_ticker(tally: Tally, top: np.void, agrees: bool) -> None:
    if int(top["trust"]) == _UNSYNCED:
        _count(tally, _N_TICKER_UNSYNCED)
    elif agrees:
        _count(tally, _N_TICKER_AGREE)
    else:
        _wait(tally, top, TICKER_KIND)


@inlined
def _crossing(top: np.void) -> int:
    """Whether the book is crossed or locked: a bit, or 0."""
    bid, ask = int(top["bid_e4"]), int(top["ask_e4"])
    if bid == NO_PRICE or ask == NO_PRICE or bid < ask:
        return 0
    return _IS_CROSSED if bid > ask else _IS_LOCKED


@inlined
def _judge_content(tally: Tally, top: np.void, conn: int, broken: bool) -> int:
    """Snapshots and crossing of a book, if this frame wrote it; ``broken``: it broke a sequence too."""
    row = tally.slots[int(top["slot"])]
    is_snapshot = int(top["flags"]) & _SNAPSHOT != 0
    if int(top["update_count"]) == int(row[S_UPDATES]) and not is_snapshot:
        return 0
    row[S_UPDATES] = top["update_count"]
    if is_snapshot:
        _count(tally, _N_SNAPSHOTS)
    was_doubted = int(top["prev_trust"]) in (_SUSPECT, _RESYNC)
    moved = is_snapshot and (broken or (int(row[S_CONN]) >= 0 and int(row[S_CONN]) != conn))
    if int(top["trust"]) == _LIVE and (was_doubted or moved):
        _count(tally, _N_RESYNCS)
    row[S_CONN] = conn
    return _crossing(top)


@inlined
def _mix(digest: int, value: int) -> int:
    """FNV over the two halves of a non-negative or negative 64-bit value."""
    digest = ((digest ^ (value & _DIGEST_MASK)) * _DIGEST_FACTOR) & _DIGEST_MASK
    return ((digest ^ ((value >> 32) & _DIGEST_MASK)) * _DIGEST_FACTOR) & _DIGEST_MASK


@kernel
def _note_break(tally: Tally, update: np.void) -> None:
    _count(tally, _N_BREAKS)
    at = int(tally.numbers[N_BREAKS])
    if at < BREAKS_MAX:
        tally.breaks[at, B_RECV] = update["recv_ns"]
        tally.breaks[at, B_SLOT] = update["slot"]
        tally.breaks[at, B_SEQ] = update["wire_seq"]
        tally.breaks[at, B_REASON] = update["aux"]
        tally.numbers[N_BREAKS] = at + 1


@kernel
def _read_frame(tally: Tally, frame: Records) -> bool:
    """What is seen in the updates themselves: depth of snapshots, digest; whether a sequence broke."""
    digest = int(tally.numbers[N_DIGEST])
    broken = False
    for index in range(len(frame)):
        update = frame[index]
        kind, slot = int(update["kind"]), int(update["slot"])
        price, size = int(update["price_e4"]), int(update["size_e6"])
        if 0 <= slot < len(tally.slots):
            row = tally.slots[slot]
            row[S_TOUCHED] = 1
            if kind == _BEGIN:
                row[S_DEEP_BID] = PRICE_ONE_E4 + 1
                row[S_DEEP_ASK] = NO_PRICE
            elif kind == _LEVEL and int(update["side"]) == _BID:
                row[S_DEEP_BID] = min(int(row[S_DEEP_BID]), price)
            elif kind == _LEVEL:
                row[S_DEEP_ASK] = max(int(row[S_DEEP_ASK]), price)
        if kind == _DOUBT and int(update["aux"]) in (_GAP, _RESTART) and not broken:
            broken = True
            _note_break(tally, update)
        if kind <= _ADD:
            digest = _mix(digest, (slot << 16) ^ (price << 2) ^ (kind << 1) ^ int(update["side"]))
            digest = _mix(digest, size)
    tally.numbers[N_DIGEST] = digest
    return broken


@inlined
def _judge(tally: Tally, top: np.void, conn: int, broken: bool) -> int:
    """Everything about one book after one frame; -> what it is if the frame wrote it: crossed, locked, or 0.

    Kalshi's ticker is not synchronous with its book. Best prices in the frame that brings the book itself
    are, and so is every word of Polymarket's.
    """
    crossing = _judge_content(tally, top, conn, broken)
    if int(top["doubt"]) == _MIRROR_REASON and int(top["prev_trust"]) == _LIVE:
        _count(tally, _N_MIRROR_BROKEN)
    if int(tally.numbers[N_PENDING]) > 0:
        _settle(tally, top)
    flags = int(top["flags"])
    if flags & _DECLARED != 0:
        agrees = flags & _AGREES != 0
        if flags & _TICKER != 0 and flags & _SNAPSHOT == 0 and int(top["venue"]) == _KALSHI:
            _judge_ticker(tally, top, agrees)
        else:
            _judge_declared(tally, top, agrees)
    return crossing


@kernel
def check_frames(state: BookState, updates: Records, n: int, conn: int, tally: Tally) -> None:
    """Give the whole frames in ``updates[:n]``, all of connection ``conn``, to the books, and judge each.

    Each frame is applied at its own receive time, which must not step back.
    """
    begin = 0
    while begin < n:
        end = frame_end(updates, begin, n)
        frame = updates[begin:end]
        now_ns = int(frame[0]["recv_ns"])
        tally.numbers[N_CLOCK] = now_ns
        _count(tally, _N_FRAMES_WITH_RECORDS)
        broken = _read_frame(tally, frame)
        crossings = 0
        for place in range(apply_updates(state, frame, end - begin, now_ns)):
            crossings |= _judge(tally, state.tops[place], conn, broken)
        if crossings & _IS_CROSSED != 0:
            _count(tally, _N_CROSSED)
        if crossings & _IS_LOCKED != 0:
            _count(tally, _N_LOCKED)
        begin = end


def warm() -> None:
    """Compile every kernel here."""
    store = BookStore(1, 0, 1)
    check_frames(store.state, np.zeros(1, BOOK_UPDATE), 1, 0, make_tally(1, is_truncated=False))
