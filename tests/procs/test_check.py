"""Checks of small recordings: every column, every rule, every kind of damage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import RecordingDamaged, RecordingFormat
from procs.check import Check
from procs.check_tally import PENDING_MAX, RULES
from procs.recording_frames import Frame
from tests.data import foreign
from tests.data import recordings as made

KALSHI_NAME = f"kalshi:{made.TICKER}"


def run(path: Path, frames: Sequence[Frame], venue: str = "kalshi", **head: object) -> Check:
    """A finished check of a recording with these frames."""
    check = Check(made.write(path / "r.ndjson.zst", made.header(venue, **head), frames))
    check.run()
    return check


def book_event(
    token: str, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]
) -> dict[str, object]:
    """A ``book`` event without a time."""
    sides = {"bids": bids, "asks": asks}
    levels = {name: [{"price": p, "size": s} for p, s in side] for name, side in sides.items()}
    return {"event_type": "book", "market": "0xabc", "asset_id": token, **levels}


def change(
    price: str, size: str, best: tuple[str, str], side: str = "BUY", token: str = made.YES_TOKEN, ms: int = 5
) -> dict[str, object]:
    """A frame of one price change that declares ``best``."""
    entry = {"asset_id": token, "price": price, "size": size, "side": side}
    entry |= {"hash": "0", "best_bid": best[0], "best_ask": best[1]}
    return {"market": "0xabc", "price_changes": [entry], "timestamp": str(ms), "event_type": "price_change"}


OPENING = book_event(made.YES_TOKEN, [("0.40", "5")], [("0.60", "5")])


def test_a_quiet_kalshi_session(tmp_path: Path) -> None:
    frames = [
        made.kalshi({"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}}),
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]]), 1),
        made.kalshi(made.delta(2, "yes", "0.45", "1.50"), 2),
    ]
    check = run(tmp_path, frames, lacks=("trades",))
    report = check.report
    assert (report.frames, report.rejected, report.updates, report.markets) == (3, 0, 3, 1)
    assert (report.seq_gaps, report.seq_restarts, report.resyncs, report.crossed) == (0, 0, 0, 0)
    assert report.trust == {"unsynced": 0, "live": 1, "suspect": 0, "resync": 0, "dead": 0}
    assert (report.kind, report.lacks, report.failed) == ("stream", ["trades"], False)
    assert check.dump() == {
        KALSHI_NAME: {"trust": "live", "bids": [["0.45", "1.5"], ["0.4", "5"]], "asks": [["0.5", "2"]]}
    }


def test_gap_restart_and_duplicate_are_where_they_are(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [])),
        made.kalshi(made.delta(2, "yes", "0.41", "1.00"), 1),
        made.kalshi(made.delta(2, "yes", "0.41", "1.00"), 2),
        made.kalshi(made.delta(5, "yes", "0.42", "1.00"), 3),
        made.kalshi(made.snapshot(6, [["0.40", "5.00"]], []), 4),
        made.kalshi(made.delta(3, "yes", "0.43", "1.00"), 5),
    ]
    report = run(tmp_path, frames).report
    assert (report.seq_gaps, report.seq_restarts, report.duplicates, report.resyncs) == (1, 1, 1, 1)
    places = [(found.frame, found.line, found.seq, found.reason, found.market) for found in report.breaks]
    assert places == [
        (4, 5, 5, "sequence_gap", KALSHI_NAME),
        (6, 7, 3, "sequence_restart", KALSHI_NAME),
    ]
    assert report.trust["suspect"] == 1


def test_a_new_connection_is_a_resync_and_no_gap(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [])),
        made.kalshi(made.snapshot(1, [["0.41", "5.00"]], []), 1, conn=1),
        made.kalshi(made.delta(2, "yes", "0.42", "1.00"), 2, conn=1),
    ]
    report = run(tmp_path, frames).report
    assert (report.resyncs, report.seq_gaps, report.seq_restarts, report.trust["live"]) == (1, 0, 0, 1)


def test_a_restart_that_brings_its_snapshot_is_a_resync(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(5, [["0.40", "5.00"]], [])),
        made.kalshi(made.snapshot(2, [["0.41", "5.00"]], []), 1),
    ]
    report = run(tmp_path, frames).report
    assert (report.resyncs, report.seq_restarts, report.trust["live"]) == (1, 1, 1)


def test_crossed_and_locked_frames_are_told_apart(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]])),
        made.kalshi(made.delta(2, "yes", "0.50", "1.00"), 1),  # locked at 0.50
        made.kalshi(made.delta(3, "yes", "0.55", "1.00"), 2),  # crossed
        made.kalshi(made.ticker("0.55", "0.50"), 3),  # says nothing about a crossing of its own
        made.kalshi(made.delta(4, "yes", "0.30", "1.00"), 4),  # still crossed
        made.kalshi(made.delta(5, "no", "0.50", "-2.00"), 5),
    ]
    report = run(tmp_path, frames).report
    assert (report.crossed, report.locked) == (2, 1)
    assert report.trust["live"] == 1


def test_a_frame_that_crosses_two_books_is_one_crossed_frame(tmp_path: Path) -> None:
    opening = [OPENING, book_event(made.NO_TOKEN, [("0.40", "5")], [("0.60", "5")])]
    yes = change("0.61", "1", ("0.61", "0.6"))
    no = change("0.39", "1", ("0.4", "0.39"), "SELL", made.NO_TOKEN)
    locked = change("0.60", "0", ("0.61", "0.61"), "SELL")
    frames = [made.polymarket(frame, at) for at, frame in enumerate((opening, [yes, no], locked))]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.crossed, report.locked) == (1, 0)


def test_crossed_too_long_is_suspect(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.60", "5.00"]], [["0.50", "2.00"]])),
        made.kalshi(made.delta(2, "yes", "0.10", "1.00"), 249),
    ]
    assert run(tmp_path, frames).report.trust["live"] == 1
    assert run(tmp_path, [*frames, made.kalshi(made.ticker("0.1", "0.9"), 250)]).report.trust["suspect"] == 1


def test_tickers_agree_late_or_never(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.ticker("0.10", "0.90")),  # nothing to compare with yet
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]]), 1),
        made.kalshi(made.ticker("0.40", "0.50"), 2),  # agrees
        made.kalshi(made.ticker("0.41", "0.50"), 10),  # late: true at 1010
        made.kalshi(made.ticker("0.42", "0.50"), 11),  # never: true at 1012, a second and a millisecond later
        made.kalshi(made.ticker("0.43", "0.50"), 900),  # never: the recording ends
        made.kalshi(made.delta(2, "yes", "0.41", "1.00"), 1010),
        made.kalshi(made.delta(3, "yes", "0.42", "1.00"), 1012),
    ]
    report = run(tmp_path, frames).report
    assert (report.ticker_agree, report.ticker_late, report.ticker_never, report.ticker_unsynced) == (
        1,
        1,
        2,
        1,
    )
    assert (report.tob_checked, report.failed) == (0, False)


def test_declarations_are_checked_on_live_books(tmp_path: Path) -> None:
    frames = [
        made.polymarket(change("0.41", "1", ("0.41", "1"))),  # before any snapshot
        made.polymarket(OPENING, 1),
        made.polymarket(change("0.42", "1", ("0.42", "0.6")), 2),
        made.polymarket(change("0.60", "0", ("0.42", "1"), side="SELL"), 3),  # "1": no asks are left
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_agree, report.tob_mismatch) == (2, 2, 0)
    assert (report.tob_unsynced, report.tob_unsynced_agree) == (1, 1)
    assert report.trust["live"] == 1


def test_best_prices_in_the_frame_of_their_book_are_declarations(tmp_path: Path) -> None:
    best = {"event_type": "best_bid_ask", "market": "0xabc", "asset_id": made.YES_TOKEN}
    same = [OPENING, {**best, "best_bid": "0.40", "best_ask": "0.60"}]
    other = [OPENING, {**best, "best_bid": "0.40", "best_ask": "0.61"}]
    report = run(tmp_path, [made.polymarket(same), made.polymarket(other, 1)], "polymarket").report
    assert (report.tob_checked, report.tob_agree, report.tob_mismatch) == (2, 1, 1)
    assert report.failed


def test_a_disagreement_without_a_reason_is_a_mismatch(tmp_path: Path) -> None:
    frames = [
        made.polymarket(OPENING),
        made.polymarket(change("0.42", "1", ("0.43", "0.6"), ms=5), 1),
        made.polymarket(change("0.43", "1", ("0.43", "0.6"), ms=6), 2),  # true one venue millisecond later
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_agree, report.tob_mismatch, report.tob_explained) == (2, 1, 1, {})
    assert report.failed


def test_two_disagreements_in_a_row_make_the_book_suspect(tmp_path: Path) -> None:
    frames = [
        made.polymarket(OPENING),
        made.polymarket(change("0.42", "1", ("0.49", "0.6"), ms=5), 1),
        made.polymarket(change("0.43", "1", ("0.49", "0.6"), ms=6), 2),
        made.polymarket(change("0.44", "1", ("0.49", "0.6"), ms=7), 3),
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_mismatch, report.tob_doubted) == (2, 2, 1)
    assert report.trust["suspect"] == 1


def test_rule_next_frame_of_the_same_millisecond(tmp_path: Path) -> None:
    frames = [
        made.polymarket(OPENING),
        made.polymarket(change("0.42", "1", ("0.43", "0.6"), ms=5), 1),
        made.polymarket(change("0.43", "1", ("0.43", "0.6"), ms=5), 2),
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert report.tob_explained == {"next_frame_same_ms": 1}
    assert (report.tob_checked, report.tob_agree, report.tob_mismatch) == (2, 1, 0)
    assert not report.failed


@pytest.mark.parametrize(("later_ms", "explained"), [(200, 1), (251, 0)])
def test_rule_crossed_inside_a_burst(tmp_path: Path, later_ms: int, explained: int) -> None:
    opening = book_event(made.YES_TOKEN, [("0.40", "5")], [("0.60", "5"), ("0.70", "3")])
    frames = [
        made.polymarket(opening),
        made.polymarket(
            change("0.65", "1", ("0.65", "0.7"), ms=5), 1
        ),  # the ask at 0.60 is gone there already
        made.polymarket(change("0.60", "0", ("0.65", "0.7"), side="SELL", ms=7), 1 + later_ms),
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert report.tob_explained == ({"crossed_in_burst": 1} if explained else {})
    assert report.tob_mismatch == 1 - explained


def test_a_crossing_that_ends_elsewhere_is_not_explained(tmp_path: Path) -> None:
    frames = [
        made.polymarket(OPENING),
        made.polymarket(change("0.65", "1", ("0.65", "0.7"), ms=5), 1),
        made.polymarket(change("0.60", "0", ("0.65", "1"), side="SELL", ms=7), 20),
    ]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_explained, report.tob_mismatch, report.tob_agree) == ({}, 1, 1)


@pytest.mark.parametrize(
    ("declared", "lacks", "explained"),
    [
        (("0.30", "0.6"), ("book_depth",), 1),  # beyond the only recorded bid, which is gone
        (("0.30", "0.6"), (), 0),  # the recording is not truncated
        (("0.45", "0.6"), ("book_depth",), 0),  # better than what was recorded: no depth hides it
        (("0.30", "0.7"), ("book_depth",), 0),  # and the ask differs too, where ours stands
    ],
)
def test_rule_beyond_the_recorded_depth(
    tmp_path: Path, declared: tuple[str, str], lacks: tuple[str, ...], explained: int
) -> None:
    frames = [made.polymarket(OPENING), made.polymarket(change("0.40", "0", declared), 1)]
    report = run(tmp_path, frames, "polymarket", lacks=lacks).report
    assert report.tob_explained == ({"beyond_depth": 1} if explained else {})
    assert report.tob_mismatch == 1 - explained


def test_beyond_depth_on_the_ask_side(tmp_path: Path) -> None:
    frames = [made.polymarket(OPENING), made.polymarket(change("0.60", "0", ("0.4", "0.7"), side="SELL"), 1)]
    report = run(tmp_path, frames, "polymarket", lacks=("book_depth",)).report
    assert report.tob_explained == {"beyond_depth": 1}


def test_every_disagreement_is_counted_once(tmp_path: Path) -> None:
    count = PENDING_MAX + 10
    opening = [book_event(f"9{at}", [("0.40", "5")], [("0.60", "5")]) for at in range(200)]
    frames = [made.polymarket(opening)]
    for at in range(count):
        entry = change("0.42", str(at + 1), ("0.49", "0.6"), token=f"9{at % 200}", ms=5)
        frames += [made.polymarket(opening[at % 200], at + 1), made.polymarket(entry, at + 1)]
    report = run(tmp_path, frames, "polymarket").report
    assert report.tob_checked == report.tob_agree + report.tob_mismatch + sum(report.tob_explained.values())
    assert report.tob_mismatch == count


def test_best_prices_of_polymarket_are_checked_wherever_they_stand(tmp_path: Path) -> None:
    def said(bid: str, ask: str) -> dict[str, object]:
        words = {"market": "0xabc", "asset_id": made.YES_TOKEN, "best_bid": bid, "best_ask": ask}
        return {"event_type": "best_bid_ask", **words, "spread": "0.2", "timestamp": "5"}

    frames = [made.polymarket(OPENING), made.polymarket(said("0.4", "0.6"), 1)]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_agree, report.ticker_agree) == (1, 1, 0)
    early = (said("0.41", "0.6"), change("0.41", "1", ("0.41", "0.6")))
    report = run(tmp_path, [*frames, *(made.polymarket(frame, 2) for frame in early)], "polymarket").report
    assert (report.tob_checked, report.tob_explained) == (3, {"next_frame_same_ms": 1})
    report = run(tmp_path, [*frames, made.polymarket(said("0.41", "0.6"), 2)], "polymarket").report
    assert (report.tob_mismatch, report.trust["live"], report.failed) == (1, 1, True)


def test_disagreements_of_one_millisecond_leave_the_book_live(tmp_path: Path) -> None:
    """As on the busiest stream recorded: every frame of a millisecond declares what holds after the last."""
    frames = [made.polymarket(OPENING)]
    frames += [made.polymarket(change(f"0.4{at}", "1", ("0.44", "0.6"), ms=7), at) for at in (1, 2, 3, 4)]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_agree, report.tob_doubted) == (4, 1, 0)
    assert report.tob_explained == {"next_frame_same_ms": 3}
    frames += [made.polymarket(change("0.42", "2", ("0.45", "0.6"), ms=at), at) for at in (8, 9, 10)]
    report = run(tmp_path, frames, "polymarket").report
    assert (report.tob_checked, report.tob_mismatch, report.tob_doubted) == (6, 2, 1)
    assert report.trust["suspect"] == 1


def test_rules_are_a_closed_list() -> None:
    assert [rule.name for rule in RULES] == ["NEXT_FRAME_SAME_MS", "CROSSED_IN_BURST", "BEYOND_DEPTH"]


def test_a_pair_that_disagrees_for_more_than_one_frame_is_counted(tmp_path: Path) -> None:
    def both(size: str) -> dict[str, object]:
        yes, no = (
            change("0.41", "7", ("0.41", "0.6")),
            change("0.59", size, ("0.4", "0.59"), "SELL", made.NO_TOKEN),
        )
        entries = [
            entry
            for frame in (yes, no)
            for entry in frame["price_changes"]  # type: ignore[attr-defined]
        ]
        return {**yes, "price_changes": entries}

    opening = [OPENING, book_event(made.NO_TOKEN, [("0.40", "5")], [("0.60", "5")])]
    good = run(tmp_path, [made.polymarket(opening), made.polymarket(both("7"), 1)], "polymarket").report
    assert (good.mirror_broken, good.mirror_levels) == (0, 3)
    frames = [made.polymarket(opening), made.polymarket(both("8"), 1), made.polymarket(both("8"), 2)]
    assert run(tmp_path, frames, "polymarket").report.mirror_broken == 1


def test_a_price_without_a_size_is_shown_without_one(tmp_path: Path) -> None:
    levels: list[list[str]] = [["0.40", None]]  # type: ignore[list-item]
    check = run(tmp_path, [made.kalshi(made.snapshot(1, levels, []))])
    assert check.dump()[KALSHI_NAME]["bids"] == [["0.4", None]]
    assert check.report.trust["live"] == 1


def test_both_venues_are_dumped_and_the_unseen_are_not(tmp_path: Path) -> None:
    frames = [
        made.polymarket(book_event(made.NO_TOKEN, [("0.30", "2")], [])),
        made.kalshi(made.snapshot(1, [], [["0.01", "0.01"]]), 1),
    ]
    check = run(tmp_path, frames, "both")
    assert check.dump() == {
        KALSHI_NAME: {"trust": "live", "bids": [], "asks": [["0.99", "0.01"]]},
        "polymarket:222": {"trust": "live", "bids": [["0.3", "2"]], "asks": []},
    }
    assert check.report.markets == 2


def test_rejected_frames_fail_the_check(tmp_path: Path) -> None:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [])),
        made.kalshi(made.delta(2, "yes", "1.40", "1.00"), 1),
    ]
    report = run(tmp_path, frames).report
    assert (report.rejected, report.failed) == (1, True)
    assert report.last_error is not None
    assert report.trust["suspect"] == 1


def test_known_and_unknown_other_frames_are_counted(tmp_path: Path) -> None:
    frames = [
        made.kalshi({"type": "fill", "sid": 2, "msg": {"trade_id": "x"}}),
        made.kalshi({"type": "horoscope", "sid": 2, "msg": {}}, 1),
    ]
    report = run(tmp_path, frames).report
    assert (report.ignored, report.unknown, report.rejected) == (1, 1, 0)


def test_steps_back_are_counted(tmp_path: Path) -> None:
    frames = [made.kalshi({"type": "fill", "sid": 2, "msg": {}}, at) for at in (5, 3, 4, 5)]
    assert run(tmp_path, frames).report.clock_steps_back == 2


def test_metadata_has_markets_and_nothing_else(tmp_path: Path) -> None:
    check = Check(foreign.metadata(tmp_path / "m"))
    report = check.run()
    assert (report.kind, report.frames, report.markets, report.failed) == ("metadata", 0, 1, False)
    assert check.dump() == {}


@pytest.mark.parametrize("name", foreign.BUILDERS)
def test_foreign_files_as_they_are(tmp_path: Path, name: str) -> None:
    report = Check(foreign.BUILDERS[name](tmp_path / "x")).run()
    assert report.rejected == 0
    assert report.damage is None
    assert report.frames > 0 or name == "metadata"


def test_progress_is_told(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r", made.header(), [made.kalshi({"type": "ok"}, at) for at in range(9000)])
    seen: list[int] = []
    Check(path).run(seen.append)
    assert seen[-1] == 9000
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_files_that_are_not_ours_to_read(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"")
    with pytest.raises(RecordingDamaged):
        Check(path)
    path.write_bytes(b"plain words")
    with pytest.raises(RecordingFormat):
        Check(path)
    with pytest.raises(RecordingFormat, match="format version 2"):
        Check(made.write_lines(path, [b'{"pr3dict_recording":2}']))


def test_the_digest_follows_every_update(tmp_path: Path) -> None:
    def digest(price: str, size: str) -> str:
        frames = [
            made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]])),
            made.kalshi(made.delta(2, "yes", price, size), 1),
            made.kalshi(made.snapshot(3, [["0.40", "5.00"]], []), 2),
        ]
        return run(tmp_path, frames).report.updates_digest

    digests = {
        digest("0.41", "1.00"),
        digest("0.42", "1.00"),
        digest("0.41", "1.01"),
        digest("0.41", "-1.00"),
    }
    assert len(digests) == 4
    assert digest("0.41", "1.00") in digests
