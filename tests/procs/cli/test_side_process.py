"""Control and monitor run beside the cores that an engine's processes are pinned to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.config import ProcessConfig, Role, Wait
from engine.errors import ConfigError
from procs.cli import side_process


def test_they_keep_off_pinned_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    core = min(allowed)

    class Described:
        processes = (ProcessConfig(name="a", roles=(Role.FEED,), core=core, wait=Wait.SPIN),)

    monkeypatch.setattr(side_process, "read_description", lambda *_, **__: Described)
    try:
        side_process.keep_off_pinned_cores(tmp_path)
        assert os.sched_getaffinity(0) == (allowed - {core} or allowed)
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("error", [ConfigError("another build"), FileNotFoundError()])
def test_without_an_engine_they_run_anywhere(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(side_process, "read_description", refuse)
    before = os.sched_getaffinity(0)
    side_process.keep_off_pinned_cores(tmp_path)
    assert os.sched_getaffinity(0) == before
