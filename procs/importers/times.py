"""Times as other recorders write them, as integer nanoseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.errors import RecordingDamaged
from engine.units import NS_PER_MS, NS_PER_S, decimal_to_units

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def utc_ns(text: str, place: str) -> int:
    """ISO 8601 text with a zone ("2026-08-03T20:47:29.428490+00:00", "2025-01-25 18:15:47.925 +0100").

    Raises RecordingDamaged naming ``place`` when it is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        return (moment - _EPOCH) // _US * 1_000
    except (ValueError, TypeError) as error:
        raise RecordingDamaged(f"{place}: not a time with a zone: {text!r}") from error


def ms_ns(text: str, place: str) -> int:
    """Whole milliseconds as text or number."""
    try:
        return int(text) * NS_PER_MS
    except ValueError as error:
        raise RecordingDamaged(f"{place}: not a time in milliseconds: {text!r}") from error


def seconds_ns(text: str, place: str) -> int:
    """Seconds with decimals, exactly: "1775028136.217"."""
    try:
        return decimal_to_units(text, 9)
    except ValueError as error:
        raise RecordingDamaged(f"{place}: not a time in seconds: {text!r}") from error


def whole_seconds_ns(text: str) -> int:
    """Whole seconds, 0 (unknown) when it is no number."""
    return int(text) * NS_PER_S if text.isascii() and text.isdigit() else 0
