"""The error tree: one line for a person, and what the operator needs to act on it."""

from __future__ import annotations

import pytest

from engine import errors
from engine.reasons import Reason


def test_message_is_one_line() -> None:
    assert str(errors.ConfigError("bad\n key\t'x'")) == "bad key 'x'"


@pytest.mark.parametrize("length", [errors.MESSAGE_CHARS_MAX - 1, errors.MESSAGE_CHARS_MAX])
def test_message_up_to_the_bound_is_kept(length: int) -> None:
    assert str(errors.ConfigError("x" * length)) == "x" * length


def test_message_beyond_the_bound_says_that_it_was_cut() -> None:
    text = str(errors.ConfigError("x" * (errors.MESSAGE_CHARS_MAX + 1)))
    assert len(text) == errors.MESSAGE_CHARS_MAX
    assert text.endswith("x...")


def test_denial_carries_its_reason() -> None:
    assert errors.RiskDenied("order too large", Reason.ORDER_SIZE_LIMIT).reason is Reason.ORDER_SIZE_LIMIT


def test_rate_limit_carries_its_wait() -> None:
    assert errors.VenueRateLimited("slow down", retry_after_ns=5).retry_after_ns == 5


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (errors.UnknownMarket, errors.ConfigError),
        (errors.RecordingFormat, errors.RecordingError),
        (errors.RecordingDamaged, errors.RecordingError),
        (errors.VenueRejected, errors.VenueError),
        (errors.VenueUnknown, errors.VenueError),
        (errors.VenueRateLimited, errors.VenueError),
        (errors.LayoutMismatch, errors.Pr3dictError),
        (errors.DeadlineExceeded, errors.Pr3dictError),
        (errors.BookNotTrusted, errors.Pr3dictError),
        (errors.RiskDenied, errors.Pr3dictError),
    ],
)
def test_tree(error: type[Exception], parent: type[Exception]) -> None:
    assert issubclass(error, parent)


def test_a_definite_no_is_never_taken_for_an_unknown() -> None:
    assert not issubclass(errors.VenueUnknown, errors.VenueRejected)
    assert not issubclass(errors.VenueRejected, errors.VenueUnknown)
