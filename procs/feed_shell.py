"""The sockets of one venue around a sink, on the running event loop.

Whoever runs the loop calls ``start`` once and ``stop`` at the end; between them the shell works by itself:
attempts within the venue's budget, pings, what is late, requests for books in doubt, and a pause of reading
while the sink's reader is far behind. ``wait_failed`` ends when something of ours has failed.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from picows import WSError, ws_connect

from engine.config import FeedConfig
from engine.units import NS_PER_S
from engine.venues.liveness import LinkEvent, LinkState
from engine.venues.reconnect import AttemptBudget
from engine.venues.resync import ResyncQueue
from engine.venues.session import Session
from engine.venues.shards import SocketPlan
from procs.feed_connection import QUIET_LOGGER, Connection
from procs.feed_counters import FeedCounters
from procs.feed_link import FeedLink, FeedSink, Holder

TICK_NS: Final = 20_000_000  # grain of every timer
QUIET_TICK_NS: Final = 250_000_000  # the same while every socket is LIVE and nothing is asked for
PATIENCE_GRAINS: Final = 20  # of the shortest wait that is watched: no grain is coarser than that
STALL_NS: Final = 80_000_000  # a tick that comes so much too late: the loop itself stood still
PACE_S: Final = 0.001  # how often a paused shell asks whether its reader has caught up
READ_BUFFER_BYTES: Final = 64 * 1024
SYMBOLS_MAX: Final = 1 << 17

Headers = Callable[[], Mapping[str, str]]


def no_headers() -> Mapping[str, str]:
    """Headers of a handshake that nobody signs."""
    return {}


def quiet_tick_ns(config: FeedConfig, silence_max_ns: int) -> int:
    """Grain of the timers while nothing is under way: coarse, but fine beside every wait that is watched."""
    waits_ns = (config.ping_every_ns, config.pong_max_ns, config.message_max_ns, silence_max_ns)
    return max(TICK_NS, min(QUIET_TICK_NS, min(waits_ns) // PATIENCE_GRAINS))


def in_step_ns(grain_ns: int, now_ns: int) -> int:
    """From now to a multiple of the grain, when other shells of the process tick too: one waking for all.

    At least half a grain, for a timer may fire a little early.
    """
    wait_ns = grain_ns - now_ns % grain_ns
    return wait_ns if 2 * wait_ns >= grain_ns else wait_ns + grain_ns


class FeedShell:
    """One venue's sockets. ``counters`` says what happened; ``links`` are the sockets.

    ``now_ns`` stamps receipt, ``monotonic_ns`` drives timers, ``random_ppm`` draws delays; ``headers`` is
    asked anew for each handshake; ``unreadable`` counts messages that the sink could not read; ``holder`` is
    the sink where it can hold the messages of a read; ``is_behind``
    is asked after each read of a socket, and while it says yes nothing is read (never when live: then what
    is not read grows old); ``after_read`` runs what follows a frame: once a read, when a connection is lost,
    and with ``follows_ticks`` once a tick, for whoever has no other clock.
    """

    def __init__(
        self,
        config: FeedConfig,
        silence_max_ns: int,
        plans: Sequence[SocketPlan],
        sink: FeedSink,
        new_session: Callable[[SocketPlan], Session],
        *,
        now_ns: Callable[[], int],
        random_ppm: Callable[[], int],
        headers: Headers = no_headers,
        unreadable: Callable[[], int] = lambda: 0,
        is_behind: Callable[[], bool] = lambda: False,
        after_read: Callable[[], None] = lambda: None,
        follows_ticks: bool = True,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        holder: Holder | None = None,
    ) -> None:
        self.counters = FeedCounters()
        self.sink = sink
        self.holder = holder
        self.random_ppm = random_ppm
        self._unreadable = unreadable
        self._n_unreadable = unreadable()
        self.monotonic_ns = monotonic_ns
        self.links = [FeedLink(self, plan, config, silence_max_ns, new_session) for plan in plans]
        self._config = config
        self._now_ns = now_ns
        self._headers = headers
        self._is_behind = is_behind
        self._after_read = after_read
        self._follows_ticks = follows_ticks
        self._latest_ns = 0
        self._links_of: dict[str, list[FeedLink]] = {}
        for link in self.links:
            for symbol in link.symbols:
                self._links_of.setdefault(symbol, []).append(link)
        self._link_by_conn = {link.plan.conn: link for link in self.links}
        self._budget = AttemptBudget(config.attempts_per_minute)
        self._resyncs = ResyncQueue(
            config.resyncs_per_second, config.resync_symbols_max, SYMBOLS_MAX, config.resync_retry_ns
        )
        is_encrypted = config.ws_url.startswith("wss://")
        # Made once: reading the authorities takes milliseconds, in which no other socket would be read.
        self._tls = ssl.create_default_context() if is_encrypted else None
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_ns = TICK_NS if follows_ticks else quiet_tick_ns(config, silence_max_ns)
        self._delay_ns = TICK_NS  # of the tick that comes next
        self._due_ns = self.monotonic_ns()  # of that tick
        self._was_stalled = False
        self.is_paused = False
        self._is_stopped = False
        self._failed: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin; in a running event loop."""
        self._failed = asyncio.get_running_loop().create_future()
        self._tick()

    async def stop(self) -> None:
        """Close every connection, and give up an attempt that is under way."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for link in self.links:
            link.happen(LinkEvent.STOP)
        if self._attempt is not None and not self._attempt.done():
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        await asyncio.sleep(0)  # transports that were aborted close in the loop's next turn
        if self._failed is not None and not self._failed.done():
            self._failed.cancel()

    async def wait_failed(self) -> None:
        """Ends by raising what failed, or by cancellation at ``stop``."""
        assert self._failed is not None, "start() comes first"
        await self._failed

    def want_snapshot(self, symbol: str, *, urgent: bool = False) -> bool:
        """Ask for the book of ``symbol`` through the budget; ``urgent``: we have orders there.

        False when it is asked for already, or its connection is not there: the next one brings it anyway.
        Where two are raced each is asked in turn, for one of them may be far behind.
        """
        links = self._links_of.get(symbol, [])
        link = next((link for link in links if link.is_hearing), None)
        if link is None or not self._resyncs.want(symbol, link.plan.conn, self.monotonic_ns(), urgent=urgent):
            return False
        links.remove(link)
        links.append(link)
        self._hurry()
        return True

    def snapshot_arrived(self, symbol: str) -> None:
        """A book that was asked for is in order again: the next wish is a new one."""
        self._resyncs.arrived(symbol)

    def stamp_ns(self) -> int:
        """Time of receipt; a clock that steps back is held and counted."""
        now_ns = self._now_ns()
        if now_ns < self._latest_ns:
            self.counters.clock_steps_back += 1
            return self._latest_ns
        self._latest_ns = now_ns
        return now_ns

    def count_unreadable(self) -> int:
        """Messages that the sink could not read since this was asked last."""
        before, self._n_unreadable = self._n_unreadable, self._unreadable()
        return self._n_unreadable - before

    def connect(self, link: FeedLink, connection: Connection) -> None:
        """Begin an attempt; the budget was asked."""
        self._attempt = asyncio.get_running_loop().create_task(self._try(link, connection))

    def on_ready(self, link: FeedLink) -> None:
        """Every book of the link is on its way: none is asked for again at once.

        The books of one that joins another are there already: should they fall into doubt it is for itself.
        """
        alone = [
            symbol
            for symbol in link.symbols
            if not any(other.is_hearing for other in self._links_of[symbol] if other is not link)
        ]
        self._resyncs.expect(alone, self.monotonic_ns())

    def on_lost(self, link: FeedLink) -> None:
        """Nothing can be asked of the link's connection any more, and its books are in doubt from now on."""
        self._resyncs.forget(link.plan.conn)
        self._hurry()
        if not self._is_stopped:
            self._after_read()

    def after_read(self) -> None:
        """Run what follows, then stop reading if that is far behind."""
        self._after_read()
        if not self.is_paused and self._is_behind():
            self.is_paused = True
            self.counters.pauses += 1
            for link in self.links:
                link.pause_reading()
            self._resume_later()

    def fail(self, error: Exception) -> None:
        """Something of ours failed; the first failure is told."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _resume_later(self) -> None:
        asyncio.get_running_loop().call_later(PACE_S, self._try_resume)

    def _try_resume(self) -> None:
        try:
            self._after_read()
            if self._is_behind():
                self._resume_later()
                return
            self.is_paused = False
            for link in self.links:
                link.resume_reading()
        except Exception as error:  # noqa: BLE001 - the loop would print it and never read again
            self.fail(error)

    def _tick(self) -> None:
        self._timer = None  # it is the one that fires: whoever hurries us now need not
        try:
            self._turn(self.monotonic_ns())
            if self._follows_ticks:
                self._after_read()
        except Exception as error:  # noqa: BLE001 - the loop would print it and go on without a timer
            self.fail(error)
        self._arm(TICK_NS if self._is_busy() else self._quiet_ns)

    def _is_busy(self) -> bool:
        """Whether something is under way that a coarser grain would hold up."""
        return len(self._resyncs) > 0 or any(link.state is not LinkState.LIVE for link in self.links)

    def _arm(self, delay_ns: int) -> None:
        if self._is_stopped:
            return
        now_ns = self.monotonic_ns()
        if delay_ns > TICK_NS:
            delay_ns = in_step_ns(delay_ns, now_ns)
        self._delay_ns, self._due_ns = delay_ns, now_ns + delay_ns
        self._timer = asyncio.get_running_loop().call_later(delay_ns / NS_PER_S, self._tick)

    def _hurry(self) -> None:
        """Something is under way: the next tick is not to be a late one."""
        if self._timer is not None and self._delay_ns > TICK_NS:
            self._timer.cancel()
            self._arm(TICK_NS)

    def _turn(self, now_ns: int) -> None:
        self._begin_attempt(now_ns)
        if self.is_paused or self._is_stalled(now_ns):
            return
        for link in self.links:
            link.on_clock(now_ns)
        request = self._resyncs.take(now_ns)
        if request is not None:
            conn, symbols = request
            self.counters.resyncs += 1
            self._link_by_conn[conn].request_snapshots(symbols)

    def _is_stalled(self, now_ns: int) -> bool:
        """Whether this turn comes so late that what looks missing may lie in the sockets, not yet read.

        Never twice in a row: the turn between has read it.
        """
        late = now_ns - self._due_ns > STALL_NS
        self._was_stalled = late and not self._was_stalled
        self.counters.stalls += self._was_stalled
        return self._was_stalled

    def _begin_attempt(self, now_ns: int) -> None:
        waiting = [link for link in self.links if link.state is LinkState.WAITING and link.due_ns <= now_ns]
        if waiting and self._budget.begin(now_ns):
            min(waiting, key=lambda link: link.due_ns).happen(LinkEvent.DUE)

    async def _try(self, link: FeedLink, connection: Connection) -> None:
        limit_s = self._config.connect_max_ns / NS_PER_S
        try:
            await asyncio.wait_for(
                ws_connect(
                    lambda: connection,
                    self._config.ws_url,
                    ssl_context=self._tls,
                    websocket_handshake_timeout=limit_s,
                    logger_name=QUIET_LOGGER,
                    enable_auto_pong=False,
                    max_frame_size=self._config.message_bytes_max,
                    extra_headers=self._headers(),
                    max_redirects=0,  # a signed handshake goes to whom it was made for
                    read_buffer_init_size=READ_BUFFER_BYTES,
                ),
                limit_s,
            )
        except (OSError, TimeoutError, WSError, ValueError) as error:
            link.on_failed(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - nobody waits for this task
            self.fail(error)
        finally:
            self._budget.end()
