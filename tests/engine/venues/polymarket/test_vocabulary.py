"""Names on Polymarket's wire."""

from __future__ import annotations

from engine.venues.keys import NO_NAME, name_code
from engine.venues.polymarket import vocabulary as wire
from engine.venues.workspace import FIELDS_MAX, Workspace

SPACE = Workspace(1, wire.NAMES)


def code(table: int, name: bytes) -> int:
    SPACE.memory[: len(name) + 1] = name + b"\0"
    return name_code(SPACE.words, table, 0, len(name))


def test_a_name_means_another_field_in_an_entry_and_in_a_level() -> None:
    assert code(wire.MESSAGE_NAMES, b"price") == wire.PRICE
    assert code(wire.ENTRY_NAMES, b"price") == wire.ENTRY_PRICE
    assert code(wire.LEVEL_NAMES, b"price") == wire.LEVEL_PRICE
    assert code(wire.MESSAGE_NAMES, b"last_trade_price") == wire.LAST_TRADE_PRICE
    assert code(wire.ENTRY_NAMES, b"hash") == NO_NAME


def test_masks_cover_the_fields_they_are_about() -> None:
    entry = {
        wire.ENTRY_ASSET_ID,
        wire.ENTRY_PRICE,
        wire.ENTRY_SIZE,
        wire.ENTRY_SIDE,
        wire.ENTRY_BEST_BID,
        wire.ENTRY_BEST_ASK,
    }
    assert sum(1 << field for field in entry) == wire.ENTRY_FIELDS
    assert sum(1 << field for field in (wire.LEVEL_PRICE, wire.LEVEL_SIZE)) == wire.LEVEL_FIELDS
    assert max(wire.LEVEL_SIZE, *entry) < FIELDS_MAX


def test_types() -> None:
    assert code(wire.TYPE_NAMES, b"book") == wire.TYPE_BOOK
    assert code(wire.TYPE_NAMES, b"best_bid_ask") == wire.TYPE_BEST_BID_ASK
    assert code(wire.TYPE_NAMES, b"market_resolved") == NO_NAME
    assert "market_resolved" not in wire.IGNORED_TYPES


def test_every_name_has_a_number_of_its_own() -> None:
    message = (
        "event_type asset_id timestamp bids asks price_changes price size side best_bid best_ask "
        "old_tick_size new_tick_size hash min_order_size tick_size neg_risk last_trade_price"
    )
    entry, level = "asset_id price size side best_bid best_ask", "price size"
    numbers = [
        code(table, name.encode())
        for table, names in (
            (wire.MESSAGE_NAMES, message),
            (wire.ENTRY_NAMES, entry),
            (wire.LEVEL_NAMES, level),
        )
        for name in names.split()
    ]
    assert numbers == list(range(1, 27))
    types = "book price_change last_trade_price tick_size_change best_bid_ask"
    assert [code(wire.TYPE_NAMES, name.encode()) for name in types.split()] == [1, 2, 3, 4, 5]
    assert (wire.BIDS, wire.ASKS, wire.BEST_BID, wire.BEST_ASK) == (4, 5, 10, 11)
    assert (wire.ENTRY_BEST_BID, wire.ENTRY_BEST_ASK) == (23, 24)
