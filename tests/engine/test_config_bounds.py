"""Bounds of settings: a file that was good stays good, and one beyond them is refused as before."""

from __future__ import annotations

import dataclasses

import pytest

from engine import config
from engine.execution.config import ExecutionConfig

BOUNDS = """
EngineConfig.market_slots 1 1_048_576
EngineConfig.seed 0 4_611_686_018_427_387_904
BookConfig.crossed_max_ns 0 3_600_000_000_000
BookConfig.silence_max_ns 1_000_000_000 3_600_000_000_000
BookConfig.market_silence_max_ns 1_000_000_000 86_400_000_000_000
BookConfig.mirror_broken_frames_max 0 1_000
RiskConfig.order_size_max_e6 0 1_000_000_000_000_000
RiskConfig.order_notional_max_micros 0 1_000_000_000_000_000
RiskConfig.position_max_e6 0 1_000_000_000_000_000
RiskConfig.market_exposure_max_micros 0 1_000_000_000_000_000
RiskConfig.event_exposure_max_micros 0 1_000_000_000_000_000
RiskConfig.daily_loss_max_micros 0 1_000_000_000_000_000
RiskConfig.drawdown_warn_ppm 0 1_000_000
RiskConfig.drawdown_stop_ppm 0 1_000_000
RiskConfig.heat_max_ppm 0 1_000_000
RiskConfig.open_orders_max 0 1_000_000
RiskConfig.book_age_max_ns 1 86_400_000_000_000
MinEdges.complement_buy 0 1_000_000_000_000_000
MinEdges.complement_sell 0 1_000_000_000_000_000
MinEdges.partition_buy_yes 0 1_000_000_000_000_000
MinEdges.partition_buy_no 0 1_000_000_000_000_000
MinEdges.neg_risk_convert 0 1_000_000_000_000_000
MinEdges.cross_venue 0 1_000_000_000_000_000
MinEdges.implication 0 1_000_000_000_000_000
StrategyConfig.min_size_e6 0 1_000_000_000_000_000
StrategyConfig.capital_cost_rate_ppm 0 10_000_000
StrategyConfig.max_legs 2 256
StrategyConfig.book_age_max_ns 1 86_400_000_000_000
StrategyConfig.leg_skew_max_ns 1 86_400_000_000_000
StrategyConfig.deadline_ns 1 3_600_000_000_000
OptimizerConfig.slots 1 100_000
OptimizerConfig.worst_loss_max_micros 0 1_000_000_000_000_000
LatencyConfig.order_median_ns 0 3_600_000_000_000
LatencyConfig.order_p99_ns 0 3_600_000_000_000
LatencyConfig.report_median_ns 0 3_600_000_000_000
LatencyConfig.report_p99_ns 0 3_600_000_000_000
LatencyConfig.confirm_ns 0 86_400_000_000_000
LatencyConfig.convert_ns 0 86_400_000_000_000
LatencyConfig.settle_ns 0 31_536_000_000_000_000
FeedConfig.symbols_per_subscription 1 4_096
FeedConfig.subscriptions_per_socket 1 128
FeedConfig.sockets_max 1 256
FeedConfig.raced_sockets 1 2
FeedConfig.message_bytes_max 1_024 4_194_304
FeedConfig.message_max_ns 1_000_000 3_600_000_000_000
FeedConfig.connect_max_ns 1_000_000 3_600_000_000_000
FeedConfig.subscribe_max_ns 1_000_000 3_600_000_000_000
FeedConfig.ping_every_ns 1_000_000 3_600_000_000_000
FeedConfig.pong_max_ns 1_000_000 3_600_000_000_000
FeedConfig.user_timeout_ns 1_000_000 3_600_000_000_000
FeedConfig.reconnect_base_ns 1_000_000 3_600_000_000_000
FeedConfig.reconnect_max_ns 1_000_000 3_600_000_000_000
FeedConfig.hold_ns 0 3_600_000_000_000
FeedConfig.attempts_per_minute 1 6_000
FeedConfig.garbage_max 1 100_000
FeedConfig.garbage_span_ns 1_000_000 3_600_000_000_000
FeedConfig.resyncs_per_second 1 1_000
FeedConfig.resync_symbols_max 1 4_096
FeedConfig.resync_retry_ns 1_000_000 3_600_000_000_000
VenueConfig.paper_cash_micros 0 1_000_000_000_000_000
VenueConfig.orders_per_second 1 100_000
VenueConfig.orders_burst 1 100_000
ProcessConfig.core -1 1_024
MonitorConfig.port 0 65_535
ExecutionConfig.ack_timeout_ns 1_000_000 3_600_000_000_000
ExecutionConfig.late_window_ns 1_000_000 3_600_000_000_000
ExecutionConfig.question_max_ns 1_000_000 3_600_000_000_000
ExecutionConfig.confirm_timeout_ns 1_000_000 3_600_000_000_000
ExecutionConfig.convert_timeout_ns 1_000_000 3_600_000_000_000
ExecutionConfig.unwind_attempts_max 0 100
ExecutionConfig.unwind_retry_ns 1_000_000 3_600_000_000_000
ExecutionConfig.unwind_loss_max_e4 0 10_000
ExecutionConfig.plans_open_max 1 1_024
"""

CLASSES = {name: found for name, found in vars(config).items() if dataclasses.is_dataclass(found)} | {
    "ExecutionConfig": ExecutionConfig
}


@pytest.mark.parametrize("line", BOUNDS.split("\n")[1:-1])
def test_a_bound_is_where_it_was(line: str) -> None:
    place, low, high = line.split()
    owner, _, name = place.partition(".")
    (declared,) = (field for field in dataclasses.fields(CLASSES[owner]) if field.name == name)
    assert dict(declared.metadata) == {"low": int(low), "high": int(high)}
