"""The journal of a whole run: cut anywhere, it gives the accounts of the moment it was written up to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import pytest

from engine.errors import JournalDamaged
from engine.ledger.journal import HEAD_BYTES, EntryKind, JournalRead, read_journal
from engine.ledger.ledger import Account, Key, Ledger, Position
from engine.reasons import Reason
from engine.records import ReportKind, Venue
from engine.sim.session.fleeting import partition
from engine.sim.session.planted import TIERS, cross_venue, neg_risk_convert
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of

pytestmark = pytest.mark.compiled_only

SLOW = 8  # times the latency: some orders come too late, and what the others bought is sold again


class Moment(NamedTuple):
    """Where the journal ended, and what the ledger had then."""

    end: int
    accounts: dict[int, Account]
    positions: dict[Key, Position]


class Run:
    """A cross-venue pair, a conversion and an opportunity that does not last, to their settlements."""

    def __init__(self) -> None:
        session = session_of(
            cross_venue(TIERS[0], CLOSE_NS, yes_at=Venue.KALSHI),
            neg_risk_convert(TIERS[0], CLOSE_NS),
            partition(TIERS[2], CLOSE_NS),
        )
        self.engine = engine_for(session, latency_scale=SLOW)
        self.moments: list[Moment] = []
        append, append_laid = self.engine.desk.append, self.engine.desk.append_laid

        def remembered(kind: int, record: np.void) -> None:
            append(kind, record)
            self._remember()

        def each_remembered(content: bytes, n_entries: int) -> None:
            pieces = [*entries_in(content)]
            assert len(pieces) == n_entries
            for piece in pieces:
                append_laid(piece, 1)
                self._remember()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.engine.desk, "append", remembered)
            patch.setattr(self.engine.desk, "append_laid", each_remembered)
            self.engine.run(frames_of(session))
        self.content = self.engine.stages._journal_bytes.getvalue()

    def _remember(self) -> None:
        self.engine.desk.hand_over()
        ledger = self.engine.desk.ledger
        end = self.engine.stages._journal_bytes.tell()
        self.moments.append(Moment(end, deepcopy(ledger.accounts), deepcopy(ledger.positions)))


def entries_in(content: bytes) -> Iterator[bytes]:
    """The bytes of each entry that was laid."""
    at = 0
    while at < len(content):
        end = at + HEAD_BYTES + int.from_bytes(content[at : at + 4], "little")
        yield content[at:end]
        at = end


@pytest.fixture(scope="module")
def run() -> Run:
    return Run()


def accounts_of(content: bytes) -> tuple[Ledger, JournalRead]:
    ledger, found = Ledger(), JournalRead()
    ledger.replay(read_journal(content, found))
    ledger.verify()
    return ledger, found


def same(ledger: Ledger, moment: Moment) -> bool:
    """Whether the accounts are equal; who was looked at and has nothing is nobody."""
    known = {key: position for key, position in moment.positions.items() if position != Position()}
    return ledger.accounts == moment.accounts and ledger.positions == known


def test_the_run_had_everything_that_moves_cash(run: Run) -> None:
    entries = list(read_journal(run.content))
    reports = {int(entry.record["kind"]) for entry in entries if entry.kind is EntryKind.REPORT}
    assert {ReportKind.FILLED, ReportKind.REJECTED, ReportKind.CONVERTED, ReportKind.SETTLED} <= reports
    assert Reason.UNWOUND in {result.reason for result in run.engine.executor.results}
    assert {entry.kind for entry in entries} == set(EntryKind)
    assert run.moments[-1].end == len(run.content)
    assert len(run.moments) + 3 == len(entries)  # the start and the two openings come before


def test_every_prefix_of_whole_entries_gives_the_state_of_its_moment(run: Run) -> None:
    for number, moment in enumerate(run.moments):
        ledger, found = accounts_of(run.content[: moment.end])
        assert same(ledger, moment), number
        assert (found.entries, found.torn_bytes) == (number + 4, 0)


def test_a_cut_within_an_entry_gives_the_state_before_it(run: Run) -> None:
    ends = [moment.end for moment in run.moments]
    step = 37  # no multiple of it is the length of an entry, so it visits every part of one
    for cut in range(ends[0] + 1, len(run.content), step * 11):
        index = bisect_right(ends, cut) - 1
        ledger, found = accounts_of(run.content[:cut])
        assert same(ledger, run.moments[index]), cut
        assert found.torn_bytes == cut - ends[index]


def test_a_last_entry_written_in_part_is_left_out_and_one_in_the_middle_is_an_error(
    run: Run,
) -> None:
    last, before = run.moments[-1].end, run.moments[-2].end
    for at in range(before, last):
        torn = bytearray(run.content)
        torn[at] ^= 0x40
        if at < before + 4:  # the length itself: longer than the file, or another entry than was written
            continue
        ledger, found = accounts_of(bytes(torn))
        assert same(ledger, run.moments[-2])
        assert found.torn_bytes == last - before
    damaged = bytearray(run.content)
    damaged[run.moments[4].end + 30] ^= 1
    with pytest.raises(JournalDamaged, match=f"byte {run.moments[4].end} is damaged"):
        accounts_of(bytes(damaged))
