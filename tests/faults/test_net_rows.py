"""Rows N1 to N9 of the fault matrix with a whole engine; each is done to one socket, nothing to the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.reasons import Reason
from engine.records import Venue
from tests.faults.engine import Engine, impatient, on_socket, running
from tests.faults.markets import MARKETS, SEED, STEP_MS, A, record
from tests.faults.recovery import Name, Recovery, marks, recoveries, told

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

BOTH = tuple(Venue)
GONE = frozenset({Reason.DISCONNECTED})
RSS_MORE_MAX = 32 << 20  # for a frame that says it has 100 MB
REFUSED_MS = 60_000
ATTEMPTS_PER_MINUTE = 120  # venues.NAME.feed.attempts_per_minute as shipped
CPU_SHARE_MAX = 0.5  # of a core: whoever spins takes a whole one
SETTLED_S = 0.5


@dataclass(frozen=True)
class Row:
    """What is done, whether the connection is replaced, and why books fell into doubt (nothing: none did)."""

    name: str
    kind: str
    fields: dict[str, object] = field(default_factory=dict)
    replaced: bool = False
    why: frozenset[Reason] = GONE


UNREADABLE = frozenset({Reason.SEQUENCE_GAP})  # it may have been a change of any of the books
DISAGREES = frozenset({Reason.TOP_DISAGREES, Reason.MIRROR_BROKEN})
GAP = frozenset({Reason.SEQUENCE_GAP, Reason.SEQUENCE_RESTART})
ROWS = [
    *(Row(f"N1-{code}", "close", {"code": code}, replaced=True) for code in (1000, 1006, 1008, 1012)),
    Row("N2-half-open", "half_open", replaced=True),
    Row("N3-silence", "silence", replaced=True, why=GAP | GONE),  # Kalshi's answers show what is missing
    Row("N4-garbage", "garbage", why=UNREADABLE),
    Row("N4-wrong-schema", "wrong_schema", why=UNREADABLE),
    Row("N4-too-much-garbage", "garbage", {"frames": 5}, replaced=True, why=UNREADABLE | GONE),
    Row("N5-duplicate", "duplicate", {"frames": 7}, why=frozenset()),
    Row("N6-truncated", "truncated", replaced=True),
    Row("N7-100-MB", "oversized", replaced=True),
    Row("N8-slow-drip", "slow_drip", {"every_ms": 50}, replaced=True),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("rows")
    recorded = record(folder / "markets.ndjson.zst", 900_000 // STEP_MS)
    with running(folder, recorded, *impatient(), options=("--speed", "1")) as engine:
        yield engine
        engine.end()  # with exit code 0, whatever was done to it


class Deed:
    """A fault about to be done to socket A of a venue."""

    def __init__(self, engine: Engine, venue: Venue) -> None:
        engine.until(engine.eye.are_live, "every book LIVE before a fault")
        engine.watch_for(SETTLED_S)  # in which the connection lasts long enough to be tried again at once
        self.engine = engine
        self.venue = venue
        self.before = marks(engine)
        self.accepted = engine.venues.counts(venue)["accepted"]

    def do(self, kind: str, touched: list[Name], **fields: object) -> list[Recovery]:
        """Do it, and wait until ``touched`` are LIVE again."""
        done = self.engine.venues.do(self.venue, kind, MARKETS[self.venue][A][0], **fields)
        found = recoveries(self.engine, done, self.before, touched)
        print(*told(found), sep="\n")
        return found

    def end(self, replaced: int) -> None:
        """Everything is as before, after so many new connections."""
        self.engine.until(self.engine.eye.are_live, "every book LIVE after a fault")
        assert self.engine.venues.counts(self.venue)["accepted"] == self.accepted + replaced
        self.engine.check()


@pytest.mark.parametrize("venue", BOTH)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(engine: Engine, row: Row, venue: Venue) -> None:
    deed = Deed(engine, venue)
    touched = on_socket(venue) if row.why else []
    found = deed.do(row.kind, touched, **row.fields)
    if not touched:
        engine.watch_for(2.0)
        assert marks(engine) == deed.before, "nothing was to fall into doubt"
    assert {one.why for one in found} <= row.why
    deed.end(int(row.replaced))


@pytest.mark.parametrize("kind", ["gap", "skip_numbers", "reorder"])
def test_n5_numbers_that_do_not_follow_at_kalshi(engine: Engine, kind: str) -> None:
    deed = Deed(engine, Venue.KALSHI)
    found = deed.do(kind, on_socket(Venue.KALSHI))
    assert {one.why for one in found} <= GAP
    deed.end(0)


@pytest.mark.parametrize(("kind", "fields"), [("gap", {}), ("reorder", {"times": 2})])
def test_n5_best_prices_that_do_not_fit_at_polymarket(
    engine: Engine, kind: str, fields: dict[str, object]
) -> None:
    """Polymarket numbers nothing: a loss shows in the best prices it declares with the next changes.

    Until then a book is wrong and nobody can know it; only the markets of the lost texts are touched.
    """
    deed = Deed(engine, Venue.POLYMARKET)
    symbol = MARKETS[Venue.POLYMARKET][A][0]
    done = engine.venues.do(Venue.POLYMARKET, kind, symbol, **fields)
    sides = on_socket(Venue.POLYMARKET)
    engine.until(lambda: any(marks(engine)[name] > deed.before[name] for name in sides), "a doubt")
    engine.watch_for(SETTLED_S)
    touched = [name for name in sides if marks(engine)[name] > deed.before[name]]
    found = recoveries(engine, done, deed.before, touched)
    print(*told(found), sep="\n")
    assert {one.why for one in found} <= DISAGREES
    unknowable = {f"{name[0].name}:{name[1]}": one.doubt_ns for name, one in zip(touched, found, strict=True)}
    wrong = engine.eye.wrong
    assert all(done.at_ns <= one.recv_ns <= unknowable[one.market] for one in wrong), wrong
    wrong.clear()
    deed.end(0)


def test_n7_memory_stays_bounded(engine: Engine) -> None:
    """The header alone is enough to refuse it; what comes behind is never kept."""
    market = Path("/proc") / str(engine.pids["market"])
    for venue in BOTH:
        deed = Deed(engine, venue)
        before = engine.numbers("market").resident_bytes
        (market / "clear_refs").write_text("5")  # the highest so far is now what it is
        deed.do("oversized", on_socket(venue))
        [line] = [line for line in (market / "status").read_text().splitlines() if line.startswith("VmHWM")]
        highest = int(line.split()[1]) << 10
        print(f"N7 {venue.name.lower()}: {before >> 20} MiB before, {highest >> 20} MiB at most")
        assert highest - before < RSS_MORE_MAX
        deed.end(1)


@pytest.mark.parametrize("status", [503, 0], ids=["an-HTTP-error", "nobody-listens"])
def test_n9_refused_for_a_minute(engine: Engine, status: int) -> None:
    """Both venues at once, and the settings of reconnecting as shipped."""
    deeds = [Deed(engine, venue) for venue in BOTH]
    refused = {venue: engine.venues.counts(venue)["refused"] for venue in BOTH}
    began_s, before = time.monotonic(), engine.numbers("market")
    for venue in BOTH:
        engine.venues.do(venue, "refuse", for_ms=REFUSED_MS, status=status)
    closed = [engine.venues.do(venue, "close", MARKETS[venue][A][0], code=1006) for venue in BOTH]
    touched = [name for venue in BOTH for name in on_socket(venue)]
    found = recoveries(engine, closed[0], deeds[1].before, touched)
    print(*told(found), sep="\n")
    wall_s, after = time.monotonic() - began_s, engine.numbers("market")
    used_s = after.user_s + after.system_s - before.user_s - before.system_s
    print(f"N9 status {status}: {wall_s:.0f} s, {used_s / wall_s:.1%} of a core in the market process")
    for deed in deeds:
        attempts = engine.venues.counts(deed.venue)["refused"] - refused[deed.venue]
        print(f"N9 {deed.venue.name.lower()} status {status}: {attempts} attempts refused")
        assert (attempts > 1) == (status > 0), "who does not listen cannot count"
        assert attempts <= ATTEMPTS_PER_MINUTE * (wall_s / 60 + 1)
        deed.end(1)
    assert wall_s > REFUSED_MS / 1_000
    assert used_s / wall_s < CPU_SHARE_MAX
