"""The tapes of a process: what makes each of its agents readable, or plays one of them alone.

``Tapes`` is what the parts and stages of an engine are made with, and asks for nothing: every agent gets
the wires themselves. ``RecordingTapes`` has a tape, and a log, for each agent that trades or feeds those that
do; ``PlayingTapes`` has one for a single agent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from engine import typed_tree
from engine.records import Venue
from procs.agent import Agent, Follow, StoppableAgent, TimedAgent
from procs.feed_link import FeedSink
from procs.input_log import SUFFIX, VERSION, EntryKind, InputLog, LogHeader
from procs.registry import Registry
from procs.run_directory import DESCRIPTION, Description
from procs.tape import PlayingTape, RecordingTape, Tape
from procs.taped import taped_wires
from procs.whole_file import whole_file
from procs.wires import Wires

OWNER_ONLY_DIRECTORY: Final = 0o700
EPOCH_DIGITS: Final = 6
CONN_BYTES: Final = 4
BUILT: Final = 1  # answers of calls that have none: written, whatever came of them
FRAME_DONE: Final = 1
STOPPED: Final = 1


class Tapes:
    """No tape at all."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    def wires(self, role: str) -> Wires:
        """Rings and tables as the agent of this role meets them; asked once, before it is made."""
        del role
        return self._wires

    def tape(self, role: str) -> Tape | None:
        """What stands between this agent and the world."""
        del role
        return None

    def follow(self, role: str, registry: Registry, follow: Follow | None = None) -> Follow | None:
        """How the agent learns of new markets."""
        del role, registry
        return follow

    def agent(self, agent: Agent) -> Agent:
        """The agent as whoever runs it calls it; it has been made."""
        return agent

    def sink(self, role: str, feed: FeedSink) -> FeedSink:
        """A feed as its sockets call it."""
        del role
        return feed

    def stop(self, agent: StoppableAgent, now_ns: int) -> None:
        """Tell an agent to begin nothing more."""
        agent.stop(now_ns)

    def on_clock(self, now_ns: int) -> str:
        """Now and then: why a log has ended since, or nothing."""
        del now_ns
        return ""

    def close(self) -> None:
        """The agents have been closed."""


def describe_logs(folder: Path, description: Description) -> None:
    """Make the folder of an engine's logs, with its description.

    Its owner does so before the processes begin: two that wrote the same file would be in each other's way.
    """
    folder.mkdir(mode=OWNER_ONLY_DIRECTORY, parents=True, exist_ok=True)
    if not (folder / DESCRIPTION).exists():
        with whole_file(folder / DESCRIPTION) as file:
            file.write(orjson.dumps(typed_tree.dump(description), option=orjson.OPT_INDENT_2))


class MarketNews:
    """How the agent of a tape learns of markets that nobody knew beforehand.

    The catalog of a process is one for all of its agents, and grows as any of them meets a new one.
    """

    def __init__(self, tape: Tape, registry: Registry, follow: Follow | None) -> None:
        self._tape = tape
        self._source = tape.source("markets")
        self._registry = registry
        self._follow = follow
        self._seen = len(registry.catalog)

    def __call__(self) -> None:
        """Take in what came."""
        answer = self._tape.take(self._source, self._fetch)
        if answer is None or not self._tape.plays:
            return
        for venue, symbol in orjson.loads(answer):
            if self._registry.catalog.find(Venue(venue), symbol) is None:
                self._registry.on_unknown(Venue(venue), symbol.encode())

    def _fetch(self) -> bytes | None:
        if self._follow is not None:
            self._follow()
        catalog = self._registry.catalog
        if len(catalog) == self._seen:
            return None
        new = [catalog.spec(slot) for slot in range(self._seen, len(catalog))]
        self._seen = len(catalog)
        return orjson.dumps([(int(spec.venue), spec.symbol) for spec in new])


class TapedAgent:
    """``agent``, every call of it told to its tape."""

    def __init__(self, agent: Agent, tape: RecordingTape, news: Callable[[], object]) -> None:
        self.role = agent.role
        self._agent = agent
        self._tape = tape
        self._news = news

    def on_start(self, now_ns: int) -> None:
        """Start it."""
        self._tape.begin(EntryKind.START, now_ns)
        self._agent.on_start(now_ns)
        self._tape.end()

    def do_work(self, now_ns: int) -> int:
        """Let it work."""
        self._tape.begin(EntryKind.WORK, now_ns)
        self._news()
        work = self._agent.do_work(now_ns)
        self._tape.end(work)
        return work

    def on_close(self) -> None:
        """Close it."""
        self._agent.on_close()


class TapedTimedAgent(TapedAgent):
    """One with timers."""

    def __init__(self, agent: TimedAgent, tape: RecordingTape, news: Callable[[], object]) -> None:
        super().__init__(agent, tape, news)
        self._due_ns = agent.next_due_ns

    def next_due_ns(self) -> int:
        """When it next has work without being sent any."""
        return self._due_ns()


class TapedSink:
    """A feed, every frame told to its tape."""

    def __init__(self, feed: FeedSink, tape: RecordingTape, news: Callable[[], object]) -> None:
        self._feed = feed
        self._tape = tape
        self._news = news

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Take one message."""
        self._tape.begin(EntryKind.FRAME, recv_ns, conn.to_bytes(CONN_BYTES, "little") + payload)
        self._news()
        self._feed.on_frame(payload, recv_ns, conn)
        self._tape.end(FRAME_DONE)

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """A connection is gone."""
        self._tape.begin(EntryKind.LOST, recv_ns, conn.to_bytes(CONN_BYTES, "little"))
        self._news()
        self._feed.on_disconnect(recv_ns, conn)
        self._tape.end(FRAME_DONE)


class RecordingTapes(Tapes):
    """Tapes of the process ``name``: a log for each agent in ``folder``, beside the engine's description.

    ``now_ns`` is when the process starts. Raises as ``InputLog``.
    """

    def __init__(
        self, wires: Wires, folder: Path, description: Description, name: str, boot_epoch: int, now_ns: int
    ) -> None:
        super().__init__(wires)
        self._folder = folder
        self._logs: list[InputLog] = []
        self._told: list[InputLog] = []  # that they have ended
        self._tapes: dict[str, RecordingTape] = {}
        self._news: dict[str, MarketNews] = {}
        self._header = LogHeader(VERSION, "", name, boot_epoch, now_ns, description.build)
        describe_logs(folder, description)

    def wires(self, role: str) -> Wires:
        """Rings and tables as the agent of this role meets them."""
        return taped_wires(self._wires, self.tape(role))

    def tape(self, role: str) -> RecordingTape:
        """The agent's tape; its making begins when it is first asked for."""
        if role not in self._tapes:
            path = self._folder / f"{role}-{self._header.boot_epoch:0{EPOCH_DIGITS}}{SUFFIX}"
            log = InputLog(path, self._header._replace(agent=role))
            self._logs.append(log)
            self._tapes[role] = RecordingTape(log)
            self._tapes[role].begin(EntryKind.BUILD, self._header.now_ns)
        return self._tapes[role]

    def follow(self, role: str, registry: Registry, follow: Follow | None = None) -> Follow:
        """How the agent learns of new markets."""
        self._news[role] = MarketNews(self.tape(role), registry, follow)
        return self._news[role]

    def agent(self, agent: Agent) -> Agent:
        """The agent, which has been made now."""
        tape = self._tapes.get(agent.role)
        if tape is None:
            return agent
        tape.end(BUILT)
        news = self._news[agent.role]
        return (
            TapedTimedAgent(agent, tape, news)
            if isinstance(agent, TimedAgent)
            else TapedAgent(agent, tape, news)
        )

    def sink(self, role: str, feed: FeedSink) -> FeedSink:
        """A feed as its sockets call it."""
        return TapedSink(feed, self.tape(role), self._news[role])

    def stop(self, agent: StoppableAgent, now_ns: int) -> None:
        """Tell an agent to begin nothing more; that is a call of it."""
        tape = self._tapes[agent.role]
        tape.begin(EntryKind.STOP, now_ns)
        agent.stop(now_ns)
        tape.end(STOPPED)

    def on_clock(self, now_ns: int) -> str:
        """Hand to the kernel what has waited; why a log has ended since, each once."""
        for log in self._logs:
            log.on_clock(now_ns)
            if log.ended and log not in self._told:
                self._told.append(log)
                return f"inputs are not recorded any more: {log.ended}"
        return ""

    def close(self) -> None:
        """Write what is left."""
        for log in self._logs:
            log.close()


class PlayingTapes(Tapes):
    """The tape of one agent that is played alone; others, where its role brings some, meet empty wires."""

    def __init__(self, wires: Wires, role: str, tape: PlayingTape) -> None:
        super().__init__(wires)
        self.news: Callable[[], object] = lambda: None
        self._role = role
        self._tape = tape

    def wires(self, role: str) -> Wires:
        """Rings and tables as the agent of this role meets them."""
        return taped_wires(self._wires, self._tape) if role == self._role else self._wires

    def tape(self, role: str) -> Tape | None:
        """The tape, if it is this agent's."""
        return self._tape if role == self._role else None

    def follow(self, role: str, registry: Registry, follow: Follow | None = None) -> Follow | None:
        """How the agent learns of new markets: as it did."""
        if role != self._role:
            return follow
        self.news = MarketNews(self._tape, registry, None)
        return self.news
