"""The control server over real sockets: commands, what is done once, what is refused, what is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.reasons import Reason
from procs import control
from procs.control import REPLIES_KEPT_NS, REQUESTS_A_SECOND, REQUESTS_BURST, ControlServer, RequestAllowance
from procs.control_wire import EventKind, ReplyStatus, Request, request_frames
from procs.control_words import Word
from procs.engine_status import EngineView
from procs.halt import HaltSwitch
from procs.health import SILENT_NS_MAX, HealthTable, ProcessState
from procs.operator_refusals import RefusedByState
from tests.procs.served import EPOCH, NOW_NS, Served, run_directory

OK, ERROR, DENIED, BUSY = ReplyStatus.OK, ReplyStatus.ERROR, ReplyStatus.DENIED, ReplyStatus.BUSY


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with run_directory() as directory:
        served = Served(directory, tmp_path / "state")
        try:
            yield served
        finally:
            served.close()


def is_set(served: Served, word: Word) -> bool:
    assert served.switch.words is not None
    return served.switch.words.is_set(word)


def test_status_is_what_the_run_directory_says(served: Served) -> None:
    served.health.writer("feed").start(["feed"], EPOCH, "spin", NOW_NS)
    reply = served.ask("status")
    assert (reply.status, reply.epoch) == (OK, EPOCH)
    assert reply.body == EngineView(served.directory, served.state_dir).document(served.now_ns)
    assert reply.body["running"] is True
    assert reply.body["ok"] is False, "one starts and the other was never started"


def test_health_is_ok_when_all_are_ready_and_nothing_is_halted(served: Served) -> None:
    for name in ("feed", "executor"):
        writer = served.health.writer(name)
        writer.start([name], EPOCH, "spin", NOW_NS)
        writer.set_state(ProcessState.READY)
    assert served.ask("health").body["ok"] is True
    served.switch.halt(Reason.HALTED, "ada")
    assert served.ask("health").body["ok"] is False
    served.switch.resume(["operator"])
    served.now_ns += SILENT_NS_MAX + 1
    assert served.ask("health").body["ok"] is False


def test_pause_and_resume(served: Served) -> None:
    assert served.ask("pause").body == {"changed": True}
    assert is_set(served, Word.PAUSED)
    assert served.ask("pause").body == {"changed": False}
    assert served.ask("resume").body == {"lifted": [], "unpaused": True}
    assert not is_set(served, Word.PAUSED)
    refused = served.ask("resume")
    assert (refused.status, refused.body) == (
        ERROR,
        {"error": "neither halted nor paused: nothing to resume"},
    )


def test_halt_and_a_resume_that_names_its_reason(served: Served) -> None:
    assert served.ask("halt", {"who": "ada", "text": "why"}).body == {"changed": True}
    assert is_set(served, Word.HALTED)
    assert served.switch.state().halts[0].who == "ada"
    assert served.ask("halt").body == {"changed": False}
    served.ask("pause")
    denied = served.ask("resume")
    assert denied.status is DENIED
    assert "halted by operator" in str(denied.body["error"])
    assert served.ask("resume", {"reasons": "operator"}).status is DENIED, "a word is no list"
    assert (is_set(served, Word.HALTED), is_set(served, Word.PAUSED)) == (True, True)
    assert served.ask("resume", {"reasons": ["operator"]}).body == {"lifted": ["operator"], "unpaused": True}
    assert (is_set(served, Word.HALTED), is_set(served, Word.PAUSED)) == (False, False)


def test_shutdown_wants_a_confirmation_and_the_engine_that_was_meant(served: Served) -> None:
    assert served.ask("shutdown").status is DENIED
    assert served.ask("shutdown", {"confirm": "yes"}).status is DENIED
    other = served.ask("shutdown", {"confirm": True, "expected_epoch": EPOCH - 1})
    assert (other.status, is_set(served, Word.STOPPING)) == (ERROR, False)
    assert other.body == {"error": "this engine has epoch 7, not 6: it was started again"}
    assert served.ask("shutdown", {"confirm": True, "expected_epoch": EPOCH}).body == {"changed": True}
    assert is_set(served, Word.STOPPING)


def test_an_unknown_command_is_an_error_that_names_the_known_ones(served: Served) -> None:
    reply = served.ask("flatten")
    assert reply.status is ERROR
    assert "unknown command 'flatten': status, health, pause" in str(reply.body["error"])


def test_a_halt_whose_latch_fails_is_an_error_and_a_halt_all_the_same(served: Served) -> None:
    served.state_dir.rmdir()
    served.state_dir.touch()
    assert served.ask("status").body["halted"] is True, "a latch that cannot be read"
    reply = served.ask("halt")
    assert reply.status is ERROR
    assert "halted until the next restart" in str(reply.body["error"])
    assert is_set(served, Word.HALTED)


def test_a_repeated_request_is_done_once(served: Served) -> None:
    request_id = os.urandom(16)
    first = served.ask("pause", request_id=request_id)
    assert served.switch.words is not None
    served.switch.words.clear(Word.PAUSED, served.switch.words.read(Word.PAUSED))
    assert served.ask("pause", request_id=request_id) == first
    assert not is_set(served, Word.PAUSED)
    served.now_ns += REPLIES_KEPT_NS + 1
    served.ask("pause", request_id=request_id)
    assert is_set(served, Word.PAUSED), "after five minutes it is a new one"


def test_kept_replies_are_bounded_and_a_halt_is_done_beyond_the_bound(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "REPLIES_KEPT_MAX", 3)
    assert [served.ask("pause").status for _ in range(4)] == [OK, OK, OK, BUSY]
    assert served.ask("status").status is OK, "what only reads is not kept"
    assert served.ask("halt").status is OK
    assert is_set(served, Word.HALTED)
    served.now_ns += REPLIES_KEPT_NS + 1
    assert served.ask("pause").status is OK


def test_a_flood_is_refused_and_a_halt_in_it_is_done(served: Served) -> None:
    for _ in range(REQUESTS_BURST - 3):
        assert served.server._allowance.take(served.now_ns)
    assert [served.ask("status").status for _ in range(5)] == [OK] * 3 + [BUSY] * 2
    assert served.ask("halt").status is OK
    served.now_ns += 10**9 // REQUESTS_A_SECOND
    assert [served.ask("status").status for _ in range(2)] == [OK, BUSY]


def test_the_allowance_has_its_burst_and_no_more() -> None:
    allowance = RequestAllowance(0)
    for now_ns in (0, 3_600 * 10**9):
        assert [allowance.take(now_ns) for _ in range(REQUESTS_BURST + 1)] == [True] * REQUESTS_BURST + [
            False
        ]
    assert not allowance.take(0), "a clock that steps back gives nothing"


def test_garbage_is_counted_and_leaves_the_others_alone(served: Served) -> None:
    served.peer.send_multipart([b"PR3C/0", b"x"])
    served.peer.send_multipart([b"\x00" * 100])
    assert served.ask("status").status is OK
    assert served.server.refused == 2


def test_a_frame_that_is_too_large_never_arrives(served: Served) -> None:
    large = served.connect()
    frames = request_frames(Request(os.urandom(16), "pause", {}))
    large.send_multipart([*frames[:3], b'{"x":"' + b"y" * 70_000 + b'"}'])
    for _ in range(3):
        assert served.ask("status").status is OK
    assert not is_set(served, Word.PAUSED)
    assert served.server.refused == 0, "libzmq has dropped the connection"


def test_the_sockets_are_the_owners_alone_and_go_with_the_server(served: Served) -> None:
    names = ("control.sock", "events.sock", "control-server.lock")
    assert [(served.directory / name).stat().st_mode & 0o777 for name in names] == [0o600] * 3
    served.server.close()
    assert not (served.directory / "control.sock").exists()
    served.server = ControlServer(served.directory, served.state_dir, EPOCH)  # and another may serve


def test_a_second_server_and_an_open_directory_are_refused(served: Served, tmp_path: Path) -> None:
    with pytest.raises(RefusedByState, match="another control process serves this directory"):
        ControlServer(served.directory, served.state_dir, EPOCH)
    assert served.ask("status").status is OK, "and took nothing from the first"
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match=r"open: open to others \(mode 755\)"):
        ControlServer(tmp_path / "open", served.state_dir, EPOCH)


def test_without_an_engine_only_a_halt_is_done(tmp_path: Path) -> None:
    with run_directory() as directory:
        served = Served(directory, tmp_path / "state")
        try:
            for name in ("control", "health"):
                (directory / name).unlink()
            served.server.close()
            served.server = ControlServer(directory, tmp_path / "state", 0)
            assert served.ask("status").body["running"] is False
            assert "no engine runs here" in str(served.ask("pause").body["error"])
            assert served.ask("halt").body == {"changed": True}
            assert EngineView(directory, tmp_path / "state").document(0)["halted"] is True
        finally:
            served.close()


def test_an_engine_that_was_started_anew_is_the_one_that_is_steered(served: Served) -> None:
    assert served.ask("pause").body == {"changed": True}
    for name in ("control", "health"):
        (served.directory / name).unlink()
    assert "no engine runs here" in str(served.ask("pause").body["error"])
    served.switch = HaltSwitch.create(served.directory, served.state_dir, EPOCH + 1)
    HealthTable.create(("feed",), served.directory, EPOCH + 1).writer("feed").start((), 1, "spin", NOW_NS)
    assert served.ask("status").body["epoch"] == EPOCH + 1
    assert served.ask("pause").body == {"changed": True}
    assert is_set(served, Word.PAUSED)


def test_an_engine_that_is_not_finished_is_found_at_a_later_look(served: Served) -> None:
    words = served.directory / "control"
    content = words.read_bytes()
    words.unlink()
    words.write_bytes(bytes(len(content)))
    words.chmod(0o600)
    refused = served.ask("pause")
    assert refused.status is ERROR
    assert "not one of our segments, or not finished" in str(refused.body["error"])
    assert served.drain() == []
    words.unlink()
    served.switch = HaltSwitch.create(served.directory, served.state_dir, EPOCH + 1)
    assert served.ask("pause").body == {"changed": True}


def test_events_tell_what_changed_in_a_sequence_without_holes(served: Served) -> None:
    served.subscribe()
    executor = served.health.writer("executor")
    executor.start(["executor"], EPOCH, "spin", served.now_ns)
    served.drain()
    executor.beat(served.now_ns + 10**9, 1, 1, 0)
    executor.set_state(ProcessState.DEGRADED, "slow disk")
    events = served.drain()
    assert [(event.kind, event.body) for event in events] == [
        (EventKind.PROCESS, {"process": "executor", "condition": "degraded", "error": "slow disk"})
    ]
    served.ask("pause")
    served.switch.halt(Reason.DAILY_LOSS, "gate")
    events += served.drain()
    served.now_ns += SILENT_NS_MAX
    events += served.drain()
    served.ask("resume", {"reasons": ["daily_loss"]})
    served.ask("shutdown", {"confirm": True})
    events += served.drain()
    told = [(event.kind, event.body.get("condition", event.body.get("word"))) for event in events[1:]]
    assert told == [
        (EventKind.HALT, "halted"),
        (EventKind.PAUSE, "paused"),
        (EventKind.PROCESS, "silent"),
        (EventKind.RESUME, "halted"),
        (EventKind.RESUME, "paused"),
        (EventKind.SHUTDOWN, "stopping"),
    ]
    assert events[1].body["reasons"] == ["daily_loss"]
    sequences = [event.sequence for event in events]
    assert sequences == list(range(sequences[0], sequences[0] + len(events)))
