"""When a shell ticks: coarsely while nothing is under way, with other shells, not late by its own doing."""

from __future__ import annotations

from dataclasses import replace

from engine.records import Venue
from engine.units import NS_PER_S
from procs.config_files import load_config
from procs.feed_shell import QUIET_TICK_NS, TICK_NS, in_step_ns, quiet_tick_ns
from tests.procs.live_feeds import MS, equal, live, scripted
from tests.procs.scripted_venue import run, until


def test_timers_are_coarse_only_while_nothing_is_under_way() -> None:
    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server, live(venue, server) as feed:
            shell = feed.shell
            shell._quiet_ns = QUIET_TICK_NS
            await until(lambda: 2 * shell._delay_ns >= QUIET_TICK_NS, "a quiet tick")
            await until(lambda: shell.want_snapshot(next(iter(server.books))), "a book may be asked for")
            assert shell._delay_ns == TICK_NS
            await until(lambda: 2 * shell._delay_ns >= QUIET_TICK_NS, "it was asked for")
            server.refuses = 503
            server.peer.close(1012)
            await until(lambda: shell.counters.refused == 2)
            assert shell._delay_ns == TICK_NS
            server.refuses = 0
            await equal(feed, server)
            await until(lambda: 2 * shell._delay_ns >= QUIET_TICK_NS, "quiet again")
            assert shell.counters.stalls == 0

    run(main())


def test_no_grain_is_coarse_beside_a_wait() -> None:
    shipped = load_config().venues.kalshi.feed
    assert quiet_tick_ns(shipped, 30 * NS_PER_S) == QUIET_TICK_NS
    short = replace(shipped, pong_max_ns=1_000 * MS)
    assert quiet_tick_ns(short, 30 * NS_PER_S) == 50 * MS
    assert quiet_tick_ns(shipped, 100 * MS) == TICK_NS


def test_a_tick_that_was_hurried_is_not_late() -> None:
    """However long before it the last one was: late is what comes after its time."""

    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server, live(venue, server) as feed:
            shell = feed.shell
            assert shell._timer is not None
            shell._timer.cancel()
            shell._arm(10 * QUIET_TICK_NS)
            begun_ns = shell._due_ns - shell._delay_ns
            clock, shell.monotonic_ns = shell.monotonic_ns, lambda: begun_ns + 9 * QUIET_TICK_NS
            shell._hurry()
            assert shell._due_ns == begun_ns + 9 * QUIET_TICK_NS + TICK_NS
            assert not shell._is_stalled(shell._due_ns + TICK_NS)
            assert shell._is_stalled(shell._due_ns + QUIET_TICK_NS)
            shell.monotonic_ns = clock

    run(main())


def test_quiet_shells_tick_at_the_same_moments() -> None:
    moments = {now_ns + in_step_ns(100 * MS, now_ns) for now_ns in range(1_060 * MS, 1_150 * MS, MS)}
    assert moments == {1_200 * MS}
    assert in_step_ns(100 * MS, 1_099 * MS) == 101 * MS, "a timer that fired too early"
    assert in_step_ns(100 * MS, 1_100 * MS) == 100 * MS
