"""The ends of a paper run's real WebSockets: simulated venues in one process, feeds in another.

The venues listen on ports of the kernel's choice and say which in a file of the run directory; the feeds wait
for it. While a replay is conducted a frame counts as delivered when the feeds have taken every text that the
venues have written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketSpec
from engine.config import WAIT_MAX_NS, Config
from engine.records import Venue
from procs.book_notes import NoteWriter
from procs.credentials import credentials_folder
from procs.doubt_watch import DoubtWatch, with_stakes
from procs.feed import FeedAgent
from procs.feed_counters import FeedCounters
from procs.feed_link import FeedSink
from procs.feed_shell import FeedShell
from procs.fused_feed import FusedFeed
from procs.health import ProcessState
from procs.inputs import open_tape
from procs.live_feed import rejected_of, shell_for
from procs.recording import VENUE_NAMES, VENUE_OF_NAME
from procs.recording_frames import Frame
from procs.run_directory import InputNamed
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.whole_file import whole_file
from procs.wires import Wires
from shm.mirror import Mirror

ENDPOINTS: Final = "endpoints.json"
LOOK_S: Final = 0.01
GARBAGE_MAX: Final = 100_000  # unreadable texts in a minute: what was recorded is replayed
SILENT_S: Final = 3_600.0  # a replay may stand still for as long as its readers take


class VenueSockets:
    """The simulated venues of a run, served until ``close``."""

    def __init__(self, named: InputNamed, path: Path, opened: ExitStack) -> None:
        self.sim = VenueSim(
            open_tape(named, opened), SimOptions(start_when_subscribed=None, silent_s=SILENT_S)
        )
        self._path = path

    async def open(self) -> None:
        """Listen, say where, and wait until the feeds have subscribed to every book."""
        await self.sim.open()
        with whole_file(self._path / ENDPOINTS) as file:
            file.write(orjson.dumps(self.sim.endpoints))
        await self.sim.subscribed()

    def deliver(self, frame: Frame) -> None:
        """Send a frame to whoever has subscribed to it."""
        self.sim.deliver(frame)

    @property
    def written(self) -> int:
        """Texts that went to sockets."""
        return sum(log.texts_written for log in self.sim.logs.values())

    def close(self) -> None:
        """End every connection."""
        self.sim.close()


class FeedSockets:
    """Sockets around the feeds of a run, whose frames go to ``sinks``.

    ``after_read`` is called when one of them has brought something.

    ``watch`` asks for the books of a venue that are in doubt by its rows, and tells their stage.
    """

    def __init__(
        self,
        config: Config,
        markets: Sequence[MarketSpec],
        feeds: Mapping[Venue, FeedAgent],
        sinks: Mapping[Venue, FeedSink],
        now_ns: Callable[[], int],
        after_read: Callable[[], None],
    ) -> None:
        self._config = config
        self._feeds = feeds
        self._sinks = sinks
        self._now_ns = now_ns
        self._after_read = after_read
        self._markets = {
            venue: list({spec.symbol: spec for spec in markets if spec.venue is venue}.values())
            for venue in feeds
        }
        self.shells: dict[Venue, FeedShell] = {}
        self._watches: list[DoubtWatch] = []

    def open(self) -> None:
        """Connect to the venues that the configuration names; in a running event loop."""
        self._connect(self._config, credentials_folder(self._config))

    async def open_simulated(self, path: Path) -> None:
        """Wait until the simulated venues listen, then connect to them."""
        while not (path / ENDPOINTS).exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(LOOK_S)
        config = self._config
        for name, url in orjson.loads((path / ENDPOINTS).read_bytes()).items():
            config = with_endpoint(config, VENUE_OF_NAME[name], url)
        self._connect(config, path)  # no credentials are there: loopback is not signed

    def _connect(self, config: Config, credentials: Path) -> None:
        for venue, specs in self._markets.items():
            if specs:
                self.shells[venue] = self._shell(config, venue, specs, credentials)
        for shell in self.shells.values():
            shell.start()

    def _shell(self, config: Config, venue: Venue, specs: Sequence[MarketSpec], folder: Path) -> FeedShell:
        feed, sink = self._feeds[venue], self._sinks[venue]
        return shell_for(
            venue,
            config,
            specs,
            sink,
            folder,
            now_ns=self._now_ns,
            unreadable=rejected_of(feed.codec.counts),
            after_read=self._after_read,
            follows_ticks=False,  # the process takes turns of its own
            holder=sink.holder if isinstance(sink, FusedFeed) else None,
        )

    def watch(self, venue: Venue, rows: Mirror, notes: NoteWriter, catalog: Catalog, wires: Wires) -> None:
        """Ask for the books of a venue that fall into doubt, are not heard of, or that somebody wants.

        First for those of markets in which we have something at stake.
        """
        if venue not in self.shells:
            return
        silence_ns = self._config.book.market_silence_max_ns
        found = [(catalog.find(venue, spec.symbol), spec) for spec in self._markets[venue]]
        slots = max((ref.slot + 1 for ref, _ in found if ref is not None), default=0)
        stakes, wanted = with_stakes(wires.positions.rows), wires.wanted[venue].rows
        watch = DoubtWatch(
            rows.rows,
            notes,
            self.shells[venue],
            silence_ns,
            partial(_has_changed, rows, slots),
            stakes,
            wanted,
        )
        for ref, spec in found:
            if ref is not None:
                watch.add(ref, spec)
        self._watches.append(watch)

    def look(self, now_ns: int) -> int:
        """Ask for what is in doubt, if it is time to; how many books that was."""
        return sum(watch.look(now_ns) for watch in self._watches)

    async def wait_failed(self) -> None:
        """Ends by raising what failed in a socket's callbacks; without any socket it does not end."""
        if not self.shells:
            await asyncio.Event().wait()
        await asyncio.gather(*(shell.wait_failed() for shell in self.shells.values()))

    def state(self) -> tuple[ProcessState, str]:
        """READY, or DEGRADED with the last word of a venue of which no socket is live."""
        for venue, shell in self.shells.items():
            if shell.counters.live == 0:
                said = next((link.last_error for link in shell.links if link.last_error), "not connected yet")
                return ProcessState.DEGRADED, f"{VENUE_NAMES[venue]}: no market data: {said}"
        return ProcessState.READY, ""

    @property
    def counters(self) -> dict[Venue, FeedCounters]:
        """What happened to the sockets of each venue that has any."""
        return {venue: shell.counters for venue, shell in self.shells.items()}

    @property
    def taken(self) -> int:
        """Texts that came from sockets."""
        return sum(shell.counters.frames + shell.counters.keep_alives for shell in self.shells.values())

    async def close(self) -> None:
        """End every connection."""
        for shell in self.shells.values():
            await shell.stop()


def _has_changed(rows: Mirror, slots: int) -> bool:
    """Take over what was written to the first ``slots`` rows; whether anything was, or may have been."""
    is_whole = rows.refresh(slots)
    return not is_whole or len(rows.changed) > 0


def with_endpoint(config: Config, venue: Venue, url: str) -> Config:
    """The configuration with another address of a venue, and no impatience.

    A replay stands still for as long as its readers take, and a socket whose markets come late in it hears
    nothing until then; a connection given up meanwhile would lose the frame that was on its way.
    """
    of_venue = config.venues.of(venue)
    patient = replace(
        of_venue.feed,
        ws_url=url,
        subscribe_max_ns=WAIT_MAX_NS,
        pong_max_ns=WAIT_MAX_NS,
        message_max_ns=WAIT_MAX_NS,
        user_timeout_ns=WAIT_MAX_NS,
        garbage_max=GARBAGE_MAX,
    )
    pointed = replace(of_venue, feed=patient)
    if venue is Venue.POLYMARKET:
        venues = replace(config.venues, polymarket=pointed)
    else:
        venues = replace(config.venues, kalshi=pointed)
    return replace(config, venues=venues, book=replace(config.book, silence_max_ns=WAIT_MAX_NS))
