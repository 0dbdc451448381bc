"""The halt: a word in shared memory that every gate reads, and a latch on disk that survives everything.

Either of the two set is halted, and a latch that cannot be read is set. Whoever halts writes the latch whole
(file and folder flushed), then sets the word, then looks whether the latch is still there; whoever resumes
removes the latch, then clears the word it had read before. So a halt and a resume that cross each other end
halted, by word and by latch. Two halts at once are both latched (``procs.halt_lock``). No process needs to
answer for a halt: the command does both itself.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Final, Self

from engine.errors import Pr3dictError
from engine.reasons import Reason, label
from engine.risk.gate import Gate
from procs.control_words import CODE_MASK, ControlWords, Word
from procs.halt_lock import LOCK_NAME, latch_lock
from procs.operator_refusals import Denied, RefusedByState

LATCH_NAME: Final = "halt.json"
LATCH_BYTES_MAX: Final = 64 * 1024
LATCH_HALTS_MAX: Final = 32
TEXT_CHARS_MAX: Final = 500
UNREADABLE: Final = "unreadable"
OPERATOR: Final = "operator"  # what a halt is called that no limit asked for
OWNER_ONLY: Final = 0o600

_FIELD_TYPES: Final = (str, str, int, int, str)
_HALTED: Final = 1 << Word.HALTED
_PAUSED: Final = 1 << Word.PAUSED
_NOT_ASKED: Final = -1

assert max(Reason) + 1 <= CODE_MASK, "every reason fits into the word"


class LatchFailed(Pr3dictError):
    """The halt word is set and the latch could not be written: the halt would not survive a restart."""


class WordFailed(Pr3dictError):
    """The latch is written and the word could not be reached: what runs now is not halted."""


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt as the latch has it: name of its reason, who asked, when (ns since 1970), why in words."""

    reason: str
    who: str
    pid: int
    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class HaltState:
    """``word``: whether the word is set, None without an engine. ``halts``: oldest first, as latched."""

    word: bool | None
    halts: tuple[Halt, ...]

    @property
    def halted(self) -> bool:
        """Whether nothing may be sent."""
        return bool(self.word) or bool(self.halts)

    @property
    def reasons(self) -> list[str]:
        """Names of the reasons, each once, in order."""
        return list(dict.fromkeys(halt.reason for halt in self.halts))


class HaltSwitch:
    """Halts and resumes one engine. ``words`` is None when none runs: then only the latch is written."""

    def __init__(
        self, state_dir: Path, words: ControlWords | None, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.path = state_dir / LATCH_NAME
        self.words = words
        self._clock_ns = clock_ns

    @classmethod
    def create(cls, directory: Path | None, state_dir: Path, epoch: int = 0) -> Self:
        """Make the words of an engine that starts: halted from the first moment on when the latch says so.

        Makes ``state_dir`` when it is missing. Raises as ``ControlWords.create``.
        """
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = _read_latch(state_dir / LATCH_NAME)
        code = _code_of(found[-1].reason) if found else 0
        return cls(state_dir, ControlWords.create(directory, epoch, halted_code=code))

    @classmethod
    def attach(cls, directory: Path, state_dir: Path) -> Self:
        """That of a running engine, or of none when the directory has no words."""
        try:
            words = ControlWords.attach(directory)
        except FileNotFoundError:
            words = None
        return cls(state_dir, words)

    def state(self) -> HaltState:
        """What word and latch say now; a word without a latch is told as a halt of its own."""
        seen = 0 if self.words is None else self.words.read(Word.HALTED)
        unused = self.words is None and not self.path.parent.exists()  # nothing has ever run here
        halts = [] if unused else _read_latch(self.path)
        setting = None if self.words is None else self.words.setting_of(seen)
        if setting is not None:
            reason = _name_of(setting.code - 1)
            if reason not in (halt.reason for halt in halts) and not _is_unreadable(halts):
                halts.append(Halt(reason, f"pid {setting.pid}", setting.pid, setting.at_ns, ""))
        return HaltState(None if self.words is None else setting is not None, tuple(halts))

    @property
    def in_force(self) -> bool:
        """Whether a halt is said both ways: by the latch, and by the word where an engine runs."""
        return self.path.exists() and (self.words is None or self.words.is_set(Word.HALTED))

    def halt(self, reason: Reason, who: str, text: str = "") -> None:
        """Stop every order from the moment this returns, through restarts, until somebody resumes.

        LatchFailed when the latch cannot be written; the word is set all the same.
        """
        halt = Halt(_name_of(reason), who, os.getpid(), self._clock_ns(), text[:TEXT_CHARS_MAX])
        failure = self._append(halt)
        if self.words is not None:
            self.words.set(Word.HALTED, int(reason) + 1)
        if failure is None and not self.path.exists():  # a resume that crossed us has removed it
            failure = self._append(halt)
        if failure is not None:
            alone = self.words is None
            what = "NOT halted, no engine runs here" if alone else "halted until the next restart"
            raise LatchFailed(f"{self.path}: {failure.strerror}: {what}") from failure

    def latch(self, reason: Reason, who: str = "gate", text: str = "") -> None:
        """Make a halt or stop durable that a process found a reason for; once a reason."""
        if _name_of(reason) not in self.state().reasons or not self.in_force:
            self.halt(reason, who, text)

    def resume(self, reasons: Sequence[str]) -> HaltState:
        """Let orders pass again, for whoever names every reason there is; answers what was lifted.

        RefusedByState when nothing is halted, or was halted again meanwhile, or somebody keeps the latch for
        himself; Denied when a reason is missing.
        """
        seen = 0 if self.words is None else self.words.read(Word.HALTED)
        with latch_lock(self.path.parent) as is_held:
            state = self.state()
            self._check_named(state, reasons)
            if not is_held:
                raise RefusedByState(f"{self.path.with_name(LOCK_NAME)}: somebody else has it: try again")
            self.path.unlink(missing_ok=True)
            _flush_folder(self.path.parent)
        if self.words is not None and seen & CODE_MASK and not self.words.clear(Word.HALTED, seen):
            with latch_lock(self.path.parent):
                if not self.path.exists():
                    self._write(list(state.halts))
            raise RefusedByState("halted again while it was being resumed: look at the new reason first")
        return state

    def _check_named(self, state: HaltState, reasons: Sequence[str]) -> None:
        """Whether ``reasons`` are all there are."""
        if not state.halted:
            raise RefusedByState(f"not halted: no halt word and no {self.path}")
        missing = [reason for reason in state.reasons if reason not in reasons]
        if missing:
            halted_by = ", ".join(state.reasons)
            raise Denied(f"halted by {halted_by}: name each with --reason; not named: {missing[0]}")

    def _append(self, halt: Halt) -> OSError | None:
        """Write the latch with one halt more, also without the lock; answers why it could not be written."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with latch_lock(self.path.parent):
                kept = [found for found in _read_latch(self.path) if found.reason != UNREADABLE]
                self._write([*kept[: LATCH_HALTS_MAX - 1], halt])
        except OSError as error:
            return error
        return None

    def _write(self, halts: Sequence[Halt]) -> None:
        """Put a whole latch in place, flushed with its folder."""
        partial = self.path.with_name(f"{LATCH_NAME}.{os.getpid()}.partial")
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(partial, flags, OWNER_ONLY), "wb") as file:
            file.write("".join(f"{json.dumps(asdict(halt))}\n" for halt in halts).encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        _flush_folder(self.path.parent)


class HaltFollower:
    """Keeps one gate at what the words say: asked each pass, and before each order.

    A gate that is halted when it is first asked (its journal says so) halts the word, so that everybody sees
    it and it is lifted by name like any other.
    """

    def __init__(self, words: ControlWords, gate: Gate) -> None:
        self._words = words
        self._gate = gate
        self._seen = _NOT_ASKED

    def follow(self) -> int:
        """Take over what changed, and answer the bits of the words (1 << Word)."""
        bits = self._words.bits()
        if bits != self._seen:
            bits = self._take_over(bits)
        return bits

    def _take_over(self, bits: int) -> int:
        if self._seen == _NOT_ASKED and self._gate.halted and not bits & _HALTED:
            self._words.set(Word.HALTED, int(self._gate.state["halted"]))
            bits = self._words.bits()
        was_halted = self._seen != _NOT_ASKED and self._seen & _HALTED
        self._seen = bits
        if bits & _HALTED:
            setting = self._words.setting_of(self._words.read(Word.HALTED))
            self._gate.halt(_reason_of(setting.code) if setting is not None else Reason.HALTED)
        elif was_halted:
            self._gate.resume()
        self._gate.pause(bool(bits & _PAUSED))
        return bits


def _reason_of(code: int) -> Reason:
    try:
        return Reason(code - 1)
    except ValueError:
        return Reason.HALTED


def _name_of(code: int) -> str:
    """What a reason is called in the latch, and by whoever resumes."""
    return OPERATOR if code == Reason.HALTED else label(code)


def _code_of(reason: str) -> int:
    """Code of a reason's name in the halt word; an unknown one is HALTED: halted it stays."""
    return int(Reason.__members__.get(reason.upper(), Reason.HALTED)) + 1


def _read_latch(path: Path) -> list[Halt]:
    """Halts in the latch, none when there is no such file in a folder that is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return [] if path.parent.is_dir() else [_unreadable(path, "its folder is missing")]
    except OSError as error:
        return [_unreadable(path, error.strerror or "cannot be opened")]
    try:
        with os.fdopen(descriptor, "rb") as file:
            return _parse(file.read(LATCH_BYTES_MAX + 1))
    except (OSError, ValueError, TypeError) as error:
        return [_unreadable(path, str(error))]


def _parse(content: bytes) -> list[Halt]:
    """Halts of a latch file; ValueError or TypeError for anything that we did not write."""
    if not content or len(content) > LATCH_BYTES_MAX:
        raise ValueError(f"{len(content)} bytes are no latch")
    halts = [Halt(**json.loads(line)) for line in content.decode().splitlines()]
    for halt in halts:
        if tuple(type(value) for value in astuple(halt)) != _FIELD_TYPES:
            raise TypeError("a field has another type")
    return halts


def _unreadable(path: Path, why: str) -> Halt:
    return Halt(UNREADABLE, "latch", 0, 0, f"{path}: {why}"[:TEXT_CHARS_MAX])


def _is_unreadable(halts: Sequence[Halt]) -> bool:
    return any(halt.reason == UNREADABLE for halt in halts)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
