from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import Side, UpdateKind
from engine.sim.frame_scan import SAYS_STATE, TOUCHES_WATCHED, scan_frame, warm
from tests.engine.sim.world import ONE, frame, level, update
from tests.plain_twin import PlainTwin


def test_what_a_frame_is_about() -> None:
    assert (TOUCHES_WATCHED, SAYS_STATE) == (1, 2)
    watched = np.array([False, True, False])
    assert scan_frame(level(0, Side.ASK, 5000, ONE), 1, watched) == 0
    assert scan_frame(level(1, Side.ASK, 5000, ONE), 1, watched) == TOUCHES_WATCHED
    assert scan_frame(frame(update(UpdateKind.MARKET_STATE, 2)), 1, watched) == SAYS_STATE
    assert scan_frame(frame(update(UpdateKind.MARKET_STATE, 1)), 1, watched) == SAYS_STATE | TOUCHES_WATCHED
    assert scan_frame(level(1, Side.ASK, 5000, ONE), 0, watched) == 0


def test_what_names_no_market_touches_none() -> None:
    watched = np.array([True, True])
    for slot in (-1, 2, 99):
        assert scan_frame(frame(update(UpdateKind.CONNECTED, slot)), 1, watched) == 0


@given(
    st.lists(st.tuples(st.sampled_from(UpdateKind), st.integers(-1, 4)), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_plain_and_compiled_agree_with_a_plain_reading(
    plain_twin: PlainTwin, content: list[tuple[UpdateKind, int]], bits: list[bool]
) -> None:
    rows, watched = frame(*(update(kind, slot) for kind, slot in content)), np.array(bits)
    touches = any(0 <= slot < len(bits) and bits[slot] for _, slot in content)
    states = any(kind == UpdateKind.MARKET_STATE for kind, _ in content)
    expected = TOUCHES_WATCHED * touches | SAYS_STATE * states
    assert scan_frame(rows, len(rows), watched) == expected
    assert plain_twin("engine.sim.frame_scan").scan_frame(rows, len(rows), watched) == expected


@pytest.mark.compiled_only
def test_a_warm_kernel_is_not_compiled_again() -> None:
    warm()
    compiled = len(scan_frame.signatures)  # type: ignore[attr-defined]
    scan_frame(level(0, Side.ASK, 5000, ONE), 1, np.zeros(4, np.bool_))
    assert len(scan_frame.signatures) == compiled  # type: ignore[attr-defined]
