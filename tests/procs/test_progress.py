"""What a person gets to see of many reports."""

from __future__ import annotations

from procs.progress import Progress, Sparse, ignore


def report(frames: int, phase: str = "1x", total: int | None = None) -> Progress:
    return Progress(phase, frames, total, 0, 0, 0, 0)


class Watched:
    """A Sparse whose clock is moved by hand; ``seen`` are the frames that came through."""

    def __init__(self, step_ns: int) -> None:
        self.now_ns = 0
        self.seen: list[tuple[str, int]] = []
        self.sparse = Sparse(self._show, lambda: self.now_ns, step_ns)

    def _show(self, progress: Progress) -> None:
        self.seen.append((progress.phase, progress.frames))


def test_one_report_a_step_comes_through() -> None:
    watched = Watched(10)
    for frames in range(25):
        watched.now_ns = frames
        watched.sparse(report(frames))
    assert watched.seen == [("1x", 0), ("1x", 10), ("1x", 20)]


def test_the_first_of_each_phase_comes_through_at_once() -> None:
    watched = Watched(1_000)
    for phase in ("1x", "1x", "2x", "1x"):
        watched.sparse(report(1, phase))
    assert [phase for phase, _ in watched.seen] == ["1x", "2x", "1x"]


def test_the_end_comes_through_once() -> None:
    watched = Watched(1_000)
    for frames in (1, 2, 9, 10, 10, 10):
        watched.sparse(report(frames, total=10))
    assert watched.seen == [("1x", 1), ("1x", 10)]


def test_a_phase_that_is_over_at_its_first_report_is_shown_once() -> None:
    watched = Watched(1_000)
    for phase in ("1x", "2x"):
        for _ in range(2):
            watched.sparse(report(5, phase, total=5))
    assert watched.seen == [("1x", 5), ("2x", 5)]


def test_nothing_is_shown_to_nobody() -> None:
    ignore(report(1))
