"""Both venues over one replay position: it moves, their books follow, their clients are sent the frames.

The position begins to move when enough connections have subscribed. It follows recorded time, or, at full
speed, waits until every client can take the next frame. Frames that nobody has subscribed to only move the
books. At the end the venues go on serving the last books, or with ``once`` close every connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from procs.pacer import Pacer
from procs.recording_frames import Frame, pack
from procs.recording_merge import Run
from procs.venue_sim.answer import NORMAL_CLOSURE, Closing
from procs.venue_sim.books import VenueBooks
from procs.venue_sim.desks import KalshiDesk, PolymarketDesk
from procs.venue_sim.faults import Fault
from procs.venue_sim.kalshi_auth import PublicKey
from procs.venue_sim.kalshi_wire import RecordedFrame
from procs.venue_sim.log import VenueLog
from procs.venue_sim.polymarket_wire import MarketFrame
from procs.venue_sim.tape import Tape
from procs.venue_sim.venue import Address, SimulatedVenue

FRAMES_A_TURN: Final = 64  # before the loop sees to the sockets again
PING_S: Final = 10.0  # of Kalshi's control frames
SILENT_S: Final = 30.0  # three of the keep-alives that Polymarket expects


def _wall_clock_ms() -> int:
    return time.time_ns() // NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """How the venues serve. ``speed`` None: as fast as the clients read; else a multiple of recorded time.

    ``start_when_subscribed``: connections that must have subscribed at each venue that has frames; 0: none;
    None: however many, until somebody has subscribed to every book that a header names.
    ``wait_for_readers``: the position also waits while one of these venues has no subscriber to write to.
    ``on_position(recv_ns)`` is called before the frame received then goes out.
    """

    host: str = "127.0.0.1"
    polymarket_port: int = 0
    kalshi_port: int = 0
    speed: float | None = None
    once: bool = False
    start_when_subscribed: int | None = 1
    wait_for_readers: bool = False
    faults: tuple[Fault, ...] = ()
    kalshi_keys: Mapping[str, PublicKey] = field(default_factory=dict)
    on_position: Callable[[int], None] | None = None
    ping_s: float = PING_S
    silent_s: float = SILENT_S
    now_ms: Callable[[], int] = _wall_clock_ms


class VenueSim:
    """The simulated venues: ``open``, then ``play`` (or ``deliver`` frame by frame), then ``close``.

    ``books`` are those of the position; ``played`` counts frames; ``finished`` is set at the end of the tape;
    ``damage`` says at the end where a recording was damaged.
    """

    def __init__(self, tape: Tape, options: SimOptions) -> None:
        self.books = VenueBooks(tape.specs)
        self.played = 0
        self.finished = asyncio.Event()
        self.damage: RecordingDamaged | None = None
        self._tape = tape
        self._options = options
        self._changed = asyncio.Event()
        self._pacer = None if options.speed is None else Pacer(options.speed)
        self.polymarket: SimulatedVenue[MarketFrame] = SimulatedVenue(
            PolymarketDesk(self.books, options.silent_s),
            Address(options.host, options.polymarket_port, "--polymarket-port"),
            [fault for fault in options.faults if fault.venue is Venue.POLYMARKET],
            self._changed.set,
        )
        self.kalshi: SimulatedVenue[RecordedFrame] = SimulatedVenue(
            KalshiDesk(self.books, options.ping_s, options.kalshi_keys, options.now_ms),
            Address(options.host, options.kalshi_port, "--kalshi-port"),
            [fault for fault in options.faults if fault.venue is Venue.KALSHI],
            self._changed.set,
        )
        self._by_venue: dict[int, SimulatedVenue[MarketFrame] | SimulatedVenue[RecordedFrame]] = {
            int(Venue.POLYMARKET): self.polymarket,
            int(Venue.KALSHI): self.kalshi,
        }
        self._with_frames = [self._by_venue[int(venue)] for venue in sorted(tape.venues)]

    @property
    def endpoints(self) -> dict[str, str]:
        """URL of each venue by its name."""
        return {venue.name: venue.url for venue in self._by_venue.values()}

    @property
    def logs(self) -> dict[str, VenueLog]:
        """Counts of each venue by its name."""
        return {venue.name: venue.log for venue in self._by_venue.values()}

    async def open(self) -> None:
        """Listen. ConfigError when an address cannot be had; then nothing listens."""
        try:
            for venue in self._by_venue.values():
                await venue.listen()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening and end every connection."""
        for venue in self._by_venue.values():
            venue.shut()

    async def subscribed(self) -> None:
        """Wait until enough connections have subscribed for the position to move."""
        await self._until(self._is_begun)

    def deliver(self, frame: Frame) -> int:
        """Send one frame and move the position behind it; -> texts that went to sockets.

        For who conducts the time instead of ``play``: nothing is waited for. Times must not step back.
        """
        sent = self._texts_sent()
        self._send_frame(int(frame.venue), frame.raw, frame.conn, frame.recv_ns, paced=True)
        for batch in pack([frame]):
            self.books.feed(batch, batch.recv_ns, 0, 1)
        return self._texts_sent() - sent

    def next_frame(self, venue: Venue) -> int:
        """Number of the venue's recorded frame that is due next; the first is 1."""
        return self._by_venue[int(venue)].log.frames + 1

    def do(self, fault: Fault) -> int:
        """Do a fault now, whatever frame it names; -> to how many connections or ports it was done."""
        log = self._by_venue[int(fault.venue)].log
        done = log.faults_done
        self._by_venue[int(fault.venue)].do(fault)
        return log.faults_done - done

    def _texts_sent(self) -> int:
        return sum(venue.log.texts_sent for venue in self._by_venue.values())

    async def play(self) -> None:
        """Move the position to the end of the tape; with ``once`` then close every connection and wait."""
        await self.subscribed()
        try:
            for run in self._tape.runs():
                await self._play_run(run)
        except RecordingDamaged as error:
            self.damage = error
        self.books.replay.store.on_time(self.books.position_ns)
        self.finished.set()
        if self._options.once:
            for venue in self._by_venue.values():
                venue.dismiss(Closing(NORMAL_CLOSURE, "end of the recording"))
            await self._until(lambda: not any(venue.open for venue in self._by_venue.values()))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds that connections can change."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _is_begun(self) -> bool:
        needed = self._options.start_when_subscribed
        if needed is None:
            named = {venue: venue.symbols for venue in self._with_frames}
            return all(
                book.symbol in named[self._by_venue[book.venue]]
                for book in self.books.named
                if book.venue in self._tape.venues
            )
        return all(venue.ever_subscribed >= needed for venue in self._with_frames)

    def _may_go_on(self) -> bool:
        """Whether nobody has to be waited for."""
        if self._options.wait_for_readers and not all(venue.readers for venue in self._with_frames):
            return False
        return self._pacer is not None or all(venue.takes for venue in self._with_frames)

    async def _play_run(self, run: Run) -> None:
        at = run.start
        while at < run.stop:
            await self._until(self._may_go_on)
            if self._pacer is not None:
                wait_s = self._pacer.wait_s(int(run.clock_ns[at]))
                if wait_s:
                    await asyncio.sleep(wait_s)
            stop = self._send(run, at)
            self.books.feed(run.batch, run.clock_ns, at, stop)
            at = stop
            await asyncio.sleep(0)

    def _send(self, run: Run, at: int) -> int:
        """Send frames from ``at`` on, until one is not due or a client has to be waited for."""
        batch, paced = run.batch, self._pacer is None
        end = min(run.stop, at + FRAMES_A_TURN)
        while True:
            venue, conn = int(batch.venues[at]), int(batch.conns[at])
            self._send_frame(venue, batch.raw(at), conn, int(run.clock_ns[at]), paced=paced)
            at += 1
            if at == end or not self._may_go_on():
                return at
            if self._pacer is not None and self._pacer.wait_s(int(run.clock_ns[at])) > 0:
                return at

    def _send_frame(self, venue: int, raw: bytes, conn: int, at_ns: int, *, paced: bool) -> None:
        if self._options.on_position is not None:
            self._options.on_position(at_ns)
        self._by_venue[venue].play(raw, conn, paced=paced)
        self.played += 1
