"""What venues have of us against the journal: each kind of difference is told, and equality is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.records import Venue
from procs.venue_word import VenueSays, differences, said_by
from tests.procs.planted_session import engine_for, frames_of
from tests.procs.test_recovery_of_a_run import small_session

pytestmark = pytest.mark.compiled_only

Said = tuple[bytes, dict[str, VenueSays]]


@pytest.fixture(scope="module")
def said() -> Said:
    """Journal and venues of a run that has traded."""
    session = small_session()
    engine = engine_for(session)
    engine.run(frames_of(session))
    return engine.stages.journal_content(), said_by(engine.venues)


def ids(taken: str) -> list[int]:
    found: list[int] = np.frombuffer(bytes.fromhex(taken), "<i8").tolist()
    return found


def test_equal_is_silent(said: Said) -> None:
    journal, says = said
    assert set(says) == {venue.name.lower() for venue in Venue}
    assert ids(says["polymarket"].taken)
    assert differences(journal, says) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resting": 2}, "polymarket: 2 orders rest there that the journal does not know"),
        ({"repeated": 1}, "polymarket: was sent 1 orders again"),
        ({"holdings": ((9, 1, 0, 5),)}, "polymarket: YES of slot 9 generation 1 is 5 e6 there and 0 here"),
        (
            {"taken": np.array([7], "<i8").tobytes().hex()},
            "polymarket: took 1 orders that were never sent, first 7",
        ),
    ],
)
def test_each_difference_is_told(said: Said, change: dict[str, object], told: str) -> None:
    journal, says = said
    other = replace(says["polymarket"], **change)  # type: ignore[arg-type]
    assert told in differences(journal, {"polymarket": other})


def test_a_plan_that_was_not_done_is_told(said: Said) -> None:
    journal, says = said
    cut = journal[: len(journal) // 2]
    assert any("not done" in line for line in differences(cut, says))
