"""Records and the marks of a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reasons import Reason
from engine.records import BOOK_UPDATE, Side, UpdateFlag, UpdateKind, Venue
from engine.venues import emit
from engine.venues.counts import RECORDS_OF_KIND, Count
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import SEEN_MAX, Records, Workspace

SPACE = Workspace(1, np.zeros(0, np.int64))
LEVEL_KINDS = (UpdateKind.LEVEL_SET, UpdateKind.LEVEL_ADD, UpdateKind.SNAPSHOT_LEVEL)


def blank(count: int) -> Records:
    """Records full of rubbish."""
    return np.full(count * BOOK_UPDATE.itemsize, 0xAB, np.uint8).view(BOOK_UPDATE)


def test_put_address_and_finish_write_every_field() -> None:
    symbols = SymbolTable(2)
    symbols.add(b"X", 5, 6)
    found = symbols.find(b"X")
    assert found is not None
    out = blank(3)
    emit.put(out, 1, UpdateKind.LEVEL_SET, Side.ASK, 4_800, 10**14, -7)
    emit.address(out, 1, 2, symbols.table, found.row, 99, 2**32 + 8, int(UpdateFlag.SIBLING))
    assert emit.finish(SPACE.words, out, 1, 1, 123, Venue.KALSHI) == 1
    flags = UpdateFlag.SIBLING | UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
    expected = (123, 99, 10**14, 5, 6, 4_800, -7, 8, UpdateKind.LEVEL_SET, Side.ASK, flags, Venue.KALSHI)
    assert out[1].item() == expected
    assert out[0] == blank(1)[0]
    assert out[2] == blank(1)[0]


def test_a_doubt_is_written_alike_by_kernel_and_row() -> None:
    out = blank(2)
    emit.put_doubt(out, 0, 4, 5, Reason.SEQUENCE_GAP, 77)
    out[1] = emit.doubt_row(4, 5, Reason.SEQUENCE_GAP, 77)
    emit.finish(SPACE.words, out, 0, 2, 1, Venue.KALSHI)
    assert [record.item()[:10] for record in out] == [
        (1, 0, 0, 4, 5, 0, Reason.SEQUENCE_GAP, 77, UpdateKind.DOUBT, 0)
    ] * 2


@pytest.mark.parametrize(("seq", "shown"), [(-1, 0), (0, 0), (1, 1), (2**32 + 8, 8)])
def test_a_doubt_bears_the_number_of_its_frame(seq: int, shown: int) -> None:
    out = blank(1)
    emit.put_doubt(out, 0, 4, 5, Reason.SEQUENCE_GAP, seq)
    assert int(out[0]["wire_seq"]) == shown


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(UpdateKind), st.booleans()), min_size=1, max_size=30
    )
)
def test_the_last_record_of_each_market_and_of_the_frame_is_marked(
    steps: list[tuple[int, UpdateKind, bool]],
) -> None:
    out = blank(len(steps))
    counts = SPACE.counts.copy()
    for at, (slot, kind, sibling) in enumerate(steps):
        # slots that fall on the same place of the hash set
        emit.put(out, at, kind, 0, 0, 0, 0)
        out[at]["slot"] = slot * SEEN_MAX + 3 if slot % 2 else slot
        out[at]["flags"] = UpdateFlag.SIBLING if sibling else 0
    emit.finish(SPACE.words, out, 0, len(steps), 1, Venue.POLYMARKET)
    last = {slot: at for at, (slot, _, _) in enumerate(steps)}
    for at, (slot, _, sibling) in enumerate(steps):
        flags = UpdateFlag(int(out[at]["flags"]))
        assert (UpdateFlag.LAST_OF_MARKET in flags) == (last[slot] == at)
        assert (UpdateFlag.LAST_OF_FRAME in flags) == (at == len(steps) - 1)
        assert (UpdateFlag.SIBLING in flags) == sibling
    grown = SPACE.counts - counts
    for kind in UpdateKind:
        assert grown[RECORDS_OF_KIND + kind] == sum(kind is said for _, said, _ in steps)
    assert grown[Count.SIBLING_LEVELS] == sum(sibling and kind in LEVEL_KINDS for _, kind, sibling in steps)


def test_an_empty_frame_has_no_marks() -> None:
    out = blank(1)
    assert emit.finish(SPACE.words, out, 0, 0, 1, Venue.KALSHI) == 0
    assert out[0] == blank(1)[0]


@pytest.mark.parametrize(("count", "gap"), [(0, 2), (1, 0), (1, 3), (4, 1), (3, 3)])
def test_make_room_moves_records_up(count: int, gap: int) -> None:
    out = np.zeros(10, BOOK_UPDATE)
    out["price_e4"] = np.arange(10)
    emit.make_room(out, 2, count, gap)
    assert out["price_e4"][2 + gap : 2 + gap + count].tolist() == list(range(2, 2 + count))
    assert out["price_e4"][:2].tolist() == [0, 1]
