"""Play one agent alone on what it read in a run, and see whether it writes what it wrote then.

Everything an agent is made from stands in the description of its engine and in the head of its log; what it
asked, and what time it was called at, in the log. What it writes is held against what it wrote, byte for
byte, and so is what each call of it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.config import Role
from engine.errors import ConfigError, Pr3dictError, RecordingError, RecordingFormat
from procs.agent import BOOK, FEED, VENUE, Agent
from procs.control_words import ControlWords
from procs.executor import ExecutorAgent
from procs.feed import FeedAgent
from procs.halt import HaltSwitch
from procs.input_log import SUFFIX, EntryKind, LogEntry, LogHeader, read_log, split_call
from procs.inputs import named_input
from procs.optimizer import OptimizerAgent
from procs.parts import VENUES, EngineParts
from procs.run_directory import Description, read_description
from procs.stages import Stages
from procs.strategy import StrategyAgent
from procs.tape import Differs, PlayingTape, TapeEnd
from procs.tapes import BUILT, CONN_BYTES, FRAME_DONE, STOPPED, PlayingTapes
from procs.wires import Wires

_ROLES: Final = {
    FEED: Role.FEED,
    BOOK: Role.BOOK,
    VENUE: Role.VENUE_SIM,
    StrategyAgent.role: Role.STRATEGY,
    OptimizerAgent.role: Role.OPTIMIZER,
    ExecutorAgent.role: Role.EXECUTOR,
}


@dataclass(frozen=True, slots=True)
class Played:
    """One log, played. ``difference``: the first, or empty. ``end``: why the log ends early, or empty."""

    agent: str
    process: str
    boot_epoch: int
    calls: int
    inputs: int
    outputs: int
    last_ns: int  # time of the last call
    difference: str
    end: str


def logs_of(folder: Path, agent: str | None = None) -> list[Path]:
    """Logs of a folder, of one agent or of all; ConfigError when there is none."""
    found = sorted(path for path in folder.glob(f"*{SUFFIX}") if agent in (None, _agent_of(path)))
    if not found:
        known = sorted({_agent_of(path) for path in folder.glob(f"*{SUFFIX}")})
        there = f"; there are {', '.join(known)}" if known else ""
        raise ConfigError(f"{folder}: no log of inputs{f' of {agent}' if agent else ''}{there}")
    return found


def _agent_of(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def play_log(path: Path) -> Played:
    """Play one log, beside its engine's description. Raises RecordingFormat, RecordingDamaged, OSError."""
    description = read_description(path.parent, any_build=True)
    with path.open("rb") as file:
        header, entries = read_log(file, str(path))
        tape = PlayingTape(entries)
        player = _Player(header, tape)
        difference = end = ""
        try:
            player.play(description)
        except TapeEnd as error:
            end = str(error)
        except Differs as error:
            difference = f"call {player.calls} ({player.kind}) at {player.last_ns}: {error}"
        except RecordingError:
            raise  # of the log, not of the agent
        except Pr3dictError as error:
            if tape.is_over:  # the agent ended its process
                end = f"{type(error).__name__}: {error}"
            else:
                difference = f"call {player.calls} ({player.kind}) at {player.last_ns}: {error}"
        return Played(
            agent=header.agent,
            process=header.process,
            boot_epoch=header.boot_epoch,
            calls=player.calls,
            inputs=tape.inputs,
            outputs=tape.outputs,
            last_ns=player.last_ns,
            difference=difference,
            end=end,
        )


class _Player:
    """Makes the agent of ``header`` and calls it as it was called."""

    def __init__(self, header: LogHeader, tape: PlayingTape) -> None:
        self.calls = 0
        self.kind = ""
        self.last_ns = header.now_ns
        self._header = header
        self._tape = tape

    def play(self, description: Description) -> None:
        """To the end. Raises as ``PlayingTape``."""
        call = self._next()
        if call is None or call.kind is not EntryKind.BUILD:
            raise TapeEnd("the log has not even the making of its agent")
        agent, tapes = self._make(description)
        self._tape.end_call(BUILT)
        while (call := self._next()) is not None:
            self._call(agent, tapes, call)

    def _next(self) -> LogEntry | None:
        call = self._tape.next_call()
        if call is not None:
            self.calls += 1
            self.kind = call.kind.name.lower()
            self.last_ns = split_call(call.payload)[0]
        return call

    def _make(self, description: Description) -> tuple[Agent, PlayingTapes]:
        header, config = self._header, description.config
        role = _ROLES.get(header.agent) or _ROLES.get(header.agent.partition("-")[0])
        if role is None:
            raise RecordingFormat(f"{header.agent}: no agent of this name can be played")
        given = named_input(description.input, config)
        wires = Wires.create(VENUES, config.engine.market_slots)
        wires.alarm.halt = lambda _line: None  # whom it halted the run's words say
        tapes = PlayingTapes(wires, header.agent, self._tape)
        stages = Stages(
            EngineParts(config, given.scene, wires, (role,), header.boot_epoch, tapes),
            (role,),
            latency_scale=description.latency_scale,
            halt=HaltSwitch(Path(description.state_dir), ControlWords.create(None)),
            now_ns=header.now_ns,
        )
        agent = next((agent for agent in stages.in_order() if agent.role == header.agent), None)
        if agent is None:
            raise RecordingFormat(f"{header.agent}: no agent of this name can be played")
        return agent, tapes

    def _call(self, agent: Agent, tapes: PlayingTapes, call: LogEntry) -> None:
        at_ns, handed = split_call(call.payload)
        if call.kind is EntryKind.STOP:
            if not isinstance(agent, StrategyAgent | ExecutorAgent):
                raise Differs(f"{agent.role} cannot be stopped")
            agent.stop(at_ns)
            self._tape.end_call(STOPPED)
            return
        if call.kind is EntryKind.START:
            agent.on_start(at_ns)
            self._tape.end_call(0)
            return
        tapes.news()
        if call.kind is EntryKind.WORK:
            self._tape.end_call(agent.do_work(at_ns))
            return
        if not isinstance(agent, FeedAgent):
            raise Differs(f"{agent.role} takes no frames")
        conn = int.from_bytes(handed[:CONN_BYTES], "little")
        if call.kind is EntryKind.FRAME:
            agent.on_frame(handed[CONN_BYTES:], at_ns, conn)
        else:
            agent.on_disconnect(at_ns, conn)
        self._tape.end_call(FRAME_DONE)
