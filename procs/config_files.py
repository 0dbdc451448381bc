"""Configuration from TOML files and command-line assignments; the meaning of every key is in the engine.

Layers, later ones stronger: ``default.toml``, ``paper.toml`` or ``live.toml``, the user's files in the order
given, ``--set`` assignments. Mistakes are ConfigErrors that name file, key and fault.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from engine import typed_tree
from engine.catalog.defaults import FeeTable
from engine.catalog.relations import RelationBook
from engine.config import Config, Layer, Mode, build_config
from engine.errors import ConfigError
from procs import places

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
SET_OPTION: Final = "--set"
MODE_LAYERS: Final[Mapping[Mode, str]] = {Mode.PAPER: "paper.toml", Mode.LIVE: "live.toml"}


def read_toml(path: Path) -> dict[str, object]:
    """Tree of one TOML file. ConfigError when it is absent, too large, or not TOML (with line and column)."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise typed_tree.fault(str(path), "", error.strerror or "cannot be read") from error
    if len(raw) > FILE_BYTES_MAX:
        raise typed_tree.fault(str(path), "", f"{len(raw)} bytes, at most {FILE_BYTES_MAX}")
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typed_tree.fault(str(path), "", f"not TOML: {error}") from error


def assignment_layer(assignments: Sequence[str]) -> Layer:
    """Layer of ``key.path=value`` texts; a value that is not TOML by itself is a text."""
    tree: dict[str, object] = {}
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not sign or not all(keys):
            raise typed_tree.fault(SET_OPTION, assignment, "expected key.path=value")
        table = tree
        for key in keys[:-1]:
            below = table.setdefault(key, {})
            if not isinstance(below, dict):
                raise typed_tree.fault(SET_OPTION, path, f"{key} has a value already")
            table = below
        table[keys[-1]] = _value(text.strip())
    return Layer(SET_OPTION, tree)


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def load_config(
    files: Sequence[Path] = (),
    assignments: Sequence[str] = (),
    mode: Mode = Mode.PAPER,
    folder: Path | None = None,
) -> Config:
    """Effective configuration. ``folder``: where the shipped files are (default: beside the code).

    Raises ConfigError; also when a file or assignment changes the mode, which only the command may choose.
    """
    shipped = places.config_dir() if folder is None else folder
    paths = [shipped / "default.toml", shipped / MODE_LAYERS[mode], *files]
    layers = [Layer(str(path), read_toml(path)) for path in paths]
    if assignments:
        layers.append(assignment_layer(assignments))
    config = build_config(layers)
    if config.engine.mode is not mode:
        raise ConfigError(
            f"engine.mode: {config.engine.mode.name.lower()} is chosen by the command, not by a file"
        )
    return config


def resolve(name: str, folder: Path | None = None) -> Path:
    """Path of a file that the configuration names: as it is when absolute, else in the shipped folder."""
    return (places.config_dir() if folder is None else folder) / name


def run_dir(config: Config) -> Path:
    """Run directory that ``paths.run_dir`` names, or the default one; ConfigError when there is neither."""
    return resolve(config.paths.run_dir) if config.paths.run_dir else places.run_root()


def state_dir(config: Config) -> Path:
    """State directory that ``paths.state_dir`` names, or the default one; ConfigError as above."""
    return resolve(config.paths.state_dir) if config.paths.state_dir else places.state_root()


def load_fee_table(config: Config, folder: Path | None = None) -> FeeTable:
    """Fee schedules by date of the file that ``paths.fees`` names."""
    return read_fee_table(resolve(config.paths.fees, folder))


def read_fee_table(path: Path) -> FeeTable:
    """Fee schedules of one file."""
    return FeeTable.from_tree(read_toml(path), str(path))


def load_relations(config: Config, folder: Path | None = None) -> RelationBook:
    """Relations of the file that ``paths.relations`` names, approved or not."""
    return read_relations(resolve(config.paths.relations, folder))


def read_relations(path: Path) -> RelationBook:
    """Relations of one file."""
    return RelationBook.from_tree(read_toml(path), str(path))
