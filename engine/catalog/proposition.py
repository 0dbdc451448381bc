"""What a market is about, read from its title, ticker and rules: the attributes that two markets must share.

An attribute that is not stated is "". Reading is deliberately shallow: it can show that two markets differ,
or that nothing here tells them apart; that they are the same is for a person who has read both rule texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.catalog.market import MarketSpec
from engine.catalog.rules import normalised
from engine.records import Venue
from engine.units import NS_PER_S

WEATHER_SUBJECT: Final = "highest temperature"

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME: Final = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"

_WEATHER_TITLE: Final = re.compile(r"highest temperature in (?P<place>.+?) be (?P<bin>.+?) on ")
_WEATHER_TICKER: Final = re.compile(
    r"KXHIGH(?P<place>[A-Z]+)-\d\d[A-Z]{3}\d\d-(?P<strike>[BT])(?P<value>\d+(\.5)?)"
)
_BETWEEN: Final = re.compile(r"between (-?\d+)-(-?\d+)°(?P<unit>[cf])")
_BELOW: Final = re.compile(r"(-?\d+)°(?P<unit>[cf]) or below")
_ABOVE: Final = re.compile(r"(-?\d+)°(?P<unit>[cf]) or higher")
_EXACTLY: Final = re.compile(r"(-?\d+)°(?P<unit>[cf])")

_DAY_WORDS: Final = re.compile(_MONTH_NAME + r"\.? (?P<day>\d{1,2})(?:,? (?P<year>\d{4}))?\b")
_DAY_TICKER: Final = re.compile(r"-(?P<year>\d\d)(?P<month>[A-Z]{3})(?P<day>\d\d)?")
_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD: Final = re.compile(r"[a-z][a-z'&.-]*[a-z]|[a-z]")
_STATION: Final = re.compile(
    r"recorded (?:at|by) (?:the )?(?P<station>[\w .-]{3,60}?) (?:station|in degrees)"
)

_STOP_WORDS: Final = frozenset(
    (
        "a",
        "an",
        "and",
        "at",
        "be",
        "by",
        "for",
        "from",
        "have",
        "in",
        "is",
        "of",
        "on",
        "or",
        "than",
        "the",
        "this",
        "to",
        "what",
        "when",
        "will",
    )
)

# The phrase of a threshold decides whether the boundary itself pays.
_OPERATORS: Final[tuple[tuple[str, str], ...]] = (
    (r"at least|or (?:more|higher|above|greater)", ">="),
    (r"at most|or (?:less|lower|below|fewer)", "<="),
    (r"above|over|more than|greater than|exceed", ">"),
    (r"below|under|less than|fewer than", "<"),
)

_SOURCES: Final[tuple[tuple[str, str], ...]] = (
    ("wunderground", r"wunderground"),
    ("national weather service", r"national weather service|climatological report|\bnws\b"),
    ("accuweather", r"accuweather"),
    ("chainlink", r"chainlink"),
    ("cf benchmarks", r"cf benchmarks|\bbrti\b"),
    ("binance", r"binance"),
    ("coinbase", r"coinbase"),
    ("federal reserve", r"federal reserve|\bfomc\b"),
    ("bureau of labor statistics", r"bureau of labor statistics|\bbls\b"),
    ("associated press", r"associated press"),
)

# Contract terms that hold for a whole series, for recordings without rule text.
_SERIES_SOURCES: Final[tuple[tuple[str, str], ...]] = (("KXHIGH", "national weather service"),)

_PLACES: Final[Mapping[str, str]] = {
    "AUS": "austin",
    "TATL": "atlanta",
    "THOU": "houston",
    "LAX": "los angeles",
    "CHI": "chicago",
    "NY": "new york city",
    "nyc": "new york city",
}


@dataclass(frozen=True, slots=True)
class Proposition:
    """Attributes of one market; "" where the market does not say.

    ``day``: YYYY-MM-DD, YYYY-MM, or "?" for a missing year. ``bounds``: "74..75", "..89", "106..", ends
    included, or a threshold such as ">= 25".
    """

    subject: str
    words: frozenset[str]
    place: str
    day: str
    bounds: str
    unit: str
    source: str
    station: str


def read_proposition(spec: MarketSpec, sibling_symbols: Iterable[str] = ()) -> Proposition:
    """Attributes of ``spec``.

    ``sibling_symbols``: the symbols of its event, which tell a lower tail from an upper one.
    """
    title = normalised(spec.title)
    rules = normalised(spec.rules_text)
    weather = _WEATHER_TITLE.search(title)
    ticker = _WEATHER_TICKER.fullmatch(spec.symbol) if spec.venue is Venue.KALSHI else None
    place, bounds, unit, subject = "", _threshold(title), "", " ".join(sorted(_words(title)))
    if weather:
        place, subject = weather["place"], WEATHER_SUBJECT
        bounds, unit = _temperature_bin(weather["bin"])
    elif ticker:
        place, subject, unit = ticker["place"], WEATHER_SUBJECT, "f"
        bounds = _ticker_bin(ticker["strike"], ticker["value"], sibling_symbols)
    station = _STATION.search(rules)
    return Proposition(
        subject=subject,
        words=frozenset(WEATHER_SUBJECT.split()) if weather or ticker else _words(title),
        place=_PLACES.get(place, place),
        day=_day(title, spec),
        bounds=bounds,
        unit=unit,
        source=_source(rules) or _series_source(spec),
        station=station["station"] if station else "",
    )


def _words(title: str) -> frozenset[str]:
    months = tuple(_MONTHS)
    return frozenset(
        word for word in _WORD.findall(title) if word not in _STOP_WORDS and not word.startswith(months)
    )


def _temperature_bin(text: str) -> tuple[str, str]:
    """Bounds and unit of a bin in words."""
    if found := _BETWEEN.search(text):
        return f"{found[1]}..{found[2]}", found["unit"]
    if found := _BELOW.search(text):
        return f"..{found[1]}", found["unit"]
    if found := _ABOVE.search(text):
        return f"{found[1]}..", found["unit"]
    if found := _EXACTLY.search(text):
        return f"{found[1]}..{found[1]}", found["unit"]
    return "", ""


def _ticker_bin(strike: str, value: str, siblings: Iterable[str]) -> str:
    """Bounds of a B (between) or T (tail) strike; the side of a tail follows from the event's bins."""
    if strike == "B":
        low = int(value.partition(".")[0])
        return f"{low}..{low + 1}"
    found = (_WEATHER_TICKER.fullmatch(symbol) for symbol in siblings)
    bins = [float(other["value"]) for other in found if other and other["strike"] == "B"]
    edge = int(value)
    if bins and edge <= min(bins):
        return f"..{edge - 1}"
    if bins and edge >= max(bins):
        return f"{edge + 1}.."
    return ""


def _threshold(title: str) -> str:
    """Operator and numbers of a title without its dates."""
    rest = _DAY_WORDS.sub(" ", title)
    numbers = [number.replace(",", "") for number in _NUMBER.findall(rest)]
    operator = next((sign for pattern, sign in _OPERATORS if re.search(pattern, rest)), "")
    return " ".join([operator, *numbers]).strip() if numbers else ""


def _day(title: str, spec: MarketSpec) -> str:
    if found := _DAY_WORDS.search(title):
        year = found["year"] or (_year(spec.close_ns) if spec.close_ns else "?")
        return f"{year}-{_MONTHS.index(found['month']) + 1:02}-{int(found['day']):02}"
    found = _DAY_TICKER.search(spec.symbol) if spec.venue is Venue.KALSHI else None
    if found and found["month"].lower() in _MONTHS:
        month = f"20{found['year']}-{_MONTHS.index(found['month'].lower()) + 1:02}"
        return f"{month}-{found['day']}" if found["day"] else month
    return ""


def _year(close_ns: int) -> str:
    return str(datetime.fromtimestamp(close_ns // NS_PER_S, UTC).year)


def _source(rules: str) -> str:
    return "+".join(name for name, pattern in _SOURCES if re.search(pattern, rules))


def _series_source(spec: MarketSpec) -> str:
    if spec.venue is not Venue.KALSHI:
        return ""
    return next((source for series, source in _SERIES_SOURCES if spec.symbol.startswith(series)), "")
