"""Frames of two connections: what is published of each, whole and well marked, whichever came first."""

from __future__ import annotations

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import BOOK_UPDATE, MarketState, Outcome, Side, UpdateFlag, UpdateKind, Venue
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.race import LEG_CONNS, TOLD_MAX, Race
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import Records
from tests.engine.venues.race_model import MS, Shown, Step, doubt, whole

LEFT, RIGHT = 0, LEG_CONNS
LAST = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET


def row(
    kind: UpdateKind,
    *,
    slot: int = 0,
    price: int = 0,
    size: int = 0,
    aux: int = 0,
    flags: int = 0,
    ns: int = MS,
) -> tuple[int, ...]:
    return (5, ns, size, slot, 1, price, aux, 0, kind, Side.BID, flags, Venue.KALSHI)


def records(*rows: tuple[int, ...]) -> Records:
    return np.array(list(rows), BOOK_UPDATE)


def begun(*slots: int) -> Race:
    race = Race()
    for conn in (LEFT, RIGHT):
        for slot in slots:
            race.admit(whole({(0, 4_000): 1}, slot), conn)
    return race


@pytest.mark.parametrize("first", [LEFT, RIGHT])
def test_the_first_copy_is_published_as_it_came_and_the_second_is_not(first: int) -> None:
    race = begun(0)
    frame = Step(0, 4_100, 5, False, MS).record()
    assert race.admit(frame, first) is frame
    copy = frame.copy()
    copy["recv_ns"], copy["wire_seq"] = 99, 7  # its own time of receipt, its own number
    assert len(race.admit(copy, LEG_CONNS - first)) == 0
    assert (race.counts.first, race.counts.dropped) == (2, 2)  # of snapshot and change


def test_a_frame_of_two_markets_is_published_in_part_and_marked_anew() -> None:
    race = begun(1, 2)
    one = row(UpdateKind.LEVEL_SET, slot=1, price=4_100, size=3, flags=UpdateFlag.LAST_OF_MARKET)
    two = row(UpdateKind.LEVEL_SET, slot=2, price=4_200, size=4, flags=LAST)
    race.admit(records((*one[:10], LAST, one[11])), LEFT)
    late = records(one, two)
    late["recv_ns"] = 50
    found = race.admit(late, RIGHT)
    assert found["slot"].tolist() == [2]
    assert found["flags"].tolist() == [LAST]
    assert found["recv_ns"].tolist() == [50]


def test_what_was_kept_for_later_gets_the_time_of_the_frame_it_goes_with() -> None:
    race = begun(0)
    steps = [Step(0, 4_000, size, False, size * MS) for size in (2, 3, 4)]
    race.admit(doubt(), RIGHT)
    for step in steps:
        race.admit(step.record(), RIGHT)
    frame = steps[0].record()
    frame["recv_ns"] = 777
    found = race.admit(frame, LEFT)
    assert found["size_e6"].tolist() == [2, 3, 4]
    assert found["recv_ns"].tolist() == [777] * 3
    assert found["flags"].tolist() == [0, 0, LAST]


def test_a_doubt_is_passed_on_for_the_markets_that_the_other_does_not_carry() -> None:
    race = begun(1, 2)
    race.admit(whole({(0, 5_000): 1}, 3), LEFT)  # the other has not shown this one
    lost = np.concatenate([doubt(1), doubt(3), doubt(2)])
    found = race.admit(lost, LEFT)
    assert found["slot"].tolist() == [3]
    assert found["flags"].tolist() == [LAST]
    assert race.counts.spared == 2


def test_a_mismatch_says_doubt_instead_of_the_message() -> None:
    race = begun(0)
    for conn in (LEFT, RIGHT):
        race.admit(Step(0, 4_000, 2, False, MS).record(), conn)
    race.admit(Step(0, 4_000, 3, False, 2 * MS).record(), LEFT)
    found = race.admit(Step(0, 4_000, 9, False, 3 * MS).record(), RIGHT)
    assert found["kind"].tolist() == [UpdateKind.DOUBT]
    assert found["aux"].tolist() == [Reason.SEQUENCE_GAP]
    assert found["flags"].tolist() == [LAST]
    assert race.counts.mismatch == 1
    assert len(race.admit(Step(0, 4_000, 4, False, 4 * MS).record(), LEFT)) == 0
    assert len(race.admit(whole({(0, 4_000): 4}, stamp_ns=5 * MS), LEFT)) == 3


def test_trades_are_told_as_often_as_the_connection_that_told_more_of_them() -> None:
    race = Race()
    trade = records(row(UpdateKind.TRADE, price=4_000, size=7))
    told = [len(race.admit(trade, conn)) for conn in (LEFT, LEFT, RIGHT, RIGHT, RIGHT, LEFT)]
    assert told == [1, 1, 0, 0, 1, 0]


def test_what_is_known_of_trades_is_bounded() -> None:
    race = Race()
    first = records(row(UpdateKind.TRADE, price=1))
    race.admit(first, LEFT)
    for price in range(2, TOLD_MAX + 1):
        race.admit(records(row(UpdateKind.TRADE, price=price)), LEFT)
    assert len(race.admit(first, RIGHT)) == 0
    race.admit(records(row(UpdateKind.TRADE, price=TOLD_MAX + 1)), LEFT)
    assert len(race.admit(first, RIGHT)) == 1  # forgotten


def test_another_grid_is_told_once_and_the_book_waits_for_a_snapshot() -> None:
    race = begun(0)
    grid = records(row(UpdateKind.GRID_CHANGE, price=10, aux=100))
    assert len(race.admit(grid, LEFT)) == 1
    assert len(race.admit(Step(0, 4_000, 2, False, 2 * MS).record(), RIGHT)) == 0
    assert len(race.admit(whole({(0, 4_010): 1}), LEFT)) == 3
    assert len(race.admit(grid, RIGHT)) == 0
    assert len(race.admit(Step(0, 4_010, 5, False, 3 * MS).record(), LEFT)) == 1


def test_a_market_ends_once() -> None:
    race = begun(0)
    end = records(row(UpdateKind.MARKET_STATE, aux=MarketState.SETTLED))
    assert [len(race.admit(end, conn)) for conn in (RIGHT, LEFT)] == [1, 0]


def test_a_slot_that_is_given_to_another_market_begins_anew() -> None:
    race = begun(0)
    late = Step(0, 4_000, 2, False, 2 * MS).record()
    late["generation"] = 2
    assert len(race.admit(late, LEFT)) == 0
    fresh = whole({(0, 4_000): 1})
    fresh["generation"] = 2
    assert len(race.admit(fresh, RIGHT)) == 3


def test_the_siblings_snapshot_is_compared_by_the_connection_that_is_not_behind() -> None:
    race = begun(0)
    sibling = whole({(0, 4_000): 1})
    sibling["flags"] |= np.uint8(UpdateFlag.SIBLING)
    assert len(race.admit(sibling, LEFT)) == 3
    assert len(race.admit(sibling, RIGHT)) == 0  # compared twice, one difference would look like two
    race.admit(Step(0, 4_000, 2, False, MS).record(), LEFT)
    sibling["size_e6"][1] = 9
    assert len(race.admit(sibling, RIGHT)) == 0  # of before that change
    race.admit(doubt(), LEFT)
    race.admit(doubt(), RIGHT)
    sibling["size_e6"][1] = 10
    assert len(race.admit(sibling, LEFT)) == 0  # it could open a book that nothing follows


def test_a_snapshot_and_a_change_in_one_frame_are_both_taken() -> None:
    race = Race()
    frame = np.concatenate([whole({(0, 4_000): 1}), Step(0, 4_000, 3, False, MS).record()])
    shown = Shown()
    shown.take(race.admit(frame, LEFT))
    assert shown.book == {(0, 4_000): 3}
    race.admit(whole({(0, 4_000): 1}), RIGHT)
    shown.take(race.admit(Step(0, 4_000, 3, False, MS).record(), RIGHT))
    shown.take(race.admit(Step(0, 4_000, 4, False, 2 * MS).record(), RIGHT))
    assert shown.book == {(0, 4_000): 4}


def kalshi(sid: int, seq: int, kind: str, body: str) -> bytes:
    message = f'{{"market_ticker":"KXA",{body}}}'
    return f'{{"type":"orderbook_{kind}","sid":{sid},"seq":{seq},"msg":{message}}}'.encode()


def test_kalshis_numbers_differ_by_connection_and_a_gap_in_one_costs_nothing() -> None:
    symbols = SymbolTable(1)
    symbols.add(b"KXA", 0, 1)
    codec, race, shown = KalshiCodec(symbols), Race(), Shown()

    def hear(conn: int, sid: int, seq: int, kind: str, body: str) -> None:
        count = codec.feed(kalshi(sid, seq, kind, body), 0, conn)
        if count:
            shown.take(race.admit(codec.out[:count], conn))

    def delta(conn: int, seq: int, at_ms: int) -> None:
        body = f'"price_dollars":"0.4000","delta_fp":"{at_ms}.00","side":"yes","ts_ms":{at_ms}'
        hear(conn, 1 + conn, seq, "delta", body)

    for conn, seq in ((LEFT, 1), (RIGHT, 40)):
        hear(conn, 1 + conn, seq, "snapshot", '"yes_dollars_fp":[["0.4000","10.00"]]')
    delta(LEFT, 2, 1)
    delta(RIGHT, 41, 1)
    delta(RIGHT, 42, 2)
    delta(LEFT, 3, 2)
    delta(LEFT, 4, 3)
    delta(RIGHT, 44, 4)  # 43 is missing: so is change 3
    delta(LEFT, 5, 4)
    assert shown.book == {(0, 4_000): 20_000_000}
    assert (shown.is_live, shown.doubts, race.counts.mismatch) == (True, 0, 0)
    delta(RIGHT, 45, 5)
    assert shown.book == {(0, 4_000): 25_000_000}


def test_polymarkets_both_tokens_go_together() -> None:
    symbols = SymbolTable(2)
    symbols.add(b"1", 0, 1)
    symbols.add(b"2", 0, 1, Outcome.NO, mirrored=True)
    codec, race = PolymarketCodec(symbols), Race()
    book = '{{"event_type":"book","asset_id":"{}","timestamp":"1","bids":[],"asks":[]}}'
    change = (
        b'{"event_type":"price_change","timestamp":"2","price_changes":['
        b'{"asset_id":"1","price":"0.4","size":"5","side":"BUY","best_bid":"0.4","best_ask":"1"},'
        b'{"asset_id":"2","price":"0.6","size":"5","side":"SELL","best_bid":"0","best_ask":"0.6"}]}'
    )

    def hear(payload: bytes, conn: int) -> int:
        return len(race.admit(codec.out[: codec.feed(payload, 0, conn)], conn))

    books = f"[{book.format(1)},{book.format(2)}]".encode()
    assert [hear(books, LEFT), hear(books, RIGHT)] == [4, 0]
    assert [hear(change, LEFT), hear(change, RIGHT)] == [4, 0]
    assert race.counts.mismatch == 0
