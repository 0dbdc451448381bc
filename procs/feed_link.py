"""One socket of a feed: its state, its session, its connection, and what is done when something happens.

The table of ``engine.venues.liveness`` decides; this carries it out. A link is used again for every
connection that follows: the sink is told once of each that ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from engine.config import FeedConfig
from engine.venues.liveness import Act, LinkEvent, LinkState, Patience, Vitals, step
from engine.venues.reconnect import Backoff, SlidingWindow
from engine.venues.session import Seen, Session
from engine.venues.shards import SocketPlan
from procs.feed_connection import GOODBYE, Breach, Connection
from procs.feed_counters import FeedCounters

_CONNECTED: Final = frozenset({LinkState.SUBSCRIBING, LinkState.LIVE, LinkState.SILENT})
_HEARING: Final = frozenset({LinkState.LIVE, LinkState.SILENT})
# By name, for every message: a member is looked up in its class each time.
_KEEP_ALIVE, _DATA = Seen.KEEP_ALIVE, Seen.DATA
_LIVE, _SUBSCRIBING, _SILENT = LinkState.LIVE, LinkState.SUBSCRIBING, LinkState.SILENT


class FeedSink(Protocol):
    """Where messages go (``procs.feed.FeedAgent``)."""

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Take one message."""
        ...

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """A connection that was open is gone."""
        ...


class Holder(Protocol):
    """A sink that can take many messages of one read together (``procs.fused_feed.FusedFeed``)."""

    def hold(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Take one message that others will follow; not before ``release``, or anything else, is it read."""
        ...

    def release(self) -> None:
        """Read what is held."""
        ...


class Shell(Protocol):
    """What a link needs of the shell around it."""

    counters: FeedCounters
    sink: FeedSink
    holder: Holder | None  # the sink, where it can hold messages
    is_paused: bool  # nothing is to be read

    def monotonic_ns(self) -> int:
        """Time of every timer."""
        ...

    def stamp_ns(self) -> int:
        """Time of receipt; never steps back."""
        ...

    def random_ppm(self) -> int:
        """An even draw from 0..PPM."""
        ...

    def count_unreadable(self) -> int:
        """Messages that the sink could not read since this was asked last."""
        ...

    def connect(self, link: FeedLink, connection: Connection) -> None:
        """Begin an attempt; ``link.on_failed`` tells when it came to nothing."""
        ...

    def on_ready(self, link: FeedLink) -> None:
        """The books of the link are on their way."""
        ...

    def on_lost(self, link: FeedLink) -> None:
        """The link has no connection any more."""
        ...

    def after_read(self) -> None:
        """A read of a socket was worked off."""
        ...

    def fail(self, error: Exception) -> None:
        """Something of ours failed: end."""
        ...


class FeedLink:
    """A socket for one plan (interface towards the connection: ``procs.feed_connection.Owner``)."""

    def __init__(
        self,
        shell: Shell,
        plan: SocketPlan,
        config: FeedConfig,
        silence_ns: int,
        new_session: Callable[[SocketPlan], Session],
    ) -> None:
        self.plan = plan
        self.state = LinkState.WAITING
        self.due_ns = 0  # of the next attempt, while WAITING
        self.session = new_session(plan)
        self.last_error = ""
        self._conn = plan.conn
        self._has_heard = False  # market data, in the read that is being worked off
        self._recv_ns = 0  # of that read: of all that came with it
        self._n_held = 0  # messages of it that were not read yet
        self._shell = shell
        self._config = config
        self._new_session = new_session
        self._connection: Connection | None = None
        self._vitals = Vitals(
            Patience(
                subscribe_ns=config.subscribe_max_ns,
                silence_ns=silence_ns,
                ping_every_ns=config.ping_every_ns,
                pong_ns=config.pong_max_ns,
                message_ns=config.message_max_ns,
            )
        )
        self._backoff = Backoff(config.reconnect_base_ns, config.reconnect_max_ns, config.hold_ns)
        self._garbage = SlidingWindow(config.garbage_max, config.garbage_span_ns)
        self._ready_ns: int | None = None
        self._was_open = False
        self._opened = 0
        self._parting = GOODBYE  # close code of ours

    @property
    def is_hearing(self) -> bool:
        """Whether requests for books make sense."""
        return self.state in _HEARING

    @property
    def symbols(self) -> list[str]:
        """Every symbol of the plan."""
        return [symbol for symbols in self.plan.subscriptions for symbol in symbols]

    def happen(self, event: LinkEvent) -> None:
        """Let ``event`` happen and do what follows."""
        before = self.state
        turn = step(before, event)
        self.state = turn.state
        self._shell.counters.live += (turn.state in _HEARING) - (before in _HEARING)
        self._carry_out(turn.act, self._shell.monotonic_ns())

    def on_clock(self, now_ns: int) -> None:
        """Act by the clock: pings, and what is late."""
        if self.state not in _CONNECTED:
            return
        if self._vitals.ping_due(now_ns):
            self._ping()
        event = self._vitals.event(self.state, now_ns)
        if event is not None:
            self._late(event)

    def request_snapshots(self, symbols: list[str]) -> None:
        """Ask for books now."""
        if self._connection is not None and self.is_hearing:
            self._connection.send(self.session.snapshot_requests(symbols))

    def pause_reading(self) -> None:
        """Read no more."""
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Read again; what was late because of us does not count."""
        if self._connection is not None:
            self._vitals.held(self._shell.monotonic_ns())
            self._connection.resume_reading()

    def on_failed(self, error: str) -> None:
        """The attempt came to nothing, unless it succeeded in the very moment."""
        if self.state is not LinkState.CONNECTING:
            return
        self.last_error = error
        self._shell.counters.refused += 1
        self._drop()
        self.happen(LinkEvent.FAILED)

    def on_open(self) -> None:
        """The handshake is done."""
        counters = self._shell.counters
        counters.connects += 1
        counters.reconnects += self._opened > 0
        self._opened += 1
        self._was_open = True
        self._has_heard = False
        self._recv_ns = 0
        self.happen(LinkEvent.OPENED)

    def on_message(self, payload: bytes, *, is_last: bool) -> None:
        """Hand a message on, and learn from it."""
        shell, session = self._shell, self.session
        recv_ns = self._recv_ns or shell.stamp_ns()
        self._recv_ns = 0 if is_last else recv_ns
        seen = session.observe(payload)
        if seen is _DATA and not is_last and shell.holder is not None and self.state is _LIVE:
            shell.holder.hold(payload, recv_ns, self._conn)
            shell.counters.frames += 1
            self._n_held += 1
            return
        if self._n_held:
            self._release()
            if self._connection is None:  # given up for what was held
                return
        if seen is _KEEP_ALIVE:
            shell.counters.keep_alives += 1
            self._vitals.answered()
            return
        shell.sink.on_frame(payload, recv_ns, self._conn)
        shell.counters.frames += 1
        if shell.count_unreadable():
            self._note_garbage(1)
        elif seen is _DATA:
            self._has_heard = True  # the read that brought it says when
            if self.state is _SILENT:
                self.happen(LinkEvent.HEARD)
        elif seen is Seen.CONTROL:
            self._follow(session)
        if self.state is _SUBSCRIBING and session.is_ready:
            self._become_ready()

    def _release(self) -> None:
        """Have what is held read, and learn from that."""
        held, self._n_held = self._n_held, 0
        if self._shell.holder is not None:
            self._shell.holder.release()
        unreadable = self._shell.count_unreadable()
        self._has_heard |= unreadable < held
        if unreadable:
            self._note_garbage(unreadable)

    def on_pong(self) -> None:
        """Our ping was answered."""
        self._vitals.answered()

    def on_breach(self, breach: Breach) -> None:
        """The peer broke the protocol or a bound."""
        counters = self._shell.counters
        counters.oversized += breach is Breach.TOO_LONG
        counters.garbled += breach is Breach.PROTOCOL
        self.last_error = "a message beyond the bound" if breach is Breach.TOO_LONG else "protocol error"
        self._parting = int(breach)
        self.happen(LinkEvent.GARBLED)

    def on_read(self, n_bytes: int, *, ended: bool, partial: bool) -> None:
        """A read of the socket was worked off."""
        self._recv_ns = 0
        if self._n_held:
            self._release()
        now_ns = self._shell.monotonic_ns()
        self._shell.counters.bytes += n_bytes
        if self._has_heard:
            self._has_heard = False
            self._vitals.heard(now_ns)
        self._vitals.received(now_ns, ended=ended, partial=partial)
        self._shell.after_read()

    def on_close(self, code: int) -> None:
        """The connection is gone."""
        self._shell.counters.closed(code)
        self._end()
        self.happen(LinkEvent.CLOSED)

    def on_failure(self, error: Exception) -> None:
        """Something of ours failed in a callback."""
        self._shell.fail(error)

    def _carry_out(self, act: Act, now_ns: int) -> None:
        if act is Act.CONNECT:
            self.session = self._new_session(self.plan)
            self._parting = GOODBYE
            self._connection = Connection(self, self._config.message_bytes_max, self._config.user_timeout_ns)
            self._shell.connect(self, self._connection)
        elif act is Act.SUBSCRIBE:
            self._vitals.opened(now_ns)
            self._garbage.clear()
            self._send(self.session.opening())
            if self._shell.is_paused:
                self.pause_reading()
        elif act is Act.ASK:
            self._vitals.heard(now_ns)  # the wait for an answer begins
            self._send(self.session.snapshot_requests(self.symbols))
        elif act is Act.CLOSE:
            self._give_up()
        elif act is Act.BACK_OFF:
            held_ns = 0 if self._ready_ns is None else now_ns - self._ready_ns
            self._ready_ns = None
            self.due_ns = now_ns + self._backoff.delay_ns(held_ns, self._shell.random_ppm())

    def _give_up(self) -> None:
        """Close from our side; the connection speaks no more, so that what follows is said here."""
        self._drop()
        self._end()
        if self.state is LinkState.CLOSING:
            self.happen(LinkEvent.CLOSED)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.leave(self._parting)

    def _end(self) -> None:
        """Tell the sink, once for each connection that was open."""
        self._connection = None
        if self._was_open:
            self._was_open = False
            self._n_held = 0
            self._shell.sink.on_disconnect(self._shell.stamp_ns(), self.plan.conn)
            self._shell.counters.garbage += (
                self._shell.count_unreadable()
            )  # of what was held: not the next one's
            self._shell.on_lost(self)

    def _send(self, texts: list[bytes]) -> None:
        if self._connection is not None:
            self._connection.send(texts)

    def _ping(self) -> None:
        self._send(self.session.asked_again())
        text = self.session.keep_alive()
        if text is not None:
            self._send([text])
        elif self._connection is not None:
            self._connection.ping()

    def _become_ready(self) -> None:
        now_ns = self._shell.monotonic_ns()
        self._vitals.heard(now_ns)
        self._ready_ns = now_ns
        self.happen(LinkEvent.READY)
        self._shell.on_ready(self)

    def _follow(self, session: Session) -> None:
        """What an answer of the venue calls for."""
        self.last_error = session.last_error or self.last_error
        if session.is_broken:
            self._shell.counters.garbled += 1
            self.happen(LinkEvent.GARBLED)
            return
        self._send(session.replies())

    def _note_garbage(self, messages: int) -> None:
        now_ns = self._shell.monotonic_ns()
        self._shell.counters.garbage += messages
        for _ in range(messages):
            self._garbage.note(now_ns)
        if self._garbage.is_full(now_ns):
            self.last_error = "too many messages that could not be read"
            self.happen(LinkEvent.GARBLED)

    def _late(self, event: LinkEvent) -> None:
        counters = self._shell.counters
        if event is LinkEvent.UNANSWERED:
            counters.unanswered += 1
        elif event is LinkEvent.GARBLED:
            counters.slow += 1
        elif self.state is LinkState.SUBSCRIBING:
            counters.unconfirmed += 1
        elif self.state is LinkState.LIVE:
            counters.silences += 1
        self.happen(event)
