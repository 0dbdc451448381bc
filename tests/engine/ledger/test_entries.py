from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger.entries import CRC_TABLE, lay_entry
from engine.ledger.journal import HEAD_BYTES, EntryKind, encode
from engine.units import INT64_MAX

KINDS = st.sampled_from(list(EntryKind))


@given(st.integers(1, INT64_MAX), KINDS, st.booleans(), st.binary(max_size=300), st.integers(0, 9))
def test_an_entry_is_what_the_journal_writes(
    sequence: int, kind: EntryKind, is_grouped: bool, payload: bytes, at: int
) -> None:
    expected = encode(sequence, kind, payload, grouped=is_grouped)
    buffer = np.full(at + len(expected) + 3, 255, np.uint8)
    content = np.frombuffer(payload, np.uint8).copy()
    end = lay_entry(buffer, at, sequence, int(kind), is_grouped, content, CRC_TABLE)
    assert buffer.tobytes() == b"\xff" * at + expected + b"\xff" * 3
    assert end == at + len(expected)


@pytest.mark.parametrize("n_bytes", [0, 1, 4_096])
def test_the_length_of_an_entry(n_bytes: int) -> None:
    buffer = np.zeros(HEAD_BYTES + n_bytes, np.uint8)
    assert lay_entry(buffer, 0, 1, 1, False, np.zeros(n_bytes, np.uint8), CRC_TABLE) == HEAD_BYTES + n_bytes
