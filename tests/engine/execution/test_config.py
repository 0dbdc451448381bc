from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from engine import typed_tree
from engine.errors import ConfigError
from engine.execution.config import ExecutionConfig, LegOrder
from engine.units import NS_PER_S


def test_it_is_read_from_a_table_and_checked() -> None:
    tree = {"leg_order": "least_liquid_first", "unwind_attempts_max": 2}
    config = typed_tree.build(ExecutionConfig, tree, "paper.toml")
    assert config == ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST, unwind_attempts_max=2)
    for wrong in (
        {"ack_timeout_ns": 0},
        {"unwind_loss_max_e4": 10_001},
        {"leg_order": "backwards"},
        {"legs": 1},
        {"ack_timeout_ns": 5 * NS_PER_S, "late_window_ns": 5 * NS_PER_S - 1},
        {"ack_timeout_ns": 5 * NS_PER_S, "question_max_ns": 5 * NS_PER_S - 1},
    ):
        with pytest.raises(ConfigError):
            typed_tree.build(ExecutionConfig, wrong, "paper.toml")


def test_the_shipped_file_says_what_the_code_does_without_one() -> None:
    shipped = Path(__file__).resolve().parents[3] / "config" / "default.toml"
    tree = tomllib.loads(shipped.read_text(encoding="utf-8"))["execution"]
    assert set(tree) == {field.name for field in fields(ExecutionConfig)}
    assert typed_tree.build(ExecutionConfig, tree, shipped.name) == ExecutionConfig()


def test_its_times_may_be_equal() -> None:
    config = ExecutionConfig(
        ack_timeout_ns=5 * NS_PER_S, late_window_ns=5 * NS_PER_S, question_max_ns=5 * NS_PER_S
    )
    assert config.late_window_ns == config.question_max_ns == config.ack_timeout_ns


def test_the_defaults_wait_longer_for_a_late_order_than_for_an_answer() -> None:
    config = ExecutionConfig()
    assert config.late_window_ns > config.ack_timeout_ns
    assert config.question_max_ns >= config.ack_timeout_ns
    assert config.leg_order == LegOrder.ALL_AT_ONCE
