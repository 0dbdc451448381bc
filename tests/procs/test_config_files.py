from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.config import Mode
from engine.errors import ConfigError
from engine.records import Venue
from procs import config_files, places
from procs.config_files import assignment_layer, load_config, load_fee_table, load_relations, read_toml


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("[risk]\nopen_orders_max = 7\n")
    return path


def test_the_shipped_files_load() -> None:
    config = load_config()
    assert config.engine.mode is Mode.PAPER
    assert load_fee_table(config).knows(Venue.KALSHI, "quadratic")
    assert [relation.approved_by for relation in load_relations(config).relation] == ["", ""]


@pytest.mark.parametrize("name", ["default.toml", "paper.toml", "live.toml"])
def test_every_key_of_the_shipped_files_has_a_comment(name: str) -> None:
    lines = (places.config_dir() / name).read_text().splitlines()
    keys = [line for line in lines if re.match(r"\w+ *=", line)]
    assert keys
    assert [line for line in keys if not re.search(r" # \w", line)] == []


def test_a_users_file_and_then_the_command_line_win(user_file: Path) -> None:
    assert load_config([user_file]).risk.open_orders_max == 7
    assert load_config([user_file], ["risk.open_orders_max=8"]).risk.open_orders_max == 8


def test_live_is_another_layer() -> None:
    live, paper = load_config(mode=Mode.LIVE), load_config()
    assert live.engine.mode is Mode.LIVE
    assert live.risk.order_size_max_e6 < paper.risk.order_size_max_e6


@pytest.mark.parametrize(("mode", "other"), [(Mode.PAPER, "live"), (Mode.LIVE, "paper")])
def test_only_the_command_chooses_the_mode(tmp_path: Path, mode: Mode, other: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[engine]\nmode = "{other}"\n')
    with pytest.raises(ConfigError, match=f"engine.mode: {other} is chosen by the command, not by a file"):
        load_config([path], mode=mode)


def test_a_mistake_names_the_users_file(user_file: Path) -> None:
    user_file.write_text("[risk]\nopen_order_max = 7\n")
    with pytest.raises(ConfigError, match=r"mine.toml: risk.open_order_max: unknown key \(did you mean"):
        load_config([user_file])


def test_broken_toml_has_a_line(user_file: Path) -> None:
    user_file.write_text("[risk]\nopen_orders_max == 7\n")
    with pytest.raises(ConfigError, match=r"mine.toml: not TOML: .*line 2"):
        read_toml(user_file)


def test_a_file_that_is_no_text(user_file: Path) -> None:
    user_file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"mine.toml: not TOML"):
        read_toml(user_file)


def test_a_file_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"default.toml: No such file"):
        load_config(folder=tmp_path)


def test_a_file_too_large_to_be_settings(user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_files, "FILE_BYTES_MAX", 3)
    with pytest.raises(ConfigError, match=r"bytes, at most 3"):
        read_toml(user_file)


@pytest.mark.parametrize(
    ("assignment", "tree"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a.b=1_000", {"a": {"b": 1000}}),
        ("a=true", {"a": True}),
        ('a="x"', {"a": "x"}),
        ("a=inline", {"a": "inline"}),  # no quotes needed for a word
        ("a.b = [1, 2]", {"a": {"b": [1, 2]}}),
        ("a=x=y", {"a": "x=y"}),
        ("a=", {"a": ""}),
    ],
)
def test_assignments(assignment: str, tree: dict[str, object]) -> None:
    assert assignment_layer([assignment]).tree == tree


def test_assignments_gather_in_one_tree() -> None:
    assert assignment_layer(["a.b=1", "a.c=2", "a.b=3"]).tree == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize("assignment", ["a.b", "=1", "a..b=1", ".a=1"])
def test_an_assignment_without_a_key_or_a_value(assignment: str) -> None:
    with pytest.raises(ConfigError, match=r"--set: .*expected key.path=value"):
        assignment_layer([assignment])


def test_an_assignment_below_a_value() -> None:
    with pytest.raises(ConfigError, match=r"--set: a.b: a has a value already"):
        assignment_layer(["a=1", "a.b=2"])


def test_a_wrong_value_names_the_option() -> None:
    with pytest.raises(ConfigError, match=r"--set: risk.open_orders_max: expected an integer, got 'many'"):
        load_config(assignments=["risk.open_orders_max=many"])


def test_relative_names_lie_beside_the_shipped_files(tmp_path: Path) -> None:
    assert config_files.resolve("fees.toml") == places.config_dir() / "fees.toml"
    assert config_files.resolve("fees.toml", tmp_path) == tmp_path / "fees.toml"
    assert config_files.resolve(str(tmp_path / "x.toml")) == tmp_path / "x.toml"


def test_a_relations_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("")
    config = load_config(assignments=[f'paths.relations="{path}"'])
    assert load_relations(config).relation == ()
    path.write_text("[[relation]]\nname = 1\n")
    with pytest.raises(ConfigError, match=r"mine.toml: relation\[0\].name: expected a text"):
        load_relations(config)


def test_the_folders_of_an_engine_are_the_settings_or_the_default_places() -> None:
    named = config_files.load_config((), ["paths.run_dir=/run/x", "paths.state_dir=state"])
    assert config_files.run_dir(named) == Path("/run/x")
    assert config_files.state_dir(named) == places.config_dir() / "state"
    shipped = config_files.load_config()
    assert config_files.run_dir(shipped) == places.run_root()
    assert config_files.state_dir(shipped) == places.state_root()
