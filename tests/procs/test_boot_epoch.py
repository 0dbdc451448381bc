from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import JournalDamaged
from engine.ids import BOOT_EPOCH_MAX
from procs.boot_epoch import FILE, next_boot_epoch


def test_every_start_gets_a_number_of_its_own(tmp_path: Path) -> None:
    assert [next_boot_epoch(tmp_path) for _ in range(12)] == list(range(1, 13))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_starts_at_the_same_time_do_not_share_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: next_boot_epoch(tmp_path), range(64)))
    assert sorted(numbers) == list(range(1, 65))


@pytest.mark.parametrize("text", ["seven\n", "-1\n", str(BOOT_EPOCH_MAX) + "\n"])
def test_what_would_repeat_a_number_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(JournalDamaged, match=FILE):
        next_boot_epoch(tmp_path)
    assert (tmp_path / FILE).read_text() == text


def test_the_last_number_can_be_used(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(f"{BOOT_EPOCH_MAX - 1}\n")
    assert next_boot_epoch(tmp_path) == BOOT_EPOCH_MAX
