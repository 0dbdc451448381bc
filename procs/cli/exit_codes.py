"""How the command ends: one table from what went wrong to the number a script sees."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum, unique
from typing import Final

from engine import errors
from procs import operator_refusals
from procs.refusals import JournalInUse
from shm import errors as shm_errors


@unique
class ExitCode(IntEnum):
    """Exit codes of ``pr3dict``; the last two are the shell's own words for a signal."""

    OK = 0
    FAILURE = 1  # ran, and found a failure
    USAGE = 2  # arguments or configuration cannot be used
    TIMEOUT = 3
    DENIED = 4
    REFUSED = 5  # not in this state: halted, another build, a book without trust
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141  # whoever read our output has gone


# The most specific class that is listed decides.
EXIT_CODES: Final[dict[type[BaseException], ExitCode]] = {
    errors.Pr3dictError: ExitCode.FAILURE,
    errors.ConfigError: ExitCode.USAGE,
    errors.UnknownMarket: ExitCode.USAGE,
    errors.RecordingFormat: ExitCode.USAGE,
    errors.RecordingDamaged: ExitCode.FAILURE,
    errors.JournalDamaged: ExitCode.REFUSED,
    JournalInUse: ExitCode.REFUSED,
    errors.LayoutMismatch: ExitCode.REFUSED,
    errors.EngineRunning: ExitCode.REFUSED,
    errors.DeadlineExceeded: ExitCode.TIMEOUT,
    errors.VenueError: ExitCode.FAILURE,
    errors.VenueRejected: ExitCode.DENIED,
    errors.VenueUnknown: ExitCode.TIMEOUT,
    errors.VenueRateLimited: ExitCode.REFUSED,
    errors.BookNotTrusted: ExitCode.REFUSED,
    errors.RiskDenied: ExitCode.DENIED,
    operator_refusals.RefusedByState: ExitCode.REFUSED,
    operator_refusals.Denied: ExitCode.DENIED,
    # a run directory that is not of this engine, or has an engine already
    shm_errors.ShmError: ExitCode.FAILURE,
    shm_errors.LayoutMismatch: ExitCode.REFUSED,
    shm_errors.SegmentExists: ExitCode.REFUSED,
    shm_errors.SegmentRefused: ExitCode.USAGE,
    # a path that the user named
    FileNotFoundError: ExitCode.USAGE,
    FileExistsError: ExitCode.USAGE,
    IsADirectoryError: ExitCode.USAGE,
    NotADirectoryError: ExitCode.USAGE,
    PermissionError: ExitCode.USAGE,
    OSError: ExitCode.FAILURE,
    TimeoutError: ExitCode.TIMEOUT,
}


def tell(found: Sequence[str]) -> ExitCode:
    """One line on stderr for each fault; the exit code they amount to."""
    for fault in found:
        sys.stderr.write(f"pr3dict: {fault}\n")
    return ExitCode.FAILURE if found else ExitCode.OK


def exit_code_of(error: BaseException) -> ExitCode | None:
    """Exit code for ``error``; None when it is none of the operator's errors but a defect of ours."""
    for ancestor in type(error).__mro__:
        if ancestor in EXIT_CODES:
            return EXIT_CODES[ancestor]
    return None


def message_of(error: BaseException) -> str:
    """One line that says what is wrong and where."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
