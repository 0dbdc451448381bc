"""Frames of the control protocol: what is written is read again, and what is not ours is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from procs import control_wire as wire
from procs.control_wire import Event, EventKind, Reply, ReplyStatus, Request, WireFault

ID = bytes(range(16))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(max_size=8), JSON, max_size=4)


@given(st.binary(min_size=16, max_size=16), st.sampled_from(["status", "halt", "x" * 32]), BODIES)
def test_a_request_is_read_as_it_was_written(
    request_id: bytes, command: str, body: dict[str, object]
) -> None:
    request = Request(request_id, command, body)
    assert wire.parse_request(wire.request_frames(request)) == request


@given(st.sampled_from(ReplyStatus), BODIES, st.integers(0, 2**31 - 1))
def test_a_reply_is_read_as_it_was_written(status: ReplyStatus, body: dict[str, object], epoch: int) -> None:
    reply = Reply(ID, status, body, epoch)
    assert wire.parse_reply(wire.reply_frames(reply)) == reply


@given(st.sampled_from(EventKind), BODIES, st.integers(1, 2**63 - 1))
def test_an_event_is_read_as_it_was_written(kind: EventKind, body: dict[str, object], sequence: int) -> None:
    event = Event(kind, sequence, body)
    frames = wire.event_frames(event)
    assert frames[0] == kind.value.encode(), "what subscribers choose by comes first"
    assert wire.parse_event(frames) == event


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([], "0 frames, expected 4"),
        ([b"PR3C/1", ID, b"status"], "3 frames"),
        ([b"PR3C/1", ID, b"status", b"{}", b""], "5 frames"),
        ([b"PR3C/2", ID, b"status", b"{}"], "protocol b'PR3C/2', this is PR3C/1"),
        ([b"PR3C/1", ID[:15], b"status", b"{}"], "16 bytes, not 15"),
        ([b"PR3C/1", ID, b"x" * 33, b"{}"], "short ASCII word"),
        ([b"PR3C/1", ID, b"\xff", b"{}"], "short ASCII word"),
        ([b"PR3C/1", ID, b"status", b""], "JSON object"),
        ([b"PR3C/1", ID, b"status", b"[1]"], "JSON object"),
        ([b"PR3C/1", ID, b"status", b"{" * 1000], "JSON object"),
        ([b"PR3C/1", ID, b"status", b"\xff"], "JSON object"),
        ([b"PR3C/1", ID, b"status", b" " * 65_537], "65537 bytes, at most 65536"),
    ],
)
def test_what_is_no_request_is_refused(frames: list[bytes], why: str) -> None:
    with pytest.raises(WireFault, match=why):
        wire.parse_request(frames)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_garbage_is_refused_and_nothing_else_happens(frames: list[bytes]) -> None:
    for parse in (wire.parse_request, wire.parse_reply, wire.parse_event):
        with pytest.raises(WireFault):
            parse(frames)


def test_replies_and_events_with_foreign_words_are_refused() -> None:
    with pytest.raises(WireFault, match="no reply: 'fine' is not a valid ReplyStatus"):
        wire.parse_reply([b"PR3C/1", ID, b"fine", b"{}", b"1"])
    with pytest.raises(WireFault, match="no reply: invalid literal"):
        wire.parse_reply([b"PR3C/1", ID, b"ok", b"{}", b"one"])
    with pytest.raises(WireFault, match="no event: 'news' is not a valid EventKind"):
        wire.parse_event([b"news", b"PR3C/1", b"1", b"{}"])


def test_a_body_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(WireFault, match="at most 65536"):
        wire.request_frames(Request(ID, "halt", {"text": "x" * 65_536}))


def test_a_path_too_long_for_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    room = wire.SOCKET_PATH_BYTES_MAX - len(str(tmp_path)) - len("/") - len("/s")
    fits, longer = tmp_path / ("d" * room), tmp_path / ("d" * (room + 1))
    assert wire.socket_address(fits, "s") == f"ipc://{fits}/s"
    with pytest.raises(ConfigError, match="longer than the 107 bytes of a socket's address"):
        wire.socket_address(longer, "s")
