"""What general parsers share."""

from __future__ import annotations

import pytest

from engine.venues import frame as module
from engine.venues.continuity import Action
from engine.venues.frame import GeneralFrame
from engine.venues.numbers import FrameError
from engine.venues.workspace import NONE


def test_a_refused_frame_keeps_only_what_it_was() -> None:
    frame = GeneralFrame(action=Action.DELTA, sid=4, seq=5, keep=frozenset({1}))
    frame.rows.append((0,) * 12)
    frame.touched.append(1)
    frame.unknown.append(b"x")
    frame.ignored.append("a type that came before")
    frame.refuse("why")
    assert (frame.rows, frame.touched, frame.unknown, frame.keep) == ([], [], [], None)
    assert (frame.action, frame.error, frame.sid, frame.seq) == (Action.UNREADABLE, "why", 4, 5)
    frame.refuse("harmless", Action.SEQUENCED)
    assert frame.action is Action.SEQUENCED


def test_a_frame_begins_empty() -> None:
    frame = GeneralFrame()
    assert (frame.sid, frame.seq, frame.row, frame.action) == (NONE, NONE, NONE, Action.PASS)
    assert (frame.reason, frame.old_shapes, frame.sizes_cut) == (0, 0, 0)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"PONG", b"1e999", b'{"a":1}x', b'"\\ud800"'])
def test_decode_says_what_is_not_json(payload: bytes) -> None:
    with pytest.raises(FrameError, match=r"^not JSON: "):
        module.decode(payload)


def test_decode_reads_json() -> None:
    assert module.decode(b' {"a":[1,"2"]}\n') == {"a": [1, "2"]}


def test_members_objects_and_lists() -> None:
    assert module.member({"a": None}, "a", "") is None
    assert module.as_object({}, "w") == {}
    assert module.as_list([1], "w") == [1]
    with pytest.raises(FrameError, match=r"^msg\.b: missing$"):
        module.member({"a": 1}, "b", "msg.")
    with pytest.raises(FrameError, match=r"^w: not an object$"):
        module.as_object([], "w")
    with pytest.raises(FrameError, match=r"^w: not a list$"):
        module.as_list({}, "w")
