from __future__ import annotations

import time
from pathlib import Path

from procs.sign_of_life import SIGN_SUFFIX, SignOfLife, last_sign_ns


def test_the_last_sign_is_read_from_outside(tmp_path: Path) -> None:
    assert last_sign_ns(tmp_path, "control") == 0
    before_ns = time.monotonic_ns()
    with SignOfLife(tmp_path, "control", watched=True) as sign:
        assert last_sign_ns(tmp_path, "control") == 0, "it has not come round yet"
        sign.give()
        first_ns = last_sign_ns(tmp_path, "control")
        sign.give()
    assert before_ns <= first_ns <= last_sign_ns(tmp_path, "control") <= time.monotonic_ns()
    assert last_sign_ns(tmp_path, "monitor") == 0
    assert (tmp_path / f"control{SIGN_SUFFIX}").stat().st_mode & 0o777 == 0o600


def test_who_is_not_watched_writes_nothing(tmp_path: Path) -> None:
    """A monitor may be there before its engine, or beside the owner's."""
    with SignOfLife(tmp_path / "no run directory", "monitor", watched=False) as sign:
        sign.give()
    with SignOfLife(tmp_path, "monitor", watched=False) as sign:
        sign.give()
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_short_is_no_sign(tmp_path: Path) -> None:
    (tmp_path / f"control{SIGN_SUFFIX}").write_bytes(b"1234567")
    assert last_sign_ns(tmp_path, "control") == 0
