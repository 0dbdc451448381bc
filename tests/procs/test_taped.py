"""What an agent meets through a tape answers on playback as the real one did, and touches nothing real."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.config import Role
from engine.ledger.journal import BOOT, EntryKind
from engine.reasons import Reason
from engine.records import BOOK_ROW, BOOK_UPDATE, ORDER_EVENT, POSITION_ROW, TOP, Venue
from procs.control_words import ControlWords, Word
from procs.halt import HaltSwitch
from procs.input_log import EntryKind as LogKind
from procs.input_log import InputLog, read_log
from procs.journal_file import JournalFile, read_entries
from procs.tape import Differs, PlayingTape, RecordingTape, Tape
from procs.taped import TapedJournal, TapedSwitch, taped_wires
from procs.wires import Wires
from shm.layout import Status
from shm.table import begin_row, end_row
from tests.procs.test_input_log import HEADER

Scene = Callable[[Wires, Tape], list[object]]  # what an agent does with its wires, and what it sees
SLOTS = 8


class Taping:
    """Records what a scene sees on real wires, and has it play on others that are empty."""

    def __init__(self, path: Path) -> None:
        self._log = InputLog(path, HEADER)
        self.tape = RecordingTape(self._log)

    def record(self, real: Wires, scene: Scene) -> list[object]:
        self.tape.begin(LogKind.WORK, 0)
        seen = scene(taped_wires(real, self.tape), self.tape)
        self.tape.end(1)
        self._log.close()
        return seen

    def player(self) -> PlayingTape:
        tape = PlayingTape(read_log(io.BytesIO(self._log.path.read_bytes()), "x")[1])
        assert tape.next_call() is not None
        return tape

    def play(self, scene: Scene) -> list[object]:
        tape = self.player()
        seen = scene(taped_wires(wires(), tape), tape)
        tape.end_call(1)
        return seen


def wires() -> Wires:
    return Wires.create(list(Venue), SLOTS)


@pytest.fixture
def taping(tmp_path: Path) -> Taping:
    return Taping(tmp_path / "x")


def updates(*slots: int) -> np.ndarray[tuple[int, ...], np.dtype[np.void]]:
    rows = np.zeros(len(slots), BOOK_UPDATE)
    rows["slot"] = slots
    return rows


def test_messages_come_in_the_batches_they_came_in(taping: Taping) -> None:
    real = wires()
    ring = real.updates[Venue.KALSHI]

    def scene(wires: Wires, tape: Tape) -> list[object]:
        reader = wires.updates[Venue.KALSHI].reader()
        rows = reader.records(BOOK_UPDATE)
        seen: list[object] = []
        for number in range(4):
            if not tape.plays and number != 2:
                ring.publish(updates(number, number + 10))
                ring.publish(updates(number + 20))
            n_cells = reader.poll(1)
            seen.append((n_cells, rows["slot"][:n_cells].tolist(), reader.tags[:n_cells].tolist()))
        return seen

    seen = taping.record(real, scene)
    assert [batch[1] for batch in seen] == [[0, 10], [20], [1, 11], [21]]  # type: ignore[index]
    assert taping.play(scene) == seen


def test_losses_and_another_producer_are_answers(taping: Taping, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    made = Wires.create(list(Venue), SLOTS, folder, 1)
    made.release()
    joined = Wires.join(list(Venue), folder, (), 2)

    def scene(wires: Wires, tape: Tape) -> list[object]:
        reader = wires.tops[Venue.KALSHI].reader()
        seen: list[object] = []
        for epoch in (2, 3):
            if not tape.plays:
                writer = Wires.join(list(Venue), folder, (Role.BOOK,), epoch)
                for _ in range(3):
                    writer.tops[Venue.KALSHI].publish_each(np.zeros(12_000, TOP))
                writer.release()
            while (n_cells := reader.poll()) > 0:
                seen.append((n_cells, reader.entered_epoch(), reader.lost_messages, reader.laps))
        return seen

    seen = taping.record(joined, scene)
    assert any(batch[1] for batch in seen)  # type: ignore[index]
    assert seen[-1][2] > 0  # type: ignore[index]
    assert taping.play(scene) == seen


def test_a_fenced_reader_is_an_answer(taping: Taping) -> None:
    real = wires()

    def scene(wires: Wires, tape: Tape) -> list[object]:
        reader = wires.events.resume("strategy", 0)
        if not tape.plays:
            real.events.fence_silent(1_000, 100)
        return [reader.poll()]

    assert taping.record(real, scene) == [int(Status.READER_FENCED)]
    assert taping.play(scene) == [int(Status.READER_FENCED)]


def test_what_is_published_is_held_against_what_was(taping: Taping) -> None:
    real = wires()
    events = np.zeros(3, ORDER_EVENT)

    def scene(wires: Wires, tape: Tape) -> list[object]:
        many = np.zeros(5_000, ORDER_EVENT)
        whole = np.zeros(1, ORDER_EVENT)
        return [
            wires.events.publish_each(events),
            wires.events.publish(whole, events),
            wires.events.publish_each(many),  # no room for all
            wires.events.publish(whole),
            wires.updates[Venue.KALSHI].publish(updates(1, 2)),
            wires.tops[Venue.KALSHI].publish_each(np.zeros(2, TOP)),
        ]

    seen = taping.record(real, scene)
    assert (seen[:2], seen[3:]) == ([3, True], [False, True, 2])
    assert taping.play(scene) == seen
    assert real.updates[Venue.KALSHI].published_cells == 2
    events["order_id"][2] = 7
    with pytest.raises(Differs, match="written to events differs"):
        taping.play(scene)


def test_rows_are_what_they_were_at_each_read(taping: Taping) -> None:
    real = wires()
    row = np.zeros(1, POSITION_ROW)

    def scene(wires: Wires, tape: Tape) -> list[object]:
        out = np.zeros(1, POSITION_ROW)
        seen: list[object] = []
        for number in (0, 0, 5, 5, 6):
            if number and not tape.plays:
                row["yes_e6"] = number
                real.positions.write(3, row)
            out["yes_e6"] = -1
            seen.append((wires.positions.read(3, out), int(out["yes_e6"][0])))
        return [*seen, wires.positions.read(SLOTS, out), wires.accounts.version(1)]

    seen = taping.record(real, scene)
    assert seen == [(True, 0), (True, 0), (True, 5), (True, 5), (True, 6), False, 0]
    assert taping.play(scene) == seen
    assert taping.player().inputs == 0


def test_a_row_that_could_not_be_read_whole_leaves_what_it_left(taping: Taping) -> None:
    real = wires()
    table = real.books[Venue.KALSHI]

    def scene(wires: Wires, tape: Tape) -> list[object]:
        out = np.zeros(1, BOOK_ROW)
        if not tape.plays:
            out["recv_ns"] = 5  # what the agent had
            begin_row(table.address, 1)
            table.rows["recv_ns"][1] = 77
        seen: list[object] = [wires.books[Venue.KALSHI].read(1, out), int(out["recv_ns"][0])]
        if not tape.plays:
            end_row(table.address, 1)
        return [*seen, wires.books[Venue.KALSHI].read(1, out), int(out["recv_ns"][0])]

    seen = taping.record(real, scene)
    assert seen == [False, 5, True, 77]
    assert taping.play(scene) == seen


def test_rows_that_are_written_are_held_against_what_they_were(taping: Taping) -> None:
    slot = 2

    def scene(wires: Wires, tape: Tape) -> list[object]:
        return [wires.books[Venue.KALSHI].write(slot, np.ones(1, BOOK_ROW))]

    assert taping.record(wires(), scene) == [True] == taping.play(scene)
    slot = 3
    with pytest.raises(Differs, match=r"written to books\.kalshi differs: byte 0"):
        taping.play(scene)


def test_the_catalog_comes_as_it_came(taping: Taping) -> None:
    real = wires()

    def scene(wires: Wires, tape: Tape) -> list[object]:
        view = wires.catalog.view("optimizer")
        seen: list[object] = [view.refresh()]
        for version in (1, 2):
            if not tape.plays:
                row = np.zeros(1, view.rows.dtype)
                row["close_ns"] = version
                real.catalog.rows.write(4 + version, row)
                real.catalog.barrier.announce(version)
            seen += [view.refresh(), view.refresh(), view.rows["close_ns"].tolist()]
        return seen

    seen = taping.record(real, scene)
    assert seen == [False, *(True, False, [0, 0, 0, 0, 0, 1, 0, 0]), *(True, False, [0, 0, 0, 0, 0, 1, 2, 0])]
    assert taping.play(scene) == seen


def test_halts_are_followed_and_latched_as_they_were(taping: Taping, tmp_path: Path) -> None:
    words = ControlWords.create(None)

    def scene(wires: Wires, tape: Tape) -> list[object]:
        folder = tmp_path / ("played" if tape.plays else "state")
        real = HaltSwitch(folder, ControlWords.create(None) if tape.plays else words)
        switch = TapedSwitch(real, tape)
        assert switch.words is not None
        seen: list[object] = [switch.words.bits()]
        if not tape.plays:
            words.set(Word.PAUSED)
        seen += [switch.words.bits(), switch.words.set(Word.HALTED, 3), switch.words.set(Word.HALTED, 3)]
        seen.append(switch.words.bits())
        setting = switch.words.setting_of(switch.words.read(Word.HALTED))
        switch.latch(Reason.DAILY_LOSS)
        return [*seen, setting and setting.code]

    seen = taping.record(wires(), scene)
    assert seen == [0, 1 << Word.PAUSED, True, False, 1 << Word.PAUSED | 1 << Word.HALTED, 3]
    assert (tmp_path / "state" / "halt.json").exists()
    assert taping.play(scene) == seen
    assert not (tmp_path / "played").exists()


def test_a_journal_has_what_it_had_and_is_written_to_nowhere(taping: Taping, tmp_path: Path) -> None:
    def append(journal: TapedJournal, epoch: int) -> None:
        record: np.void = np.zeros(1, BOOT)[0]
        record["boot_epoch"] = epoch
        journal.writer().append(EntryKind.BOOT, record)

    file = JournalFile(tmp_path / "journal")
    before: np.void = np.zeros(1, BOOT)[0]
    file.writer().append(EntryKind.BOOT, before)
    file.close()
    file = JournalFile(tmp_path / "journal")

    def scene(wires: Wires, tape: Tape) -> list[object]:
        journal = TapedJournal(None if tape.plays else file, io.BytesIO(), tape)
        append(journal, 5)
        if not tape.plays:
            file.is_full = True
        return [len(journal.entries), journal.is_full()]

    seen = taping.record(wires(), scene)
    assert seen == [1, True]
    file.close()
    assert len(read_entries(tmp_path / "journal")[0]) == 2
    assert taping.play(scene) == seen
