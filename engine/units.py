"""Integer units of money, size and time, and the only places where they are converted.

price   1/10,000 dollar        ``price_e4``      0..10_000
size    1/1,000,000 contract   ``size_e6``       0..10**14 on a level, 10**15 on a book side
cash    micro-dollar           ``cash_micros``   up to 10**15
time    nanosecond             ``_ns``
"""

from __future__ import annotations

from typing import Final

from engine.jit import kernel

PRICE_ONE_E4: Final = 10_000
SIZE_ONE_E6: Final = 1_000_000
CASH_ONE_MICROS: Final = 1_000_000
PPM: Final = 1_000_000
MICROS_PER_PRICE: Final = 100  # one price_e4 is 100 micro-dollars a contract

LEVEL_SIZE_MAX_E6: Final = 10**14
SIDE_SIZE_MAX_E6: Final = 10**15
CASH_MAX_MICROS: Final = 10**15
INT64_MAX: Final = 2**63 - 1

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_S

TIME_MAX_NS: Final = 2**62  # the year 2116: whatever is added to a time still fits

MULDIV_OVERFLOW: Final = -1  # muldiv answers this when the quotient does not fit in int64

_PRODUCT_MAX: Final = 9.2e18  # below 2**63 by more than what a float of it can be off
_QUOTIENT_MAX: Final = 2.0**50

_MASK32: Final = 0xFFFF_FFFF


@kernel
def _low_words(a_lo: int, b_lo: int) -> tuple[int, int]:
    """Low and high 32 bits of the product of two 32-bit words, without ever passing 2**63."""
    low = (a_lo & 0xFFFF) * b_lo
    high = (a_lo >> 16) * b_lo
    total = low + ((high & 0xFFFF) << 16)
    return total & _MASK32, (total >> 32) + (high >> 16)


@kernel
def _product(a: int, b: int) -> tuple[int, int, int]:
    """128-bit product of two non-negative int64 as (high 64, middle 32, low 32) bits."""
    a_lo = a & _MASK32
    a_hi = a >> 32
    b_lo = b & _MASK32
    b_hi = b >> 32
    low, carry = _low_words(a_lo, b_lo)
    # a_hi, b_hi are below 2**31 and the low words below 2**32, so each sum stays below 2**63
    mid = a_hi * b_lo + carry
    mid_lo = (mid & _MASK32) + a_lo * b_hi
    return a_hi * b_hi + (mid >> 32) + (mid_lo >> 32), mid_lo & _MASK32, low


@kernel
def _long_division(hi: int, lo_hi: int, lo_lo: int, divisor: int) -> tuple[int, int]:
    """Divide the 128-bit ``hi:lo_hi:lo_lo`` (64 + 32 + 32 bits) by ``divisor``.

    Needs hi < divisor < 2**62.
    """
    remainder = hi
    quotient = 0
    for word in range(2):
        part = lo_hi if word == 0 else lo_lo
        for bit in range(31, -1, -1):
            remainder = (remainder << 1) | ((part >> bit) & 1)
            quotient = quotient << 1
            if remainder >= divisor:
                remainder -= divisor
                quotient |= 1
    return quotient, remainder


@kernel
def divided(dividend: int, divisor: int) -> tuple[int, int]:
    """Quotient and remainder, for 0 <= dividend, 0 < divisor and a quotient up to 2**50.

    By a division of floats, which takes a third of the time of one of 64-bit integers: what that is off by
    is less than one half, so that the integer below it is the quotient or next to it.
    """
    quotient = int(float(dividend) / float(divisor))
    remainder = dividend - quotient * divisor
    if remainder < 0:
        return quotient - 1, remainder + divisor
    if remainder >= divisor:
        return quotient + 1, remainder - divisor
    return quotient, remainder


@kernel
def _muldiv(a: int, b: int, divisor: int) -> tuple[int, int]:
    """Quotient and remainder of a * b / divisor through a 128-bit product; (-1, 0) when it does not fit."""
    about = float(a) * float(b)
    if about < _PRODUCT_MAX and about < float(divisor) * _QUOTIENT_MAX:
        return divided(a * b, divisor)
    if a == 0 or b == 0:
        return 0, 0
    if a <= INT64_MAX // b:
        product = a * b
        return product // divisor, product % divisor
    hi, middle, low = _product(a, b)
    if hi >= divisor or 2 * hi + (middle >> 31) >= divisor:  # the product over 2**63 says whether it fits
        return MULDIV_OVERFLOW, 0
    return _long_division(hi, middle, low, divisor)


@kernel
def muldiv_floor(a: int, b: int, divisor: int) -> int:
    """Floor of a * b / divisor for a, b >= 0 and 0 < divisor < 2**62; MULDIV_OVERFLOW past int64.

    For amounts that come to us: payouts round down.
    """
    quotient, _ = _muldiv(a, b, divisor)
    return quotient


@kernel
def muldiv_ceil(a: int, b: int, divisor: int) -> int:
    """Ceiling of a * b / divisor, same domain as ``muldiv_floor``.

    For amounts we pay: costs and fees round up.
    """
    quotient, remainder = _muldiv(a, b, divisor)
    if quotient < 0 or remainder == 0:
        return quotient
    return quotient + 1 if quotient < INT64_MAX else MULDIV_OVERFLOW


def decimal_to_units(text: str, decimals: int) -> int:
    """Exact integer of a decimal string in units of 10**-decimals; accepts ".48", "-50.00", "1e3" is refused.

    Raises ValueError when the text is not a plain decimal or has more precision than the unit holds.
    """
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"not a decimal number: {text!r}")
    surplus = fraction[decimals:]
    if surplus.strip("0"):
        raise ValueError(f"more than {decimals} decimals: {text!r}")
    return sign * int((whole or "0") + fraction[:decimals].ljust(decimals, "0"))


def units_to_decimal(units: int, decimals: int) -> str:
    """Decimal string without trailing zeros: units_to_decimal(4800, 4) == "0.48"."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    tail = str(fraction).rjust(decimals, "0").rstrip("0") if decimals else ""
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"
