"""Replays: every book equals a plain dictionary after every frame, for both venues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.market import MarketSpec
from engine.records import Trust, Venue
from engine.units import units_to_decimal
from procs import replay as replay_module
from procs.recording_frames import Frame, pack
from procs.replay import Replay
from tests.data import recordings as made
from tests.data.plain_books import PlainBooks, e4


def feed(replay: Replay, frames: Sequence[Frame]) -> None:
    """All frames, each at its own time."""
    for batch in pack(frames):
        replay.feed(batch, np.maximum.accumulate(batch.recv_ns))


def assert_same(replay: Replay, plain: PlainBooks, names: Iterable[str]) -> None:
    """The named books equal their plain twins."""
    slots = {book.name: slot for slot, book in enumerate(replay.books)}
    for name in names:
        assert replay.levels(slots[name]) == plain.books[name].levels(), name


PRICES = ("0.05", "0.4800", ".5", "0.51", "0.9900")
SIZES = ("1.00", "2.50", "100")


@given(st.data())
def test_kalshi_books_equal_dictionaries_at_every_frame(data: st.DataObject) -> None:
    replay, plain = Replay([made.kalshi_spec()]), PlainBooks()
    for at in range(data.draw(st.integers(1, 12))):
        seq = at + 1
        side = data.draw(st.sampled_from(("yes", "no")))
        if at == 0 or data.draw(st.integers(0, 5)) == 0:
            levels = st.lists(st.sampled_from(PRICES), unique=True, max_size=4)
            sides = [
                [[price, data.draw(st.sampled_from(SIZES))] for price in data.draw(levels)] for _ in range(2)
            ]
            frame = made.kalshi(made.snapshot(seq, sides[0], sides[1]), at)
        else:
            book = plain.books[f"kalshi:{made.TICKER}"]
            price = data.draw(st.sampled_from(PRICES))
            held = book.sides[0].get(e4(price)) if side == "yes" else book.sides[1].get(10_000 - e4(price))
            gone = held and data.draw(st.booleans())
            change = f"-{units_to_decimal(held or 0, 6)}" if gone else data.draw(st.sampled_from(SIZES))
            frame = made.kalshi(made.delta(seq, side, price, change), at)
        plain.apply(frame)
        feed(replay, [frame])
        assert_same(replay, plain, plain.touched)
        assert replay.trust(0) is Trust.LIVE


def _book_event(
    token: str, bids: list[tuple[str, str | None]], asks: list[tuple[str, str | None]]
) -> dict[str, object]:
    sides = {"bids": bids, "asks": asks}
    levels = {name: [{"price": p, "size": s} for p, s in side] for name, side in sides.items()}
    return {
        "event_type": "book",
        "market": "0xabc",
        "asset_id": token,
        **levels,
        "timestamp": "1767225600000",
    }


def _change(
    token: str, side: str, price: str, size: str, bid: str = "0", ask: str = "1"
) -> dict[str, object]:
    return {"asset_id": token, "price": price, "size": size, "side": side, "best_bid": bid, "best_ask": ask}


def _changes(*changes: dict[str, object], ms: int = 1767225600000) -> dict[str, object]:
    return {
        "market": "0xabc",
        "price_changes": list(changes),
        "timestamp": str(ms),
        "event_type": "price_change",
    }


def test_each_token_has_its_own_book_in_its_own_terms() -> None:
    replay, plain = Replay([made.polymarket_spec()]), PlainBooks()
    frames = [
        made.polymarket(
            [_book_event("111", [("0.4", "5")], [("0.6", None)]), _book_event("222", [], [("0.9", "1")])]
        ),
        made.polymarket(_changes(_change("222", "BUY", "0.33", "7"), _change("111", "SELL", "0.67", "7")), 1),
        made.polymarket(_changes(_change("111", "BUY", "0.4", "0")), 2),
    ]
    for frame in frames:
        plain.apply(frame)
        feed(replay, [frame])
        assert_same(replay, plain, ["polymarket:111", "polymarket:222"])
    assert [book.name for book in replay.books] == ["polymarket:111", "polymarket:222"]


def test_mirrored_gives_a_market_one_book() -> None:
    replay = Replay([made.polymarket_spec()], mirrored=True)
    feed(
        replay,
        [made.polymarket([_book_event("111", [("0.4", "5")], []), _book_event("222", [], [("0.6", "5")])])],
    )
    assert [book.name for book in replay.books] == ["polymarket:0xabc"]
    assert replay.levels(0) == ([(4000, 5_000_000)], [])


def test_the_no_tokens_grid_is_turned_over() -> None:
    spec = MarketSpec(
        venue=Venue.POLYMARKET,
        symbol="0xabc",
        price_ranges=((0, 1000, 10), (1000, 10_000, 100)),
        lot_e6=10_000,
        min_size_e6=10_000,
        min_notional_micros=0,
        mirror=True,
        yes_token="111",
        no_token="222",
    )
    assert Replay([spec]).books[1].ranges == ((0, 9000, 100), (9000, 10_000, 10))


def test_strangers_are_added_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SPARE_SLOTS", 2)
    replay, plain = Replay([]), PlainBooks()
    for at, ticker in enumerate(("KXA", "KXB", "KXC")):
        frame = made.kalshi(made.snapshot(at + 1, [["0.1234", "1.00"]], [], ticker, sid=at), at)
        plain.apply(frame)
        feed(replay, [frame])
    assert [book.name for book in replay.books] == ["kalshi:KXA", "kalshi:KXB"]
    assert replay.strangers == 2
    assert_same(replay, plain, ["kalshi:KXA", "kalshi:KXB"])


def test_connections_and_venues_may_alternate() -> None:
    replay, plain = (
        Replay([made.kalshi_spec(), made.polymarket_spec(), made.kalshi_spec("KXB")]),
        PlainBooks(),
    )
    frames = [
        made.kalshi(made.snapshot(1, [["0.10", "1.00"]], []), 0, conn=0),
        made.kalshi(made.snapshot(1, [["0.20", "1.00"]], [], "KXB"), 1, conn=1),
        made.polymarket(_book_event("111", [("0.4", "5")], []), 2),
        made.kalshi(made.delta(2, "yes", "0.10", "1.00"), 3, conn=0),
        made.kalshi(made.delta(2, "no", "0.30", "4.00", "KXB"), 4, conn=1),
    ]
    for frame in frames:
        plain.apply(frame)
    feed(replay, frames)
    assert_same(replay, plain, plain.books)
    assert replay.trust(0) is Trust.LIVE


def test_frames_the_compiled_parsers_leave_are_read_in_their_place() -> None:
    replay, plain = Replay([made.kalshi_spec()]), PlainBooks()
    msg = b'{"side":"yes", "delta_fp": "2.00", "price_dollars": "\\u0030.10", "market_ticker": "KXTEST-26-A"}'
    spaced = b'{ "msg": ' + msg + b', "seq": 2, "sid": 1, "type": "orderbook_delta" }'
    frames = [
        made.kalshi(made.snapshot(1, [["0.10", "1.00"]], [])),
        made.kalshi(spaced, 1),
        made.kalshi(made.delta(3, "yes", "0.10", "-3.00"), 2),
    ]
    for frame in frames:
        plain.apply(frame)
    feed(replay, frames)
    assert_same(replay, plain, plain.books)
    assert replay.trust(0) is Trust.LIVE


def test_a_book_crossed_at_the_end_is_judged_by_the_last_clock() -> None:
    replay = Replay([made.kalshi_spec(), made.kalshi_spec("KXB")])
    feed(
        replay,
        [
            made.kalshi(made.snapshot(1, [["0.60", "1.00"]], [["0.50", "1.00"]])),
            made.kalshi(made.snapshot(2, [["0.10", "1.00"]], [], "KXB"), 251),
        ],
    )
    assert replay.trust(0) is Trust.LIVE
    replay.finish()
    assert replay.trust(0) is Trust.SUSPECT
