"""The plain twins touch the very bytes that compiled kernels would."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import atomics_plain as plain

INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture
def words() -> NDArray[np.int64]:
    return np.zeros(4, np.int64)


def test_each_word_by_its_address(words: NDArray[np.int64]) -> None:
    for at in range(4):
        plain.store_release(words.ctypes.data + 8 * at, at + 1)
    assert words.tolist() == [1, 2, 3, 4]
    assert [plain.load_acquire(words.ctypes.data + 8 * at) for at in range(4)] == [1, 2, 3, 4]


@given(INT64)
def test_any_word_comes_back(value: int) -> None:
    words = np.zeros(1, np.int64)
    plain.store_release(words.ctypes.data, value)
    assert plain.load_acquire(words.ctypes.data) == value


def test_numpy_integers_serve_as_address_and_value(words: NDArray[np.int64]) -> None:
    plain.store_release(np.int64(words.ctypes.data), np.int64(7))  # type: ignore[arg-type]
    assert plain.load_acquire(np.uint64(words.ctypes.data)) == 7  # type: ignore[arg-type]


@given(INT64, INT64)
def test_fetch_add_wraps(before: int, increment: int) -> None:
    words = np.array([before], np.int64)
    assert plain.fetch_add(words.ctypes.data, increment) == before
    assert int(words[0]) == (before + increment + 2**63) % 2**64 - 2**63


def test_compare_exchange(words: NDArray[np.int64]) -> None:
    words[0] = 5
    assert plain.compare_exchange(words.ctypes.data, 4, 9) == 0
    assert words[0] == 5
    assert plain.compare_exchange(words.ctypes.data, 5, 9) == 1
    assert words[0] == 9


def test_threads_lose_no_increment(words: NDArray[np.int64]) -> None:
    def count() -> None:
        for _ in range(2000):
            plain.fetch_add(words.ctypes.data, 1)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words[0] == 6000


def test_ticks_do_not_go_back() -> None:
    ticks = [plain.read_tsc() for _ in range(100)]
    assert ticks == sorted(ticks)


@pytest.mark.parametrize(("value", "bits"), [(0, 0), (1, 1), (127, 7), (128, 8), (2**63 - 1, 63)])
def test_bit_length(value: int, bits: int) -> None:
    assert plain.bit_length(value) == bits
    assert plain.bit_length(np.int64(value)) == bits  # type: ignore[arg-type]


def test_fences_are_nothing() -> None:
    plain.no_fence()


def test_a_product_wraps() -> None:
    assert plain.wrapped_product(2**62, 2) == -(2**63)
    assert plain.wrapped_product(np.int64(2**62 + 1), 4) == 4  # type: ignore[arg-type]
