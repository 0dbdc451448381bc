from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import pytest

from engine import typed_tree
from engine.errors import ConfigError
from engine.typed_tree import bounded, build, check, dump, required


class Colour(IntEnum):
    RED = 1
    GREEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    size: int = required(0, 10)
    colour: Colour = Colour.RED

    def __post_init__(self) -> None:
        if self.size == 7:
            raise ValueError("seven is taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    name: str
    count: int = bounded(3, 1, 5)
    flag: bool = False
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[int, str] = (0, "")
    by_name: dict[str, Leaf] = field(default_factory=dict)


FULL = {
    "name": "n",
    "count": 5,
    "flag": True,
    "leaf": {"size": 1, "colour": "green"},
    "leaves": [{"size": 2}, {"size": 3, "colour": "red"}],
    "pair": [4, "x"],
    "by_name": {"a": {"size": 9}},
}


def test_a_tree_becomes_an_instance() -> None:
    root = build(Root, FULL, "file")
    assert root == Root(
        name="n",
        count=5,
        flag=True,
        leaf=Leaf(size=1, colour=Colour.GREEN),
        leaves=(Leaf(size=2), Leaf(size=3)),
        pair=(4, "x"),
        by_name={"a": Leaf(size=9)},
    )


def test_defaults_fill_what_is_absent() -> None:
    assert build(Root, {"name": "n"}, "file") == Root(name="n")
    assert build(Root, {"name": "n", "leaf": None}, "file").leaf is None


def test_dump_is_the_inverse() -> None:
    root = build(Root, FULL, "file")
    tree = dump(root)
    assert build(Root, tree, "file") == root
    assert isinstance(tree, dict)
    assert tree["leaf"] == {"size": 1, "colour": "green"}
    assert tree["pair"] == [4, "x"]


MISTAKES = [
    ({"nam": "n"}, r"^file: nam: unknown key \(did you mean name\?\)$"),
    ({"qqq": 1}, r"^file: qqq: unknown key$"),
    ({"name": 1}, r"^file: name: expected a text, got 1$"),
    ({"name": "n", "count": "3"}, r"^file: count: expected an integer, got '3'$"),
    ({"name": "n", "count": 3.0}, r"^file: count: expected an integer, got 3.0$"),
    ({"name": "n", "count": True}, r"^file: count: expected an integer, got True$"),
    ({"name": "n", "count": 6}, r"^file: count: 6 is out of range 1..5$"),
    ({"name": "n", "count": 0}, r"^file: count: 0 is out of range 1..5$"),
    ({"name": "n", "flag": 1}, r"^file: flag: expected true or false, got 1$"),
    ({"name": "n", "leaf": 1}, r"^file: leaf: expected a table, got 1$"),
    ({"name": "n", "leaf": {"size": 11}}, r"^file: leaf.size: 11 is out of range 0..10$"),
    (
        {"name": "n", "leaf": {"size": 1, "colour": "blue"}},
        r"leaf.colour: expected one of red, green, got 'blue'$",
    ),
    ({"name": "n", "leaf": {"size": 1, "colour": 2}}, r"leaf.colour: expected one of red, green, got 2$"),
    ({"name": "n", "leaves": {"size": 1}}, r"^file: leaves: expected a list"),
    ({"name": "n", "leaves": [{"size": 1}, {"sise": 1}]}, r"^file: leaves\[1\].sise: unknown key"),
    ({"name": "n", "leaves": [{}]}, r"^file: leaves\[0\].size: missing$"),
    ({"name": "n", "leaves": [{"size": 7}]}, r"^file: leaves\[0\]: seven is taken$"),
    ({"name": "n", "pair": [1]}, r"^file: pair: expected 2 items, got 1$"),
    ({"name": "n", "pair": ["1", "x"]}, r"^file: pair\[0\]: expected an integer"),
    ({"name": "n", "by_name": []}, r"^file: by_name: expected a table, got \[\]$"),
    ({"name": "n", "by_name": {"a": {"size": -1}}}, r"^file: by_name.a.size: -1 is out of range"),
]


@pytest.mark.parametrize(("tree", "message"), MISTAKES)
def test_mistakes_name_file_key_and_fault(tree: dict[str, object], message: str) -> None:
    for judge in (build, check):
        with pytest.raises(ConfigError, match=message):
            judge(Root, tree, "file")


def test_a_missing_key_is_forgiven_by_check_alone() -> None:
    check(Root, {"count": 1}, "file")
    check(Root, {"leaf": {"colour": "red"}, "by_name": {"a": {}}}, "file")
    with pytest.raises(ConfigError, match=r"^file: name: missing$"):
        build(Root, {"count": 1}, "file")
    with pytest.raises(ConfigError, match=r"^file: leaf.size: missing$"):
        build(Root, {"name": "n", "leaf": {"colour": "red"}}, "file")


def test_a_class_that_refuses_a_part_is_left_to_the_whole() -> None:
    check(Root, {"leaf": {"size": 7}}, "file")  # another layer may change it
    with pytest.raises(ConfigError, match=r"^file: leaf: seven is taken$"):
        build(Root, {"name": "n", "leaf": {"size": 7}}, "file")


def test_a_root_that_is_no_table() -> None:
    with pytest.raises(ConfigError, match=r"^file: expected a table, got 3$"):
        build(Root, 3, "file")


def test_long_lists_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed_tree, "ITEMS_MAX", 2)
    with pytest.raises(ConfigError, match=r"^file: leaves: 3 items, at most 2$"):
        build(Root, {"name": "n", "leaves": [1, 2, 3]}, "file")


def test_long_values_are_shown_short() -> None:
    with pytest.raises(ConfigError) as raised:
        build(Root, {"name": ["x" * 1_000]}, "file")
    assert len(str(raised.value)) < 110
    assert str(raised.value).endswith("...")
