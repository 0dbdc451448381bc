"""Kalshi's market-data WebSocket: frames in, BOOK_UPDATE records in YES terms out.

The yes side of a book is its bids; a bid for NO at q is an ask for YES at 1 - q. ``engine.venues.continuity``
says what a sequence number means. ``ticker`` is not synchronous with the book: it becomes TICKER, not
DECLARED_TOP.
"""

from __future__ import annotations

import numpy as np

from engine.reasons import Reason
from engine.records import Venue
from engine.venues.codec import MarketDataCodec, checked_conn
from engine.venues.continuity import commit
from engine.venues.emit import doubt_row
from engine.venues.frame import GeneralFrame
from engine.venues.kalshi._fast import read_bytes, read_many, read_one
from engine.venues.kalshi._general import read_frame
from engine.venues.kalshi.vocabulary import NAMES
from engine.venues.subscriptions import HEAD, LAST, MEMBER_NEXT, MEMBER_ROW, find_tracker, leave
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import CONNS_MAX, NONE, YES_SCALE_AT


class KalshiCodec(MarketDataCodec):
    """Codec of Kalshi frames (interface: ``MarketDataCodec``).

    ``use_yes_price`` is what was sent with the orderbook subscription: with it the no side already comes as
    YES asks. It holds for every connection until ``set_use_yes_price`` says otherwise for one.
    """

    def __init__(self, symbols: SymbolTable, *, use_yes_price: bool = False) -> None:
        super().__init__(Venue.KALSHI, symbols, NAMES, read_one, read_bytes, read_many, commit)
        self._yes_scale = self._words[YES_SCALE_AT : YES_SCALE_AT + CONNS_MAX]
        self._yes_scale[:] = use_yes_price

    def set_use_yes_price(self, conn: int, use_yes_price: bool) -> None:
        """Say how the no side of a connection's books is priced; ValueError beyond CONNS_MAX."""
        self._yes_scale[checked_conn(conn)] = use_yes_price

    def general(self, payload: bytes, conn: int) -> GeneralFrame:
        """Read a frame by the general parser; never raises."""
        return read_frame(payload, self.symbols.find, bool(self._yes_scale[checked_conn(conn)]))

    def _settle(self, frame: GeneralFrame, recv_ns: int, conn: int) -> int:
        """As for every venue; markets that an ``ok`` no longer lists have left the subscription."""
        if frame.keep is not None:
            self._leave_markets(frame, frame.keep, conn)
        return super()._settle(frame, recv_ns, conn)

    def _leave_markets(self, frame: GeneralFrame, keep: frozenset[int], conn: int) -> None:
        """Put the markets in doubt that get no more updates through the frame's subscription."""
        words, table = self._words, self._table
        tracker = find_tracker(words, conn, frame.sid)
        if tracker == NONE or words[tracker + LAST] == frame.seq:  # a duplicate says nothing
            return
        member = int(words[tracker + HEAD])
        gone = []
        while member != NONE:
            if int(words[member + MEMBER_ROW]) not in keep:
                gone.append(int(words[member + MEMBER_ROW]))
            member = int(words[member + MEMBER_NEXT])
        for row in gone:
            leave(words, table, tracker, row)
            symbol = self.symbols.at(row)
            frame.rows.append(doubt_row(symbol.slot, symbol.generation, Reason.DISCONNECTED, frame.seq))


_WARM_FRAMES: tuple[bytes, ...] = (
    b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"WARM"}}',  # ``ok`` makes it leave
    b'{"type":"orderbook_delta","sid":1,"msg":{"market_ticker":"WARM","price_dollars":"0","delta_fp":"1"}}',
    b'{"type":"ok","sid":1,"seq":2,"msg":{"market_tickers":[]}}',
)


def warm() -> None:
    """Compile every kernel of the codec."""
    symbols = SymbolTable(2)
    symbols.add(b"WARM", 0, 0)
    codec = KalshiCodec(symbols)
    for payload in _WARM_FRAMES:
        codec.feed(payload, 0, 0)
    source = np.frombuffer(_WARM_FRAMES[0], np.uint8)
    zero = np.zeros(1, np.int64)
    codec.feed_many(source, zero, np.array([source.size], np.int64), zero, zero, 1)
    codec.disconnect(0, 0)
