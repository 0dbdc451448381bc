"""What each reason code means, in a sentence for a person.

The code is the word that logs, metrics and ``--json`` use; the sentence stands beside it in tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.reasons import Reason, label

SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.NONE: "nothing stood in the way: it went on to the next stage",
    # book
    Reason.NO_SNAPSHOT: "no opening snapshot of this book has arrived",
    Reason.SEQUENCE_GAP: "a message of the venue's numbered stream is missing",
    Reason.SEQUENCE_RESTART: "the venue began its numbering anew",
    Reason.RING_LAPPED: "the reader fell behind and lost updates",
    Reason.TOP_DISAGREES: "the venue declared another best price than our book has",
    Reason.CROSSED_TOO_LONG: "bid and ask stayed crossed for longer than a burst lasts",
    Reason.FEED_SILENT: "nothing was heard from the feed for too long",
    Reason.GRID_CHANGED: "the venue changed the price step",
    Reason.DISCONNECTED: "the connection ended",
    Reason.MIRROR_BROKEN: "the YES and NO books of one market contradict each other",
    Reason.NEGATIVE_LEVEL: "a change would leave less than nothing at a price",
    Reason.OFF_GRID: "a price lies between the steps of the market's grid",
    Reason.LEVEL_BOUND: "more price levels than a book may have",
    Reason.SIZE_UNKNOWN: "the recording has a price without its size: shown, never traded",
    Reason.MARKET_CLOSED: "the market is closed",
    Reason.SUBSCRIPTION_ERROR: "the venue refused the subscription",
    # strategy
    Reason.BOOK_NOT_LIVE: "the book of a leg is not trusted",
    Reason.BOOK_CROSSED: "the book of a leg is crossed at the moment",
    Reason.BOOK_STALE: "the book of a leg has not been heard of for too long",
    Reason.ONE_SIDED: "a leg has nobody to trade with on the side it needs",
    Reason.MIRROR_BOOK: "YES and NO are one book here: no opportunity, only a crossed book",
    Reason.NO_EDGE: "the prices leave nothing, even before fees",
    Reason.EDGE_EATEN_BY_FEES: "there is something before fees, and nothing after them",
    Reason.EDGE_BELOW_MINIMUM: "what is left after fees is below the configured minimum",
    Reason.DEPTH_TOO_SMALL: "there are too few contracts at the profitable prices",
    Reason.BELOW_MINIMUM_SIZE: "there are fewer contracts than the venue accepts in one order",
    Reason.CAPITAL_COST: "the capital would cost more until the market pays",
    Reason.CLOSE_TIME_UNKNOWN: "nobody knows when it pays, so the capital cannot be priced",
    Reason.RELATION_UNAPPROVED: "no person has approved that these markets belong together",
    Reason.RELATION_STALE_RULES: "the rule text has changed since a person approved the relation",
    Reason.RELATION_OTHER_RULER: "the markets are settled by different sources, whoever approved it",
    Reason.NOT_EXHAUSTIVE: "another outcome could win: the legs do not cover everything",
    Reason.LEGS_TOO_FAR_APART: "the books of two legs are too far apart in time",
    Reason.TOO_MANY_LEGS: "there are more legs than configured",
    Reason.FEE_SCHEDULE_UNKNOWN: "the fees of a leg are not known",
    Reason.ALREADY_SIGNALLED: "the same opportunity is already on its way",
    Reason.RING_FULL: "the next stage is full: nothing new until it has caught up",
    Reason.NO_INVENTORY: "it takes contracts to sell, and none are held",
    # optimizer
    Reason.CASH_EXHAUSTED: "no cash left at a venue that it needs",
    Reason.EXPOSURE_EXHAUSTED: "the exposure limit of a market or an event is used up",
    Reason.SLOTS_EXHAUSTED: "as many orders in flight as configured",
    Reason.BOOK_MOVED: "the book had moved before a plan was made",
    Reason.DEADLINE_PASSED: "too late: the signal's deadline had passed",
    Reason.VERIFY_FAILED: "the second calculation did not confirm the profit",
    Reason.CROWDED_OUT: "a better use for the same cash or the same contracts",
    Reason.WORST_LOSS_TOO_LARGE: "the worst partial fill could lose more than configured",
    # gate
    Reason.HALTED: "trading is halted",
    Reason.STALE_EPOCH: "the book was synchronised anew after the decision",
    Reason.ORDER_SIZE_LIMIT: "more contracts than one order may have",
    Reason.ORDER_NOTIONAL_LIMIT: "more dollars than one order may have",
    Reason.POSITION_LIMIT: "more contracts of one outcome than may be held",
    Reason.MARKET_EXPOSURE_LIMIT: "more cash in one market than allowed",
    Reason.EVENT_EXPOSURE_LIMIT: "more cash in one event than allowed",
    Reason.PORTFOLIO_HEAT: "too large a part of the equity is at risk",
    Reason.DAILY_LOSS: "the loss of the day has reached its limit",
    Reason.DRAWDOWN: "the fall from the highest equity has reached its limit",
    Reason.ORDER_RATE: "more orders a second than the venue's limit",
    Reason.CASH_UNAVAILABLE: "the cash at the venue is promised to other orders",
    Reason.DEADLINE: "too late: the order's deadline had passed",
    Reason.PRICE_OFF_GRID: "the venue takes no order at this price",
    Reason.SIZE_OFF_LOT: "the venue takes no order of this size: not a whole number of lots",
    Reason.NOTIONAL_TOO_SMALL: "fewer dollars than the venue accepts in one order",
    Reason.UNKNOWN_MARKET: "the market is not known, or not open",
    Reason.DUPLICATE_INTENT: "this order has been seen before",
    Reason.OPEN_ORDER_LIMIT: "as many open orders as configured",
    Reason.NAKED_SALE: "a sale of contracts that are not held",
    Reason.PAUSED: "new exposure is paused",
    # venue
    Reason.VENUE_REJECTED: "the venue refused the order",
    Reason.FOK_UNFILLED: "all or nothing: the venue could not fill it whole",
    Reason.FAK_NO_MATCH: "nobody was left to trade with when it arrived",
    Reason.POST_ONLY_CROSSES: "a resting order would have traded at once",
    Reason.VENUE_CLOSED: "the venue or the market does not trade now",
    Reason.VENUE_RATE_LIMITED: "the venue asked for fewer orders",
    Reason.VENUE_UNKNOWN: "no answer: it may have happened, and is being asked about",
    Reason.VENUE_INSUFFICIENT_CASH: "the venue says that the cash does not suffice",
    Reason.VENUE_BAD_PRICE: "the venue does not take this price",
    Reason.VENUE_BAD_SIZE: "the venue does not take this size",
    Reason.VENUE_DUPLICATE: "the venue has seen this order before",
    Reason.EXPIRED: "the order expired unfilled",
    # execution
    Reason.LEG_MISSED: "a leg was not filled, so the others had to be undone",
    Reason.UNWOUND: "what had been filled was sold again",
    Reason.UNWIND_FAILED: "what had been filled could not be sold again, and is held",
    Reason.PARTLY_FILLED: "smaller than planned: some contracts had gone when it arrived",
    Reason.SETTLEMENT_FAILED: "a matched trade failed to settle and was reversed",
    Reason.RESTARTED: "the executor died with the plan open, and opens nothing more for it",
    Reason.ACCOUNT_DIFFERS: "the venue has other holdings or cash for us than our own journal",
    Reason.JOURNAL_FULL: "there is no room on disk to write down another order before it is sent",
    Reason.MESSAGE_GARBLED: "a message between our processes was not what had been written",
    Reason.SETTLEMENT_DIFFERS: "a venue paid another amount for a market than our holdings give",
}

_BY_WORD: Final = {label(reason): sentence for reason, sentence in SENTENCES.items()}
UNKNOWN: Final = "a code that this build does not know"


def sentence_of(word: str) -> str:
    """Sentence for a reason in its word, e.g. ``no_edge``; a word of another build has none of its own."""
    return _BY_WORD.get(word, UNKNOWN)
