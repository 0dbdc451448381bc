"""Trees of plain values (TOML tables, JSON objects) to frozen dataclasses and back.

A class says what is allowed: its field types, and bounds declared with ``bounded``. Every mistake becomes one
ConfigError that names its place: ``file: key.path: what is wrong``. Enums travel as their lower-case names.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeVar

from engine.errors import ConfigError

T = TypeVar("T")

_ITEMS_MAX: Final = 100_000  # of one array: a file beyond it is not a configuration
_TYPE_WORDS: Final[Mapping[object, str]] = {int: "an integer", bool: "true or false", str: "a text"}


def bounded(default: int, low: int, high: int) -> int:
    """Declare a dataclass field of integers with inclusive bounds; answers a ``field`` typed as its value."""
    declared: int = dataclasses.field(default=default, metadata={"low": low, "high": high})
    return declared


def required(low: int, high: int) -> int:
    """Declare a field like ``bounded`` without a default: leaving it out is an error."""
    declared: int = dataclasses.field(metadata={"low": low, "high": high})
    return declared


def build(cls: type[T], tree: object, source: str, path: str = "") -> T:
    """Instance of the dataclass ``cls`` from a mapping of its fields.

    ``source`` and ``path`` name the place in messages. Raises ConfigError on an unknown or missing key, a
    wrong type, a value out of bounds, or a refusal by the class itself (ValueError of ``__post_init__``).
    """
    if not isinstance(tree, Mapping):
        raise fault(source, path, f"expected a table, got {_shown(tree)}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in tree:
        if key not in fields:
            raise fault(source, _join(path, str(key)), f"unknown key{_nearest(str(key), fields)}")
    values: dict[str, object] = {}
    for name, field in fields.items():
        if name in tree:
            values[name] = _convert(hints[name], tree[name], source, _join(path, name))
            _check_bounds(field, values[name], source, _join(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise fault(source, _join(path, name), "missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise fault(source, path, str(error)) from error


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
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_bounds(field: dataclasses.Field[object], value: object, source: str, path: str) -> None:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if isinstance(value, int) and low is not None and high is not None and not low <= value <= high:
        raise fault(source, path, f"{value} is out of range {low}..{high}")


def _convert(hint: object, value: object, source: str, path: str) -> object:
    """Value of type ``hint``: scalar, enum, optional, tuple, mapping or dataclass."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_optional(hint, value, source, path)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, source, path)
    if origin is dict:
        return _convert_mapping(typing.get_args(hint)[1], value, source, path)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _convert_enum(hint, value, source, path)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, source, path)
    if type(value) is not hint:  # exact: true is not an integer, and no text is read as a number
        raise fault(source, path, f"expected {_TYPE_WORDS[hint]}, got {_shown(value)}")
    return value


def _convert_optional(hint: object, value: object, source: str, path: str) -> object:
    if value is None:
        return None
    (inner,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
    return _convert(inner, value, source, path)


def _convert_enum(hint: type[IntEnum], value: object, source: str, path: str) -> IntEnum:
    names = {member.name.lower(): member for member in hint}
    if not isinstance(value, str) or value not in names:
        raise fault(source, path, f"expected one of {', '.join(names)}, got {_shown(value)}")
    return names[value]


def _convert_tuple(args: Sequence[object], value: object, source: str, path: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise fault(source, path, f"expected a list, got {_shown(value)}")
    if len(value) > _ITEMS_MAX:
        raise fault(source, path, f"{len(value)} items, at most {_ITEMS_MAX}")
    hints = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
    if len(hints) != len(value):
        raise fault(source, path, f"expected {len(hints)} items, got {len(value)}")
    return tuple(
        _convert(hint, item, source, f"{path}[{index}]")
        for index, (hint, item) in enumerate(zip(hints, value, strict=True))
    )


def _convert_mapping(hint: object, value: object, source: str, path: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise fault(source, path, f"expected a table, got {_shown(value)}")
    return {str(key): _convert(hint, item, source, _join(path, str(key))) for key, item in value.items()}
