"""Names of JSON fields and message types as tables in a codec's memory, and the walk over members.

A table is found by the length of a name, then compared eight bytes at a time, in full: a name one letter off
is another name. ``fields`` walks over the members of an object and remembers where the named ones lie, in any
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.venues.scan import (
    CLOSE_OBJECT,
    CONTAINER,
    OPEN_LIST,
    OPEN_OBJECT,
    UNSURE,
    after_key,
    after_scalar,
    after_value,
    byte,
    chunk,
    key_end,
    scalar,
    text_start,
)
from engine.venues.workspace import (
    FIELDS_MAX,
    FIELDS_SEEN,
    NAME_TABLE_WORDS,
    NAMES_AT,
    SPAN_WORDS,
    SPANS_AT,
    Words,
)

NAME_BYTES_MAX: Final = 24
NO_NAME: Final = 0  # code of a name that is not in the table
END: Final = -1  # what ``fields`` answers for a code at the end of the object

_ENTRY_WORDS: Final = 4  # three words of name, and the code
_CODE: Final = 3
_ENTRIES: Final = NAME_BYTES_MAX + 2  # behind the index: first entry of each length
_ENTRIES_MAX: Final = (NAME_TABLE_WORDS - _ENTRIES) // _ENTRY_WORDS


def name_word(name: bytes) -> int:
    """Up to eight bytes as the integer that ``chunk`` makes of them; ValueError beyond."""
    if len(name) > 8:
        raise ValueError(f"{name!r} is longer than eight bytes")
    return int.from_bytes(name, "little")


def name_table(names: Mapping[bytes, int]) -> Words:
    """Search table of ``names`` to codes: NAME_TABLE_WORDS words. ValueError for what it cannot hold."""
    table = np.zeros(NAME_TABLE_WORDS, np.int64)
    if len(names) > _ENTRIES_MAX:
        raise ValueError(f"{len(names)} names, at most {_ENTRIES_MAX}")
    for at, (name, code) in enumerate(sorted(names.items(), key=lambda item: len(item[0]))):
        if not 0 < len(name) <= NAME_BYTES_MAX or not NO_NAME < code < FIELDS_MAX:
            raise ValueError(f"name {name!r} with code {code}")
        padded = name.ljust(NAME_BYTES_MAX, b"\0")
        entry = _ENTRIES + _ENTRY_WORDS * at
        table[entry : entry + _CODE] = [name_word(padded[k : k + 8]) for k in range(0, NAME_BYTES_MAX, 8)]
        table[entry + _CODE] = code
        table[len(name) + 1 : _ENTRIES] = at + 1
    return table


def name_tables(tables: Sequence[Mapping[bytes, int]]) -> Words:
    """Tables of a codec behind each other; the n-th is found at ``names_at(n)``."""
    return np.concatenate([name_table(names) for names in tables])


def names_at(number: int) -> int:
    """Offset of the n-th name table."""
    return NAMES_AT + NAME_TABLE_WORDS * number


@inlined
def name_code(words: Words, table: int, start: int, end: int) -> int:
    """Code that the table at ``table`` has for the name between ``start`` and ``end``, else NO_NAME."""
    length = end - start
    if length <= 0 or length > NAME_BYTES_MAX:
        return NO_NAME
    first = chunk(words, start, length)
    for entry in range(int(words[table + length]), int(words[table + length + 1])):
        at = table + _ENTRIES + _ENTRY_WORDS * entry
        if (
            first == int(words[at])
            and (length <= 8 or chunk(words, start + 8, length - 8) == int(words[at + 1]))
            and (length <= 16 or chunk(words, start + 16, length - 16) == int(words[at + 2]))
        ):
            return int(words[at + _CODE])
    return NO_NAME


@inlined
def keep_span(words: Words, field: int, kind: int, start: int, end: int) -> bool:
    """Remember where a field of the object lies; False when it is there twice."""
    seen = int(words[FIELDS_SEEN])
    if seen & (1 << field):
        return False
    words[FIELDS_SEEN] = seen | (1 << field)
    at = SPANS_AT + SPAN_WORDS * field
    words[at] = kind
    words[at + 1] = start
    words[at + 2] = end
    return True


@inlined
def has(words: Words, field: int) -> bool:
    """Whether the object has a field."""
    return int(words[FIELDS_SEEN]) & (1 << field) != 0


@inlined
def is_only_container(words: Words, field: int) -> bool:
    """Whether a field, if the object has it, is a list or object that was read, and no scalar."""
    return not has(words, field) or int(words[SPANS_AT + SPAN_WORDS * field]) == CONTAINER


@inlined
def span(words: Words, field: int) -> tuple[int, int, int]:
    """Kind, start and end of a field; kind 0 when the object does not have it."""
    if not has(words, field):
        return 0, 0, 0
    at = SPANS_AT + SPAN_WORDS * field
    return int(words[at]), int(words[at + 1]), int(words[at + 2])


@kernel
def fields(words: Words, at: int, table: int) -> tuple[int, int]:
    """Walk over members from the one at ``at`` on, remembering the scalars that the table names.

    Stops at a list or object: its cursor, and the code of its name. At the end of the object: the cursor past
    it, and END. UNSURE as cursor for anything not plain, and for a named field that is there twice.
    """
    while True:
        end = key_end(words, at)
        if end < 0:
            return UNSURE, END
        code = name_code(words, table, at + 1, end)
        at = after_key(words, end)
        if at < 0:
            return UNSURE, END
        opening = byte(words, at)
        if opening in (OPEN_LIST, OPEN_OBJECT):
            return at, code
        kind, end = scalar(words, at)
        if end < 0 or (code != NO_NAME and not keep_span(words, code, kind, text_start(kind, at), end)):
            return UNSURE, END
        at, more = after_value(words, after_scalar(kind, end), CLOSE_OBJECT)
        if not more:
            return at, END
