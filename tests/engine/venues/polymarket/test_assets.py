"""Assets of a message as rows of the symbol table."""

from __future__ import annotations

import numpy as np
import pytest

from engine.records import BOOK_UPDATE, NO_PRICE, Outcome, Side, UpdateFlag, UpdateKind
from engine.venues import keys
from engine.venues import workspace as layout
from engine.venues.polymarket import _assets as module
from engine.venues.polymarket import vocabulary as wire
from engine.venues.scan import UNSURE, seal
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import NONE, UNKNOWN_MAX, Workspace

SYMBOLS = SymbolTable(4)
SYMBOLS.add(b"1", 7, 1)
SYMBOLS.add(b"2", 7, 1, Outcome.NO, mirrored=True)
SYMBOLS.add(b"3", 8, 1, Outcome.NO)
SPACE = Workspace(len(SYMBOLS.table), wire.NAMES)
WORDS = SPACE.words


def row(symbol: bytes) -> int:
    found = SYMBOLS.find(symbol)
    assert found is not None
    return found.row


def lay(text: bytes) -> None:
    """Walk over the members of an object, nothing skipped so far."""
    SPACE.memory[: len(text)] = text
    seal(WORDS, len(text))
    WORDS[[layout.FIELDS_SEEN, layout.SKIPPED, layout.UNKNOWN_COUNT]] = 0
    assert keys.fields(WORDS, 1, wire.MESSAGE_NAMES, 0)[1] == keys.END


def test_an_asset_is_a_row() -> None:
    lay(b'{"asset_id":"2"}')
    assert module.asset_row(WORDS, SYMBOLS.table, wire.ASSET_ID) == row(b"2")
    assert WORDS[layout.SKIPPED] == 0


@pytest.mark.parametrize("text", [b'{"asset_id":2}', b'{"asset_id":null}', b'{"other":"2"}'])
def test_what_is_no_asset(text: bytes) -> None:
    lay(text)
    assert module.asset_row(WORDS, SYMBOLS.table, wire.ASSET_ID) == module.NOT_A_SYMBOL
    assert WORDS[layout.SKIPPED] == 0


def test_unknown_assets_are_noted_as_far_as_there_is_room() -> None:
    lay(b'{"asset_id":"stranger"}')
    for noted in range(1, UNKNOWN_MAX + 3):
        assert module.asset_row(WORDS, SYMBOLS.table, wire.ASSET_ID) == NONE
        assert WORDS[layout.SKIPPED] == noted
        assert WORDS[layout.UNKNOWN_COUNT] == min(noted, UNKNOWN_MAX)
    assert SPACE.unknown_symbols() == [b"stranger"]


def test_a_row_is_touched_once_a_frame() -> None:
    WORDS[layout.FRAME_STAMP] += 1
    WORDS[layout.TOUCHED] = 0
    rows = [row(symbol) for symbol in (b"2", b"1", b"2", b"3", b"1")]
    for touched in rows:
        at = module.touch(WORDS, touched)
        assert WORDS[at + layout.TOP_STATE] == 0
        WORDS[at + layout.TOP_STATE] = 1
    assert WORDS[layout.TOUCHED] == 3
    places = layout.ROWS_AT + layout.ROW_WORDS * np.arange(3) + layout.TOUCHED_ROW
    assert WORDS[places].tolist() == [rows[0], rows[1], rows[3]]


@pytest.mark.parametrize(
    ("symbol", "turned", "flag"), [(b"1", False, 0), (b"2", True, int(UpdateFlag.SIBLING)), (b"3", True, 0)]
)
def test_what_a_row_means_for_records(symbol: bytes, turned: bool, flag: int) -> None:
    assert module.is_turned(SYMBOLS.table, row(symbol)) == turned
    assert module.sibling_flag(SYMBOLS.table, row(symbol)) == flag


@pytest.mark.parametrize(
    ("text", "side"), [(b'"BUY"', Side.BID), (b'"SELL"', Side.ASK), (b'"Buy"', UNSURE), (b"1", UNSURE)]
)
def test_sides(text: bytes, side: int) -> None:
    lay(b'{"side":' + text + b"}")
    assert module.side_of(WORDS, wire.SIDE) == side


@pytest.mark.parametrize(
    ("bid", "ask", "turned", "written"),
    [
        (4_000, 4_500, False, (4_000, 4_500)),
        (4_000, 4_500, True, (5_500, 6_000)),
        (NO_PRICE, 4_500, True, (5_500, NO_PRICE)),
        (4_000, NO_PRICE, True, (NO_PRICE, 6_000)),
        (NO_PRICE, NO_PRICE, True, (NO_PRICE, NO_PRICE)),
    ],
)
def test_pairs_of_best_prices(bid: int, ask: int, turned: bool, written: tuple[int, int]) -> None:
    out = np.zeros(2, BOOK_UPDATE)
    module.put_pair(out, 1, UpdateKind.TICKER, bid, ask, turned)
    assert (int(out[1]["price_e4"]), int(out[1]["aux"])) == written
    assert out[1]["kind"] == UpdateKind.TICKER
