"""The summary of a paper run as a person reads it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from engine.records import Trust
from procs.cli.render_paper import (
    FILES_SHOWN_MAX,
    SIZE_HEADINGS,
    TRUST_WORDS,
    closing,
    faults,
    summary,
)
from procs.cli.render_table import WIDTH_MAX, show
from procs.paper_result import SIZE_CLASSES, Outcome, PaperResult
from tests.procs.cli.paper_samples import LEFT_ALONE, MISSED, RECORDED, SESSION, TRADED, accounts


def _shown(result: PaperResult) -> str:
    stream = io.StringIO()
    show(summary(result), stream)
    return stream.getvalue()


def _row(text: str, *cells: str) -> str:
    """The line that begins with ``cells``, in this order."""
    pattern = re.compile(r"^\s+" + r"\s+".join(map(re.escape, cells)), re.MULTILINE)
    found = pattern.findall(text)
    assert len(found) == 1, f"{cells} in {len(found)} lines of\n{text}"
    return str(found[0])


@pytest.mark.parametrize("result", [RECORDED, SESSION], ids=["recorded", "session"])
def test_every_line_fits_the_page(result: PaperResult) -> None:
    assert max(map(len, _shown(result).splitlines())) <= WIDTH_MAX


def test_real_and_synthetic_cannot_be_confused() -> None:
    first = _shown(SESSION).strip().splitlines()[0]
    assert "seeded session 7" in first
    assert "SYNTHETIC" in first
    assert "SYNTHETIC" not in _shown(RECORDED)
    assert "real recorded market data" in _shown(RECORDED).strip().splitlines()[0]


def test_what_went_in_and_what_it_never_had() -> None:
    text = _shown(RECORDED)
    _row(text, "files", "kalshi-2026-04-28.ndjson.zst, polymarket-2026-04-28.ndjson.zst")
    _row(text, "frames", "1,234,567 (0 rejected, 12,345 of types without book content)")
    _row(text, "level writes", "3,456,789")
    _row(text, "markets", "312")
    _row(text, "time", "2026-04-28 12:00:00 UTC to 2026-04-28 13:12:01 UTC (1 h 12 min)")
    _row(text, "sequence gaps", "3")
    _row(text, "aligned", "the files were moved in time")
    _row(text, "never recorded", "the book at the start")
    _row(text, "sequence numbers")
    _row(text, "defaults used", "for so many markets: fee x12, close_ns x3")


def test_what_does_not_apply_is_left_out() -> None:
    text = _shown(SESSION)
    for word in ("aligned", "never recorded", "defaults used", "No trades"):
        assert word not in text
    _row(text, "files", "none: made by the simulator")


def test_many_files_are_counted_and_an_empty_recording_has_no_time() -> None:
    names = tuple(f"day/{number}.zst" for number in range(FILES_SHOWN_MAX + 3))
    data = replace(RECORDED.data, files=names, frames=0)
    text = " ".join(_shown(replace(RECORDED, data=data)).split())
    assert "0.zst, 1.zst" in text
    assert "7.zst and 3 more" in text
    assert "time - sequence" in text


def test_books_by_trust_in_words() -> None:
    text = _shown(RECORDED)
    _row(text, "live", "300", TRUST_WORDS["live"])
    _row(text, "unsynced", "9", TRUST_WORDS["unsynced"])
    _row(text, "suspect", "3")
    assert "dead" not in text
    mixed = _shown(replace(RECORDED, books_by_trust={"trust_9": 4, "dead": 1, "live": 2}))
    assert re.search(r"live +2 .*\n +dead +1 .*\n +trust_9 +4\n", mixed)
    assert set(TRUST_WORDS) == {trust.name.lower() for trust in Trust}
    assert "no market was seen" in _shown(replace(RECORDED, books_by_trust={}))


def test_opportunities_by_kind_and_all_of_them() -> None:
    text = _shown(SESSION)
    _row(text, "cross_venue", "1,234", "2", "2", "1", "1", "20", "+$1.4640")
    _row(text, "implication", "17", "1", "1", "1", "0", "300", "+$16.0479")
    _row(text, "all", "1,251", "3", "3", "2", "1", "320", "+$17.5119")
    one = _shown(replace(SESSION, kinds={"cross_venue": SESSION.kinds["cross_venue"]}))
    assert not re.search(r"^  all ", one, re.MULTILINE)
    assert "None was looked at." in _shown(replace(SESSION, kinds={}))


def test_edges_stand_beside_what_was_looked_at_and_signals_by_their_size() -> None:
    text = _shown(SESSION)
    _row(text, "kind", "looked at", "before fees", "after fees", *SIZE_HEADINGS)
    _row(text, "cross_venue", "1,234", "9", "5", "0", "2", "0", "0")
    _row(text, "implication", "17", "2", "1", "0", "0", "1", "0")
    _row(text, "all", "1,251", "11", "6", "0", "2", "1", "0")
    assert len(SIZE_HEADINGS) == len(SIZE_CLASSES)
    unsized = {kind: replace(count, signals=0) for kind, count in RECORDED.kinds.items()}
    text = _shown(replace(RECORDED, kinds=unsized))
    _row(text, "partition_buy_no", "10,000", "90", "7\n")
    assert "under 10" not in text


def test_results_stand_side_by_side_for_each_latency() -> None:
    text = _shown(SESSION)
    _row(text, "1x", "2x", "5x")
    _row(text, "orders", "6", "6", "5")
    _row(text, "fills", "5", "4", "0")
    _row(text, "fees paid", "$0.5360", "$0.4000", "$0.0000")
    _row(text, "realised, after fees", "+$17.5119", "-$1.2500", "$0.0000")
    _row(text, "held: cost (locked)", "$19.8000", "$0.0000")
    _row(text, "held: would bring now", "$20.1234", "$0.0000")
    _row(text, "unrealised", "+$0.3234", "$0.0000")
    _row(text, "profit and loss", "+$17.8353", "-$1.2500", "$0.0000")
    _row(text, "deepest drawdown", "1.9 %", "21.0 % !", "0.0 %")
    _row(text, "Orders at 1x: 5 filled, 1 cancelled.")
    assert "too late" not in text
    assert "stopped by" not in text


def test_what_is_rare_is_shown_when_it_happened_at_any_latency() -> None:
    slow = replace(SESSION.outcomes[2], late_legs=3, stopped_by="daily_loss")
    text = _shown(replace(SESSION, outcomes=(*SESSION.outcomes[:2], slow)))
    _row(text, "orders that came too late", "0", "0", "3")
    _row(text, "stopped by", "-", "-", "daily_loss")


def test_an_opportunity_that_was_gone_is_no_near_miss() -> None:
    gone = replace(TRADED, expected_size_e6=0, traded_size_e6=0, late_legs=1, profit_micros=-7, name="gone")
    text = _shown(replace(SESSION, planted=(gone,)))
    assert "Planted near misses" not in text
    _row(text, "ok", "gone", "0", "+$1.464000", "$0.536000", "0 for -$0.000007,")


def test_zero_trades_are_explained_in_words() -> None:
    text = " ".join(_shown(RECORDED).split())
    assert "No trades Of 100,000 candidates: in 80.0 % the prices leave nothing, even before fees" in text
    assert "profit and loss $0.0000 $0.0000 $0.0000 No order was sent: the same at any latency" in text
    assert "No order was sent" not in _shown(SESSION)


def test_orders_that_nobody_filled_have_a_result_and_a_story() -> None:
    unfilled = tuple(replace(outcome, fills=0) for outcome in SESSION.outcomes)
    text = _shown(replace(SESSION, outcomes=unfilled))
    assert "No trades" in text
    assert "Result by latency" in text


def test_cash_is_held_against_the_venue_at_1x_and_wherever_it_differs() -> None:
    text = _shown(SESSION)
    _row(text, "polymarket", "1x", "$10,000.000000", "$0.536000", "$9,950.000000", "$9,950.000000", "none")
    assert not re.search(r"kalshi +2x", text)
    off = replace(SESSION.outcomes[1], accounts=accounts(-1))
    text = _shown(replace(SESSION, outcomes=(SESSION.outcomes[0], off)))
    _row(
        text, "kalshi", "2x", "$10,000.000000", "$0.000000", "$10,071.234499", "$10,071.234500", "-$0.000001"
    )
    assert not re.search(r"polymarket +2x", text)


def test_every_planting_has_its_line() -> None:
    text = _shown(replace(SESSION, planted=(TRADED, LEFT_ALONE, MISSED)))
    _row(text, "ok", TRADED.name, "20", "+$1.464000", "$0.536000", "exactly that")
    _row(text, "WRONG", MISSED.name, "20", "+$1.464000", "$0.536000", "no trade:")
    _row(text, "ok", LEFT_ALONE.name, "book_stale or legs_too_far_apart", "no trade: book_stale")


def test_a_planting_traded_otherwise_shows_what_it_came_to() -> None:
    less = replace(TRADED, traded_size_e6=19_500_000, profit_micros=-7, as_expected=False)
    uneven = replace(TRADED, name="uneven", as_expected=False)
    text = " ".join(_shown(replace(SESSION, planted=(less, uneven))).split())
    assert "19.5 for -$0.000007," in text
    assert "exactly that" not in text


def test_a_near_miss_that_was_traded_or_never_evaluated() -> None:
    silent = replace(LEFT_ALONE, name="silent", expected_reasons=(), reasons=())
    traded = replace(LEFT_ALONE, name="traded", traded_size_e6=10**6, profit_micros=5, as_expected=False)
    text = _shown(replace(SESSION, planted=(silent, traded)))
    _row(text, "ok", "silent", "not a candidate", "no trade: not a candidate")
    _row(text, "WRONG", "traded", "book_stale or legs_too_far_apart", "1 for +$0.000005, fees $0.000000")
    assert "Planted opportunities" not in text


def test_what_else_was_said_of_a_near_miss_matters_only_when_it_is_wrong() -> None:
    fine = replace(LEFT_ALONE, reasons=("no_edge", "book_stale"))
    wrong = replace(LEFT_ALONE, name="wrong", reasons=("no_edge", "mirror_book"), as_expected=False)
    text = _shown(replace(SESSION, planted=(fine, wrong)))
    _row(text, "ok", fine.name, "book_stale or legs_too_far_apart", "no trade: book_stale\n")
    _row(text, "WRONG", "wrong", "book_stale or legs_too_far_apart", "no trade: no_edge, mirror_book")


def test_processing_has_rate_time_and_memory() -> None:
    text = _shown(RECORDED)
    _row(text, "decisions", "100,002")
    _row(text, "rate", "98,765 frames/s")
    _row(text, "took", "12.5 s")
    _row(text, "peak memory", "412 MiB")


def test_faults_are_one_line_each() -> None:
    assert faults([RECORDED, SESSION]) == []
    off = (SESSION.outcomes[0], replace(SESSION.outcomes[1], accounts=accounts(2)))
    bad = replace(SESSION, outcomes=off, planted=(TRADED, MISSED), damage="a.zst line 9: torn")
    assert faults([RECORDED, bad]) == [
        "a.zst line 9: torn",
        "seeded session 7: kalshi at 2x latency: our cash less the venue's is +$0.000002",
        f"seeded session 7: 1 of 2 plantings not as expected: {MISSED.name}",
    ]
    late = (*SESSION.outcomes[:2], replace(SESSION.outcomes[2], plantings_wrong=("fleeting-deep",)))
    assert faults([replace(SESSION, outcomes=late)]) == [
        "seeded session 7 at 5x latency: 1 of 2 plantings not as expected: fleeting-deep"
    ]
    assert not replace(SESSION, outcomes=late).as_expected


def test_frames_that_cannot_be_read_are_a_fault() -> None:
    unread = replace(RECORDED, data=replace(RECORDED.data, rejected_frames=1_002))
    _row(_shown(unread), "frames", "1,234,567 (1,002 rejected, 12,345 of types without book content)")
    assert faults([unread]) == ["packaged sample: 1,002 frames cannot be read"]
    assert faults([replace(unread, is_live=True)]) == [], "a run survives what venues say"
    stream = io.StringIO()
    show(closing([unread]), stream)
    _row(stream.getvalue(), "packaged sample", "DAMAGED", "0 fills")


def test_the_last_lines_judge_every_input() -> None:
    stream = io.StringIO()
    bad = replace(SESSION, name="bad", planted=(TRADED, MISSED))
    empty = replace(RECORDED, name="empty", outcomes=())
    torn = replace(RECORDED, name="torn", damage="a.zst line 9: torn")
    both = replace(bad, name="both", damage="a.zst line 9: torn")
    show(closing([RECORDED, bad, empty, torn, both]), stream)
    text = stream.getvalue()
    _row(text, "packaged sample", "ok", "0 fills, $0.0000 after fees")
    _row(text, "bad", "NOT AS EXPECTED", "5 fills, +$17.8353 after fees, 1 of 2 plantings as expected")
    _row(text, "empty", "ok")
    _row(text, "torn", "DAMAGED", "0 fills")
    _row(text, "both", "NOT AS EXPECTED", "5 fills")


def test_one_latency_is_one_column() -> None:
    text = _shown(replace(SESSION, outcomes=(Outcome(1, 1, 1, 0, 0, 0, 0),)))
    _row(text, "orders", "1")
    assert "2x" not in text
