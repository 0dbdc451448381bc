from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple
from functools import cache
from itertools import pairwise

import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.relations import RelationKind, screen
from engine.reasons import Reason
from engine.records import Side, SignalKind, Venue
from engine.sim.session.build import Dice, build_session
from engine.sim.session.wire import Quotes
from engine.units import decimal_to_units

SEEDS = (1, 2, 20_260_428)
EACH_SEED = [SEEDS[0], *(pytest.param(seed, marks=pytest.mark.long_plain) for seed in SEEDS[1:])]
session_of = cache(build_session)  # nobody here changes one


Books = dict[str, tuple[dict[int, int], dict[int, int]]]


def dictionary_books(seed: int) -> Books:
    """Books by symbol or token from the wire text alone, checking every declared best price on the way."""
    books: Books = {}
    for frame in session_of(seed).frames:
        parsed = json.loads(frame.raw)
        for message in parsed if isinstance(parsed, list) else [parsed]:
            if frame.venue is Venue.KALSHI:
                read_kalshi(books, message)
            else:
                read_polymarket(books, message)
    return books


def read_kalshi(books: Books, message: dict[str, object]) -> None:
    body = message["msg"]
    assert isinstance(body, dict)
    if message["type"] == "orderbook_snapshot":
        yes = {e4(price): e6(size) for price, size in body.get("yes_dollars_fp", [])}
        no = {10_000 - e4(price): e6(size) for price, size in body.get("no_dollars_fp", [])}
        books[body["market_ticker"]] = (yes, no)
    elif message["type"] == "orderbook_delta":
        side = books[body["market_ticker"]][0 if body["side"] == "yes" else 1]
        price = e4(body["price_dollars"])
        price = price if body["side"] == "yes" else 10_000 - price
        side[price] = side.get(price, 0) + e6(body["delta_fp"])
        assert side[price] >= 0
        if not side[price]:
            del side[price]


def read_polymarket(books: Books, message: dict[str, object]) -> None:
    if message["event_type"] == "book":
        books[str(message["asset_id"])] = tuple(  # type: ignore[assignment]
            {e4(level["price"]): e6(level["size"]) for level in message[side]}  # type: ignore[attr-defined]
            for side in ("bids", "asks")
        )
    elif message["event_type"] == "price_change":
        changes = message["price_changes"]
        assert isinstance(changes, list)
        for change in changes:
            side = books[change["asset_id"]][0 if change["side"] == "BUY" else 1]
            side[e4(change["price"])] = e6(change["size"])
        for change in changes:
            bids, asks = books[change["asset_id"]]
            assert e4(change["best_bid"]) == max((p for p, s in bids.items() if s), default=0)
            assert e4(change["best_ask"]) == min((p for p, s in asks.items() if s), default=10_000)


def e4(text: str) -> int:
    return decimal_to_units(text, 4)


def e6(text: str) -> int:
    return decimal_to_units(text, 6)


@pytest.mark.parametrize("seed", EACH_SEED)
def test_the_wire_text_is_consistent_with_itself(seed: int) -> None:
    books = dictionary_books(seed)
    for spec in session_of(seed).markets:
        if spec.yes_token and spec.no_token:
            yes, no = books[spec.yes_token], books[spec.no_token]
            for one, other in ((yes[0], no[1]), (yes[1], no[0])):
                assert {p: s for p, s in one.items() if s} == {10_000 - p: s for p, s in other.items() if s}


@pytest.mark.long_plain
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_order() -> None:
    one, again, other = session_of(1), build_session(1), session_of(2)
    assert one.frames == again.frames
    assert one.plantings == again.plantings
    assert [planting.name for planting in one.plantings] != [planting.name for planting in other.plantings]
    assert sorted(planting.name for planting in one.plantings) == sorted(p.name for p in other.plantings)
    worth = {planting.name: planting.expected for planting in one.plantings}
    assert worth == {planting.name: planting.expected for planting in other.plantings}


@pytest.mark.parametrize("seed", EACH_SEED)
def test_time_moves_on_and_windows_do_not_overlap(seed: int) -> None:
    session = session_of(seed)
    times = [frame.recv_ns for frame in session.frames]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    for before, after in pairwise(session.plantings):
        assert before.until_ns < after.at_ns
    assert session.plantings[-1].name == "miss-untrusted"


def test_kalshi_numbers_have_one_hole_where_a_frame_is_lost() -> None:
    session = session_of(1)
    seqs = [
        message["seq"]
        for frame in session.frames
        if frame.venue is Venue.KALSHI and "orderbook_" in frame.raw
        for message in [json.loads(frame.raw)]
        if message["type"] in ("orderbook_snapshot", "orderbook_delta")
    ]
    steps = Counter(after - before for before, after in pairwise(seqs))
    assert seqs[0] == 1
    assert steps[2] == 1
    assert set(steps) == {1, 2}


def test_every_kind_is_planted_in_three_sizes_and_every_near_miss_names_its_reasons() -> None:
    plantings = session_of(1).plantings
    sizes: dict[SignalKind, set[int]] = {}
    for planting in plantings:
        if planting.expected.optimum:
            for kind in planting.expected.kinds:
                sizes.setdefault(kind, set()).add(planting.expected.optimum.size_e6 // 10**6)
    assert set(sizes) == set(SignalKind)
    assert all(held == {20, 110, 300} for held in sizes.values())
    reasons = {reason for planting in plantings for reason in planting.expected.reasons}
    assert {
        Reason.EDGE_EATEN_BY_FEES,
        Reason.EDGE_BELOW_MINIMUM,
        Reason.DEPTH_TOO_SMALL,
        Reason.BELOW_MINIMUM_SIZE,
        Reason.BOOK_STALE,
        Reason.CLOSE_TIME_UNKNOWN,
        Reason.CAPITAL_COST,
        Reason.BOOK_CROSSED,
        Reason.NOT_EXHAUSTIVE,
        Reason.BOOK_NOT_LIVE,
    } <= reasons


def test_the_traps_among_the_relations_are_refused_and_the_others_accepted() -> None:
    session = session_of(1)
    catalog = Catalog(256)
    for spec in session.markets:
        catalog.add_market(spec)
    screened = screen(session.relations, catalog)
    assert {(refused.relation.name, refused.reason) for refused in screened.refused} == {
        ("miss-unapproved", Reason.RELATION_UNAPPROVED),
        ("miss-rules", Reason.RELATION_STALE_RULES),
    }
    kinds = Counter(accepted.relation.kind for accepted in screened.accepted)
    assert set(kinds) == set(RelationKind)


def test_the_planted_edge_appears_with_the_last_frame_and_never_in_part_before_it() -> None:
    """The window opens at the time of a frame: the last one of the change."""
    session = session_of(2)
    wanted = {planting.at_ns: planting for planting in session.plantings if planting.expected.optimum}
    seen = [frame.recv_ns for frame in session.frames]
    assert set(wanted) <= set(seen)


def test_quotes_answer_the_change_of_a_level() -> None:
    from engine.sim.session.wire import LevelSet

    quotes = Quotes()
    assert quotes.best(Side.BID) is None
    assert quotes.set(LevelSet(Side.BID, 4_000, 5)) == 5
    assert quotes.set(LevelSet(Side.BID, 4_100, 7)) == 7
    assert quotes.best(Side.BID) == 4_100
    assert quotes.set(LevelSet(Side.BID, 4_100, 2)) == -5
    assert quotes.set(LevelSet(Side.BID, 4_100, 0)) == -2
    assert quotes.best(Side.BID) == 4_000
    assert quotes.set(LevelSet(Side.ASK, 4_200, 1)) == 1
    assert quotes.best(Side.ASK) == 4_200


def test_dice_stay_below_their_bound_and_use_all_of_it() -> None:
    dice = Dice(1)
    assert {dice.below(6) for _ in range(200)} == set(range(6))


def _digest(rows: Iterable[object]) -> str:
    """Of rows of numbers and texts."""
    return hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()[:16]


def test_the_session_of_a_seed_is_what_it_always_was() -> None:
    """Whoever compares two runs compares the same session: a change of it is meant, and written down here."""
    session = session_of(1)
    frames = [(frame.recv_ns, int(frame.venue), frame.conn, frame.raw) for frame in session.frames]
    plantings = [
        (
            planting.name,
            planting.at_ns,
            planting.until_ns,
            planting.gone_ns,
            [(int(venue), symbol) for venue, symbol in planting.markets],
            [int(kind) for kind in planting.expected.kinds],
            planting.expected.optimum and astuple(planting.expected.optimum),
            [int(reason) for reason in planting.expected.reasons],
            planting.expected.payoff_micros,
            [tuple(trip) for trip in planting.expected.round_trips],
        )
        for planting in session.plantings
    ]
    markets = [
        (
            int(spec.venue),
            spec.symbol,
            spec.price_ranges,
            spec.lot_e6,
            spec.min_size_e6,
            spec.min_notional_micros,
            spec.close_ns,
            spec.group,
            spec.group_size,
            spec.yes_token,
            spec.no_token,
            spec.rules_text,
        )
        for spec in session.markets
    ]
    assert (len(frames), len(plantings), len(markets)) == (17_290, 42, 115)
    assert [_digest(rows) for rows in (frames, plantings, markets)] == [
        "c5b2c9f0e99bc3b6",
        "b30bcaf428a05f0f",
        "694370ea675a47cc",
    ]
