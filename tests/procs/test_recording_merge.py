"""Merging recordings: the order of a plain sort, alignment, and damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError, RecordingDamaged
from engine.records import Venue
from procs import recording_frames
from procs.recording import RecordingHeader
from procs.recording_frames import Frame, FrameBatch, pack
from procs.recording_merge import FrameSource, Run, common_start, merge
from procs.recording_reader import RecordingReader
from procs.replay import Replay
from tests.data import recordings as made


@dataclass
class _Source:
    """Frames in memory, perhaps with a broken end."""

    times: Sequence[int]
    header: RecordingHeader
    damage: str = ""
    name: str = "source"

    def batches(self) -> Iterator[FrameBatch]:
        yield from pack(Frame(time, Venue.KALSHI, 0, b"%d" % at) for at, time in enumerate(self.times))
        if self.damage:
            raise RecordingDamaged(self.damage)


def _source(times: Sequence[int], damage: str = "") -> _Source:
    return _Source(times, made.header(start_ns=times[0] if times else 0), damage)


def _merged(sources: Sequence[_Source], shifts: Sequence[int] | None = None) -> list[tuple[int, int, int]]:
    """Of frames, without what stands for lost ones."""
    return [
        (int(run.clock_ns[at]), run.file, int(run.batch.raw(at)))
        for run in merge(sources, shifts)
        for at in range(run.start, 0 if run.batch.lost else run.stop)
    ]


def _model(files: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """Plain sort on (latest time so far, file, line)."""
    rows = []
    for file, times in enumerate(files):
        latest = 0
        for line, time in enumerate(times):
            latest = max(latest, time)
            rows.append((latest, file, line))
    return sorted(rows)


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=4), st.integers(1, 5))
def test_order_is_time_then_file_then_line(files: list[list[int]], room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_frames, "BATCH_FRAMES", room)
        assert _merged([_source(times) for times in files]) == _model(files)


def test_runs_are_slices_not_single_frames() -> None:
    runs = list(merge([_source([1, 2, 3, 10, 11]), _source([5, 6])]))
    assert [(run.file, run.stop - run.start) for run in runs] == [(0, 3), (1, 2), (0, 2)]


def test_recorded_times_stay_and_the_clock_does_not_step_back() -> None:
    (run,) = merge([_source([5, 3, 9])])
    assert run.clock_ns.tolist() == [5, 5, 9]
    assert run.batch.recv_ns.tolist() == [5, 3, 9]


def test_common_start_shifts_all_to_the_latest() -> None:
    sources = [_source([100, 110]), _source([500, 505])]
    shifts = common_start(sources)
    assert shifts == [400, 0]
    assert _merged(sources, shifts) == [(500, 0, 0), (500, 1, 0), (505, 1, 1), (510, 0, 1)]


def test_a_shift_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="out of range"):
        _merged([_source([2**62])], [2**62 + 2**62 - 1])


def test_damage_ends_its_own_file_only() -> None:
    sources = [_source([1, 4], "first broke"), _source([2, 9], "second broke"), _source([3])]
    runs: list[Run] = []
    with pytest.raises(RecordingDamaged, match="first broke; second broke"):
        runs.extend(merge(sources))
    whole = [run for run in runs if not run.batch.lost]
    seen = [(run.file, int(run.clock_ns[at])) for run in whole for at in range(run.start, run.stop)]
    assert seen == [(0, 1), (1, 2), (2, 3), (0, 4), (1, 9)]
    lost = [run for run in runs if run.batch.lost]
    assert [(run.file, run.batch.count, run.batch.lost) for run in lost] == [
        (file, count, "first broke") for file, count in ((0, 0), (0, 1), (1, 1), (2, 1))
    ], "behind the second nothing follows that could be taken for whole"
    assert [int(run.clock_ns[0]) for run in lost if run.batch.count] == [4, 4, 4]
    assert runs[-1] is whole[-1]


def _replayed(replay: Replay, sources: Sequence[FrameSource]) -> str:
    """What is wrong with the sources."""
    try:
        for run in merge(sources):
            replay.feed(run.batch, run.clock_ns, run.start, run.stop)
    except RecordingDamaged as error:
        return str(error)
    return ""


def test_a_part_of_a_session_that_cannot_be_read_puts_the_books_of_the_others_in_doubt(
    tmp_path: Path,
) -> None:
    """As `record --rotate` cuts it: the books of one part are changed by the next."""
    level, other = [["0.40", "5.00"]], "KXTEST-26-B"
    specs = (made.kalshi_spec(), made.kalshi_spec(other), made.polymarket_spec())
    token = {"event_type": "book", "market": "0xabc", "asset_id": made.YES_TOKEN, "bids": [], "asks": []}
    frames = [
        made.kalshi(made.snapshot(1, level, []), 1),
        made.kalshi(made.snapshot(2, level, [], other), 2),
        made.polymarket(token, 3),
        made.kalshi(made.delta(3, "yes", "0.40", "-5.00"), 4),
        made.kalshi(made.delta(4, "yes", "0.41", "1.00"), 5),
    ]
    for venue, doubted in (("kalshi", ["suspect", "suspect", "live"]), ("both", ["suspect"] * 3)):
        first = made.write(tmp_path / f"{venue}.1", made.header("both", markets=specs), frames[:3])
        head = made.header(venue, markets=specs, start_ns=frames[3].recv_ns).to_line()[:-1]
        blocks = [[head], [made.line(frames[3])], [made.line(frames[4])]]
        second = made.write_blocks(tmp_path / f"{venue}.2", blocks, damaged=1)
        replay = Replay(specs)
        with RecordingReader(first) as one, RecordingReader(second) as two:
            assert "line 2: corrupt" in _replayed(replay, [one, two])
        names = {book.name: slot for slot, book in enumerate(replay.books)}
        tickers = f"kalshi:{made.TICKER}", f"kalshi:{other}", f"polymarket:{made.YES_TOKEN}"
        assert [replay.trust(names[name]).name.lower() for name in tickers] == doubted


def test_no_sources_and_empty_sources() -> None:
    assert _merged([]) == []
    assert _merged([_source([]), _source([7])]) == [(7, 1, 0)]
