"""The words that steer an engine: what they say, and what becomes of two that set and clear them at once."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procs.control_words import (
    CODE_MASK,
    COUNT_MASK,
    COUNT_SHIFT,
    NS_PER_S,
    SECONDS_MAX,
    ControlWords,
    Word,
    clear_word,
    set_word,
    state_bits,
)
from shm.atomics import address_of
from shm.errors import LayoutMismatch, SegmentExists
from shm.layout import HOT_BYTES
from tests.plain_twin import PlainTwin

START_NS = 1_793_534_400 * NS_PER_S


class Clock:
    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


def test_a_word_says_what_who_and_when() -> None:
    clock = Clock()
    words = ControlWords.create(None, clock_ns=clock)
    assert words.bits() == 0
    assert words.setting_of(words.read(Word.HALTED)) is None
    clock.now_ns += 90 * NS_PER_S + 5
    assert words.set(Word.HALTED, 401)
    setting = words.setting_of(words.read(Word.HALTED))
    assert setting is not None
    assert (setting.code, setting.pid, setting.at_ns) == (401, os.getpid(), START_NS + 90 * NS_PER_S)
    assert (words.is_set(Word.HALTED), words.is_set(Word.PAUSED)) == (True, False)
    assert not words.set(Word.HALTED, 410), "it was set"
    latest = words.setting_of(words.read(Word.HALTED))
    assert latest is not None
    assert latest.code == 410


@pytest.mark.parametrize(("after_s", "told_s"), [(-3_600, 0), (10**9, SECONDS_MAX)])
def test_a_clock_far_off_is_told_at_the_edge(after_s: int, told_s: int) -> None:
    clock = Clock()
    words = ControlWords.create(None, clock_ns=clock)
    clock.now_ns += after_s * NS_PER_S
    words.set(Word.STOPPING, CODE_MASK)
    setting = words.setting_of(words.read(Word.STOPPING))
    assert setting is not None
    assert setting.at_ns == START_NS + told_s * NS_PER_S
    assert (setting.code, setting.pid) == (CODE_MASK, os.getpid())


@pytest.mark.parametrize("code", [0, -1, CODE_MASK + 1])
def test_a_code_that_does_not_fit_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"code {code} is not within 1..1023"):
        ControlWords.create(None).set(Word.PAUSED, code)


def test_what_was_set_meanwhile_is_not_cleared() -> None:
    words = ControlWords.create(None)
    words.set(Word.HALTED, 7)
    seen = words.read(Word.HALTED)
    words.set(Word.HALTED, 7)  # the same process, the same second, the same reason
    assert not words.clear(Word.HALTED, seen)
    assert words.is_set(Word.HALTED)
    assert words.clear(Word.HALTED, words.read(Word.HALTED))
    words.set(Word.HALTED, 7)
    assert not words.clear(Word.HALTED, seen), "nor what is set after it was cleared"


@given(st.lists(st.tuples(st.sampled_from(list(Word)), st.booleans()), max_size=20))
def test_bits_are_what_is_set(changes: list[tuple[Word, bool]]) -> None:
    words = ControlWords.create(None)
    expected: set[Word] = set()
    for word, on in changes:
        if on:
            assert words.set(word) == (word not in expected)
            expected.add(word)
        else:
            assert words.clear(word, words.read(word))
            expected.discard(word)
        assert words.bits() == sum(1 << each for each in expected)


def test_the_count_wraps_and_leaves_the_rest_alone() -> None:
    words = ControlWords.create(None)
    counts = []
    for _ in range(COUNT_MASK + 2):
        words.set(Word.PAUSED, 3)
        counts.append(words.read(Word.PAUSED) >> COUNT_SHIFT & COUNT_MASK)
    assert counts == [*range(1, COUNT_MASK + 1), 0, 1]
    setting = words.setting_of(words.read(Word.PAUSED))
    assert setting is not None
    assert (setting.code, setting.pid) == (3, os.getpid())


def test_another_process_attaches_by_the_directory(tmp_path: Path) -> None:
    words = ControlWords.create(tmp_path, 12, halted_code=401)
    assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
    other = ControlWords.attach(tmp_path, 12)
    assert other.is_set(Word.HALTED), "halted before anyone could attach"
    other.set(Word.STOPPING)
    assert words.is_set(Word.STOPPING)
    with pytest.raises(LayoutMismatch, match="epoch is 12, expected 13"):
        ControlWords.attach(tmp_path, 13)
    with pytest.raises(SegmentExists):
        ControlWords.create(tmp_path, 13)


SETS_EACH = 20_000


def _set_often(directory: Path) -> None:
    words = ControlWords.attach(directory)
    for _ in range(SETS_EACH):
        words.set(Word.HALTED, 401)


@pytest.mark.compiled_only
def test_a_set_that_races_with_clears_is_never_lost(tmp_path: Path) -> None:
    """Two processes set the word while this one clears what it has read: each clear ends what it saw."""
    words = ControlWords.create(tmp_path)
    words.set(Word.HALTED, 401)
    fork = multiprocessing.get_context("fork")
    setters = [fork.Process(target=_set_often, args=(tmp_path,)) for _ in range(2)]
    for setter in setters:
        setter.start()
    cleared = refused = 0
    while any(setter.is_alive() for setter in setters):
        seen = words.read(Word.HALTED)
        if seen & CODE_MASK and words.clear(Word.HALTED, seen):
            cleared += 1
        else:
            refused += 1
    assert [setter.exitcode for setter in setters] == [0, 0]
    print(f"cleared {cleared}, refused or nothing to clear {refused}")
    sets = 1 + 2 * SETS_EACH
    assert words.read(Word.HALTED) >> COUNT_SHIFT & COUNT_MASK == sets & COUNT_MASK, "each set was counted"


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("procs.control_words")
    lines = HOT_BYTES // 8
    memory = np.zeros((2, 3 * lines), np.int64)
    addresses = [address_of(memory[0]), address_of(memory[1])]
    kernels = [(set_word, clear_word, state_bits), (plain.set_word, plain.clear_word, plain.state_bits)]
    for said in (1, 5, CODE_MASK, 3 << 18 | 9, (1 << 63) - 1 - (COUNT_MASK << COUNT_SHIFT)):
        answers = []
        for (set_it, clear_it, bits_of), address in zip(kernels, addresses, strict=True):
            first = set_it(address, said)
            second = set_it(address + HOT_BYTES, said)
            cleared = [clear_it(address, said), clear_it(address, 1 << COUNT_SHIFT | said)]
            answers.append((first, second, bits_of(address), cleared))
        assert answers[0] == answers[1]
        assert (memory[0] == memory[1]).all()
