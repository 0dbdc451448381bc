"""Names of JSON fields and message types as tables in a codec's memory, and the walk over members.

A table is found by the length of a name, then compared eight bytes at a time, in full: a name one letter off
is another name. ``fields`` walks over the members of an object and remembers where the named ones lie, in any
order.

A venue writes the members of an object in the same order for months. So each table also has the names of the
last objects in their order, as text from quote to value, and the walk first looks whether the next name is
the usual one: a few words are compared, where the general way finds the end of the name and searches it.
What is usual is learned from one frame of LEARN_EVERY; an object in another order is read the general way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.venues.counts import Count
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
    eight,
    key_end,
    scalar,
    skip_space,
    text_start,
    word,
)
from engine.venues.workspace import (
    COUNTS_AT,
    FIELDS_MAX,
    FIELDS_SEEN,
    NAME_INDEX_WORDS,
    NAME_TABLE_WORDS,
    NAMES_AT,
    SPAN_WORDS,
    SPANS_AT,
    USUAL_WORDS,
    Words,
)

NAME_BYTES_MAX: Final = 24
NO_NAME: Final = 0  # code of a name that is not in the table
END: Final = -1  # what ``fields`` answers for a code at the end of the object

_ENTRY_WORDS: Final = 4  # three words of name, and the code
_CODE: Final = 3
_ENTRIES: Final = NAME_BYTES_MAX + 2  # behind the index: first entry of each length
_ENTRIES_MAX: Final = (NAME_INDEX_WORDS - _ENTRIES) // _ENTRY_WORDS

LEARN_EVERY: Final = 16  # frames; a power of two
_FRAMES: Final = COUNTS_AT + int(Count.FRAMES)

# a usual member: three words of text, each with a mask of the bytes that count, and
_USUAL_LENGTH: Final = 6  # bytes of text, 0: none
_USUAL_CODE: Final = 7
_USUAL_BYTES_MAX: Final = 24
_PART_MEMBERS: Final = 8  # usual members between the first of one part of an object and of the next


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


@inlined
def _is_usual(words: Words, at: int, usual: int) -> bool:
    """Whether the member at ``at`` begins with the text of the usual one at offset ``usual``."""
    if (eight(words, at) ^ word(words, usual)) & word(words, usual + 1):
        return False
    length = word(words, usual + _USUAL_LENGTH)
    if length > 8 and (eight(words, at + 8) ^ word(words, usual + 2)) & word(words, usual + 3):
        return False
    if length > 16 and (eight(words, at + 16) ^ word(words, usual + 4)) & word(words, usual + 5):
        return False
    return length > 0


@kernel
def _learn(words: Words, at: int, value: int, code: int, usual: int) -> None:
    """Make the name at ``at``, whose value is at ``value``, the usual one at offset ``usual``."""
    length = value - at
    if length > _USUAL_BYTES_MAX:
        length = 0
    for part in range(3):
        rest = min(max(length - 8 * part, 0), 8)
        mask = -1 if rest == 8 else (1 << (rest << 3)) - 1
        words[usual + 2 * part] = eight(words, at + 8 * part) & mask
        words[usual + 2 * part + 1] = mask
    words[usual + _USUAL_LENGTH] = length
    words[usual + _USUAL_CODE] = code


@kernel
def _name(words: Words, at: int, table: int, usual: int, usual_end: int) -> tuple[int, int]:
    """Cursor of the value of the member at ``at``, or UNSURE, and the code of its name."""
    end = key_end(words, at)
    if end < 0:
        return UNSURE, END
    code = name_code(words, table, at + 1, end)
    value = after_key(words, end)
    if value >= 0 and usual < usual_end and int(words[_FRAMES]) & (LEARN_EVERY - 1) == 0:
        _learn(words, at, value, code, usual)
    return value, code


@kernel
def fields(words: Words, at: int, table: int, part: int) -> tuple[int, int]:
    """Walk over members from the one at ``at`` on, remembering the scalars that the table names.

    ``part`` is how many lists and objects of this object came before. Stops at a list or object: its cursor,
    and the code of its name. At the end of the object: the cursor past it, and END. UNSURE as cursor for
    anything not plain, and for a named field that is there twice.
    """
    usual_end = table + NAME_TABLE_WORDS
    usual = table + NAME_INDEX_WORDS + USUAL_WORDS * _PART_MEMBERS * part
    while True:
        if usual < usual_end and _is_usual(words, at, usual):
            code = word(words, usual + _USUAL_CODE)
            at = skip_space(words, at + word(words, usual + _USUAL_LENGTH))
        else:
            at, code = _name(words, at, table, usual, usual_end)
            if at < 0:
                return UNSURE, END
        usual += USUAL_WORDS
        opening = byte(words, at)
        if opening in (OPEN_LIST, OPEN_OBJECT):
            return at, code
        kind, end = scalar(words, at)
        if end < 0 or (code != NO_NAME and not keep_span(words, code, kind, text_start(kind, at), end)):
            return UNSURE, END
        at, more = after_value(words, after_scalar(kind, end), CLOSE_OBJECT)
        if not more:
            return at, END
