"""The client against servers that answer, are silent, answer the wrong thing, or come back in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from engine.errors import DeadlineExceeded
from procs.control_client import ControlClient, EventStream
from procs.control_wire import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    Event,
    EventKind,
    Reply,
    ReplyStatus,
    event_frames,
    parse_request,
    reply_frames,
    socket_address,
)
from procs.control_words import ControlWords, Word
from procs.halt import HaltSwitch
from procs.operator_refusals import Denied, RefusedByState
from tests.procs.served import EPOCH, run_directory, serving

Frames = list[bytes]
PATIENT_S = 30.0  # never waited for: a reply comes
SHORT_S = 0.2


@pytest.fixture
def directory() -> Iterator[Path]:
    with run_directory() as directory:
        yield directory


@contextmanager
def scripted(directory: Path, answer: Callable[[int, Frames], list[Frames]]) -> Iterator[list[Frames]]:
    """A ROUTER that answers the n-th request by a script; yields the requests it has received."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(socket_address(directory, CONTROL_SOCKET))
    received: list[Frames] = []
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if router.poll(10, zmq.POLLIN):
                peer, *frames = router.recv_multipart()
                received.append(frames)
                for reply in answer(len(received), frames):
                    router.send_multipart([peer, *reply])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield received
    finally:
        over.set()
        thread.join()
        context.destroy(linger=0)


def fine(frames: Frames, word: str = "yes") -> Frames:
    return reply_frames(Reply(parse_request(frames).request_id, ReplyStatus.OK, {"word": word}, 3))


def test_a_call_answers_the_body_and_raises_what_the_server_refused(directory: Path, tmp_path: Path) -> None:
    HaltSwitch.create(directory, tmp_path / "state", EPOCH)
    with serving(directory, tmp_path / "state"):
        client = ControlClient(directory, PATIENT_S)
        assert client.call("pause") == {"changed": True}
        assert ControlWords.attach(directory).is_set(Word.PAUSED)
        assert client.ask("status").epoch == EPOCH
        with pytest.raises(Denied, match="a shutdown stops every process"):
            client.call("shutdown")
        with pytest.raises(RefusedByState, match="unknown command 'dance'"):
            client.call("dance")


def test_silence_is_a_line_after_as_many_tries_with_the_same_id(directory: Path) -> None:
    with scripted(directory, lambda _, __: []) as received:
        with pytest.raises(DeadlineExceeded) as caught:
            ControlClient(directory, SHORT_S, 3).call("pause")
        assert len(received) == 3
        assert len({frames[1] for frames in received}) == 1, "one request, three times"
    assert str(caught.value) == (
        f"{directory}/control.sock: control did not answer 'pause' in 3 tries of 0.2 s: "
        "it is not running, or hangs"
    )


def test_a_lost_reply_is_asked_for_again(directory: Path) -> None:
    with scripted(directory, lambda number, frames: [fine(frames)] if number > 1 else []) as received:
        assert ControlClient(directory, SHORT_S, 100).call("pause") == {"word": "yes"}
    assert len(received) == 2


def test_a_reply_to_something_else_is_no_reply(directory: Path) -> None:
    def answer(number: int, frames: Frames) -> list[Frames]:
        foreign = reply_frames(Reply(b"\x00" * 16, ReplyStatus.OK, {"word": "foreign"}, 3))
        return [[b"garbage"], foreign, fine(frames, "own")]

    with scripted(directory, answer):
        assert ControlClient(directory, PATIENT_S, 1).call("pause") == {"word": "own"}


def test_a_server_that_comes_late_is_found_and_does_the_request_once(directory: Path, tmp_path: Path) -> None:
    HaltSwitch.create(directory, tmp_path / "state", EPOCH)
    answers: list[object] = []
    client = ControlClient(directory, SHORT_S, 150)
    asking = threading.Thread(target=lambda: answers.append(client.call("pause")))
    asking.start()
    with serving(directory, tmp_path / "state"):
        asking.join()
    assert answers == [{"changed": True}]


def test_without_a_run_directory_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RefusedByState, match="none: no engine runs here"):
        ControlClient(tmp_path / "none").call("pause")


def test_losses_of_events_are_counted_and_a_new_server_is_no_loss(directory: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.bind(socket_address(directory, EVENTS_SOCKET))
    stream = EventStream(directory)
    try:
        assert publisher.poll(30_000, zmq.POLLIN), "the subscription has come"
        for sequence in (5, 6, 9, 1, 3):
            publisher.send_multipart(event_frames(Event(EventKind.PAUSE, sequence, {})))
        publisher.send_multipart([b"pause", b"PR3C/9", b"1", b"{}"])
        publisher.send_multipart(event_frames(Event(EventKind.RESUME, 4, {"word": "paused"})))
        seen = []
        for _ in range(7):
            event = stream.next(30_000)
            seen.append((None if event is None else event.sequence, stream.lost))
        assert seen == [(5, 0), (6, 0), (9, 2), (1, 2), (3, 3), (None, 3), (4, 3)]
        assert stream.next(0) is None
    finally:
        stream.close()
        context.destroy(linger=0)
