"""Events of the market channel that are one record: trades, best prices, changes of the tick size."""

from __future__ import annotations

from engine.jit import kernel
from engine.units import PRICE_ONE_E4
from engine.venues.emit import GRID_CHANGE, TICKER, TRADE, address, put
from engine.venues.polymarket import vocabulary as wire
from engine.venues.polymarket._assets import asset_row, is_turned, put_pair, sibling_flag, side_of
from engine.venues.scan import BAD, UNSURE
from engine.venues.values import best_price_field, price_field, size_field
from engine.venues.workspace import NONE, Records, Words


@kernel
def _put_trade(words: Words, out: Records, at: int, turned: bool) -> bool:
    """Write a trade: a buyer takes asks. False when it is not sure."""
    price_e4 = price_field(words, wire.PRICE)
    size_e6 = size_field(words, wire.SIZE)
    side = side_of(words, wire.SIDE)
    if price_e4 == BAD or size_e6 == BAD or side == UNSURE:
        return False
    taken = side if turned else 1 - side
    put(out, at, TRADE, taken, PRICE_ONE_E4 - price_e4 if turned else price_e4, size_e6, 0)
    return True


@kernel
def _put_ticker(words: Words, out: Records, at: int, turned: bool) -> bool:
    """Write the best prices of an event. False when it is not sure."""
    bid_e4 = best_price_field(words, wire.BEST_BID)
    ask_e4 = best_price_field(words, wire.BEST_ASK)
    if bid_e4 == BAD or ask_e4 == BAD:
        return False
    put_pair(out, at, TICKER, bid_e4, ask_e4, turned)
    return True


@kernel
def _put_tick_size(words: Words, out: Records, at: int) -> bool:
    """Write a change of the grid. False when it is not sure."""
    tick_e4 = price_field(words, wire.NEW_TICK)
    old_e4 = price_field(words, wire.OLD_TICK)
    if tick_e4 <= 0 or old_e4 <= 0:
        return False
    put(out, at, GRID_CHANGE, 0, tick_e4, 0, old_e4)
    return True


@kernel
def put_event(words: Words, table: Words, out: Records, at: int, code: int) -> int:
    """Write the record of an event without lists; -> the record behind it, UNSURE when it is not sure."""
    row = asset_row(words, table, wire.ASSET_ID)
    if row < 0:
        return at if row == NONE else UNSURE
    if code == wire.TYPE_LAST_TRADE:
        sure = _put_trade(words, out, at, is_turned(table, row))
    elif code == wire.TYPE_BEST_BID_ASK:
        sure = _put_ticker(words, out, at, is_turned(table, row))
    else:
        sure = _put_tick_size(words, out, at)
    if not sure:
        return UNSURE
    address(out, at, at + 1, table, row, 0, 0, sibling_flag(table, row))
    return at + 1
