"""One version of a kernel, called without looking for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.direct import direct
from engine.jit import kernel

Numbers = npt.NDArray[np.int64]


@kernel
def add_byte(totals: Numbers, payload: bytes, at: int, twice: bool) -> int:
    """Add a byte to the first total, and answer it."""
    totals[0] += int(payload[at]) * (2 if twice else 1)
    return int(totals[0])


def test_a_version_does_what_the_kernel_does_with_bytes_in_place() -> None:
    totals = np.zeros(1, np.int64)
    version = direct(add_byte, totals, b"", 0, True)
    assert version(totals, b"abc", 1, False) == ord("b")
    assert version(totals, b"abc", 2, True) == ord("b") + 2 * ord("c")
    assert totals.tolist() == [ord("b") + 2 * ord("c")]


@pytest.mark.compiled_only
def test_it_is_compiled_once_and_for_these_types_only() -> None:
    totals = np.zeros(1, np.int64)
    version = direct(add_byte, totals, b"", 0, True)
    assert direct(add_byte, totals, b"other", 7, False) is version
    assert version is not add_byte
    with pytest.raises(TypeError):
        version(totals, "no bytes", 0, True)  # type: ignore[arg-type]


def test_what_is_no_kernel_is_itself() -> None:
    def plain(number: int) -> int:
        return number + 1

    assert direct(plain, 0) is plain
    assert direct(plain, 0)(1) == 2
