"""Every limit of the gate on the way of a real order: strategy, optimizer, executor, gate, and no venue.

One planted opportunity, which trades as it stands. Then one limit at a time is set in the configuration, or,
where the optimizer knows the same limit and would not even plan beyond it, in the gate alone: as if the
optimizer were wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import DecisionStage, Venue
from engine.sim.session.planted import cross_venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from procs.inline_engine import InlineEngine
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of

pytestmark = pytest.mark.compiled_only

SIZE = 110 * SIZE_ONE_E6  # planted: YES at 50 cents at Polymarket, NO at 40 cents at Kalshi


class Run:
    """The session of one planting through an engine; ``change`` is done to the engine before it starts."""

    def __init__(self, *settings: str, change: Callable[[InlineEngine], None] | None = None) -> None:
        session = session_of(cross_venue(("medium", (110,)), CLOSE_NS, yes_at=Venue.POLYMARKET))
        self.engine = engine_for(session, *settings)
        if change is not None:
            change(self.engine)
        self.denied: set[int] = set()
        self.refused: set[int] = set()  # plans that were not begun
        decisions = self.engine.stages.decisions
        assert decisions is not None
        decisions.watch = self._note
        self.engine.run(frames_of(session))

    def _note(self, decision: np.void) -> None:
        if int(decision["stage"]) == DecisionStage.EXECUTION:
            self.refused.add(int(decision["reason"]))
        if int(decision["stage"]) == DecisionStage.GATE:
            self.denied.add(int(decision["reason"]))

    @property
    def sent(self) -> int:
        """Requests that a venue saw."""
        return sum(agent.sim.requests for agent in self.engine.venues.values())


def limited(name: str, value: int) -> Callable[[InlineEngine], None]:
    """A limit of the gate that the optimizer does not know of."""

    def change(engine: InlineEngine) -> None:
        engine.desk.gate.limits[name] = value

    return change


def poor(engine: InlineEngine) -> None:
    engine.desk.gate.set_cash(Venue.KALSHI, CASH_ONE_MICROS)


def test_without_a_limit_in_its_way_the_order_is_sent_and_everything_reserved_is_given_back() -> None:
    run = Run()
    gate = run.engine.desk.gate
    assert (run.sent, run.denied, gate.denials) == (2, set(), {})
    assert not gate.state["reserved_micros"].any()
    assert not gate.state["open_orders"]
    assert not gate.markets["reserved_micros"].any()
    assert not gate.markets["buying_e6"].any()
    assert (
        int(gate.state["exposure_micros"]) == run.engine.desk.ledger.locked_micros() == 0
    )  # all has settled


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("risk.heat_max_ppm=1",), Reason.PORTFOLIO_HEAT),
        (("risk.daily_loss_max_micros=0",), Reason.DAILY_LOSS),
        (("risk.drawdown_warn_ppm=0", "risk.drawdown_stop_ppm=0"), Reason.DRAWDOWN),
        (("risk.open_orders_max=1",), Reason.OPEN_ORDER_LIMIT),
    ],
)
def test_a_limit_of_the_configuration_denies(settings: tuple[str, ...], reason: Reason) -> None:
    run = Run(*settings)
    assert (run.sent, run.denied) == (0, {reason})
    assert set(run.engine.desk.gate.denials) == {reason}
    assert not run.engine.desk.gate.state["reserved_micros"].any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (limited("order_size_max_e6", SIZE - 1), Reason.ORDER_SIZE_LIMIT),
        (limited("order_notional_max_micros", 50 * CASH_ONE_MICROS), Reason.ORDER_NOTIONAL_LIMIT),
        (limited("position_max_e6", SIZE - 1), Reason.POSITION_LIMIT),
        (limited("market_exposure_max_micros", 50 * CASH_ONE_MICROS), Reason.MARKET_EXPOSURE_LIMIT),
        (limited("event_exposure_max_micros", 50 * CASH_ONE_MICROS), Reason.EVENT_EXPOSURE_LIMIT),
        (limited("book_age_max_ns", 0), Reason.BOOK_STALE),
        (lambda engine: engine.desk.gate.halt(Reason.NONE), Reason.HALTED),
        (lambda engine: engine.desk.gate.pause(paused=True), Reason.PAUSED),
        (lambda engine: engine.desk.gate.stop(Reason.DAILY_LOSS), Reason.DAILY_LOSS),
        (poor, Reason.CASH_UNAVAILABLE),
    ],
)
def test_the_gate_denies_what_the_optimizer_let_through(
    change: Callable[[InlineEngine], None], reason: Reason
) -> None:
    run = Run(change=change)
    assert (run.sent, run.denied) == (0, {reason})
    assert not run.engine.desk.gate.state["reserved_micros"].any()


@pytest.mark.parametrize(
    "setting",
    [
        f"risk.order_size_max_e6={SIZE // 2}",
        f"risk.order_notional_max_micros={SIZE // 4}",
        f"risk.position_max_e6={SIZE // 2}",
        f"risk.market_exposure_max_micros={SIZE // 4}",
        f"venues.kalshi.paper_cash_micros={SIZE // 4}",
    ],
)
def test_a_limit_that_the_optimizer_knows_makes_the_order_smaller(setting: str) -> None:
    run = Run(setting)
    bought = [result.sets_e6 for result in run.engine.executor.results]
    assert (run.sent, run.denied) == (2 * len(bought), set())
    assert bought
    assert all(0 < sets_e6 <= SIZE * 2 // 3 for sets_e6 in bought)


def test_a_plan_that_the_rate_never_lets_leave_is_not_begun() -> None:
    run = Run(change=limited("orders_burst", 0))
    assert (run.sent, run.denied) == (0, set())
    assert Reason.ORDER_RATE in run.refused
    assert not run.engine.desk.gate.state["reserved_micros"].any()
