"""Names of JSON fields and message types as tables in a codec's memory, and the walk over members.

A table is found by the length of a name, then compared eight bytes at a time, in full: a name one letter off
is another name. ``fields`` walks over the members of an object and remembers where the named ones lie, in any
order.

A venue writes the members of an object in the same order for months. So each table also has what stood
between the values of the last objects, from the end of one (its quote, if it has one) to the beginning of the
next: ``","price":"``. The walk first looks whether that is what comes: one comparison of 32 bytes, where the
general way closes the value, finds the end of the name, and searches it. What is usual is learned from one
frame of LEARN_EVERY; an object that is written otherwise is read the general way.
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
    MINUS,
    NUMBER,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    TEXT,
    UNSURE,
    WORD,
    ZERO,
    after_key,
    after_value,
    chunk,
    key_end,
    number_end,
    skip_space,
    string_end,
    word,
    word_end,
)
from engine.venues.unaligned import BLOCK_BYTES, byte, differing, eight
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

# a usual member: BLOCK_BYTES of text, and
_USUAL_LENGTH: Final = 4  # bytes of it that count, 0: none
_USUAL_CODE: Final = 5
_USUAL_KIND: Final = 6  # TEXT: its quote is part of the text; END_OF_OBJECT; 0: to be looked at
_USUAL_BEFORE: Final = 7  # kind of the value before it
_PART_MEMBERS: Final = 8  # usual members between the first of one part of an object and of the next

_FIRST: Final = 0  # instead of the kind of the value before: there is none
END_OF_OBJECT: Final = 5  # instead of the kind of a value: there is none behind


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
def _is_usual(words: Words, at: int, before: int, usual: int) -> bool:
    """Whether behind a value of kind ``before``, which ends at ``at``, comes the usual text at ``usual``.

    The kind is asked for because what closes a string must be a quote, whatever else the text begins with.
    """
    length = word(words, usual + _USUAL_LENGTH)
    if length == 0 or word(words, usual + _USUAL_BEFORE) != before:
        return False
    return differing(words, at, words, usual) & ((1 << length) - 1) == 0


@kernel
def _learn(words: Words, at: int, end: int, before: int, kind: int, code: int, usual: int) -> None:
    """Make the text from ``at`` to ``end`` the usual one at offset ``usual``; of too much there is none."""
    length = end - at
    for part in range(BLOCK_BYTES >> 3):
        words[usual + part] = eight(words, at + 8 * part)
    words[usual + _USUAL_LENGTH] = length if length <= BLOCK_BYTES else 0
    words[usual + _USUAL_CODE] = code
    words[usual + _USUAL_KIND] = kind
    words[usual + _USUAL_BEFORE] = before


@inlined
def _kind(words: Words, at: int) -> int:
    """Kind of the value that begins at ``at``."""
    opening = byte(words, at)
    if opening == QUOTE:
        return TEXT
    if opening in (OPEN_LIST, OPEN_OBJECT):
        return CONTAINER
    return NUMBER if opening == MINUS or 0 <= opening - ZERO <= 9 else WORD


@kernel
def _next(words: Words, at: int, before: int, table: int) -> tuple[int, int, int]:
    """What comes behind a value of kind ``before`` that ends at ``at``: cursor, code and kind.

    The cursor is that of the next value, of a string behind its quote; past the object at its end; or UNSURE.
    """
    if before == TEXT:
        if byte(words, at) != QUOTE:
            return UNSURE, END, WORD
        at += 1
    if before != _FIRST:
        at, more = after_value(words, at, CLOSE_OBJECT)
        if not more:
            return at, END, END_OF_OBJECT
    end = key_end(words, at)
    if end < 0:
        return UNSURE, END, WORD
    value = after_key(words, end)
    if value < 0:
        return UNSURE, END, WORD
    kind = _kind(words, value)
    return value + (kind == TEXT), name_code(words, table, at + 1, end), kind


@inlined
def _value_end(words: Words, kind: int, at: int) -> int:
    """End of the string, number or literal whose text begins at ``at``, or UNSURE."""
    if kind == TEXT:
        return string_end(words, at)  # whether it is a quote is seen behind it
    return number_end(words, at) if kind == NUMBER else word_end(words, at)


@kernel
def fields(words: Words, at: int, table: int, part: int) -> tuple[int, int]:
    """Walk over members from the one at ``at`` on, remembering the scalars that the table names.

    ``part`` is how many lists and objects of this object came before. Stops at a list or object: its cursor,
    and the code of its name. At the end of the object: the cursor past it, and END. UNSURE as cursor for
    anything not plain, and for a named field that is there twice.
    """
    usual_end = table + NAME_TABLE_WORDS
    usual = table + NAME_INDEX_WORDS + USUAL_WORDS * _PART_MEMBERS * part
    before = _FIRST
    while True:
        if usual < usual_end and _is_usual(words, at, before, usual):
            at += word(words, usual + _USUAL_LENGTH)
            code = int(words[usual + _USUAL_CODE])
            kind = word(words, usual + _USUAL_KIND)
            if kind == 0:
                at = skip_space(words, at)
                kind = _kind(words, at)
                at += kind == TEXT
        else:
            begin = at
            at, code, kind = _next(words, at, before, table)
            if at >= 0 and usual < usual_end and int(words[_FRAMES]) & (LEARN_EVERY - 1) == 0:
                usual_kind = kind if kind in (TEXT, END_OF_OBJECT) else 0
                _learn(words, begin, at, before, usual_kind, code, usual)
        if kind >= CONTAINER or at < 0:
            return at, code
        usual += USUAL_WORDS
        end = _value_end(words, kind, at)
        if end < 0 or (code != NO_NAME and not keep_span(words, code, kind, at, end)):
            return UNSURE, END
        before, at = kind, end
