"""What a pass over a file learns of its markets, as the MarketSpecs of a recording header.

A file without metadata still shows which prices its venue allowed: the grid is the coarsest known one that
holds every price seen. Sizes and minima are the venue's usual ones. All of that is named in ``defaulted``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from engine.catalog.market import GroupKind, MarketSpec
from engine.records import Venue
from engine.units import PRICE_ONE_E4, decimal_to_units

LOW_END_E4: Final = 1_000  # below it, and above its mirror, venues use finer steps
HIGH_START_E4: Final = 9_000
MARKETS_MAX: Final = 100_000

# Steps below LOW_END, between, above HIGH_START; coarsest first.
KALSHI_STEPS: Final = ((100, 100, 100), (10, 100, 10), (10, 10, 10), (1, 10, 1), (1, 1, 1))
POLYMARKET_STEPS: Final = ((100, 100, 100), (50, 50, 50), (25, 25, 25), (10, 10, 10), (1, 1, 1))

LOT_E6: Final = 10_000  # both venues take hundredths
KALSHI_MIN_E6: Final = 10_000
POLYMARKET_MIN_E6: Final = 5_000_000
POLYMARKET_NOTIONAL_MICROS: Final = 1_000_000  # of a marketable buy
_GUESSED: Final = ("price_ranges", "lot_e6", "min_size_e6", "min_notional_micros")


@dataclass(slots=True)
class Note:
    """What is known of one market or token. ``prices_e4`` are in its own terms, ``seen`` as recorded texts.

    ``step_e4`` and ``min_size_e6`` are the venue's own word where a file has it; 0 unknown.
    """

    symbol: str
    condition: str = ""
    outcome: str = ""
    seen: set[str] = field(default_factory=set)
    title: str = ""
    category: str = ""
    group: str = ""
    group_kind: GroupKind = GroupKind.NONE
    group_size: int = 0
    open_ns: int = 0
    close_ns: int = 0
    step_e4: int = 0
    min_size_e6: int = 0
    neg_risk: bool = False
    rules_text: str = ""

    def prices_e4(self) -> set[int]:
        """Every recorded price that is a multiple of 1e-4; others are left to the codec to refuse."""
        units: set[int] = set()
        for text in self.seen:
            try:
                units.add(decimal_to_units(text, 4))
            except ValueError:
                continue
        return units


class MarketNotes:
    """Collects notes during one pass, then gives the specs. Bounded by MARKETS_MAX markets."""

    def __init__(self, category: str = "") -> None:
        self._category = category  # of markets whose file names none
        self._kalshi: dict[str, Note] = {}
        self._tokens: dict[str, Note] = {}
        self._pairs: dict[str, str] = {}

    def kalshi(self, ticker: str) -> Note:
        """Note of a Kalshi market."""
        return self._note(self._kalshi, ticker)

    def token(self, token: str, condition: str = "", outcome: str = "") -> Note:
        """Note of a Polymarket token; ``outcome`` is "YES" or "NO" where the file says so."""
        note = self._note(self._tokens, token)
        note.condition = condition or note.condition
        note.outcome = outcome or note.outcome
        return note

    def pair(self, first: str, second: str) -> None:
        """Two tokens are the two outcomes of one market whose condition id is unknown."""
        self._pairs[first] = second

    def _note(self, notes: dict[str, Note], symbol: str) -> Note:
        note = notes.get(symbol)
        if note is None:
            if len(self._kalshi) + len(self._tokens) >= MARKETS_MAX:
                raise ValueError(f"more than {MARKETS_MAX} markets in one file")
            note = notes[symbol] = Note(symbol, category=self._category)
        return note

    def symbols(self) -> tuple[str, ...]:
        """Tickers and token ids in the order they appeared: what a recorder would have subscribed to."""
        return (*self._kalshi, *self._tokens)

    def specs(self) -> tuple[MarketSpec, ...]:
        """One spec a market, in the order they appeared."""
        kalshi = [_kalshi_spec(note) for note in self._kalshi.values()]
        return (*kalshi, *(_polymarket_spec(notes) for notes in self._grouped()))

    def _grouped(self) -> list[list[Note]]:
        """Tokens by market, YES first where that is known; a token without a sibling stands alone."""
        groups: dict[str, list[Note]] = {}
        partner_of = {second: first for first, second in self._pairs.items()}
        for token, note in self._tokens.items():
            groups.setdefault(note.condition or partner_of.get(token, token), []).append(note)
        result: list[list[Note]] = []
        for notes in groups.values():
            if len(notes) == 2:
                result.append(sorted(notes, key=lambda note: note.outcome == "NO"))
            else:  # three tokens under one id: not a binary market as we know it
                result.extend([note] for note in notes)
        return result


def price_ranges(
    prices_e4: set[int], steps: tuple[tuple[int, int, int], ...]
) -> tuple[tuple[int, int, int], ...]:
    """Ranges of the first of ``steps`` that holds every price."""
    low = math.gcd(*(price for price in prices_e4 if price <= LOW_END_E4))
    middle = math.gcd(*(price for price in prices_e4 if LOW_END_E4 < price < HIGH_START_E4))
    high = math.gcd(*(PRICE_ONE_E4 - price for price in prices_e4 if price >= HIGH_START_E4))
    for first, second, third in steps:
        if low % first == 0 and middle % second == 0 and high % third == 0:
            break
    else:
        first = second = third = 1
    if first == second == third:
        return ((0, PRICE_ONE_E4, first),)
    return (
        (0, LOW_END_E4, first),
        (LOW_END_E4, HIGH_START_E4, second),
        (HIGH_START_E4, PRICE_ONE_E4, third),
    )


def _kalshi_spec(note: Note) -> MarketSpec:
    return MarketSpec(
        venue=Venue.KALSHI,
        symbol=note.symbol,
        price_ranges=price_ranges(note.prices_e4(), KALSHI_STEPS),
        lot_e6=LOT_E6,
        min_size_e6=KALSHI_MIN_E6,
        min_notional_micros=0,
        mirror=True,
        title=note.title,
        category=note.category,
        group=note.group,
        group_kind=note.group_kind,
        group_size=note.group_size,
        open_ns=note.open_ns,
        close_ns=note.close_ns,
        rules_text=note.rules_text,
        defaulted=_GUESSED,
    )


def _polymarket_spec(notes: list[Note]) -> MarketSpec:
    """Spec of a market with one or two tokens; the second token's prices count from the other end."""
    note = notes[0]
    prices = note.prices_e4()
    for other in notes[1:]:
        prices |= {PRICE_ONE_E4 - price for price in other.prices_e4()}
    stated = note.step_e4 > 0 and all(price % note.step_e4 == 0 for price in prices)
    ranges = ((0, PRICE_ONE_E4, note.step_e4),) if stated else price_ranges(prices, POLYMARKET_STEPS)
    known = {"price_ranges": stated, "min_size_e6": note.min_size_e6}
    return MarketSpec(
        venue=Venue.POLYMARKET,
        symbol=note.condition if note.condition and len(notes) == 2 else note.symbol,
        price_ranges=ranges,
        lot_e6=LOT_E6,
        min_size_e6=note.min_size_e6 or POLYMARKET_MIN_E6,
        min_notional_micros=POLYMARKET_NOTIONAL_MICROS,
        mirror=True,
        yes_token=note.symbol,
        no_token=notes[1].symbol if len(notes) == 2 else "",
        title=note.title,
        category=note.category,
        group=note.group,
        group_kind=note.group_kind,
        group_size=note.group_size,
        neg_risk=note.neg_risk,
        open_ns=note.open_ns,
        close_ns=note.close_ns,
        rules_text=note.rules_text,
        defaulted=tuple(name for name in _GUESSED if not known.get(name)),
    )
