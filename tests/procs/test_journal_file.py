"""The journal on disk: what survives which death, and what is refused."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import JournalDamaged
from engine.ledger.journal import OPENING, EntryKind
from procs.journal_file import RESERVE_BYTES, JournalFile, read_entries
from procs.refusals import JournalInUse

ENTRY = 24 + OPENING.itemsize


def opening(cash_micros: int) -> np.void:
    record: np.void = np.zeros(1, OPENING)[0]
    record["venue"], record["cash_micros"] = 1, cash_micros
    return record


def cash(entries: list[object]) -> list[int]:
    return [int(entry.record["cash_micros"]) for entry in entries]  # type: ignore[attr-defined]


def write(path: Path, first: int, n: int) -> None:
    """A life of a writer: reads what there is, adds ``n`` entries, lets go."""
    file = JournalFile(path)
    journal = file.writer()
    for number in range(first, first + n):
        journal.write(EntryKind.OPENING, opening(number))
    journal.commit()
    file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_a_second_life_goes_on_behind_the_first(path: Path) -> None:
    write(path, 1, 3)
    write(path, 4, 2)
    entries, torn = read_entries(path)
    assert cash([*entries]) == [1, 2, 3, 4, 5]
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert torn == 0


def test_the_file_is_ours_alone_and_has_its_room_beforehand(path: Path) -> None:
    write(path, 1, 1)
    status = path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_size >= RESERVE_BYTES
    assert status.st_blocks * 512 >= RESERVE_BYTES, "room that is a hole is no room"


def test_a_second_writer_is_refused_and_a_reader_is_not(path: Path) -> None:
    first = JournalFile(path)
    first.writer().append(EntryKind.OPENING, opening(7))
    with pytest.raises(JournalInUse, match=f"^{path}: another executor writes this journal$"):
        JournalFile(path)
    assert cash([*read_entries(path)[0]]) == [7]
    first.close()
    JournalFile(path).close()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        JournalFile(path)


@pytest.mark.parametrize("kept", [1, 5, 12, 24, 30])
def test_a_torn_end_is_cut_off_and_told(path: Path, kept: int) -> None:
    write(path, 1, 3)
    content = path.read_bytes()
    end = 3 * ENTRY
    path.write_bytes(content[:end] + content[:ENTRY][:kept] + bytes(200))
    told = read_entries(path)[1]
    file = JournalFile(path)
    assert 0 < file.torn_bytes == told <= kept
    assert len(file.entries) == 3
    file.writer().append(EntryKind.OPENING, opening(4))
    file.close()
    entries, torn = read_entries(path)
    assert (cash([*entries]), torn) == ([1, 2, 3, 4], 0)


def test_every_flipped_byte_of_the_last_entries_is_a_torn_end_or_damage(path: Path) -> None:
    """One commit an entry: before the last it is damage, and the file stays as it is; the last is torn."""
    for first in range(1, 5):
        write(path, first, 1)
    content = path.read_bytes()
    for at in range(ENTRY, 4 * ENTRY):
        spoiled = bytearray(content)
        spoiled[at] ^= 0x40
        path.write_bytes(spoiled)
        if at < 3 * ENTRY:
            with pytest.raises(JournalDamaged, match=f"{path}: journal: entry at byte"):
                JournalFile(path)
            assert path.read_bytes() == spoiled
        else:
            file = JournalFile(path)
            assert cash([*file.entries]) == [1, 2, 3]
            file.close()


def test_room_is_made_before_it_is_needed(path: Path) -> None:
    file = JournalFile(path, reserve_bytes=4 * ENTRY)
    journal = file.writer()
    for number in range(1, 40):
        journal.write(EntryKind.OPENING, opening(number))
        assert path.stat().st_size - number * ENTRY >= 2 * ENTRY
    journal.commit()
    file.close()
    assert cash([*read_entries(path)[0]]) == list(range(1, 40))


def test_a_full_disk_is_told_while_there_is_room_for_reports(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JournalFile(path, reserve_bytes=4 * ENTRY)
    journal = file.writer()
    pwrite = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if offset + len(data) > 4 * ENTRY:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    for number in range(1, 5):
        assert file.is_full == (number > 3)
        journal.append(EntryKind.OPENING, opening(number))
    with pytest.raises(OSError, match="No space left"):
        journal.append(EntryKind.OPENING, opening(5))
    file.close()
    assert cash([*read_entries(path)[0]]) == [1, 2, 3, 4]


FILLS_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from engine.ledger.journal import OPENING, EntryKind
from procs.journal_file import JournalFile
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = JournalFile(Path(sys.argv[1]), reserve_bytes=4096)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
journal, record = file.writer(), np.zeros(1, OPENING)[0]
try:
    while True:
        journal.append(EntryKind.OPENING, record)
        print(journal.next_sequence - 1, "full" if file.is_full else "", flush=True)
except OSError as error:
    print("refused", error.errno, flush=True)
"""


def test_a_limit_of_the_system_is_a_full_disk_and_loses_nothing_that_was_committed(path: Path) -> None:
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(path)], capture_output=True, text=True, check=True
    )
    said = done.stdout.split("\n")[:-1]
    assert said[-1] in (f"refused {errno.EFBIG}", f"refused {errno.ENOSPC}")
    told = [line.endswith("full") for line in said[:-1]]
    assert 20 < sum(told) < len(told), "said while there was room"
    assert told == sorted(told)
    assert len(read_entries(path)[0]) == len(told)
