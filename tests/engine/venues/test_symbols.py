"""The symbol table against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import Outcome
from engine.venues import symbols as module
from engine.venues.symbols import HASH, LENGTH, SYMBOL_BYTES_MAX, Symbol, SymbolTable
from engine.venues.workspace import NONE, RECENT_AT, RECENT_MAX, SENTINEL_WORDS, Words, Workspace

TOKEN = b"71321045679252212594626385532706912750332728571942532289631379312455583992563"
SPACE = Workspace(1, np.zeros(0, np.int64))
names = st.sampled_from(
    [b"%s-%d" % (stem, at) for stem in (b"KX", b"A-LONGER-SERIES-26OCT02-T64.99") for at in range(6)]
)


def row_in_frame(table: SymbolTable, symbol: bytes, offset: int) -> int:
    """Row the kernel finds for a symbol at some offset of a frame."""
    raw = b"#" * offset + symbol + b'"rest'
    words: Words = np.zeros(len(raw) // 8 + SENTINEL_WORDS + 1, np.int64)
    words.view(np.uint8)[: len(raw)] = np.frombuffer(raw, np.uint8)
    return module.symbol_row(table.table, words, offset, len(symbol))


def recent_row(table: SymbolTable, space: Workspace, symbol: bytes) -> int:
    """Row found for a symbol in the frame of a codec's memory, where found rows are remembered."""
    raw = b"#" * (len(symbol) & 7) + symbol + b'"rest'
    space.memory[: len(raw)] = raw
    return module.recent_row(table.table, space.words, len(symbol) & 7, len(symbol))


def test_a_symbol_means_a_market_and_an_outcome() -> None:
    table = SymbolTable(4)
    assert table.add(TOKEN, 3, 9, Outcome.NO, mirrored=True)
    found = table.find(TOKEN)
    assert found is not None
    assert found == Symbol(found.row, 3, 9, Outcome.NO, mirrored=True)
    assert table.at(found.row) == found
    assert table.find(TOKEN[:-1]) is None
    assert len(table) == 1


@pytest.mark.parametrize("offset", range(9))
def test_the_kernel_finds_symbols_anywhere_in_a_frame(offset: int) -> None:
    table = SymbolTable(8)
    for length in (1, 7, 8, 9, 16, 17, 77, SYMBOL_BYTES_MAX):
        symbol = (TOKEN + TOKEN)[:length]
        assert table.add(symbol, length, 0)
        found = table.find(symbol)
        assert found is not None
        assert row_in_frame(table, symbol, offset) == found.row
    assert row_in_frame(table, b"A" + TOKEN[1:], offset) == NONE
    assert row_in_frame(table, b"", offset) == NONE
    assert row_in_frame(table, (TOKEN + TOKEN)[: SYMBOL_BYTES_MAX + 1], offset) == NONE


@given(st.lists(st.tuples(st.booleans(), names, st.integers(0, 99), st.booleans(), st.booleans())))
def test_it_behaves_as_a_bounded_dictionary(steps: list[tuple[bool, bytes, int, bool, bool]]) -> None:
    table = SymbolTable(5)
    model: dict[bytes, tuple[int, int, Outcome, bool]] = {}
    refused = 0
    for adds, symbol, slot, no, mirrored in steps:
        outcome = Outcome.NO if no else Outcome.YES
        if adds:
            fits = symbol in model or len(model) < 5
            assert table.add(symbol, slot, slot + 1, outcome, mirrored) == fits
            refused += not fits
            if fits:
                model[symbol] = (slot, slot + 1, outcome, mirrored)
        else:
            assert table.remove(symbol) == (model.pop(symbol, None) is not None)
        assert len(table) == len(model)
        assert table.refused == refused
        for known, meaning in model.items():
            found = table.find(known)
            assert found is not None
            assert found[1:] == meaning
    assert all(table.find(symbol) is None for symbol in (b"KX-0", b"KX-5") if symbol not in model)


def test_rows_stay_while_others_come_and_go() -> None:
    table = SymbolTable(64)
    symbols = [b"SYMBOL-%d" % at for at in range(64)]
    rows = {}
    for at, symbol in enumerate(symbols):
        assert table.add(symbol, at, 0)
        rows[symbol] = table.find(symbol)
    for symbol in symbols[::2]:
        assert table.remove(symbol)
    for symbol in symbols[1::2]:
        assert table.find(symbol) == rows[symbol]


def test_removed_rows_do_not_pile_up() -> None:
    table = SymbolTable(4)
    for at in range(1_000):
        symbol = b"MARKET-%d" % at
        assert table.add(symbol, at, 0)
        assert table.remove(symbol)
    assert not table.table[:, LENGTH].any()


def test_equal_hashes_are_told_apart_by_their_bytes() -> None:
    table = SymbolTable(4)
    assert table.add(b"RIGHT", 1, 0)
    words: Words = np.zeros(4, np.int64)
    words.view(np.uint8)[:5] = np.frombuffer(b"WRONG", np.uint8)
    found = table.find(b"RIGHT")
    assert found is not None
    wanted = module.symbol_hash(words, 0, 5)
    table.table[:, HASH] = wanted
    table.table[:, LENGTH] = 0
    table.table[wanted & (len(table.table) - 1), LENGTH] = 5
    assert table.find(b"WRONG") is None


@given(
    st.lists(st.text("0123456789-KXBT", min_size=1, max_size=40).map(str.encode), unique=True, max_size=60)
)
def test_hashes_of_different_symbols_differ(symbols: list[bytes]) -> None:
    hashes = set()
    for symbol in symbols:
        words: Words = np.zeros(8, np.int64)
        words.view(np.uint8)[: len(symbol)] = np.frombuffer(symbol, np.uint8)
        found = module.symbol_hash(words, 0, len(symbol))
        assert 0 <= found < 2**63
        hashes.add(found)
    assert len(hashes) == len(symbols)


@pytest.mark.parametrize(
    "symbol", [b"", b"x" * (SYMBOL_BYTES_MAX + 1), b'a"b', b"a\\b", b"a\nb", "é".encode(), b"\x7f"]
)
def test_symbols_no_frame_can_carry_plainly_are_refused(symbol: bytes) -> None:
    table = SymbolTable(4)
    assert not table.add(symbol, 0, 0)
    assert table.refused == 1
    assert table.find(symbol) is None
    assert not table.remove(symbol)


@pytest.mark.parametrize("capacity", [0, -1, module.CAPACITY_MAX + 1])
def test_capacities_beyond_the_bounds(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        SymbolTable(capacity)


def test_a_full_table_of_removed_rows_still_answers() -> None:
    table = SymbolTable(1)
    table.table[:, LENGTH] = module.REMOVED
    assert table.find(b"X") is None
    assert table.add(b"X", 1, 1)
    assert table.find(b"X") is not None


@pytest.mark.parametrize(("capacity", "rows"), [(1, 2), (2, 4), (3, 8), (4, 8), (5, 16)])
def test_a_table_is_at_most_half_full(capacity: int, rows: int) -> None:
    assert len(SymbolTable(capacity).table) == rows


SIMILAR = [b"BEGINS-A-%s-ENDS-ALL" % middle for middle in (b"1", b"2", b"22")] + [b"X", b"Y", TOKEN]


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "find"]), st.sampled_from(SIMILAR)), max_size=30))
def test_a_remembered_row_is_the_one_a_search_finds(steps: list[tuple[str, bytes]]) -> None:
    table, other = SymbolTable(len(SIMILAR)), SymbolTable(1)
    for what, symbol in steps:
        if what == "add":
            assert table.add(symbol, 0, 0)
        elif what == "remove":
            table.remove(symbol)
        found = table.find(symbol)
        assert recent_row(table, SPACE, symbol) == (NONE if found is None else found.row)
        assert recent_row(other, SPACE, symbol) == NONE
    assert recent_row(table, SPACE, b"") == NONE
    assert recent_row(table, SPACE, b"x" * (SYMBOL_BYTES_MAX + 1)) == NONE


def test_a_found_row_is_remembered_by_both_ends_of_its_symbol() -> None:
    table = SymbolTable(4)
    space = Workspace(1, np.zeros(0, np.int64))
    table.add(TOKEN, 0, 0)
    found = table.find(TOKEN)
    assert found is not None
    assert recent_row(table, space, TOKEN[:-1]) == NONE
    space.words[RECENT_AT : RECENT_AT + RECENT_MAX] = len(table.table)  # no row
    assert recent_row(table, space, TOKEN) == found.row
    remembered = space.words[RECENT_AT : RECENT_AT + RECENT_MAX]
    assert np.flatnonzero(remembered != len(table.table)).size == 1
    table.table[found.row, HASH] += 1  # no search by hash finds it now
    assert module.symbol_row(table.table, space.words, len(TOKEN) & 7, len(TOKEN)) == NONE
    assert recent_row(table, space, TOKEN) == found.row
