"""Names on Kalshi's market-data wire: fields the compiled parser reads, frame types and what they are for."""

from __future__ import annotations

from typing import Final

from engine.venues.keys import name_tables, name_word, names_at

# fields of a frame, and of its msg: numbers share one space, for they share the spans of a parse
TYPE: Final = 1
SID: Final = 2
SEQ: Final = 3
MSG: Final = 4
SENDING_TS_MS: Final = 5
TICKER: Final = 6
PRICE: Final = 7
DELTA: Final = 8
SIDE: Final = 9
TS_MS: Final = 10
YES_LEVELS: Final = 11
NO_LEVELS: Final = 12
YES_BID: Final = 13
YES_ASK: Final = 14
YES_PRICE: Final = 15
COUNT: Final = 16
TAKER_BOOK_SIDE: Final = 17
TAKER_OUTCOME_SIDE: Final = 18
TAKER_SIDE: Final = 19

_FRAME_FIELDS: Final = {b"type": TYPE, b"sid": SID, b"seq": SEQ, b"msg": MSG, b"sending_ts_ms": SENDING_TS_MS}
_MSG_FIELDS: Final = {
    b"market_ticker": TICKER,
    b"price_dollars": PRICE,
    b"delta_fp": DELTA,
    b"side": SIDE,
    b"ts_ms": TS_MS,
    b"yes_dollars_fp": YES_LEVELS,
    b"no_dollars_fp": NO_LEVELS,
    b"yes_bid_dollars": YES_BID,
    b"yes_ask_dollars": YES_ASK,
    b"yes_price_dollars": YES_PRICE,
    b"count_fp": COUNT,
    b"taker_book_side": TAKER_BOOK_SIDE,
    b"taker_outcome_side": TAKER_OUTCOME_SIDE,
    b"taker_side": TAKER_SIDE,
}

TYPE_DELTA: Final = 1
TYPE_SNAPSHOT: Final = 2
TYPE_TICKER: Final = 3
TYPE_TRADE: Final = 4
_TYPES: Final = {
    b"orderbook_delta": TYPE_DELTA,
    b"orderbook_snapshot": TYPE_SNAPSHOT,
    b"ticker": TYPE_TICKER,
    b"trade": TYPE_TRADE,
}

NAMES: Final = name_tables([_FRAME_FIELDS, _MSG_FIELDS, _TYPES])
FRAME_NAMES: Final = names_at(0)
MSG_NAMES: Final = names_at(1)
TYPE_NAMES: Final = names_at(2)

YES: Final = name_word(b"yes")
NO: Final = name_word(b"no")
BID: Final = name_word(b"bid")
ASK: Final = name_word(b"ask")

# Known frames without market data: our own orders, communications, reference prices, event metadata.
IGNORED_TYPES: Final = frozenset(
    {
        "fill",
        "user_order",
        "market_position",
        "order_group_updates",
        "event_lifecycle",
        "event_fee_update",
        "cfbenchmarks_value",
        "cfbenchmarks_value_indexlist",
        "cfbenchmarks_value_5hz",
        "cfbenchmarks_value_5hz_indexlist",
        "pyth_value",
        "pyth_value_underlying_list",
    }
)
IGNORED_PREFIXES: Final = ("rfq_", "quote_", "batch_quote_")

LIFECYCLE_TYPES: Final = frozenset({"market_lifecycle_v2", "multivariate_market_lifecycle"})
# Lifecycle events that change nothing a book needs to know: open and close times, names.
IGNORED_EVENTS: Final = frozenset({"created", "close_date_updated", "metadata_updated"})

# Error codes after which a subscription is dead: channel error, subscription buffer overflow.
TERMINAL_CODES: Final = frozenset({10, 25})
