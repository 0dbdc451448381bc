"""Rows P1 to P4, P7 and P8 of the fault matrix: each process of a trading engine killed, stopped, and woken.

One engine for all of them: a start takes seconds. After each row it trades on; at the end the venues have
what the journal has, and no order left after the deadline of its plan.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from engine.records import Trust
from procs.live_view import LiveView
from procs.run_directory import ATTENDANTS
from procs.wards import WARD_SUFFIX
from tests.faults.live_engine import PATIENCE_S, LiveEngine, trading, until
from tests.faults.test_process_executor import assert_nothing_late_or_open

pytestmark = pytest.mark.compiled_only

SILENT_NS = 5_000_000_000  # as shipped
START_NS = 30_000_000_000
PAUSE_S = 0.9  # below what is taken for hanging, above the deadline of a plan
P8_PAUSES = 3


def kill(engine: LiveEngine, name: str) -> None:
    pid = engine.fit(name)
    os.kill(pid, signal.SIGKILL)
    engine.fit(name, pid)


def books(engine: LiveEngine) -> list[tuple[int, int]]:
    """(epoch, trust) of each book of the session."""
    view = LiveView(engine.run_dir)
    rows = [view.book(market) for market in view.markets()]
    return [(int(row["epoch"]), int(row["trust"])) for row in rows if row is not None]


def all_live(engine: LiveEngine) -> bool:
    found = books(engine)
    return len(found) > 0 and all(trust == Trust.LIVE for _, trust in found)


def p1_p2_market(engine: LiveEngine) -> None:
    """Feed and books: every book comes back in a new epoch, by a new snapshot, and only then is traded on."""
    before = {epoch for epoch, _ in books(engine)}
    kill(engine, "market")
    until(lambda: all_live(engine), "books that are LIVE again")
    assert before.isdisjoint(epoch for epoch, _ in books(engine)), "nothing is taken from the old segment"


def p3_strategy(engine: LiveEngine) -> None:
    kill(engine, "strategy")


def p4_optimizer(engine: LiveEngine) -> None:
    kill(engine, "optimizer")


def p5_executor(engine: LiveEngine) -> None:
    kill(engine, "executor")


def p7_stopped(engine: LiveEngine) -> None:
    """SIGSTOP: whoever has no heartbeat for too long is killed and begun again."""
    for name in ("executor", "market", "strategy", "optimizer", "ledger"):
        pid = engine.fit(name)
        os.kill(pid, signal.SIGSTOP)
        engine.fit(name, pid)


def noted_pid(engine: LiveEngine, name: str) -> int:
    """As its owner has noted it; those beside the engine have no row."""
    return int(json.loads((engine.run_dir / f"{name}{WARD_SUFFIX}").read_bytes())["pid"])


def answers(engine: LiveEngine) -> bool:
    """Whether control answers an operator."""
    code, out, _ = engine.ask("status", "--json")
    return code == 0 and bool(json.loads(out)["control"])


def p7_stopped_beside(engine: LiveEngine) -> None:
    """Control and monitor stopped at once: others come in their place, and no process of the engine."""
    before = engine.all_fit()
    until(lambda: answers(engine), "a control that answers")
    stopped = {name: noted_pid(engine, name) for name in sorted(ATTENDANTS)}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    assert not answers(engine)
    until(lambda: all(noted_pid(engine, name) != pid for name, pid in stopped.items()), "their successors")
    until(lambda: answers(engine), "the next control")
    assert engine.all_fit() == before


def p7_hangs_before_it_is_ready(engine: LiveEngine) -> None:
    """Killed, and its successor stopped while it still imports: that one is killed as well."""
    pid = engine.fit("strategy")
    os.kill(pid, signal.SIGKILL)

    def successor() -> int:
        found = noted_pid(engine, "strategy")
        return 0 if found == pid else found

    until(successor, "another strategy")
    hangs = successor()
    os.kill(hangs, signal.SIGSTOP)
    assert engine.rows()["strategy"].pid == pid, "it has said nothing yet"
    assert engine.fit("strategy", pid) != hangs


def p8_paused(engine: LiveEngine) -> None:
    """SIGCONT after a pause longer than any deadline: the same process goes on, and sends nothing late."""
    for _ in range(P8_PAUSES):
        for name in ("optimizer", "executor"):
            pid = engine.fit(name)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(PAUSE_S)  # the pause is the fault
            os.kill(pid, signal.SIGCONT)
            assert engine.fit(name) == pid


def sigterm(engine: LiveEngine) -> None:
    """Each process ends when it is asked to, with nothing to be killed for; how soon is printed."""
    for name in ("market", "strategy", "optimizer", "executor", "ledger"):
        pid = engine.fit(name)
        descriptor = os.pidfd_open(pid)
        began_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGTERM)
        assert select.select([descriptor], [], [], PATIENCE_S)[0], f"{name} does not end"
        print(f"{name}: {(time.monotonic_ns() - began_ns) / 1e6:.1f} ms from SIGTERM to its end")
        os.close(descriptor)
        engine.fit(name, pid)


ROWS: dict[str, Callable[[LiveEngine], None]] = {
    "P1 P2": p1_p2_market,
    "P3": p3_strategy,
    "P4": p4_optimizer,
    "P5": p5_executor,
    "P7": p7_stopped,
    "P7 beside": p7_stopped_beside,
    "P7 at its start": p7_hangs_before_it_is_ready,
    "P8": p8_paused,
    "SIGTERM": sigterm,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEngine]:
    folder = tmp_path_factory.mktemp("engine")
    settings = f"supervisor.silent_max_ns={SILENT_NS}", f"supervisor.start_max_ns={START_NS}"
    with trading(folder, "split", *settings, rounds=140) as started:
        yield started


@pytest.mark.soak
@pytest.mark.parametrize("row", ROWS)
def test_row(row: str, engine: LiveEngine) -> None:
    ROWS[row](engine)
    engine.trades_on()


@pytest.mark.soak
def test_after_all_of_it_venues_and_journal_agree(engine: LiveEngine) -> None:
    [result] = engine.end()["inputs"]
    assert "duplicate_intent" not in {one["reason"] for one in result["funnel"]}, "an id was used twice"
    assert_nothing_late_or_open(engine.past())
