"""Polymarket's market channel: frames in, BOOK_UPDATE records in YES terms out.

Sizes are absolute. Entries of a market's NO token are turned (to buy NO at q is to sell YES at 1 - q) and,
when the market is mirrored, marked SIBLING. What an entry says of its asset's best prices becomes one
DECLARED_TOP for each asset and frame, from the last entry. The channel has no sequence numbers: a frame that
cannot be read puts every book of its connection in doubt, for nothing else would show what it carried.
"""

from __future__ import annotations

import numpy as np

from engine.records import Outcome, Venue
from engine.venues.codec import MarketDataCodec, checked_conn
from engine.venues.continuity import commit_unnumbered
from engine.venues.frame import GeneralFrame
from engine.venues.polymarket._fast import read_bytes, read_many, read_one
from engine.venues.polymarket._general import read_frame
from engine.venues.polymarket.vocabulary import NAMES
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import CHECK_HASH


class PolymarketCodec(MarketDataCodec):
    """Codec of Polymarket frames (interface: ``MarketDataCodec``).

    With ``check_hash`` a book that carries all its metadata is hashed and followed by BOOK_HASH; such books
    always go to the general parser, so a replay that does not ask for it is faster without.
    """

    def __init__(self, symbols: SymbolTable, *, check_hash: bool = True) -> None:
        super().__init__(Venue.POLYMARKET, symbols, NAMES, read_one, read_bytes, read_many, commit_unnumbered)
        self._check_hash = check_hash
        self._words[CHECK_HASH] = check_hash

    def general(self, payload: bytes, conn: int) -> GeneralFrame:
        """Read a frame by the general parser; never raises for what is in it."""
        checked_conn(conn)
        return read_frame(payload, self.symbols.find, self._check_hash)


_WARM_FRAMES: tuple[bytes, ...] = (
    b'[{"event_type":"book","asset_id":"1","bids":[{"price":"0.4","size":"1"}],"asks":[]}]',
    b'{"event_type":"tick_size_change","asset_id":"2","old_tick_size":"0.01","new_tick_size":"0.001"}',
    b"PONG",
)


def warm() -> None:
    """Compile every kernel of the codec."""
    symbols = SymbolTable(2)
    symbols.add(b"1", 0, 0)
    symbols.add(b"2", 0, 0, Outcome.NO, mirrored=True)
    codec = PolymarketCodec(symbols)
    for payload in _WARM_FRAMES:
        codec.feed(payload, 0, 0)
    source = np.frombuffer(_WARM_FRAMES[0], np.uint8)
    zero = np.zeros(1, np.int64)
    codec.feed_many(source, zero, np.array([source.size], np.int64), zero, zero, 1)
    codec.disconnect(0, 0)
