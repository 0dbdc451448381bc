"""Trees of plain values (TOML tables, JSON objects) to frozen dataclasses and back.

A class says what is allowed: its field types, and bounds declared with ``bounded`` or ``required``. Every
mistake becomes one ConfigError that names its place: ``file: key.path: what is wrong``. Enums travel as
lower-case names.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeVar

from engine.errors import ConfigError

T = TypeVar("T")

ITEMS_MAX: Final = 100_000  # of one array: a file beyond it is not a configuration
_SHOWN_CHARS_MAX: Final = 60
_TYPE_WORDS: Final[Mapping[object, str]] = {int: "an integer", bool: "true or false", str: "a text"}


def bounded(default: int, low: int, high: int) -> int:
    """Declare a dataclass field of integers with inclusive bounds; answers a ``field`` typed as its value."""
    declared: int = dataclasses.field(default=default, metadata={"low": low, "high": high})
    return declared


def required(low: int, high: int) -> int:
    """Declare a field like ``bounded`` without a default: leaving it out is an error."""
    declared: int = dataclasses.field(metadata={"low": low, "high": high})
    return declared


def build(cls: type[T], tree: object, source: str) -> T:
    """Instance of the dataclass ``cls`` from a mapping of its fields; ``source`` names the file in messages.

    Raises ConfigError on an unknown or missing key, a wrong type, a value out of bounds, or a refusal by a
    class itself (ValueError of ``__post_init__``).
    """
    return _Reader(source, partial=False).instance(cls, tree, "")


def check(cls: type[object], tree: object, source: str) -> None:
    """Raise what ``build`` would of the keys that are there; missing ones may stand elsewhere."""
    _Reader(source, partial=True).values(cls, tree, "")


def dump(value: object) -> object:
    """Plain tree of a dataclass: mappings, lists, integers, texts; the inverse of ``build``."""
    if isinstance(value, IntEnum):
        return value.name.lower()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [dump(item) for item in value]
    return value


def fault(source: str, path: str, what: str) -> ConfigError:
    """The one shape of a configuration error: ``source: path: what``; an empty part is left out."""
    return ConfigError(": ".join(part for part in (source, path, what) if part))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[: _SHOWN_CHARS_MAX - 3] + "..."


def _nearest(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def _shape(cls: Hashable) -> tuple[Mapping[str, dataclasses.Field[object]], Mapping[str, object]]:
    """Fields and resolved types of a dataclass; resolving takes longer than all the rest."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return fields, typing.get_type_hints(cls)


class _Reader:
    """Conversion of one tree; ``partial`` forgives missing keys of tables, not of the items of lists."""

    def __init__(self, source: str, partial: bool) -> None:
        self.source = source
        self.partial = partial

    def fault(self, path: str, what: str) -> ConfigError:
        return fault(self.source, path, what)

    def instance(self, cls: type[T], tree: object, path: str) -> T:
        values = self.values(cls, tree, path)
        try:
            return cls(**values)
        except ValueError as error:
            raise self.fault(path, str(error)) from error

    def values(self, cls: type[object], tree: object, path: str) -> dict[str, object]:
        """Converted values of the fields that ``tree`` holds."""
        if not isinstance(tree, Mapping):
            raise self.fault(path, f"expected a table, got {_shown(tree)}")
        fields, hints = _shape(typing.cast("Hashable", cls))
        for key in tree:
            if key not in fields:
                raise self.fault(_join(path, str(key)), f"unknown key{_nearest(str(key), fields)}")
        values: dict[str, object] = {}
        for name in tree:  # what is there and wrong comes before what is missing
            place = _join(path, name)
            values[name] = self.convert(hints[name], tree[name], place)
            self.check_bounds(fields[name], values[name], place)
        for name, field in fields.items():
            if name not in tree and not self.partial and _is_required(field):
                raise self.fault(_join(path, name), "missing")
        return values

    def check_bounds(self, field: dataclasses.Field[object], value: object, path: str) -> None:
        low, high = field.metadata.get("low"), field.metadata.get("high")
        if isinstance(value, int) and low is not None and high is not None and not low <= value <= high:
            raise self.fault(path, f"{value} is out of range {low}..{high}")

    def convert(self, hint: object, value: object, path: str) -> object:
        """Value of type ``hint``: scalar, enum, optional, tuple, mapping or dataclass."""
        origin = typing.get_origin(hint)
        if origin in (types.UnionType, typing.Union):
            inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
            return None if value is None else self.convert(inner[0], value, path)
        if origin is tuple:
            return self.convert_tuple(typing.get_args(hint), value, path)
        if origin is dict:
            return self.convert_mapping(typing.get_args(hint)[1], value, path)
        if isinstance(hint, type) and issubclass(hint, IntEnum):
            return self.convert_enum(hint, value, path)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self.values(hint, value, path) if self.partial else self.instance(hint, value, path)
        if type(value) is not hint:  # exact: true is not an integer, and no text is read as a number
            raise self.fault(path, f"expected {_TYPE_WORDS[hint]}, got {_shown(value)}")
        return value

    def convert_enum(self, hint: type[IntEnum], value: object, path: str) -> IntEnum:
        names = {member.name.lower(): member for member in hint}
        if not isinstance(value, str) or value not in names:
            raise self.fault(path, f"expected one of {', '.join(names)}, got {_shown(value)}")
        return names[value]

    def convert_tuple(self, args: Sequence[object], value: object, path: str) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise self.fault(path, f"expected a list, got {_shown(value)}")
        if len(value) > ITEMS_MAX:
            raise self.fault(path, f"{len(value)} items, at most {ITEMS_MAX}")
        hints = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        if len(hints) != len(value):
            raise self.fault(path, f"expected {len(hints)} items, got {len(value)}")
        whole = _Reader(self.source, partial=False)  # a list replaces: each item must be complete
        return tuple(
            whole.convert(hint, item, f"{path}[{index}]")
            for index, (hint, item) in enumerate(zip(hints, value, strict=True))
        )

    def convert_mapping(self, hint: object, value: object, path: str) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise self.fault(path, f"expected a table, got {_shown(value)}")
        return {str(key): self.convert(hint, item, _join(path, str(key))) for key, item in value.items()}
