"""The configuration: every setting as a typed field with bounds, layered from files, hashed as a whole.

Layers are plain trees, later ones win key by key; lists are replaced whole. Each layer is checked on its own,
so that a message names the file in which the mistake stands. Secrets are never settings: only the folder they
are in. Money in micro-dollars, sizes in 1e-6 contract, times in ns, rates in ppm.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, cast

from engine import typed_tree
from engine.execution.config import ExecutionConfig
from engine.records import LEGS_MAX, SignalKind, Venue
from engine.typed_tree import required
from engine.units import CASH_MAX_MICROS, NS_PER_DAY, NS_PER_S, PPM, SIDE_SIZE_MAX_E6

SLOTS_MAX: Final = 1 << 20
CORES_MAX: Final = 1_024
RATE_MAX: Final = 100_000
WAIT_MAX_NS: Final = 3_600 * NS_PER_S
MOMENT_NS: Final = 1_000_000  # least of what is waited for: timers of a socket have this grain
EFFECTIVE: Final = "effective configuration"  # what a message names when no single file is at fault

RESERVED_NAMES: Final = frozenset({"engine", "control", "monitor"})  # of what runs beside
_PROCESS_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,23}")

Tree = Mapping[str, object]


class Mode(IntEnum):
    """Where orders go."""

    PAPER = 0
    LIVE = 1


class Wait(IntEnum):
    """What a process does when its agents are idle."""

    SPIN = 0
    YIELD = 1
    FUTEX = 2
    VIRTUAL = 3  # one process under a virtual clock: idle means the next event


class Role(IntEnum):
    """Agents that a topology places."""

    FEED = 0
    BOOK = 1
    STRATEGY = 2
    OPTIMIZER = 3
    EXECUTOR = 4
    VENUE_SIM = 5
    LEDGER = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Of the whole engine. ``topology`` names one of ``topologies``."""

    mode: Mode
    topology: str
    market_slots: int = required(1, SLOTS_MAX)
    seed: int = required(0, 2**62)  # of everything simulated
    drill_every_ns: int = required(0, NS_PER_S)  # 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class BookConfig:
    """When a book falls into doubt."""

    crossed_max_ns: int = required(0, WAIT_MAX_NS)
    silence_max_ns: int = required(NS_PER_S, WAIT_MAX_NS)
    market_silence_max_ns: int = required(NS_PER_S, NS_PER_DAY)
    mirror_broken_frames_max: int = required(0, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """Limits of the gate; what is in flight counts as filled."""

    order_size_max_e6: int = required(0, SIDE_SIZE_MAX_E6)
    order_notional_max_micros: int = required(0, CASH_MAX_MICROS)
    position_max_e6: int = required(0, SIDE_SIZE_MAX_E6)
    market_exposure_max_micros: int = required(0, CASH_MAX_MICROS)
    event_exposure_max_micros: int = required(0, CASH_MAX_MICROS)
    daily_loss_max_micros: int = required(0, CASH_MAX_MICROS)
    drawdown_warn_ppm: int = required(0, PPM)
    drawdown_stop_ppm: int = required(0, PPM)
    heat_max_ppm: int = required(0, PPM)
    open_orders_max: int = required(0, 1_000_000)
    book_age_max_ns: int = required(1, NS_PER_DAY)

    def __post_init__(self) -> None:
        if self.drawdown_warn_ppm > self.drawdown_stop_ppm:
            raise ValueError("drawdown_warn_ppm is above drawdown_stop_ppm")
        if self.market_exposure_max_micros > self.event_exposure_max_micros:
            raise ValueError("market_exposure_max_micros is above event_exposure_max_micros")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinEdges:
    """Least net edge worth a signal, per set of one contract a leg, after fees and capital cost."""

    complement_buy: int = required(0, CASH_MAX_MICROS)
    complement_sell: int = required(0, CASH_MAX_MICROS)
    partition_buy_yes: int = required(0, CASH_MAX_MICROS)
    partition_buy_no: int = required(0, CASH_MAX_MICROS)
    neg_risk_convert: int = required(0, CASH_MAX_MICROS)
    cross_venue: int = required(0, CASH_MAX_MICROS)
    implication: int = required(0, CASH_MAX_MICROS)

    def of(self, kind: SignalKind) -> int:
        """Least edge of one kind, in micro-dollars."""
        return cast("int", getattr(self, kind.name.lower()))


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfig:
    """What arbitrage looks at and when it speaks."""

    min_edge_micros: MinEdges
    min_size_e6: int = required(0, SIDE_SIZE_MAX_E6)
    capital_cost_rate_ppm: int = required(0, 10 * PPM)  # per year
    max_legs: int = required(2, LEGS_MAX)
    book_age_max_ns: int = required(1, NS_PER_DAY)
    leg_skew_max_ns: int = required(1, NS_PER_DAY)
    deadline_ns: int = required(1, WAIT_MAX_NS)  # from the frame to the last byte of the last leg


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Scarce things a plan may use."""

    slots: int = required(1, 100_000)  # orders in flight over all plans
    worst_loss_max_micros: int = required(0, CASH_MAX_MICROS)  # of any partial fill of one plan


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyConfig:
    """Simulated times of a venue: medians, and the 99th percentile of the same (log-normal between)."""

    order_median_ns: int = required(0, WAIT_MAX_NS)  # our send to the matching engine
    order_p99_ns: int = required(0, WAIT_MAX_NS)
    report_median_ns: int = required(0, WAIT_MAX_NS)  # matching engine to us
    report_p99_ns: int = required(0, WAIT_MAX_NS)
    confirm_ns: int = required(0, NS_PER_DAY)  # match to finality; freshly bought is not for sale before
    convert_ns: int = required(0, NS_PER_DAY)  # conversion, merge, split
    settle_ns: int = required(0, 365 * NS_PER_DAY)  # close to payout

    def __post_init__(self) -> None:
        if self.order_p99_ns < self.order_median_ns or self.report_p99_ns < self.report_median_ns:
            raise ValueError("a 99th percentile is below its median")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """Market data of one venue over WebSockets. File names are of the credentials folder; "": none."""

    ws_url: str
    key_id_file: str
    private_key_file: str
    symbols_per_subscription: int = required(1, 4_096)
    subscriptions_per_socket: int = required(1, 128)
    sockets_max: int = required(1, 256)
    raced_sockets: int = required(1, 2)  # at a time for the same markets
    message_bytes_max: int = required(1_024, 4 << 20)  # what a codec has room for
    message_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)  # from its first byte to its last
    connect_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    subscribe_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    ping_every_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    pong_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    user_timeout_ns: int = required(MOMENT_NS, WAIT_MAX_NS)  # sent bytes that nobody acknowledges (TCP)
    reconnect_base_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    reconnect_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    hold_ns: int = required(0, WAIT_MAX_NS)  # a connection that lasted is tried again at once
    attempts_per_minute: int = required(1, 6_000)
    garbage_max: int = required(1, 100_000)
    garbage_span_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    resyncs_per_second: int = required(1, 1_000)
    resync_symbols_max: int = required(1, 4_096)  # of one request
    resync_retry_ns: int = required(MOMENT_NS, WAIT_MAX_NS)

    def __post_init__(self) -> None:
        if not self.ws_url.startswith(("ws://", "wss://")):
            raise ValueError(f"ws_url {self.ws_url!r} is no address of a WebSocket (ws:// or wss://)")
        if self.reconnect_max_ns < self.reconnect_base_ns:
            raise ValueError("reconnect_max_ns is below reconnect_base_ns")
        if (self.key_id_file == "") != (self.private_key_file == ""):
            raise ValueError("key_id_file and private_key_file go together")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """Our account at one venue. ``direct_member`` matters at Kalshi: the precision of the balance."""

    paper_cash_micros: int = required(0, CASH_MAX_MICROS)
    orders_per_second: int = required(1, RATE_MAX)
    orders_burst: int = required(1, RATE_MAX)
    direct_member: bool
    latency: LatencyConfig
    feed: FeedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuesConfig:
    """One table a venue."""

    polymarket: VenueConfig
    kalshi: VenueConfig

    def of(self, venue: Venue) -> VenueConfig:
        """Settings of one venue."""
        return self.polymarket if venue is Venue.POLYMARKET else self.kalshi


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    """One process: the agents in it, the core it is pinned to (-1: none), how it waits."""

    name: str
    roles: tuple[Role, ...]
    core: int = typed_tree.bounded(-1, -1, CORES_MAX)
    wait: Wait = Wait.YIELD


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyConfig:
    """Which agent runs in which process."""

    processes: tuple[ProcessConfig, ...]

    def __post_init__(self) -> None:
        placed = [role for process in self.processes for role in process.roles]
        if len(placed) != len(set(placed)):
            raise ValueError("a role is placed twice")
        for process in self.processes:
            if not _PROCESS_NAME.fullmatch(process.name) or process.name in RESERVED_NAMES:
                raise ValueError(
                    f"{process.name!r} cannot be the name of a process: a-z, 0-9 and -, up to 24"
                )
        names = [process.name for process in self.processes]
        if not names or len(names) != len(set(names)):
            raise ValueError("processes need names of their own, and there must be one")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathsConfig:
    """Files and folders; relative ones lie in the configuration folder. "" is the default place."""

    fees: str
    relations: str
    run_dir: str
    state_dir: str
    credentials_dir: str  # secrets are read from here at the moment of use, and are part of no configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorConfig:
    """Where Prometheus scrapes; on 127.0.0.1 only. 0 is any free port."""

    port: int = required(0, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorConfig:
    """How the processes of a live engine are begun again, end, and go on without their owner."""

    restart_min_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    restart_max_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    settled_ns: int = required(MOMENT_NS, WAIT_MAX_NS)
    restarts_max: int = required(0, 10_000)
    silent_max_ns: int = required(NS_PER_S, WAIT_MAX_NS)
    start_max_ns: int = required(NS_PER_S, WAIT_MAX_NS)
    drain_max_ns: int = required(0, WAIT_MAX_NS)
    orphan_max_ns: int = required(0, NS_PER_DAY)

    def __post_init__(self) -> None:
        if self.restart_max_ns < self.restart_min_ns:
            raise ValueError("restart_max_ns is below restart_min_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The effective tree."""

    engine: EngineConfig
    book: BookConfig
    risk: RiskConfig
    strategy: StrategyConfig
    optimizer: OptimizerConfig
    execution: ExecutionConfig
    venues: VenuesConfig
    paths: PathsConfig
    monitor: MonitorConfig
    supervisor: SupervisorConfig
    topologies: dict[str, TopologyConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.engine.topology not in self.topologies:
            raise ValueError(f"engine.topology: no topology {self.engine.topology!r} in topologies")
        if self.strategy.book_age_max_ns > self.risk.book_age_max_ns:
            raise ValueError("strategy.book_age_max_ns is above risk.book_age_max_ns: the gate would refuse")

    def tree(self) -> dict[str, object]:
        """Plain tree of every setting."""
        return cast("dict[str, object]", typed_tree.dump(self))

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the effective tree; every process logs it."""
        return hashlib.sha256(canonical(self.tree()).encode()).hexdigest()


class Layer(NamedTuple):
    """One source of settings: a file name or an option, and its tree."""

    source: str
    tree: Tree


def canonical(tree: Tree) -> str:
    """JSON with sorted keys and no white space: equal trees give equal text."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def build_config(layers: Sequence[Layer]) -> Config:
    """Effective configuration of ``layers``, the last one strongest; ConfigError names the place."""
    merged: Tree = {}
    for layer in layers:
        typed_tree.check(Config, layer.tree, layer.source)
        merged = merge(merged, layer.tree)
    return typed_tree.build(Config, merged, EFFECTIVE)


def merge(weak: Tree, strong: Tree) -> dict[str, object]:
    """Tree with the keys of both; tables merge, anything else of ``strong`` replaces."""
    merged = dict(weak)
    for key, value in strong.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(cast("Tree", below), cast("Tree", value)) if both else value
    return merged
