"""Markets on their way into an engine: the catalog, and whoever must know a market before its first frame.

A market comes from a recording's header, or is met in a frame without metadata; then a default stands in,
which is counted by field so that a summary can say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from engine.catalog.catalog import Catalog
from engine.catalog.defaults import FeeTable, market_with_defaults, with_fee_of_date
from engine.catalog.market import MarketRef, MarketSpec
from engine.errors import ConfigError
from engine.records import Outcome, Venue
from engine.venues.symbols import SymbolTable


class MarketBooks(Protocol):
    """A store that keeps a book for each market (``engine.book.store.BookStore``)."""

    def open_market(
        self, slot: int, generation: int, venue: Venue, ranges: Sequence[tuple[int, int, int]], mirror: bool
    ) -> None:
        """Begin an empty book."""
        ...


class Registry:
    """Adds markets everywhere at once. ``defaulted`` counts fields that a default stands in for.

    ``at_ns`` is the date whose fee schedule a market without metadata pays.
    """

    def __init__(
        self,
        catalog: Catalog,
        symbols: Mapping[Venue, SymbolTable],
        books: Mapping[Venue, Sequence[MarketBooks]],
        fees: FeeTable,
        at_ns: int,
        direct_member: Mapping[Venue, bool],
    ) -> None:
        self.catalog = catalog
        self.defaulted: Counter[str] = Counter()
        self.unregistered = 0
        self._symbols = symbols
        self._books = books
        self._fees = fees
        self._at_ns = at_ns
        self._direct_member = direct_member

    def add_all(self, specs: Iterable[MarketSpec]) -> None:
        """Add every market that is not here yet.

        A market named by two recordings keeps its first metadata.
        """
        for spec in specs:
            if self.catalog.find(spec.venue, spec.symbol) is None:
                self.add(spec)

    def add(self, spec: MarketSpec) -> MarketRef:
        """Add one market, with the fee schedule of its date when it has none of its own.

        ConfigError when the catalog or a symbol table refuses it.
        """
        spec = with_fee_of_date(spec, self._fees, self._at_ns, self._direct_member[spec.venue])
        ref = self.catalog.add_market(spec)
        for field in spec.defaulted:
            self.defaulted[field] += 1
        for books in self._books[spec.venue]:
            books.open_market(ref.slot, ref.generation, spec.venue, spec.price_ranges, spec.mirror)
        for symbol, outcome, mirrored in market_symbols(spec):
            if not self._symbols[spec.venue].add(symbol, ref.slot, ref.generation, outcome, mirrored):
                raise ConfigError(f"{spec.venue.name.lower()}:{spec.symbol}: no room for its symbol")
        return ref

    def on_unknown(self, venue: Venue, symbol: bytes) -> bool:
        """Add a market that a frame named and nothing described; False when it cannot be added."""
        try:
            name = symbol.decode()
            known = market_with_defaults(
                self._fees, venue, name, self._at_ns, direct_member=self._direct_member[venue]
            )
            self.add(known)
        except (ConfigError, UnicodeDecodeError):
            self.unregistered += 1
            return False
        return True


def market_symbols(spec: MarketSpec) -> list[tuple[bytes, Outcome, bool]]:
    """(symbol on the wire, outcome, mirrored) of every stream of a market."""
    if spec.venue is Venue.KALSHI or not spec.yes_token:
        return [(spec.symbol.encode(), Outcome.YES, False)]
    found = [(spec.yes_token.encode(), Outcome.YES, False)]
    if spec.no_token:
        found.append((spec.no_token.encode(), Outcome.NO, spec.mirror))
    return found
