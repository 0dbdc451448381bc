"""What the documents say of the commands, against the commands."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.records import SignalKind
from procs.cli.exit_codes import ExitCode
from procs.cli.main import COMMANDS, Command
from procs.places import PACKAGES_ROOT

DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/*.md", "docs/adr/*.md") for path in PACKAGES_ROOT.glob(pattern)
)
OPERATIONS = (PACKAGES_ROOT / "docs" / "operations.md").read_text()


def _parser(module: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    importlib.import_module(module).add_arguments(parser)
    return parser


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Long options of a parser and of its actions."""
    for action in parser._actions:
        yield from (name for name in action.option_strings if name.startswith("--") and name != "--help")
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _options(below)


def _section(name: str) -> str:
    """What operations.md says of one command."""
    return OPERATIONS.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_described_and_every_description_has_an_option(command: Command) -> None:
    name, module = command.name, command.module
    described = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", _section(name)))
    options = set(_options(_parser(module)))
    assert options - described == set()
    if name != "funnel":  # which says how its input is made by another
        assert described - options == set()


def test_commands_in_the_readme_take_the_options_that_stand_there() -> None:
    lines = re.findall(
        r"^\.venv/bin/pr3dict (\w+) ([^#\n]*)", (PACKAGES_ROOT / "README.md").read_text(), re.M
    )
    assert {name for name, _ in lines} == {command.name for command in COMMANDS}
    modules = {command.name: command.module for command in COMMANDS}
    for name, arguments in lines:
        assert set(re.findall(r"--[a-z]+", arguments)) <= set(_options(_parser(modules[name]))), name


def test_exit_codes_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \| ", OPERATIONS, re.MULTILINE)
    assert [int(code) for code in rows] == sorted(ExitCode)


def test_kinds_of_opportunity_are_those_of_the_table() -> None:
    table = _section("paper").split("Kinds of opportunity", 1)[1]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [kind.name.lower() for kind in SignalKind]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
