"""Inside a kernel, compiled or plain, every name of the menu does what it says."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import atomics
from shm import atomics_llvm as compiled
from shm import atomics_plain as plain
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
    wrapped_product,
)
from shm.jit import kernel
from tests.plain_twin import PlainTwin, kernels_are_plain

FENCES = {"fence_acquire", "fence_release", "fence_seq_cst", "pause"}
Words = NDArray[np.int64]
INT64 = st.integers(-(2**63), 2**63 - 1)
MASK = 2**63 - 1


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
def masked_product(one: int, other: int) -> int:
    return wrapped_product(one & MASK, other & MASK) & MASK


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


def test_ordinary_code_acquires_and_releases(plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    menu = plain_twin("shm.atomics")
    words = np.array([7], np.int64)
    called: list[str] = []
    for name in ("load_acquire", "load_relaxed", "store_release", "store_relaxed", "fetch_add"):
        original = getattr(menu, name)

        def spy(*args: int, name: str = name, original: Callable[..., int] = original) -> int:
            called.append(name)
            return original(*args)

        monkeypatch.setattr(menu, name, spy)
    assert menu.read_word(address_of(words)) == 7
    menu.write_word(address_of(words), 8)
    menu.add_word(address_of(words), 1)
    assert called == ["load_acquire", "store_release", "fetch_add"]


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


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (
            load_each_way,
            ["load atomic i64, ptr {}acquire, align 8", "load atomic i64, ptr {}monotonic, align 8"],
        ),
        (
            store_each_way,
            [
                "store atomic i64 {}release, align 8",
                "store atomic i64 {}monotonic, align 8",
                "store atomic i64 {}seq_cst, align 8",
            ],
        ),
        (change, ["atomicrmw add ptr {}seq_cst", "cmpxchg ptr {}acq_rel acquire"]),
        (all_fences, ["fence acquire", "fence release", "fence seq_cst"]),
    ],
)
@pytest.mark.compiled_only
def test_the_orders_are_in_what_the_compiler_made(function: Any, what: list[str]) -> None:
    """After all of LLVM's passes; read from a compilation of its own, since a cached one keeps no text."""
    fresh = numba.njit(nogil=True, error_model="numpy")(function.py_func)
    fresh.compile((numba.int64,) * function.py_func.__code__.co_argcount)
    text = fresh.inspect_llvm(fresh.signatures[0])
    for line in what:
        assert re.search(re.escape(line).replace(r"\{\}", ".*"), text), line


def test_the_menu_is_compiled_or_plain_and_never_mixed() -> None:
    taken = {name for name in vars(compiled) if name in atomics.__all__}
    assert len(taken) == 14
    for name in taken - {"load_relaxed", "store_relaxed", "store_seq_cst"} - FENCES:
        assert getattr(atomics, name) is getattr(plain if kernels_are_plain() else compiled, name)
    if kernels_are_plain():
        assert atomics.load_relaxed is plain.load_acquire
        assert atomics.store_relaxed is atomics.store_seq_cst is plain.store_release
        assert {getattr(atomics, name) for name in FENCES} == {plain.no_fence}
    else:
        for name in taken:
            assert getattr(atomics, name) is getattr(compiled, name)


@given(INT64, INT64)
def test_a_product_wraps_and_a_mask_behind_it_stays(one: int, other: int) -> None:
    """With ``*`` the mask is dropped: LLVM infers that factors without a sign have such a product."""
    assert masked_product(one, other) == ((one & MASK) * (other & MASK)) & MASK
