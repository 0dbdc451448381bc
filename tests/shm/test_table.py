"""Tables against a list of records, and on a machine with weak memory."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import table as module
from shm.atomics import address_of
from shm.errors import LayoutMismatch, RingRefused, SegmentExists
from shm.layout import ROW_BYTES_MAX, TABLE_ROWS_MAX, Status
from shm.table import READ_TRIES_MAX, Table, begin_row, end_row, read_row, row_address, write_row
from tests.plain_twin import PlainTwin
from tests.shm.dying import dying
from tests.shm.orders import Orders
from tests.shm.weak_memory import Machine, uncounted

ROW = np.dtype([("epoch", "<i8"), ("price_e4", "<i4", (3,)), ("n", "<i2"), ("flags", "<u2")])
N_ROWS = 5
RECORDS = st.integers(0, 2**31 - 1)
WRITES = st.lists(st.tuples(st.integers(-1, N_ROWS), RECORDS), max_size=30)


def record_of(number: int) -> NDArray[np.void]:
    record = np.zeros(1, ROW)
    record[0] = (number, (number, -number, 7), number % 1000, number % 65536)
    return record


def sequence(table: Table, row: int) -> NDArray[np.int64]:
    stride = int(table.header["stride_bytes"])
    return table.segment.bytes_at(128 + row * stride, 8).view(np.int64)


@given(WRITES)
def test_against_a_list(writes: list[tuple[int, int]]) -> None:
    table = Table.create(N_ROWS, ROW)
    model = [np.zeros(1, ROW)[0]] * N_ROWS
    written = [0] * N_ROWS
    refused = 0
    out = np.zeros(1, ROW)
    for row, number in writes:
        if 0 <= row < N_ROWS:
            model[row] = record_of(number)[0].copy()
            written[row] += 1
            assert table.write(row, record_of(number))
        else:
            refused += 1
            assert not table.write(row, record_of(number))
        assert table.refused_rows == refused
    for row in range(N_ROWS):
        assert table.read(row, out)
        assert out[0] == model[row] == table.rows[row]
        assert table.version(row) == written[row]
    assert (table.read_retries, table.read_failures) == (0, 0)


@given(WRITES)
def test_plain_and_compiled_leave_the_same_bytes(
    plain_twin: PlainTwin, writes: list[tuple[int, int]]
) -> None:
    plain = plain_twin("shm.table")
    one, other = Table.create(N_ROWS, ROW), Table.create(N_ROWS, ROW)
    for row, number in writes:
        source = record_of(number)
        answers = (
            write_row(one.address, row, address_of(source)),
            plain.write_row(other.address, row, address_of(source)),
        )
        assert answers[0] == answers[1]
    assert np.array_equal(one.segment.words(), other.segment.words())
    out, plain_out = np.zeros(1, ROW), np.zeros(1, ROW)
    for row in range(-1, N_ROWS + 1):
        assert read_row(one.address, row, address_of(out)) == plain.read_row(
            one.address, row, address_of(plain_out)
        )
        assert out[0] == plain_out[0]


def test_rows_past_the_end() -> None:
    table = Table.create(N_ROWS, ROW)
    record = record_of(1)
    for row in (-1, N_ROWS):
        answers = {
            row_address(table.address, row),
            begin_row(table.address, row),
            end_row(table.address, row),
            write_row(table.address, row, address_of(record)),
            read_row(table.address, row, address_of(record)),
        }
        assert answers == {Status.NO_SUCH_ROW}
        assert not table.read(row, record)
        with pytest.raises(IndexError):
            table.version(row)
    assert table.refused_rows == 2
    assert table.read_failures == 0
    assert record[0] == record_of(1)[0]


def test_a_row_in_the_middle_of_a_write_is_not_read() -> None:
    table = Table.create(N_ROWS, ROW)
    table.write(2, record_of(5))
    out = np.zeros(1, ROW)
    assert begin_row(table.address, 2) == 0
    assert not table.read(2, out)
    assert (table.read_failures, table.refused_rows) == (1, 0)
    table.rows[2]["epoch"] = 99
    assert end_row(table.address, 2) == 0
    assert table.read(2, out)
    assert (out[0]["epoch"], out[0]["n"]) == (99, 5)
    assert table.version(2) == 2


def test_a_mark_left_by_a_dead_writer_is_taken_over() -> None:
    table = Table.create(N_ROWS, ROW)
    begin_row(table.address, 0)
    assert sequence(table, 0)[0] == 1
    assert table.write(0, record_of(3))
    assert sequence(table, 0)[0] == 4
    out = np.zeros(1, ROW)
    assert table.read(0, out)
    assert out[0] == record_of(3)[0]


class Interruption:
    """A plain ``copy_words`` during which a writer finishes ``times`` whole writes."""

    def __init__(self, plain: ModuleType, table: Table, row: int, times: int) -> None:
        self.original = plain.copy_words
        self.plain = plain
        self.table = table
        self.row = row
        self.left = times
        self.writing = False

    def __call__(self, into: int, source: int, n_words: int) -> None:
        if self.left and not self.writing:
            self.original(into, source, 1)
            self.writing = True
            self.left -= 1
            record = record_of(100 + self.left)
            assert self.plain.write_row(self.table.address, self.row, address_of(record)) == 0
            self.writing = False
            self.original(into + 8, source + 8, n_words - 1)
            return
        self.original(into, source, n_words)


@pytest.mark.parametrize(
    ("times", "retries"), [(0, 0), (1, 1), (5, 5), (READ_TRIES_MAX - 1, READ_TRIES_MAX - 1)]
)
def test_a_reader_tries_again_when_it_was_torn(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch, times: int, retries: int
) -> None:
    plain = plain_twin("shm.table")
    table = Table.create(N_ROWS, ROW)
    table.write(1, record_of(1))
    monkeypatch.setattr(plain, "copy_words", Interruption(plain, table, 1, times))
    out = np.zeros(1, ROW)
    assert plain.read_row(table.address, 1, address_of(out)) == retries
    assert out[0] == record_of(100 if times else 1)[0]


def test_a_reader_gives_up_and_the_table_counts_it(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_twin("shm.table")
    table = plain.Table.create(N_ROWS, ROW)
    monkeypatch.setattr(plain, "copy_words", Interruption(plain, table, 1, READ_TRIES_MAX))
    out = np.zeros(1, ROW)
    assert not table.read(1, out)
    assert (table.read_failures, table.read_retries) == (1, 0)
    monkeypatch.setattr(plain, "copy_words", Interruption(plain, table, 1, 3))
    assert table.read(1, out)
    assert (table.read_failures, table.read_retries) == (1, 3)


def conduct(plain: ModuleType, seed: int, broken: str = "") -> int:
    """Writer and reader of one row on a weak machine: how many reads there were, none of them torn."""
    table = Table.create(1, ROW)
    machine = Machine(seed, [(table.address, table.address + 256)], frozenset([broken]))
    reads: list[int] = []

    def write() -> None:
        for number in range(1, 13):
            record = record_of(number)
            plain.write_row(table.address, 0, address_of(record))

    def read() -> None:
        out = np.zeros(1, ROW)
        for _ in range(12):
            if plain.read_row(table.address, 0, address_of(out)) >= 0:
                number = int(out[0]["epoch"])
                assert out[0] == (record_of(number)[0] if number else np.zeros(1, ROW)[0]), "torn"
                reads.append(number)

    twin: Any = plain
    with machine.installed(plain, twin.cells_module):
        machine.run(write, read)
    assert reads == sorted(reads), "an older value after a newer one"
    out = np.zeros(1, ROW)
    assert table.read(0, out)
    assert out[0] == record_of(12)[0]
    return len(reads)


@pytest.fixture(scope="module")
def plain_table(plain_twin: PlainTwin) -> ModuleType:
    plain = plain_twin("shm.table")
    plain.cells_module = plain_twin("shm.cells")  # type: ignore[attr-defined]
    return plain


@uncounted
def test_no_schedule_tears_a_row(plain_table: ModuleType) -> None:
    assert sum(conduct(plain_table, seed) for seed in range(150)) > 1000


@uncounted
@pytest.mark.parametrize("broken", ["fence_release", "fence_acquire", "store_release", "load_acquire"])
def test_the_machine_notices_a_broken_order(plain_table: ModuleType, broken: str) -> None:
    def fails(seed: int) -> bool:
        try:
            conduct(plain_table, seed, broken)
        except AssertionError:
            return True
        return False

    assert any(fails(seed) for seed in range(150))


def test_another_process_reads_the_rows(tmp_path: Path) -> None:
    mine = Table.create(N_ROWS, ROW, name="books", directory=tmp_path, epoch=4)
    other = Table.attach("books", ROW, tmp_path, epoch=4)
    mine.write(3, record_of(8))
    out = np.zeros(1, ROW)
    assert other.read(3, out)
    assert out[0] == record_of(8)[0]
    assert len(other) == N_ROWS
    changed = np.dtype([("epoch", "<i8"), ("price_e4", "<i4", (3,)), ("n", "<i2"), ("flags", "<i2")])
    with pytest.raises(LayoutMismatch, match="layout_hash"):
        Table.attach("books", changed, tmp_path)


def test_rows_are_padded_to_lines() -> None:
    wide = np.dtype([("words", "<i8", (8,))])
    assert int(Table.create(2, wide).header["stride_bytes"]) == 128
    assert int(Table.create(2, np.dtype([("words", "<i8", (7,))])).header["stride_bytes"]) == 64


@pytest.mark.parametrize(
    ("n_rows", "dtype", "why"),
    [
        (1, np.dtype([("a", "<i4")]), "not 4 bytes"),
        (1, np.dtype([("a", "u1", (ROW_BYTES_MAX + 8,))]), "whole words"),
        (1, np.dtype([]), "not 0 bytes"),
        (0, ROW, "not 0"),
        (TABLE_ROWS_MAX + 1, ROW, f"not {TABLE_ROWS_MAX + 1}"),
    ],
)
def test_refused_declarations(n_rows: int, dtype: np.dtype[np.void], why: str) -> None:
    with pytest.raises(RingRefused, match=why):
        Table.create(n_rows, dtype)


def test_the_widest_row() -> None:
    assert len(Table.create(1, np.dtype([("a", "u1", (ROW_BYTES_MAX,))]))) == 1


def test_records_of_another_width() -> None:
    table = Table.create(1, ROW)
    for wrong in (np.zeros(1, np.dtype([("a", "<i8")])), np.zeros(0, ROW)):
        with pytest.raises(ValueError, match="rows are 24 bytes"):
            table.write(0, wrong)
        with pytest.raises(ValueError, match="rows are 24 bytes"):
            table.read(0, wrong)


def test_a_row_whose_writer_died_in_it_is_lost_and_readable(tmp_path: Path) -> None:
    first = Table.create_or_adopt(4, ROW, name="books", epoch=1, directory=tmp_path)
    reader = Table.attach("books", ROW, tmp_path)
    for row in range(4):
        assert first.write(row, record_of(7))
    for row in (1, 3):
        begin_row(first.address, row)
        first.rows[row]["epoch"] = 9
    out = np.zeros(1, ROW)
    assert not reader.read(1, out)
    first.segment.close()  # died
    second = Table.create_or_adopt(4, ROW, name="books", epoch=2, directory=tmp_path)
    assert (second.lost_rows, reader.lost_rows, reader.epoch) == (2, 2, 2)
    got = []
    for row in range(4):
        assert reader.read(row, out)
        got.append(out[0].tobytes())
    whole, lost = record_of(7).tobytes(), bytes(ROW.itemsize)
    assert got == [whole, lost, whole, lost]
    assert [reader.version(row) for row in range(4)] == [1, 2, 1, 2], "a mirror fetches what was repaired"
    assert second.write(1, record_of(8))
    assert module.repair(second.address) == 0


def test_who_repairs_a_row_may_die_in_it(plain_twin: PlainTwin) -> None:
    for stores in range(20):
        table = Table.create(2, ROW)
        begin_row(table.address, 1)
        finished = []
        with dying((plain_twin("shm.table"),), stores):
            plain_twin("shm.table").repair(table.address)
            finished.append(True)
        module.repair(table.address)
        assert table.read(1, np.ones(1, ROW))
        assert table.version(1) == 1
        if finished:
            return
    pytest.fail("the repair never ended")


def test_a_repaired_row_is_released_behind_its_zeros(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, table = plain_twin("shm.table"), Table.create(2, ROW)
    begin_row(table.address, 1)
    orders = Orders(monkeypatch, plain)
    plain.repair(table.address)
    assert orders.take_all() == [("store_release", row_address(table.address, 1))]


def test_only_the_table_that_was_declared_is_adopted(tmp_path: Path) -> None:
    table = Table.create_or_adopt(4, ROW, name="books", epoch=1, directory=tmp_path)
    with pytest.raises(SegmentExists, match="its owner lives"):
        Table.adopt("books", ROW, tmp_path, 2)
    table.segment.close()
    with pytest.raises(LayoutMismatch, match="books: n_rows is 4, expected 5"):
        Table.create_or_adopt(5, ROW, name="books", epoch=2, directory=tmp_path)
    with pytest.raises(LayoutMismatch, match="layout_hash"):
        Table.adopt("books", np.dtype([("a", "<i8")]), tmp_path, 2)
    with pytest.raises(LayoutMismatch, match="not newer"):
        Table.adopt("books", ROW, tmp_path, 1)
    assert len(Table.adopt("books", ROW, tmp_path, 2)) == 4
