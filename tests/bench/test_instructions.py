"""The bench that counts: its rows, and that it says so where it cannot."""

from __future__ import annotations

import pytest

from bench import _steps, instructions
from bench._result import OURS, Result
from bench._show import number
from bench._steps import can_count

pytestmark = pytest.mark.compiled_only


@pytest.mark.skipif(not can_count(), reason="the registers of another machine are not known")
def test_transport_and_frames_have_rows_with_whole_counts() -> None:
    result = Result("instructions", {})
    instructions._transport(result)
    instructions._framed(result)
    found = {(row.what, row.who): row.runs[0] for row in result.rows}
    assert {what for what, _ in found} == {
        instructions.RECORD,
        instructions.READ,
        instructions.TO_BOOK,
        instructions.TO_SIGNAL,
    }
    assert all(run["instructions"] >= run["compiled"] - 1 for run in found.values())
    assert all(run["compiled"] > 0 for (_, who), run in found.items() if who == OURS)
    to_book, to_signal = (found[what, OURS] for what in (instructions.TO_BOOK, instructions.TO_SIGNAL))
    assert to_book["compiled"] < to_signal["compiled"]
    assert to_book["lines"] < to_signal["lines"]
    assert number(12_345.6, "instructions") == "12,346", "and not nanoseconds"


def test_another_machine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_steps, "MACHINE", ("linux", "another"))
    result = Result("instructions", {"cpu": "one", "cores": 1})
    instructions.measure(result)
    assert result.rows == []
    assert "x86-64" in result.missing["instructions"]
