from __future__ import annotations

import pytest

from engine.strategies import scanner, warm


def test_warming_evaluates_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    original = scanner.ArbitrageScanner.on_top

    def watched(self: scanner.ArbitrageScanner, top: object, now_ns: int) -> tuple[int, int]:
        seen.append(original(self, top, now_ns))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(scanner.ArbitrageScanner, "on_top", watched)
    warm.warm()
    assert seen
    assert seen[0][0] > 0
