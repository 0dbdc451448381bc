"""News says that something waits exactly when a poll would bring something, or say something."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shm.layout import PAYLOAD_BYTES, ReaderState, Status
from shm.news import GROUPS_MAX, News
from shm.ring import OverwritingRing, Reader, RefusingRing

RECORD = np.dtype([("words", "<i8", (PAYLOAD_BYTES[0] // 8,))])
CAPACITY = 8
LOOKS = 3


def refusing(*, checked: bool = False) -> tuple[RefusingRing, Reader]:
    ring = RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("reader",), checked=checked)
    return ring, ring.reader("reader", 0)


def overwriting() -> tuple[OverwritingRing, Reader]:
    ring = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    return ring, ring.reader()


def rings() -> list[tuple[OverwritingRing | RefusingRing, Reader]]:
    return [overwriting(), refusing(), refusing(checked=True)]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_it_agrees_with_every_poll_of_a_random_run(kind: int) -> None:
    seed = 20261129 + kind
    print(f"seed {seed}")
    chance = random.Random(seed)
    ring, reader = rings()[kind]
    news = News([(reader,)])
    found = 0
    for _ in range(2_000):
        if chance.random() < 0.6:
            ring.publish(np.zeros(chance.choice((1, 1, 2)), RECORD))  # laps, or is refused, now and then
        else:
            says, more = news.look(), news.wait(LOOKS)
            brings = reader.poll(chance.choice((1, 2, 8)))
            assert says == more == (1 if brings else 0)
            found += bool(brings)
    assert found > 500


def test_each_group_has_its_bit() -> None:
    (first, a), (second, b), (_, c) = rings()
    news = News([(a,), (), (b, c)])
    assert news.look() == 0
    second.publish(np.zeros(1, RECORD))
    assert news.look() == 0b100
    first.publish(np.zeros(1, RECORD))
    assert news.wait(LOOKS) == 0b101
    b.poll()
    assert news.look() == 0b001


def test_a_fenced_reader_has_something_to_hear() -> None:
    ring, reader = refusing()
    news = News([(reader,)])
    ring.publish(np.zeros(1, RECORD))
    reader.poll()
    assert news.look() == 0
    assert ring.fence_silent(now_ns=1_000, silent_ns_max=10) == 1
    assert reader.state is ReaderState.FENCED
    assert news.look() == 1
    assert reader.poll() == Status.READER_FENCED


def test_a_reader_that_keeps_is_asked_where_it_reads() -> None:
    ring = RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("reader",))
    reader = ring.reader("reader", 0, keeps=True)
    news = News([(reader,)])
    ring.publish(np.zeros(1, RECORD))
    assert news.look() == 1
    assert reader.poll() == 1
    assert news.look() == 0, "handed out already, though not done"


def test_a_garbled_message_is_something() -> None:
    ring, reader = refusing(checked=True)
    news = News([(reader,)])
    ring.publish(np.zeros(1, RECORD))
    ring.segment.words()[-CAPACITY * 9 :] ^= 1  # sequences, payloads and sums
    assert news.look() == 1


def test_there_is_a_bit_for_every_group_or_none_at_all() -> None:
    News([()] * GROUPS_MAX)
    with pytest.raises(ValueError, match="63 groups"):
        News([()] * (GROUPS_MAX + 1))
