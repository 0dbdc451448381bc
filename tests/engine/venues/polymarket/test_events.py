"""Events of one record, kernel by kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.records import BOOK_UPDATE, NO_PRICE, Side, UpdateFlag, UpdateKind
from engine.venues import keys
from engine.venues.polymarket import _events as module
from engine.venues.polymarket import vocabulary as wire
from engine.venues.scan import UNSURE, seal
from engine.venues.workspace import FIELDS_SEEN, SKIPPED, Workspace
from tests.engine.venues import frames

SYMBOLS = frames.polymarket_symbols()
SPACE = Workspace(len(SYMBOLS.table), wire.NAMES)
NO_TOKEN = frames.NO_TOKEN
BID, ASK = Side.BID, Side.ASK
TRADE, TICKER, TICK = wire.TYPE_LAST_TRADE, wire.TYPE_BEST_BID_ASK, wire.TYPE_TICK_SIZE
NO_BID = frames.best_bid_ask() | {"best_bid": ""}


def put(message: dict[str, Any], code: int) -> tuple[int, tuple[int, ...]]:
    """Record behind an event written at record 4, and what the record says."""
    text = frames.compact(message)
    SPACE.memory[: len(text)] = text
    seal(SPACE.words, len(text))
    SPACE.words[[FIELDS_SEEN, SKIPPED]] = 0
    assert keys.fields(SPACE.words, 1, wire.MESSAGE_NAMES, 0)[1] == keys.END
    out = np.zeros(6, BOOK_UPDATE)
    at = module.put_event(SPACE.words, SYMBOLS.table, out, 4, code)
    names = ("kind", "slot", "generation", "side", "price_e4", "size_e6", "aux", "flags")
    return at, frames.fields_of(out[4:5], *names)[0]


SIBLING = int(UpdateFlag.SIBLING)


@pytest.mark.parametrize(
    ("message", "code", "record"),
    [
        (frames.last_trade(), TRADE, (UpdateKind.TRADE, 3, 7, BID, 4_910, 85_360_000, 0, 0)),
        (frames.last_trade(NO_TOKEN), TRADE, (UpdateKind.TRADE, 3, 7, ASK, 5_090, 85_360_000, 0, SIBLING)),
        (frames.best_bid_ask(), TICKER, (UpdateKind.TICKER, 3, 7, 0, 7_300, 0, 7_700, 0)),
        (NO_BID, TICKER, (UpdateKind.TICKER, 3, 7, 0, NO_PRICE, 0, 7_700, 0)),
        (frames.best_bid_ask(NO_TOKEN), TICKER, (UpdateKind.TICKER, 3, 7, 0, 2_300, 0, 2_700, SIBLING)),
        (frames.tick_size(), TICK, (UpdateKind.GRID_CHANGE, 3, 7, 0, 10, 0, 100, 0)),
        (frames.tick_size(NO_TOKEN), TICK, (UpdateKind.GRID_CHANGE, 3, 7, 0, 10, 0, 100, SIBLING)),
    ],
)  # fmt: skip
def test_events(message: dict[str, Any], code: int, record: tuple[int, ...]) -> None:
    assert put(message, code) == (5, record)


@pytest.mark.parametrize("code", [TRADE, TICKER, TICK])
def test_events_of_strangers_are_skipped(code: int) -> None:
    assert put({"asset_id": "12345"}, code)[0] == 4
    assert SPACE.words[SKIPPED] == 1
    assert put({"asset_id": None}, code)[0] == UNSURE


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (frames.last_trade() | {"price": "1.1"}, TRADE),
        (frames.last_trade() | {"size": "-1"}, TRADE),
        (frames.last_trade() | {"side": ""}, TRADE),
        (frames.best_bid_ask() | {"best_bid": "x"}, TICKER),
        (frames.best_bid_ask() | {"best_ask": None}, TICKER),
        (frames.tick_size() | {"new_tick_size": "0"}, TICK),
        (frames.tick_size() | {"old_tick_size": "0.00001"}, TICK),
        (frames.tick_size(), TRADE),
        (frames.tick_size(), TICKER),
        (frames.last_trade(), TICK),
    ],
)
def test_events_that_are_not_sure(message: dict[str, Any], code: int) -> None:
    assert put(message, code)[0] == UNSURE
