"""Numbers as people read them: separators, signs, units. Exact where it can be, rounded where it says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from engine.units import NS_PER_DAY, NS_PER_S, units_to_decimal

MICROS_DECIMALS: Final = 6
PROFIT_DECIMALS: Final = 4  # fees are fractions of a cent
NOTHING: Final = "-"  # a table cell without a value
_MIB: Final = 1 << 20
_NS_PER_MIN: Final = 60 * NS_PER_S
_NS_PER_HOUR: Final = 60 * _NS_PER_MIN


def count(number: int) -> str:
    """1234567 -> ``1,234,567``."""
    return f"{number:,}"


def dollars(micros: int, decimals: int = MICROS_DECIMALS) -> str:
    """Amount with ``decimals`` places and its sign where it is negative: ``$1,234.50``, ``-$0.03``.

    Halves round away from zero. What would round to nothing and is something keeps all its places.
    """
    if 0 < abs(micros) * 2 < 10 ** (MICROS_DECIMALS - decimals):
        decimals = MICROS_DECIMALS
    unit = 10 ** (MICROS_DECIMALS - decimals)
    whole, fraction = divmod((abs(micros) + unit // 2) // unit, 10**decimals)
    return f"{'-' if micros < 0 else ''}${whole:,}.{fraction:0{decimals}d}"


def gain(micros: int, decimals: int = PROFIT_DECIMALS) -> str:
    """Profit or loss: ``+$1.2000``, ``-$0.0300``, and ``$0.0000`` when it is neither."""
    return ("+" if micros > 0 else "") + dollars(micros, decimals)


def contracts(size_e6: int) -> str:
    """Size without trailing zeros: ``1,234.5``."""
    whole, _, fraction = units_to_decimal(abs(size_e6), 6).partition(".")
    return f"{'-' if size_e6 < 0 else ''}{int(whole):,}{'.' + fraction if fraction else ''}"


def share(part: int, whole: int) -> str:
    """Percent of a whole: ``12.3 %``; never 0 or 100 for what is neither."""
    if whole <= 0:
        return NOTHING
    permille = (part * 1_000 + whole // 2) // whole
    if part and not permille:
        return "< 0.1 %"
    if part < whole and permille == 1_000:
        return "> 99.9 %"
    return f"{permille // 10}.{permille % 10} %"


def moment(ns: int) -> str:
    """Time since 1970 in ns as ``2026-04-28 12:00:01 UTC``."""
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(ns: int) -> str:
    """Length of time in its two largest units: ``1 h 12 min``, ``4.2 s``."""
    if ns < _NS_PER_MIN:
        return f"{ns / NS_PER_S:.1f} s"
    for unit, name, below, name_below in (
        (NS_PER_DAY, "d", _NS_PER_HOUR, "h"),
        (_NS_PER_HOUR, "h", _NS_PER_MIN, "min"),
        (_NS_PER_MIN, "min", NS_PER_S, "s"),
    ):
        if ns >= unit:
            return f"{ns // unit} {name} {ns % unit // below} {name_below}"
    raise AssertionError("no unit")


def short_time(ns: int) -> str:
    """Length of time below a minute in its own unit, three figures: ``850 ns``, ``1.53 us``, ``12.0 ms``."""
    for unit, ns_per in (("ns", 1), ("us", 1_000), ("ms", 1_000_000)):
        if ns < ns_per * 1_000:
            return f"{ns} ns" if unit == "ns" else f"{_three_figures(ns / ns_per)} {unit}"
    return f"{_three_figures(ns / NS_PER_S)} s" if ns < _NS_PER_MIN else span(ns)


def _three_figures(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def memory(n_bytes: int) -> str:
    """``412 MiB``."""
    return f"{(n_bytes + _MIB - 1) // _MIB:,} MiB"


def plural(number: int, one: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def unreadable(frames: int) -> str:
    """What is said of frames that a codec rejected."""
    return f"{plural(frames, 'frame')} cannot be read"
