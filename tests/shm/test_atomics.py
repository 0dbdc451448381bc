"""Inside a kernel, compiled or plain, every name of the menu does what it says."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import atomics
from shm.atomics import (
    address_of,
    bit_length,
    compare_exchange,
    fence_acquire,
    fence_release,
    fence_seq_cst,
    fetch_add,
    load_acquire,
    load_relaxed,
    pause,
    read_tsc,
    store_relaxed,
    store_release,
    store_seq_cst,
)
from shm.jit import kernel

Words = NDArray[np.int64]
INT64 = st.integers(-(2**63), 2**63 - 1)


@kernel
def store_each_way(address: int, value: int) -> None:
    store_release(address, value)
    store_relaxed(address + 8, value)
    store_seq_cst(address + 16, value)


@kernel
def load_each_way(address: int) -> tuple[int, int]:
    return load_acquire(address), load_relaxed(address)


@kernel
def change(address: int, increment: int, expected: int, desired: int) -> tuple[int, int]:
    return fetch_add(address, increment), compare_exchange(address, expected, desired)


@kernel
def all_fences(address: int) -> int:
    fence_acquire()
    store_relaxed(address, 1)
    fence_release()
    pause()
    fence_seq_cst()
    return load_relaxed(address)


@kernel
def elapsed_ticks() -> int:
    start = read_tsc()
    return read_tsc() - start


@kernel
def bits(value: int) -> int:
    return bit_length(value)


@kernel
def count_up(address: int, n: int) -> None:
    for _ in range(n):
        fetch_add(address, 1)


@given(INT64)
def test_stores_and_loads(value: int) -> None:
    words = np.zeros(4, np.int64)
    store_each_way(address_of(words), value)
    assert words.tolist() == [value, value, value, 0]
    assert load_each_way(address_of(words)) == (value, value)


@given(INT64, st.integers(-(2**31), 2**31), st.booleans())
def test_read_modify_write(before: int, increment: int, right: bool) -> None:
    words = np.array([before], np.int64)
    after = (before + increment + 2**63) % 2**64 - 2**63
    expected = after if right else after ^ 1
    assert change(address_of(words), increment, expected, 77) == (before, int(right))
    assert int(words[0]) == (77 if right else after)


def test_fences_keep_values() -> None:
    words = np.zeros(1, np.int64)
    assert all_fences(address_of(words)) == 1


def test_ticks_run() -> None:
    assert elapsed_ticks() >= 0
    first = atomics.read_ticks()
    assert atomics.read_ticks() > first


@given(st.integers(0, 2**63 - 1))
def test_bit_length(value: int) -> None:
    assert bits(value) == value.bit_length()


def test_words_from_ordinary_code() -> None:
    words = np.zeros(1, np.int64)
    atomics.write_word(address_of(words), -3)
    assert atomics.read_word(address_of(words)) == -3
    assert atomics.add_word(address_of(words), 5) == -3
    assert words[0] == 2


@pytest.mark.compiled_only
def test_threads_without_the_gil_lose_no_increment() -> None:
    words = np.zeros(1, np.int64)
    count_up(address_of(words), 0)
    threads = [threading.Thread(target=count_up, args=(address_of(words), 300_000)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words[0] == 600_000


def test_address_of_wants_what_kernels_can_use() -> None:
    words = np.arange(8, dtype=np.int64)
    assert address_of(words[2:]) == words.ctypes.data + 16
    with pytest.raises(ValueError, match="C-contiguous"):
        address_of(words[::2])
    with pytest.raises(ValueError, match="aligned"):
        address_of(words.view(np.uint8)[3:])


def test_warm_compiles() -> None:
    atomics.warm()
