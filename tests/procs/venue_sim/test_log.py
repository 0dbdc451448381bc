"""The log of a venue keeps its lines within bounds and its count beyond them."""

from __future__ import annotations

from procs.venue_sim.log import FAULTS_KEPT_MAX, VenueLog


def test_lines_are_bounded_and_the_count_goes_on() -> None:
    log = VenueLog()
    for number in range(FAULTS_KEPT_MAX + 2):
        log.fault(str(number))
    assert len(log.faults) == FAULTS_KEPT_MAX
    assert log.faults_done == FAULTS_KEPT_MAX + 2
