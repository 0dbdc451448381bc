"""Between an agent and all that it reads and writes: a tape that writes it down, or one that plays it back.

What stands in for a ring, a table, a word (``procs.taped``) asks the tape for every answer and hands it
whatever the agent writes. ``fetch`` has the answer when the tape records; nothing worth writing down is
None, and costs nothing: an idle agent asks a million times a second. So that it is known on playback which
question was answered, questions are numbered within a call of the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from engine.errors import Pr3dictError
from procs.input_log import CALLS, EntryKind, InputLog, LogEntry

SHOWN_BYTES_MAX: Final = 24


class Tape(Protocol):
    """What stands between."""

    plays: bool  # nothing real is there to be asked or told

    def source(self, name: str) -> int:
        """Number of something that is asked or written to, from now on."""
        ...

    def take(self, source: int, fetch: Callable[[], bytes | None]) -> bytes | None:
        """The answer to a question; None is nothing."""
        ...

    def give(self, source: int, data: bytes) -> None:
        """The agent writes ``data``."""
        ...


class Sources:
    """Names by number, from 1 on, in the order of coming."""

    def __init__(self) -> None:
        self._names = ["nobody"]

    def add(self, name: str) -> int:
        """Number of the next one."""
        self._names.append(name)
        return len(self._names) - 1

    def name(self, source: int) -> str:
        """What it is called; a number that is not known here keeps its number."""
        return self._names[source] if 0 <= source < len(self._names) else f"source {source}"


class RecordingTape:
    """Writes a log. A call is written when something comes of it; outside of calls nothing is."""

    plays = False

    def __init__(self, log: InputLog) -> None:
        self._log = log
        self._sources = Sources()
        self._call: tuple[EntryKind, int, bytes] | None = None
        self._is_written = False
        self._ordinal = 0

    def source(self, name: str) -> int:
        """Number of something that is asked or written to, from now on."""
        return self._sources.add(name)

    def begin(self, kind: EntryKind, at_ns: int, payload: bytes = b"") -> None:
        """The agent is called."""
        self._call = kind, at_ns, payload
        self._is_written = False
        self._ordinal = 0

    def end(self, answer: int = 0) -> None:
        """The call has ended; one that answered with work is written, whatever it was."""
        if answer:
            self._write_call()
        if self._is_written:
            self._log.append(EntryKind.DONE, answer.to_bytes(8, "little"))
        self._call = None
        self._is_written = False

    def take(self, source: int, fetch: Callable[[], bytes | None]) -> bytes | None:
        """Ask, and write the answer down."""
        answer = fetch()
        self._ordinal += 1
        if answer is not None and self._call is not None:
            self._write_call()
            self._log.append(EntryKind.INPUT, answer, source, self._ordinal)
        return answer

    def give(self, source: int, data: bytes) -> None:
        """Write down what was written."""
        if self._call is not None:
            self._write_call()
            self._log.append(EntryKind.OUTPUT, data, source, self._ordinal)

    def _write_call(self) -> None:
        if not self._is_written and self._call is not None:
            self._is_written = True
            self._log.append_call(*self._call)


class TapeEnd(Pr3dictError):
    """The log ends in the midst of a call: the process that wrote it ended there, or its file was full."""


class Differs(Pr3dictError):
    """An agent played back did something else than was written down; the message says what."""


class PlayingTape:
    """Plays ``entries``. Raises Differs at the first difference, TapeEnd where they end in a call."""

    plays = True

    def __init__(self, entries: Iterator[LogEntry]) -> None:
        self.inputs = 0
        self.outputs = 0
        self._entries = entries
        self._sources = Sources()
        self._head = next(entries, None)
        self._ordinal = 0

    def source(self, name: str) -> int:
        """Number of something that is asked or written to, from now on."""
        return self._sources.add(name)

    @property
    def is_over(self) -> bool:
        """Whether nothing more was written down."""
        return self._head is None

    def next_call(self) -> LogEntry | None:
        """The next call to make; None at the end."""
        head = self._head
        if head is None or head.kind is EntryKind.FULL:
            return None
        if head.kind not in CALLS:
            raise Differs(f"the call has ended, and {self._said(head)} was still to come")
        self._advance()
        self._ordinal = 0
        return head

    def end_call(self, answer: int) -> None:
        """The call has ended with ``answer``."""
        head = self._in_call()
        if head.kind is not EntryKind.DONE:
            raise Differs(f"the call has ended, and {self._said(head)} was still to come")
        recorded = int.from_bytes(head.payload, "little")
        if recorded != answer:
            raise Differs(f"the call answered {answer}, recorded was {recorded}")
        self._advance()

    def take(self, source: int, fetch: Callable[[], bytes | None]) -> bytes | None:
        """What was answered then."""
        del fetch
        self._ordinal += 1
        head = self._in_call()
        if head.kind is not EntryKind.INPUT or head.ordinal > self._ordinal:
            return None
        if (head.source, head.ordinal) != (source, self._ordinal):
            asked = f"question {self._ordinal} is for {self._sources.name(source)}"
            raise Differs(f"{asked}, recorded was {self._said(head)}")
        self.inputs += 1
        self._advance()
        return head.payload

    def give(self, source: int, data: bytes) -> None:
        """Hold what is written against what was."""
        head = self._in_call()
        where = self._sources.name(source)
        if head.kind is not EntryKind.OUTPUT or head.source != source:
            raise Differs(f"{len(data)} bytes were written to {where}, recorded was {self._said(head)}")
        if head.payload != data:
            raise Differs(f"what was written to {where} differs: {_first_difference(head.payload, data)}")
        self.outputs += 1
        self._advance()

    def _in_call(self) -> LogEntry:
        """The next entry; a call cannot begin in another."""
        head = self._head
        if head is None or head.kind is EntryKind.FULL:
            raise TapeEnd("the log ends in the midst of a call")
        return head

    def _advance(self) -> None:
        self._head = next(self._entries, None)

    def _said(self, entry: LogEntry) -> str:
        if entry.kind is EntryKind.INPUT:
            return f"answer {entry.ordinal}, of {self._sources.name(entry.source)}"
        if entry.kind is EntryKind.OUTPUT:
            return f"{len(entry.payload)} bytes written to {self._sources.name(entry.source)}"
        return "nothing more"


def _first_difference(recorded: bytes, played: bytes) -> str:
    """Where two byte strings part, and how they go on."""
    at = next(
        (place for place, (one, other) in enumerate(zip(recorded, played, strict=False)) if one != other),
        min(len(recorded), len(played)),
    )
    lengths = "" if len(recorded) == len(played) else f" of {len(recorded)} and {len(played)}"
    there, here = (side[at : at + SHOWN_BYTES_MAX].hex() or "no more" for side in (recorded, played))
    return f"byte {at}{lengths}: recorded {there}, played {here}"
