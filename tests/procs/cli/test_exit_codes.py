"""From what went wrong to the number a script sees."""

from __future__ import annotations

import pytest

from engine import errors
from engine.reasons import Reason
from procs import operator_refusals
from procs.cli.exit_codes import EXIT_CODES, ExitCode, exit_code_of, message_of
from shm import errors as shm_errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.UnknownMarket("x"), 2),
        (errors.RecordingFormat("x"), 2),
        (errors.RecordingDamaged("x"), 1),
        (errors.RecordingError("x"), 1),
        (errors.JournalDamaged("x"), 5),
        (errors.LayoutMismatch("x"), 5),
        (errors.DeadlineExceeded("x"), 3),
        (errors.VenueError("x"), 1),
        (errors.VenueRejected("x"), 4),
        (errors.VenueUnknown("x"), 3),
        (errors.VenueRateLimited("x", 1), 5),
        (errors.BookNotTrusted("x"), 5),
        (errors.RiskDenied("x", Reason.HALTED), 4),
        (operator_refusals.RefusedByState("x"), 5),
        (operator_refusals.Denied("x"), 4),
        (shm_errors.ShmError("x"), 1),
        (shm_errors.LayoutMismatch("x"), 5),
        (shm_errors.SegmentExists("x"), 5),
        (shm_errors.SegmentRefused("x"), 2),
        (shm_errors.RingRefused("x"), 1),
        (FileNotFoundError(2, "No such file", "a.zst"), 2),
        (PermissionError(13, "Permission denied", "a.zst"), 2),
        (OSError(28, "No space left"), 1),
        (TimeoutError("x"), 3),
    ],
)
def test_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_defect_of_ours_has_no_code() -> None:
    assert exit_code_of(ValueError("x")) is None
    assert exit_code_of(AssertionError()) is None


def test_every_error_of_the_tree_has_a_code() -> None:
    def below(error: type[Exception]) -> list[type[Exception]]:
        return [error] + [found for child in error.__subclasses__() for found in below(child)]

    trees = below(errors.Pr3dictError) + below(shm_errors.ShmError)
    without = [error for error in trees if exit_code_of(error.__new__(error)) is None]
    assert without == []
    assert set(EXIT_CODES.values()) <= set(ExitCode)


def test_a_path_error_names_the_path() -> None:
    assert (
        message_of(FileNotFoundError(2, "No such file or directory", "a.zst"))
        == "a.zst: No such file or directory"
    )


def test_an_error_of_the_system_without_a_path_is_its_words() -> None:
    assert message_of(OSError(28, "No space left on device")) == "No space left on device"


def test_a_message_is_one_line_and_never_empty() -> None:
    assert message_of(OSError("a\nb")) == "a b"
    assert message_of(TimeoutError()) == "TimeoutError"
