"""Tables of names, and the walk over an object's members."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.venues import keys, scan
from engine.venues.counts import Count
from engine.venues.keys import END, NO_NAME
from engine.venues.scan import TEXT, UNSURE, WORD
from engine.venues.workspace import (
    COUNTS_AT,
    FIELDS_SEEN,
    NAME_INDEX_WORDS,
    NAME_TABLE_WORDS,
    USUAL_MEMBERS_MAX,
    USUAL_WORDS,
    Workspace,
)

NAMES = {
    b"a": 1,
    b"price": 2,
    b"eightlet": 3,
    b"nineletter": 4,
    b"market_ticker": 5,
    b"taker_outcome_side_wide": 6,
}
OTHERS = {b"price": 9, b"b": 31}
SPACE = Workspace(1, keys.name_tables([NAMES, OTHERS]))
TABLE = keys.names_at(0)


def lay(text: str) -> None:
    """Put a text into the shared workspace, no field seen."""
    raw = text.encode()
    SPACE.memory[: len(raw)] = raw
    scan.seal(SPACE.words, len(raw))
    SPACE.words[FIELDS_SEEN] = 0


def code(name: str, table: int = TABLE) -> int:
    """Code of a name that stands in the middle of a text."""
    lay(f"xyz{name}uvw")
    return keys.name_code(SPACE.words, table, 3, 3 + len(name))


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names_have_their_codes(name: bytes, expected: int) -> None:
    assert code(name.decode()) == expected


def test_tables_are_apart() -> None:
    assert code("price", keys.names_at(1)) == 9
    assert code("b", keys.names_at(1)) == 31
    assert code("b") == NO_NAME


@given(st.sampled_from(sorted(NAMES)), st.data())
def test_a_name_one_letter_off_is_another_name(name: bytes, data: st.DataObject) -> None:
    text = name.decode()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'))
    changed = text[:at] + letter + text[at + 1 :]
    assert code(changed) == NAMES.get(changed.encode(), NO_NAME)
    assert code(text[:at] + text[at + 1 :]) == NAMES.get((text[:at] + text[at + 1 :]).encode(), NO_NAME)
    assert code(text + letter) == NO_NAME


@pytest.mark.parametrize("name", ["", "x" * 25, "x" * 200])
def test_names_no_table_can_hold(name: str) -> None:
    assert code(name) == NO_NAME


@pytest.mark.parametrize(
    "names", [{b"": 1}, {b"x" * 25: 1}, {b"x": 0}, {b"x": 32}, {b"%d" % at: 1 for at in range(60)}]
)
def test_a_table_refuses_what_it_cannot_hold(names: dict[bytes, int]) -> None:
    with pytest.raises(ValueError, match="name"):
        keys.name_table(names)


def test_a_word_of_a_name() -> None:
    assert keys.name_word(b"yes") == int.from_bytes(b"yes", "little")
    with pytest.raises(ValueError, match="longer"):
        keys.name_word(b"ninebytes")


def test_a_table_has_its_size() -> None:
    assert keys.name_tables([NAMES, OTHERS]).shape == (2 * NAME_TABLE_WORDS,)


def walk(text: str) -> tuple[int, int]:
    """Walk over an object's members from its first key on."""
    lay(text)
    return keys.fields(SPACE.words, 1, TABLE, 0)


def test_fields_remember_named_scalars_and_skip_others() -> None:
    text = '{"price" : "0.5", "other":[0][0], "a":null}'.replace("[0][0]", "12")
    assert walk(text) == (len(text), END)
    assert keys.span(SPACE.words, 2) == (TEXT, text.index("0.5"), text.index("0.5") + 3)
    assert keys.span(SPACE.words, 1) == (WORD, text.index("null"), text.index("null") + 4)
    assert keys.has(SPACE.words, 1)
    assert not keys.has(SPACE.words, 3)
    assert keys.span(SPACE.words, 3) == (0, 0, 0)


@pytest.mark.parametrize(("text", "name"), [('{"a":1,"price":[1]}', 2), ('{"a":1,"q":{"b":1}}', NO_NAME)])
def test_fields_stop_at_lists_and_objects(text: str, name: int) -> None:
    at = max(text.rfind("["), text.rfind("{"))
    assert walk(text) == (at, name)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,}',
        '{"a":1',
        '{"a" 1}',
        '{"a":tru}',
        '{"a":1 "b":2}',
        '{"a":01}',
        '{"\\u0061":1}',
        '{"a":"x\\n"}',
        "{a:1}",
        '{"a":}',
    ],
)
def test_fields_are_not_sure(text: str) -> None:
    assert walk(text)[0] == UNSURE


def test_an_unknown_name_may_be_there_twice() -> None:
    assert walk('{"q":1,"q":2}') == (13, END)


@given(
    st.dictionaries(
        st.text("abcprice_", min_size=1, max_size=9), st.none() | st.booleans() | st.integers(0, 10**9)
    )
)
@example({"a": 1})
def test_a_flat_object_is_walked_to_its_end(members: dict[str, object]) -> None:
    if not members:
        return
    text = json.dumps(members)
    assert walk(text) == (len(text), END)
    for name, value in members.items():
        field = NAMES.get(name.encode())
        if field is not None:
            _, start, end = keys.span(SPACE.words, field)
            assert text[start:end] == json.dumps(value)


def test_the_first_and_the_last_field_can_be_kept() -> None:
    SPACE.words[FIELDS_SEEN] = 0
    assert keys.keep_span(SPACE.words, 1, 7, 8, 9)
    assert keys.keep_span(SPACE.words, 31, 1, 2, 3)
    assert not keys.keep_span(SPACE.words, 31, 4, 5, 6)
    assert keys.span(SPACE.words, 1) == (7, 8, 9)
    assert keys.span(SPACE.words, 31) == (1, 2, 3)
    assert int(np.bitwise_count(SPACE.words[FIELDS_SEEN])) == 2


def members(names: list[str]) -> str:
    """An object with these names, its values their indices."""
    return json.dumps({name: at for at, name in enumerate(names)}, separators=(",", ":"))


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "price", "eightlet", "nineletter", "market_ticker", "q", "x" * 30]),
            min_size=1,
            unique=True,
        ),
        min_size=2,
        max_size=5,
    ),
    st.integers(0, 4),
)
@example([["price", "a"], ["price", "a"], ["pricf", "a"], ["a", "price"]], 0)
def test_what_was_usual_changes_nothing(objects: list[list[str]], part: int) -> None:
    for count, names in enumerate(objects):
        SPACE.words[COUNTS_AT + Count.FRAMES] = count  # only the first is learned from
        text = members(names)
        lay(text)
        assert keys.fields(SPACE.words, 1, TABLE, part) == (len(text), END)
        for at, name in enumerate(names):
            field = NAMES.get(name.encode())
            if field is not None:
                _, start, end = keys.span(SPACE.words, field)
                assert text[start:end] == str(at)
    SPACE.words[COUNTS_AT + Count.FRAMES] = 0


def usual_lengths() -> list[int]:
    """Bytes of text of the usual members of the table, in their order."""
    begin, end = TABLE + NAME_INDEX_WORDS, TABLE + NAME_TABLE_WORDS
    return [int(length) for length in SPACE.words[begin + 4 : end : USUAL_WORDS]]


def test_what_stands_between_two_values_is_learned_once_in_a_while() -> None:
    SPACE.words[TABLE + NAME_INDEX_WORDS : TABLE + NAME_TABLE_WORDS] = 0
    SPACE.words[COUNTS_AT + Count.FRAMES] = keys.LEARN_EVERY + 1
    walk('{"a":1}')
    assert not any(usual_lengths())
    SPACE.words[COUNTS_AT + Count.FRAMES] = 2 * keys.LEARN_EVERY
    walk('{"a":1,"market_ticker" : "x","%s":1,"price":1 }' % ("x" * 28))
    assert usual_lengths()[:6] == [4, 20, 0, 9, 2, 0]
    SPACE.words[COUNTS_AT + Count.FRAMES] = 0


def test_more_members_than_can_be_usual_are_walked_all_the_same() -> None:
    names = [f"n{at}" for at in range(USUAL_MEMBERS_MAX + 3)]
    for _ in range(2):
        assert walk(members([*names, "price"])) == (len(members([*names, "price"])), END)
        assert keys.has(SPACE.words, 2)
    assert all(usual_lengths())


@pytest.mark.parametrize(
    ("learned", "text"),
    [
        ('{"a":1\n,"q":2}', '{"a":"x\n,"q":2}'),  # what closes a string is a quote
        ('{"a":"x","q":2}', '{"a":1","q":2}'),  # and what closes a number, or a literal, is none
        ('{"a":"x","q":2}', '{"a":true","q":2}'),
        ('{"a":"x"}', '{"a":1"}'),
        ('{"a":1,"q":2}', '{"a":"x,"q":2}'),
        ('{"a":"x"}', '{"a":"x\\"}'),
        ('{"a":1}', '{"a":1e}'),
    ],
)
def test_what_is_usual_makes_no_text_valid(learned: str, text: str) -> None:
    SPACE.words[COUNTS_AT + Count.FRAMES] = 0
    assert walk(learned) == (len(learned), END)
    assert walk(text)[0] == UNSURE


@pytest.mark.parametrize(
    "text", ['{"a":1,"q":2}', '{"a":"x","q":"y"}', '{"a":null,"q":"y" }', '{"a":"","q":1.5}', '{"a":"x"}']
)
@pytest.mark.parametrize("learned", ['{"a":1,"q":2}', '{"a":"x","q":"y"}', '{"a":"x"}', '{"q":"x","a":true}'])
def test_values_of_another_kind_than_usual_are_read(learned: str, text: str) -> None:
    SPACE.words[COUNTS_AT + Count.FRAMES] = 0
    assert walk(learned) == (len(learned), END)
    SPACE.words[COUNTS_AT + Count.FRAMES] = 1
    assert walk(text) == (len(text), END)
    kind, start, end = keys.span(SPACE.words, 1)
    value = json.loads(text)["a"]
    assert (kind == TEXT) == isinstance(value, str)
    assert text[start:end] == (value if isinstance(value, str) else json.dumps(value))
    SPACE.words[COUNTS_AT + Count.FRAMES] = 0


def test_white_space_behind_a_usual_name_is_passed() -> None:
    walk('{"a":1}')
    assert walk('{"a": "x"}') == (10, END)
    assert keys.span(SPACE.words, 1) == (TEXT, 7, 8)
