"""Names on Polymarket's market channel: fields the compiled parser reads, event types."""

from __future__ import annotations

from typing import Final

from engine.venues.keys import name_tables, name_word, names_at

# fields of a message and of an entry of price_changes: one space of numbers, for they share the spans
EVENT_TYPE: Final = 1
ASSET_ID: Final = 2
TIMESTAMP: Final = 3
BIDS: Final = 4
ASKS: Final = 5
PRICE_CHANGES: Final = 6
PRICE: Final = 7
SIZE: Final = 8
SIDE: Final = 9
BEST_BID: Final = 10
BEST_ASK: Final = 11
OLD_TICK: Final = 12
NEW_TICK: Final = 13
HASH: Final = 14
MIN_ORDER_SIZE: Final = 15
TICK_SIZE: Final = 16
NEG_RISK: Final = 17
LAST_TRADE_PRICE: Final = 18
# the same names inside an entry, where they must not collide with those of the message around it
ENTRY_ASSET_ID: Final = 19
ENTRY_PRICE: Final = 20
ENTRY_SIZE: Final = 21
ENTRY_SIDE: Final = 22
ENTRY_BEST_BID: Final = 23
ENTRY_BEST_ASK: Final = 24
ENTRY_FIELDS: Final = (1 << ENTRY_BEST_ASK + 1) - (1 << ENTRY_ASSET_ID)  # as bits of FIELDS_SEEN
LEVEL_PRICE: Final = 25
LEVEL_SIZE: Final = 26
LEVEL_FIELDS: Final = 1 << LEVEL_PRICE | 1 << LEVEL_SIZE

_MESSAGE_FIELDS: Final = {
    b"event_type": EVENT_TYPE,
    b"asset_id": ASSET_ID,
    b"timestamp": TIMESTAMP,
    b"bids": BIDS,
    b"asks": ASKS,
    b"price_changes": PRICE_CHANGES,
    b"price": PRICE,
    b"size": SIZE,
    b"side": SIDE,
    b"best_bid": BEST_BID,
    b"best_ask": BEST_ASK,
    b"old_tick_size": OLD_TICK,
    b"new_tick_size": NEW_TICK,
    b"hash": HASH,
    b"min_order_size": MIN_ORDER_SIZE,
    b"tick_size": TICK_SIZE,
    b"neg_risk": NEG_RISK,
    b"last_trade_price": LAST_TRADE_PRICE,
}
_ENTRY_FIELDS: Final = {
    b"asset_id": ENTRY_ASSET_ID,
    b"price": ENTRY_PRICE,
    b"size": ENTRY_SIZE,
    b"side": ENTRY_SIDE,
    b"best_bid": ENTRY_BEST_BID,
    b"best_ask": ENTRY_BEST_ASK,
}
_LEVEL_FIELDS: Final = {b"price": LEVEL_PRICE, b"size": LEVEL_SIZE}

TYPE_BOOK: Final = 1
TYPE_PRICE_CHANGE: Final = 2
TYPE_LAST_TRADE: Final = 3
TYPE_TICK_SIZE: Final = 4
TYPE_BEST_BID_ASK: Final = 5
_TYPES: Final = {
    b"book": TYPE_BOOK,
    b"price_change": TYPE_PRICE_CHANGE,
    b"last_trade_price": TYPE_LAST_TRADE,
    b"tick_size_change": TYPE_TICK_SIZE,
    b"best_bid_ask": TYPE_BEST_BID_ASK,
}

NAMES: Final = name_tables([_MESSAGE_FIELDS, _ENTRY_FIELDS, _LEVEL_FIELDS, _TYPES])
MESSAGE_NAMES: Final = names_at(0)
ENTRY_NAMES: Final = names_at(1)
LEVEL_NAMES: Final = names_at(2)
TYPE_NAMES: Final = names_at(3)

BUY: Final = name_word(b"BUY")
SELL: Final = name_word(b"SELL")

# Known messages without market data: markets that begin, and the user channel.
IGNORED_TYPES: Final = frozenset({"new_market", "order", "trade"})
IGNORED_TEXTS: Final = frozenset({b"PONG", b"PING"})  # keep-alive, as bare text
