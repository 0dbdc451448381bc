from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest

from engine.config import (
    Config,
    Layer,
    Mode,
    Role,
    Wait,
    build_config,
    canonical,
    merge,
)
from engine.errors import ConfigError
from engine.execution.config import ExecutionConfig, LegOrder
from engine.records import SignalKind, Venue

FOLDER = Path(__file__).resolve().parents[2] / "config"


def shipped(name: str) -> Layer:
    return Layer(name, tomllib.loads((FOLDER / name).read_text()))


def effective(*changes: dict[str, object]) -> Config:
    return build_config([shipped("default.toml"), *(Layer("user.toml", change) for change in changes)])


def test_the_shipped_default_is_whole() -> None:
    config = effective()
    assert config.engine.mode is Mode.PAPER
    assert config.risk.daily_loss_max_micros == 500_000_000
    assert (config.risk.drawdown_warn_ppm, config.risk.drawdown_stop_ppm) == (200_000, 250_000)
    assert config.topologies["inline"].processes[0].wait is Wait.VIRTUAL
    assert set(config.topologies["inline"].processes[0].roles) == set(Role)


def test_the_shipped_file_says_what_execution_does_without_one() -> None:
    assert effective().execution == ExecutionConfig()
    chosen = effective({"execution": {"leg_order": "least_liquid_first"}}).execution
    assert chosen == ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST)


def test_a_venue_may_be_without_cash() -> None:
    venues = effective({"venues": {"kalshi": {"paper_cash_micros": 0}}}).venues
    assert (venues.kalshi.paper_cash_micros, venues.polymarket.paper_cash_micros) == (0, 10_000_000_000)


def test_live_is_stricter_than_paper() -> None:
    paper = build_config([shipped("default.toml"), shipped("paper.toml")])
    live = build_config([shipped("default.toml"), shipped("live.toml")])
    assert (paper.engine.mode, live.engine.mode) == (Mode.PAPER, Mode.LIVE)
    for name in ("order_size_max_e6", "order_notional_max_micros", "position_max_e6", "heat_max_ppm"):
        assert getattr(live.risk, name) < getattr(paper.risk, name)
    assert live.optimizer.worst_loss_max_micros < paper.optimizer.worst_loss_max_micros


def test_the_default_file_names_every_setting() -> None:
    """Everything is in default.toml, so that reading it is knowing what can be set."""
    tree = shipped("default.toml").tree

    def paths(value: object, path: str) -> set[str]:
        if not isinstance(value, dict):
            return {path}
        return set().union(*(paths(item, f"{path}.{key}") for key, item in value.items()))

    assert paths(dict(tree), "") == paths(effective().tree(), "")


def test_later_layers_win_key_by_key() -> None:
    config = effective(
        {"risk": {"open_orders_max": 5}}, {"risk": {"open_orders_max": 6}}, {"engine": {"seed": 1}}
    )
    assert (config.risk.open_orders_max, config.engine.seed) == (6, 1)
    assert config.risk.daily_loss_max_micros == 500_000_000


def test_lists_are_replaced_whole() -> None:
    process = {"name": "all", "roles": ["feed", "book"], "core": 3, "wait": "spin"}
    config = effective({"topologies": {"inline": {"processes": [process]}}})
    (only,) = config.topologies["inline"].processes
    assert (only.name, only.roles, only.core, only.wait) == ("all", (Role.FEED, Role.BOOK), 3, Wait.SPIN)


def test_a_topology_is_added_beside_the_others() -> None:
    process = {"name": "a", "roles": ["feed"]}
    config = effective({"topologies": {"mine": {"processes": [process]}}, "engine": {"topology": "mine"}})
    assert set(config.topologies) == {"inline", "one", "two", "roles", "mine"}
    assert (config.topologies["mine"].processes[0].core, config.topologies["mine"].processes[0].wait) == (
        -1,
        Wait.YIELD,
    )


def test_merge_leaves_its_arguments_alone() -> None:
    weak: dict[str, object] = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert merge(weak, {"a": {"b": 2}, "d": {"e": 1}}) == {"a": {"b": 2, "c": [1]}, "d": {"e": 1}}
    assert weak == {"a": {"b": 1, "c": [1]}, "d": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risks": {}}, r"^user.toml: risks: unknown key \(did you mean risk\?\)"),
        ({"risk": {"daily_loss_micros": 1}}, r"^user.toml: risk.daily_loss_micros: unknown key"),
        (
            {"risk": {"daily_loss_max_micros": "500"}},
            r"^user.toml: risk.daily_loss_max_micros: expected an integer",
        ),
        (
            {"risk": {"daily_loss_max_micros": -1}},
            r"^user.toml: risk.daily_loss_max_micros: -1 is out of range",
        ),
        ({"risk": {"heat_max_ppm": 1_000_001}}, r"^user.toml: risk.heat_max_ppm: 1000001 is out of range"),
        ({"risk": 5}, r"^user.toml: risk: expected a table"),
        ({"engine": {"mode": "test"}}, r"^user.toml: engine.mode: expected one of paper, live"),
        ({"strategy": {"max_legs": 257}}, r"^user.toml: strategy.max_legs: 257 is out of range 2..256"),
        (
            {"venues": {"kalshi": {"direct_member": 1}}},
            r"^user.toml: venues.kalshi.direct_member: expected true",
        ),
        ({"venues": {"kalshi": {"api_key": "secret"}}}, r"^user.toml: venues.kalshi.api_key: unknown key"),
        (
            {"topologies": {"t": {"processes": [{"name": "a"}]}}},
            r"topologies.t.processes\[0\].roles: missing",
        ),
    ],
)
def test_mistakes_name_the_file_they_are_in(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        effective(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": {"drawdown_warn_ppm": 300_000}}, "risk: drawdown_warn_ppm is above drawdown_stop_ppm"),
        ({"risk": {"event_exposure_max_micros": 1}}, "risk: market_exposure_max_micros is above"),
        ({"engine": {"topology": "five"}}, "engine.topology: no topology 'five'"),
        ({"risk": {"book_age_max_ns": 1}}, "strategy.book_age_max_ns is above risk.book_age_max_ns"),
        (
            {"venues": {"kalshi": {"latency": {"order_p99_ns": 1}}}},
            "venues.kalshi.latency: a 99th percentile is below its median",
        ),
        (
            {"venues": {"kalshi": {"latency": {"report_p99_ns": 1}}}},
            "venues.kalshi.latency: a 99th percentile is below its median",
        ),
        ({"execution": {"late_window_ns": 1_000_000}}, "execution: late_window_ns is below ack_timeout_ns"),
        ({"topologies": {"t": {"processes": []}}}, "topologies.t: processes need names"),
        (
            {"topologies": {"t": {"processes": [{"name": "a", "roles": ["feed", "feed"]}]}}},
            "topologies.t: a role is placed twice",
        ),
        (
            {"topologies": {"t": {"processes": [{"name": "a", "roles": []}, {"name": "a", "roles": []}]}}},
            "topologies.t: processes need names of their own",
        ),
    ],
)
def test_settings_that_contradict_each_other(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^effective configuration: {message}"):
        effective(change)


def test_limits_may_touch() -> None:
    config = effective(
        {
            "risk": {"drawdown_warn_ppm": 250_000, "event_exposure_max_micros": 5_000_000_000},
            "venues": {"kalshi": {"latency": {"order_p99_ns": 5_000_000, "report_p99_ns": 3_000_000}}},
        }
    )
    assert config.risk.drawdown_warn_ppm == config.risk.drawdown_stop_ppm
    assert config.risk.market_exposure_max_micros == config.risk.event_exposure_max_micros
    assert config.strategy.book_age_max_ns == config.risk.book_age_max_ns


def test_a_layer_alone_misses_what_it_does_not_say() -> None:
    with pytest.raises(ConfigError, match="effective configuration: engine: missing"):
        build_config([Layer("user.toml", {})])


@pytest.mark.parametrize("kind", SignalKind)
def test_every_kind_of_signal_has_its_least_edge(kind: SignalKind) -> None:
    config = effective({"strategy": {"min_edge_micros": {kind.name.lower(): 123}}})
    assert config.strategy.min_edge_micros.of(kind) == 123
    assert sum(config.strategy.min_edge_micros.of(other) == 123 for other in SignalKind) == 1


def test_venues_are_found_by_their_number() -> None:
    config = effective()
    assert config.venues.of(Venue.KALSHI) is config.venues.kalshi
    assert config.venues.of(Venue.POLYMARKET) is config.venues.polymarket


def test_the_fingerprint_is_that_of_the_canonical_tree() -> None:
    config = effective()
    text = json.dumps(config.tree(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(config.tree()) == text
    assert config.fingerprint() == hashlib.sha256(text.encode()).hexdigest()


def test_the_fingerprint_sees_values_and_not_their_origin() -> None:
    config = effective()
    assert effective({"risk": {"open_orders_max": 256}}).fingerprint() == config.fingerprint()
    assert effective({"risk": {"open_orders_max": 255}}).fingerprint() != config.fingerprint()


def test_the_tree_survives_the_way_back() -> None:
    config = effective()
    assert build_config([Layer("printed", json.loads(canonical(config.tree())))]) == config
