from __future__ import annotations

from engine.records import Venue
from procs.agent import NEVER_NS
from procs.inline import InlineRunner, VirtualClock
from procs.recording_frames import Frame
from procs.source import SourceAgent


class Sink:
    def __init__(self) -> None:
        self.seen: list[tuple[bytes, int, int]] = []

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        self.seen.append((payload, recv_ns, conn))


def test_each_frame_goes_to_its_venue_at_its_time() -> None:
    sinks = {venue: Sink() for venue in Venue}
    frames = [
        Frame(100, Venue.KALSHI, 1, b"a"),
        Frame(100, Venue.POLYMARKET, 2, b"b"),
        Frame(350, Venue.KALSHI, 1, b"c"),
    ]
    paced: list[int] = []
    source = SourceAgent(iter(frames), sinks, paced.append)
    clock = VirtualClock(0)
    runner = InlineRunner([source], clock)
    runner.run()
    assert sinks[Venue.KALSHI].seen == [(b"a", 100, 1), (b"c", 350, 1)]
    assert sinks[Venue.POLYMARKET].seen == [(b"b", 100, 2)]
    assert (clock.now_ns, source.frames, source.first_ns, source.last_ns) == (350, 3, 100, 350)
    assert paced == [100, 100, 350]


def test_a_frame_received_before_the_one_before_it_is_counted_and_due_at_once() -> None:
    sink = Sink()
    frames = [Frame(100, Venue.KALSHI, 1, b"a"), Frame(90, Venue.KALSHI, 1, b"b")]
    source = SourceAgent(iter(frames), {Venue.KALSHI: sink})
    clock = VirtualClock(0)
    InlineRunner([source], clock).run()
    assert [recv_ns for _, recv_ns, _ in sink.seen] == [100, 90]
    assert (clock.now_ns, source.steps_back, source.last_ns) == (100, 1, 100)


def test_nothing_to_replay_is_never_due() -> None:
    source = SourceAgent(iter(()), {})
    source.on_start(0)
    assert source.next_due_ns() == NEVER_NS
    assert source.do_work(10**18) == 0
