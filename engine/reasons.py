"""Why something was not done: one vocabulary for gate, funnel, logs, metrics and the command line.

Values are stable (they are stored in journals and decision logs): add at the end of a block, never renumber.
"""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Reason(IntEnum):
    """Reason codes. 0 means nothing stood in the way; each block belongs to the stage that says it."""

    NONE = 0

    # book: why a book is in doubt, or a frame did not count
    NO_SNAPSHOT = 100
    SEQUENCE_GAP = 101
    SEQUENCE_RESTART = 102
    RING_LAPPED = 103
    TOP_DISAGREES = 104
    CROSSED_TOO_LONG = 105
    FEED_SILENT = 106
    GRID_CHANGED = 107
    DISCONNECTED = 108
    MIRROR_BROKEN = 109
    NEGATIVE_LEVEL = 110
    OFF_GRID = 111
    LEVEL_BOUND = 112
    SIZE_UNKNOWN = 113
    MARKET_CLOSED = 114
    SUBSCRIPTION_ERROR = 115

    # strategy: why a candidate did not become a signal
    BOOK_NOT_LIVE = 200
    BOOK_CROSSED = 201
    BOOK_STALE = 202
    ONE_SIDED = 203
    MIRROR_BOOK = 204
    NO_EDGE = 205
    EDGE_EATEN_BY_FEES = 206
    EDGE_BELOW_MINIMUM = 207
    DEPTH_TOO_SMALL = 208
    BELOW_MINIMUM_SIZE = 209
    CAPITAL_COST = 210
    CLOSE_TIME_UNKNOWN = 211
    RELATION_UNAPPROVED = 212
    RELATION_STALE_RULES = 213
    NOT_EXHAUSTIVE = 214
    LEGS_TOO_FAR_APART = 215
    TOO_MANY_LEGS = 216
    FEE_SCHEDULE_UNKNOWN = 217
    ALREADY_SIGNALLED = 218
    RING_FULL = 219
    NO_INVENTORY = 220
    RELATION_OTHER_RULER = 221

    # optimizer: why a signal did not become a plan
    CASH_EXHAUSTED = 300
    EXPOSURE_EXHAUSTED = 301
    SLOTS_EXHAUSTED = 302
    BOOK_MOVED = 303
    DEADLINE_PASSED = 304
    VERIFY_FAILED = 305
    CROWDED_OUT = 306
    WORST_LOSS_TOO_LARGE = 307

    # gate: why an order was denied
    HALTED = 400
    STALE_EPOCH = 401
    ORDER_SIZE_LIMIT = 402
    ORDER_NOTIONAL_LIMIT = 403
    POSITION_LIMIT = 404
    MARKET_EXPOSURE_LIMIT = 405
    EVENT_EXPOSURE_LIMIT = 406
    PORTFOLIO_HEAT = 407
    DAILY_LOSS = 408
    DRAWDOWN = 409
    ORDER_RATE = 410
    CASH_UNAVAILABLE = 411
    DEADLINE = 412
    PRICE_OFF_GRID = 413
    SIZE_OFF_LOT = 414
    NOTIONAL_TOO_SMALL = 415
    UNKNOWN_MARKET = 416
    DUPLICATE_INTENT = 417
    OPEN_ORDER_LIMIT = 418
    NAKED_SALE = 419
    PAUSED = 420

    # venue: what the venue answered
    VENUE_REJECTED = 500
    FOK_UNFILLED = 501
    FAK_NO_MATCH = 502
    POST_ONLY_CROSSES = 503
    VENUE_CLOSED = 504
    VENUE_RATE_LIMITED = 505
    VENUE_UNKNOWN = 506
    VENUE_INSUFFICIENT_CASH = 507
    VENUE_BAD_PRICE = 508
    VENUE_BAD_SIZE = 509
    VENUE_DUPLICATE = 510
    EXPIRED = 511

    # execution: how a plan ended other than complete
    LEG_MISSED = 600
    UNWOUND = 601
    UNWIND_FAILED = 602
    PARTLY_FILLED = 603
    SETTLEMENT_FAILED = 604
    RESTARTED = 605
    ACCOUNT_DIFFERS = 606
    JOURNAL_FULL = 607
    MESSAGE_GARBLED = 608
    SETTLEMENT_DIFFERS = 609


def label(code: int) -> str:
    """Lower-case word of a code for logs and the command line; unknown numbers keep the number."""
    try:
        return Reason(code).name.lower()
    except ValueError:
        return f"reason_{code}"
