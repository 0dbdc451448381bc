"""The line kernel: exact on our own spelling, unsure of every other, the same plain and compiled."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procs import recording_lines
from procs.recording_lines import LINES_END, LINES_FULL, LINES_UNSURE
from tests.plain_twin import PlainTwin

GOOD = b'{"recv_ns":5,"venue":"kalshi","conn":7,"raw":"{\\"a\\":1}"}\n'


def _split(text: bytes, module: ModuleType = recording_lines, room: int = 8) -> tuple[object, ...]:
    arena = np.zeros(len(text) + 1, np.uint8)
    offsets, lengths, times, conns = np.zeros((4, room), np.int64)
    venues = np.zeros(room, np.uint8)
    source = np.frombuffer(text, np.uint8)
    count, used, at, status = module.split_lines(
        source, 0, arena, 0, 0, offsets, lengths, times, conns, venues
    )
    rows = [
        (
            int(times[i]),
            int(venues[i]),
            int(conns[i]),
            arena[offsets[i] : offsets[i] + lengths[i]].tobytes(),
        )
        for i in range(count)
    ]
    assert used == sum(len(row[3]) for row in rows)
    return rows, int(at), int(status)


def test_one_line() -> None:
    assert _split(GOOD) == ([(5, 2, 7, b'{"a":1}')], len(GOOD), LINES_END)


def test_both_venues_and_every_simple_escape() -> None:
    raw = '"\\/\b\f\n\r\té€\U0001f600'
    line = b'{"recv_ns":1,"venue":"polymarket","conn":0,"raw":%s}\n' % orjson.dumps(raw)
    slash = line.replace(b"/", b"\\/")
    assert _split(line)[0] == [(1, 1, 0, raw.encode())]
    assert _split(slash)[0] == [(1, 1, 0, raw.encode())]


def test_full_arrays_stop_before_the_next_line() -> None:
    rows, at, status = _split(GOOD * 3, room=2)
    assert (len(rows), at, status) == (2, 2 * len(GOOD), LINES_FULL)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_an_incomplete_line_waits_for_the_rest(length: int) -> None:
    assert _split(GOOD + GOOD[:length]) == ([(5, 2, 7, b'{"a":1}')], len(GOOD), LINES_END)


UNSURE = [
    GOOD.replace(b'{"recv', b'{ "recv'),
    GOOD.replace(b"kalshi", b"kalshj"),
    GOOD.replace(b":5,", b":-5,"),
    GOOD.replace(b":5,", b":,"),
    GOOD.replace(b":5,", b":5.0,"),
    GOOD.replace(b":5,", b":9223372036854775808,"),
    GOOD.replace(b":7,", b":4294967296,"),
    GOOD.replace(b":7,", b":1024,"),
    GOOD.replace(b'\\"a', b"\\u0041"),
    GOOD.replace(b'\\"a', b"\x01"),
    GOOD.replace(b'\\"a', b"\n"),
    GOOD.replace(b'}"}', b'}" }'),
    GOOD.replace(b'}"}\n', b'}"}\r\n'),
    b"\n",
]


@pytest.mark.parametrize("line", UNSURE)
def test_any_other_spelling_is_left_to_the_general_parser(line: bytes, plain_twin: PlainTwin) -> None:
    expected = ([(5, 2, 7, b'{"a":1}')], len(GOOD), LINES_UNSURE)
    assert _split(GOOD + line + GOOD) == expected
    assert _split(GOOD + line + GOOD, plain_twin("procs.recording_lines")) == expected


@pytest.mark.parametrize("digits", [b"922337203685477579", b"999999999999999999", b"1700000000123456789"])
def test_times_of_any_length_are_exact(digits: bytes) -> None:
    rows, _, _ = _split(GOOD.replace(b":5,", b":%s," % digits))
    assert rows[0][0] == int(digits)  # type: ignore[index]


@given(
    st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 1023), st.text(max_size=30)), max_size=5),
    st.integers(0, 200),
    st.integers(0, 255),
)
def test_plain_equals_compiled_on_good_and_broken_text(
    plain_twin: PlainTwin, lines: list[tuple[int, int, str]], at: int, byte: int
) -> None:
    text = bytearray(
        b"".join(
            b'{"recv_ns":%d,"venue":"kalshi","conn":%d,"raw":%s}\n' % (time, conn, orjson.dumps(raw))
            for time, conn, raw in lines
        )
    )
    if at < len(text):
        text[at] = byte
    compiled = _split(bytes(text))
    assert compiled == _split(bytes(text), plain_twin("procs.recording_lines"))
    for time, venue, conn, raw in compiled[0]:  # type: ignore[attr-defined]
        assert time >= 0
        assert venue in (1, 2)
        assert 0 <= conn < 1024
        assert isinstance(raw, bytes)
