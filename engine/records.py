"""Every message and latest-value layout of the pipeline, declared once.

Ring messages travel in cells of 64 or 128 bytes: 16 bytes of ring header, then one record of 48 (SMALL) or
112 (WIDE) bytes. A message is one record, or a head followed by n records of the same width. Each record
carries the time stamps of the stages before it; a stage adds its own and overwrites none.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import numpy as np

SMALL_BYTES: Final = 48
WIDE_BYTES: Final = 112
BOOK_ROW_BYTES_MAX: Final = 640

LEGS_MAX: Final = 256
FRAME_UPDATES_MAX: Final = 40_960  # both sides of a 20,002-level book, and the frame's own marks
TOP_LEVELS: Final = 16
VWAP_NOTIONALS_MICROS: Final = (100_000_000, 500_000_000, 1_000_000_000)
NO_PRICE: Final = -1  # an empty side, a VWAP the depth cannot fill


class Venue(IntEnum):
    """Where a market trades."""

    POLYMARKET = 1
    KALSHI = 2


class Side(IntEnum):
    """Side of a book in YES terms, and direction of an order on the outcome it names."""

    BID = 0
    ASK = 1


class Direction(IntEnum):
    """What an order does."""

    BUY = 0
    SELL = 1


class Outcome(IntEnum):
    """Outcome a token or order is about; NO at q is YES at 1 - q."""

    YES = 0
    NO = 1


class UpdateKind(IntEnum):
    """What a BOOK_UPDATE says. Prices are in YES terms always."""

    SNAPSHOT_BEGIN = 1  # book is replaced; size_e6 = levels that follow
    SNAPSHOT_LEVEL = 2  # absolute size
    SNAPSHOT_END = 3
    LEVEL_SET = 4  # absolute size, 0 removes
    LEVEL_ADD = 5  # signed change
    DECLARED_TOP = 6  # synchronous best bid (price_e4) and ask (aux); NO_PRICE where the venue says empty
    TICKER = 7  # Kalshi's best bid and ask, not synchronous with the book
    TRADE = 8  # price_e4, size_e6, side = side of the book that was taken
    GRID_CHANGE = 9  # price_e4 = new tick, aux = old tick
    DOUBT = 10  # aux = Reason; the market's book may be wrong
    MARKET_STATE = 11  # aux = MarketState
    BOOK_HASH = 12  # aux = 1 agrees, 0 disagrees (advisory)
    CONNECTED = 13


class UpdateFlag(IntFlag):
    """Bits of BOOK_UPDATE.flags."""

    LAST_OF_FRAME = 1
    SIBLING = 2  # from the other token of a mirrored market: verified against the book, not applied
    SIZE_UNKNOWN = 4  # the recording had a price without a size: shown, never traded
    LAST_OF_MARKET = 8  # last entry of this market in the frame: compare declared top here


class MarketState(IntEnum):
    """Life of a market as far as trading is concerned."""

    OPEN = 0
    PAUSED = 1
    CLOSED = 2
    SETTLED = 3


class Trust(IntEnum):
    """Trust state of a book (transitions: engine.book.trust)."""

    UNSYNCED = 0  # never had an opening snapshot: applied, checked, shown, never traded
    LIVE = 1
    SUSPECT = 2
    RESYNC = 3
    DEAD = 4


BOOK_UPDATE: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("venue_ns", "<i8"),
        ("size_e6", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("price_e4", "<i4"),
        ("aux", "<i4"),
        ("wire_seq", "<u4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("flags", "u1"),
        ("venue", "u1"),
    ]
)

TOP: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("venue_ns", "<i8"),
        ("book_ns", "<i8"),
        ("epoch", "<i8"),
        ("update_count", "<i8"),
        ("bid_size_e6", "<i8"),
        ("ask_size_e6", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("bid_e4", "<i4"),
        ("ask_e4", "<i4"),
        ("prev_bid_e4", "<i4"),
        ("prev_ask_e4", "<i4"),
        ("declared_bid_e4", "<i4"),
        ("declared_ask_e4", "<i4"),
        ("doubt", "<i4"),  # Reason of the last doubt
        ("trust", "u1"),
        ("prev_trust", "u1"),
        ("venue", "u1"),
        ("flags", "u1"),  # TopFlag
        ("reserved", "<i8", (2,)),
    ]
)


class TopFlag(IntFlag):
    """Bits of TOP.flags and BOOK_ROW.flags."""

    BEST_CHANGED = 1
    CROSSED = 2
    DECLARED = 4  # the frame declared a best bid/ask for this market
    DECLARED_AGREES = 8
    SIZE_UNKNOWN = 16
    SNAPSHOT = 32  # this frame replaced the book
    TICKER = 64  # declared top is an unsynchronised ticker
    MIRROR_DIFFERS = 128


BOOK_ROW: Final = np.dtype(
    [
        ("epoch", "<i8"),
        ("update_count", "<i8"),
        ("recv_ns", "<i8"),
        ("venue_ns", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("trust", "u1"),
        ("venue", "u1"),
        ("flags", "u1"),
        ("market_state", "u1"),
        ("n_bids", "<i2"),  # filled rows of the arrays below, at most TOP_LEVELS
        ("n_asks", "<i2"),
        ("vwap_buy_e6", "<i4", (3,)),  # dollars x 1e6 per contract, rounded up; NO_PRICE = not enough depth
        ("vwap_sell_e6", "<i4", (3,)),  # rounded down
        ("bid_e4", "<i4", (TOP_LEVELS,)),
        ("ask_e4", "<i4", (TOP_LEVELS,)),
        ("bid_size_e6", "<i8", (TOP_LEVELS,)),
        ("ask_size_e6", "<i8", (TOP_LEVELS,)),
    ]
)


class SignalKind(IntEnum):
    """Kinds of opportunity; the word is what decision logs and summaries print."""

    COMPLEMENT_BUY = 1  # buy YES and NO of one contract on books that are not mirrors
    COMPLEMENT_SELL = 2  # sell both from inventory (or a split)
    PARTITION_BUY_YES = 3
    PARTITION_BUY_NO = 4
    NEG_RISK_CONVERT = 5
    CROSS_VENUE = 6
    IMPLICATION = 7


class DecisionStage(IntEnum):
    """Who decided."""

    STRATEGY = 1
    OPTIMIZER = 2
    GATE = 3
    EXECUTION = 4


class TimeInForce(IntEnum):
    """Order life. FAK is Kalshi's immediate_or_cancel."""

    GTC = 0
    FOK = 1
    FAK = 2
    GTC_POST_ONLY = 3


DECISION: Final = np.dtype(
    [
        ("recv_ns", "<i8"),  # of the frame that caused it
        ("decided_ns", "<i8"),
        ("signal_id", "<i8"),  # 0 when no signal came of it
        ("plan_id", "<i8"),
        ("epoch", "<i8"),  # of the triggering book
        ("edge_gross_micros", "<i8"),  # per set of 1 contract each, best prices, before fees
        ("edge_net_micros", "<i8"),  # after fees at best prices
        ("size_e6", "<i8"),
        ("profit_micros", "<i8"),
        ("slot", "<i4"),  # triggering market
        ("generation", "<i4"),
        ("relation", "<i4"),  # -1: none
        ("order_id_low", "<i4"),
        ("reason", "<i4"),  # Reason.NONE: passed on
        ("kind", "u1"),  # SignalKind
        ("stage", "u1"),  # DecisionStage
        ("venue", "u1"),
        ("n_legs", "u1"),
        ("reserved", "<i8", (2,)),
    ]
)

SIGNAL_HEAD: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("book_ns", "<i8"),
        ("signal_ns", "<i8"),
        ("deadline_ns", "<i8"),
        ("signal_id", "<i8"),
        (
            "payoff_micros",
            "<i8",
        ),  # guaranteed payoff of one set (1 contract of each leg) incl. conversion proceeds
        ("edge_gross_micros", "<i8"),
        ("edge_net_micros", "<i8"),
        ("max_size_e6", "<i8"),  # sets the strategy saw as profitable
        ("capital_cost_ppm", "<i8"),  # cost of locking 1 dollar until payoff
        ("close_ns", "<i8"),
        ("slot", "<i4"),  # triggering market
        ("relation", "<i4"),
        ("n_legs", "<i4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("pad", "u1", (2,)),
        ("reserved", "<i8", (1,)),
    ]
)

SIGNAL_LEG: Final = np.dtype(
    [
        ("epoch", "<i8"),
        ("update_count", "<i8"),
        ("best_size_e6", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("best_e4", "<i4"),  # best price in the terms of the leg's outcome
        ("venue", "u1"),
        ("direction", "u1"),
        ("outcome", "u1"),
        ("convert", "u1"),  # 1: the leg is bought to be converted, 2: sold from the conversion
        ("reserved", "<i8", (9,)),
    ]
)

PLAN_HEAD: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("book_ns", "<i8"),
        ("signal_ns", "<i8"),
        ("plan_ns", "<i8"),
        ("deadline_ns", "<i8"),
        ("signal_id", "<i8"),
        ("plan_id", "<i8"),
        ("size_e6", "<i8"),  # sets
        ("profit_micros", "<i8"),  # guaranteed, after fees and capital cost
        ("bound_micros", "<i8"),  # upper bound of the profit that certifies the size
        ("worst_loss_micros", "<i8"),  # of any partial fill, before the first leg is sent
        ("cash_micros", "<i8"),
        ("slot", "<i4"),
        ("relation", "<i4"),
        ("n_legs", "<i4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("pad", "u1", (2,)),
    ]
)

PLAN_LEG: Final = np.dtype(
    [
        ("epoch", "<i8"),
        ("update_count", "<i8"),
        ("size_e6", "<i8"),
        (
            "cash_micros",
            "<i8",
        ),  # paid for a buy (rounded up), received for a sale (rounded down), without fee
        ("fee_micros", "<i8"),  # estimate, rounded up
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("limit_e4", "<i4"),  # worst price of the sizing walk, in the terms of the leg's outcome
        ("venue", "u1"),
        ("direction", "u1"),
        ("outcome", "u1"),
        ("tif", "u1"),
        ("convert", "u1"),
        ("pad", "u1", (7,)),
        ("reserved", "<i8", (6,)),
    ]
)


class RequestKind(IntEnum):
    """What the executor asks of a venue."""

    NEW = 1
    CANCEL = 2
    CONVERT = 3  # neg-risk: NO tokens of the plan's legs -> collateral + YES of the others
    MERGE = 4  # YES + NO -> collateral
    SPLIT = 5
    QUERY = 6  # of the account: payments made, cash, holdings; ``order_id`` names the question


ORDER_REQUEST: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("request_ns", "<i8"),
        ("order_id", "<i8"),  # ours; exists and is durable before the request
        ("plan_id", "<i8"),
        ("size_e6", "<i8"),
        ("expire_ns", "<i8"),
        (
            "identity",
            "u1",
            (32,),
        ),  # what the venue will know it by (Polymarket: order hash; Kalshi: client order id)
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("price_e4", "<i4"),  # in the terms of ``outcome``
        ("relation", "<i4"),
        ("kind", "u1"),
        ("venue", "u1"),
        ("direction", "u1"),
        ("outcome", "u1"),
        ("tif", "u1"),
        ("leg", "u1"),
        ("pad", "u1", (10,)),
    ]
)


class ReportKind(IntEnum):
    """What a venue says of an order, and of its settlement."""

    ACKED = 1
    REJECTED = 2
    FILLED = 3  # one trade; may repeat
    CANCELLED = 4
    EXPIRED = 5
    UNKNOWN = 6  # no answer in time: may have happened
    CONFIRMED = 7  # the trade is final
    FAILED = 8  # the trade is void: reverse it
    CONVERTED = 9
    SETTLED = 10  # market resolved: price_e4 = value of YES
    BALANCE = 11  # one line of the answer to a QUERY; ``remaining_e6`` = lines in all, ``trade_id`` = which


VENUE_REPORT: Final = np.dtype(
    [
        ("venue_ns", "<i8"),
        ("recv_ns", "<i8"),
        ("order_id", "<i8"),
        ("plan_id", "<i8"),
        ("venue_order_id", "<i8"),
        ("trade_id", "<i8"),
        ("fill_size_e6", "<i8"),
        ("cash_micros", "<i8"),  # as the venue states it, unsigned notional of the fill
        ("fee_micros", "<i8"),  # as the venue states it; negative is a rebate
        ("remaining_e6", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("price_e4", "<i4"),
        ("reason", "<i4"),
        ("kind", "u1"),
        ("venue", "u1"),
        ("direction", "u1"),
        ("outcome", "u1"),
        ("leg", "u1"),
        ("maker", "u1"),
        ("pad", "u1", (10,)),
    ]
)


class OrderStatus(IntEnum):
    """Life of an order (transitions: engine.execution.order)."""

    INTENT = 0
    JOURNALED = 1
    SIGNED = 2
    SENT = 3
    ACKED = 4
    PARTLY_FILLED = 5
    FILLED = 6
    CANCELLED = 7
    REJECTED = 8
    EXPIRED = 9
    UNKNOWN = 10
    DENIED = 11


ORDER_EVENT: Final = np.dtype(
    [
        ("recv_ns", "<i8"),
        ("event_ns", "<i8"),
        ("order_id", "<i8"),
        ("plan_id", "<i8"),
        ("signal_id", "<i8"),
        ("size_e6", "<i8"),
        ("filled_e6", "<i8"),
        ("cash_micros", "<i8"),  # of this event's fill
        ("fee_micros", "<i8"),
        ("fill_size_e6", "<i8"),
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("price_e4", "<i4"),
        ("reason", "<i4"),
        ("status", "u1"),
        ("venue", "u1"),
        ("direction", "u1"),
        ("outcome", "u1"),
        ("tif", "u1"),
        ("leg", "u1"),
        ("plan_done", "u1"),  # 1: the plan ended with this event (complete, unwound or abandoned)
        ("maker", "u1"),
        ("pad", "u1", (8,)),
    ]
)

POSITION_ROW: Final = np.dtype(
    [
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("yes_e6", "<i8"),
        ("no_e6", "<i8"),
        ("cost_yes_micros", "<i8"),
        ("cost_no_micros", "<i8"),
        ("realised_micros", "<i8"),
        ("fees_micros", "<i8"),
        ("reserved_micros", "<i8"),
    ]
)

ACCOUNT_ROW: Final = np.dtype(
    [
        ("cash_micros", "<i8"),
        ("fees_micros", "<i8"),
    ]
)

RING_MESSAGES: Final = {
    "BOOK_UPDATE": BOOK_UPDATE,
    "TOP": TOP,
    "DECISION": DECISION,
    "SIGNAL_HEAD": SIGNAL_HEAD,
    "SIGNAL_LEG": SIGNAL_LEG,
    "PLAN_HEAD": PLAN_HEAD,
    "PLAN_LEG": PLAN_LEG,
    "ORDER_REQUEST": ORDER_REQUEST,
    "VENUE_REPORT": VENUE_REPORT,
    "ORDER_EVENT": ORDER_EVENT,
}

for _name, _layout in RING_MESSAGES.items():
    if _layout.itemsize not in (SMALL_BYTES, WIDE_BYTES):
        raise AssertionError(f"{_name} is {_layout.itemsize} bytes, not {SMALL_BYTES} or {WIDE_BYTES}")
if BOOK_ROW.itemsize > BOOK_ROW_BYTES_MAX or BOOK_ROW.itemsize % 8:
    raise AssertionError(f"BOOK_ROW is {BOOK_ROW.itemsize} bytes")
