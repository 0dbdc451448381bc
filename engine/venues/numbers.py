"""Values of a decoded JSON message as exact integers: what the general parsers read with.

Numbers come as strings or as JSON numbers. A float stands for the shortest decimal that reads back as it,
which is what the sender wrote for up to 15 digits. Every refusal is a FrameError that says what and where.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.records import NO_PRICE
from engine.units import LEVEL_SIZE_MAX_E6, NS_PER_MS, PRICE_ONE_E4, decimal_to_units
from engine.venues.scan import DIGITS_MAX, INTEGER_MAX

PRICE_DECIMALS: Final = 4
SIZE_DECIMALS: Final = 6
TIME_MAX_MS: Final = 9 * 10**12  # the year 2255: its nanoseconds still fit in int64

# A level of unknown size is there and cannot be traded, even by somebody who overlooks its SIZE_UNKNOWN flag.
UNKNOWN_SIZE_E6: Final = 1


class FrameError(ValueError):
    """A frame that cannot be read; the text is one line: what, and where in the frame."""


def decimal_text(value: object, where: str) -> str:
    """Plain decimal text of a string or number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    raise FrameError(f"{where}: not a number: {value!r:.40}")


def _units(value: object, decimals: int, where: str) -> int:
    written = decimal_text(value, where)
    try:
        return decimal_to_units(written, decimals)
    except ValueError as error:
        raise FrameError(f"{where}: {error!s:.80}") from None


def price(value: object, where: str) -> int:
    """price_e4 in 0..10,000; FrameError off that range or between the units."""
    price_e4 = _units(value, PRICE_DECIMALS, where)
    if not 0 <= price_e4 <= PRICE_ONE_E4:
        raise FrameError(f"{where}: price {value!r:.40} is not between 0 and 1")
    return price_e4


def best_price(value: object, where: str) -> int:
    """price_e4 of a declared best price; 0, 1 and the empty string say that the side is empty: NO_PRICE."""
    if value == "":
        return NO_PRICE
    price_e4 = price(value, where)
    return price_e4 if 0 < price_e4 < PRICE_ONE_E4 else NO_PRICE


def change(value: object, where: str) -> int:
    """size_e6 of a signed change, exact."""
    size_e6 = _units(value, SIZE_DECIMALS, where)
    if abs(size_e6) > LEVEL_SIZE_MAX_E6:
        raise FrameError(f"{where}: size {value!r:.40} is beyond the bound of a level")
    return size_e6


def size(value: object, where: str) -> tuple[int, bool]:
    """size_e6 of an absolute size, and whether decimals beyond the sixth were cut."""
    text = decimal_text(value, where)
    whole, point, fraction = text.partition(".")
    cut = len(fraction) > SIZE_DECIMALS and fraction.isdigit() and bool(fraction[SIZE_DECIMALS:].strip("0"))
    size_e6 = change(whole + point + fraction[:SIZE_DECIMALS] if cut else value, where)
    if size_e6 < 0:
        raise FrameError(f"{where}: negative size {value!r:.40}")
    return size_e6, cut


def whole_number(value: object, where: str) -> int:
    """Non-negative integer below INTEGER_MAX, from an integer or its digits."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < INTEGER_MAX:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX:
        return int(value)
    raise FrameError(f"{where}: not a whole number: {value!r:.40}")


def time_ns(value: object) -> int:
    """Nanoseconds of a time in milliseconds; 0 when it is absent or none (a bad stamp spoils no book)."""
    try:
        time_ms = whole_number(value, "time")
    except FrameError:
        return 0
    return time_ms * NS_PER_MS if time_ms <= TIME_MAX_MS else 0


def text(value: object, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise FrameError(f"{where}: not a string: {value!r:.40}")
    return value
