"""Byte-level reading, each kernel against the plainest way to say the same."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.venues import scan
from engine.venues.scan import BAD, NUMBER, TEXT, UNSURE, WORD
from engine.venues.workspace import SENTINEL_WORDS, Words

PLAIN_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
plain_text = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), max_size=40
)
ascii_bytes = st.binary(max_size=60).map(lambda raw: bytes(byte & 0x7F for byte in raw))
json_bytes = st.text(st.sampled_from('{}[],:"\\ \n\t0123456789.-eEtrufalsn\x00\x1f~'), max_size=40).map(
    str.encode
)


def laid(text: bytes) -> Words:
    """Text as the beginning of words, sealed; the rest is dirty."""
    words = np.full(len(text) // 8 + SENTINEL_WORDS + 3, -1, np.int64)
    words.view(np.uint8)[: len(text)] = np.frombuffer(text, np.uint8)
    scan.seal(words, len(text))
    return words


@given(st.binary(max_size=40))
def test_seal_leaves_the_frame_and_puts_zeros_behind_it(text: bytes) -> None:
    after = bytes(laid(text).view(np.uint8))
    assert after[: len(text)] == text
    assert after[len(text) : 8 * (len(text) // 8 + 1 + SENTINEL_WORDS)].strip(b"\0") == b""


@given(st.binary(max_size=40), st.integers(0, 9), st.binary(max_size=9))
def test_load_copies_and_seals(text: bytes, start: int, behind: bytes) -> None:
    words = np.full(20, -1, np.int64)
    source = np.frombuffer(b"x" * start + text + behind, np.uint8)
    scan.load(words, words.view(np.uint8), source, start, len(text))
    expected = laid(text)
    assert words[: len(expected) - 2].tolist() == expected[:-2].tolist()


@given(st.binary(max_size=40))
def test_is_ascii(text: bytes) -> None:
    assert scan.is_ascii(laid(text), len(text)) == text.isascii()


@given(ascii_bytes, st.integers(0, 60))
def test_string_end_is_the_first_byte_no_plain_string_has(text: bytes, start: int) -> None:
    start = min(start, len(text))
    special = [at for at in range(start, len(text)) if text[at] < 0x20 or text[at] in b'"\\']
    assert scan.string_end(laid(text), start) == (special[0] if special else len(text))


@given(ascii_bytes, st.data())
def test_chunk_is_up_to_eight_bytes(text: bytes, data: st.DataObject) -> None:
    text += b"z"
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, len(text) - start))
    expected = int.from_bytes(text[start : start + min(length, 8)], "little")
    assert scan.chunk(laid(text), start, length) == expected


@given(st.text(st.sampled_from("0123456789"), min_size=1, max_size=15), st.sampled_from("/:.,}x ~\x00\x7f"))
def test_digits_end_at_what_is_none(digits: str, behind: str) -> None:
    text = f"--{digits}{behind}9".encode()
    plain = digits == "0" or not digits.startswith("0")
    whole = 2 + len(digits) if plain else UNSURE
    if behind == ".":
        whole = whole + 2 if plain and len(digits) < scan.DIGITS_MAX else UNSURE
    assert scan.number_end(laid(text), 2) == whole


@given(json_bytes)
def test_white_space_is_skipped(text: bytes) -> None:
    words = laid(text)
    assert scan.skip_space(words, 0) == len(text) - len(text.lstrip(b" \n\r\t"))


@pytest.mark.parametrize(
    ("text", "entered"), [("[]", (2, False)), ("[ \n]", (4, False)), ("[ 1]", (2, True)), ("[", (1, True))]
)
def test_enter(text: str, entered: tuple[int, bool]) -> None:
    assert scan.enter(laid(text.encode()), 0, scan.CLOSE_LIST) == entered


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (" , 1", (3, True)),
        ("]", (1, False)),
        (" ]", (2, False)),
        ("}", (UNSURE, False)),
        ("", (UNSURE, False)),
    ],
)
def test_after_value(text: str, after: tuple[int, bool]) -> None:
    assert scan.after_value(laid(text.encode()), 0, scan.CLOSE_LIST) == after


@pytest.mark.parametrize(
    ("text", "end", "value"),
    [
        ('"key":1', 4, 6),
        ('"key" : 1', 4, 8),
        ('"":1', 1, 3),
        ('"key"1', 4, UNSURE),
        ('"k\\u0065y":1', UNSURE, None),
        ('"key', UNSURE, None),
        ("key", UNSURE, None),
    ],
)
def test_keys(text: str, end: int, value: int | None) -> None:
    words = laid(text.encode())
    assert scan.key_end(words, 0) == end
    if value is not None:
        assert scan.after_key(words, end) == value


@given(json_bytes)
@example(b"123456789012345")
@example(b"1234567890123456")
@example(b"-0.5e1")
@example(b"1E5")
def test_number_end_follows_the_grammar(text: bytes) -> None:
    found = PLAIN_NUMBER.match(text)
    after = text[found.end() : found.end() + 1] if found else b""
    sure = (
        found is not None
        and sum(map(str.isdigit, found.group().decode())) <= 15
        and after not in (b"e", b"E")
    )
    leading_zero = found is not None and found.group().lstrip(b"-") == b"0" and after.isdigit()
    dangling_point = found is not None and b"." not in found.group() and after == b"."
    expected = found.end() if found and sure and not leading_zero and not dangling_point else UNSURE
    assert scan.number_end(laid(text), 0) == expected


@given(json_bytes)
@example(b"true")
@example(b"null]")
@example(b"false")
@example(b"nulk")
@example(b'"text"')
@example(b'"a\\"b"')
def test_what_a_scalar_accepts_is_json(text: bytes) -> None:
    kind, end = scan.scalar(laid(text), 0)
    if end == UNSURE:
        return
    start = scan.text_start(kind, 0)
    whole = text[: scan.after_scalar(kind, end)].decode()
    value = json.loads(whole)
    assert kind == {str: TEXT, int: NUMBER, float: NUMBER, bool: WORD, type(None): WORD}[type(value)]
    assert text[start:end].decode() == (value if kind == TEXT else whole)


@given(plain_text)
def test_plain_strings_are_scalars(text: str) -> None:
    assert scan.scalar(laid(f'"{text}"'.encode()), 0) == (TEXT, len(text) + 1)


def exact(text: str, decimals: int) -> int:
    """What ``decimal`` should make of a text; BAD where it is not a plain decimal within the unit."""
    if not re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
        return BAD
    units = Fraction(text) * 10**decimals
    return int(units) if units.denominator == 1 else BAD


decimal_like = st.text(st.sampled_from("0123456789.-"), max_size=11) | st.decimals(
    -(10**6), 10**6, places=6
).map(str)


@given(decimal_like, st.sampled_from([4, 6]), st.integers(0, 9))
@example("00000000.480000", 4, 0)
@example("99999999", 6, 3)
@example("-.5", 4, 1)
@example("5.", 4, 1)
@example(".", 4, 1)
@example("-", 4, 1)
@example("1.2.3", 6, 0)
@example("10000000.12", 6, 0)
@example("0.12345000000", 4, 0)
@example("0.00000000001", 6, 0)
def test_decimal_is_exact(text: str, decimals: int, offset: int) -> None:
    padded = b"7" * offset + text.encode() + b"7"
    assert scan.decimal(laid(padded), offset, offset + len(text), decimals) == exact(text, decimals)


def test_decimal_is_not_sure_of_long_numbers() -> None:
    for text, expected in (("1" * 11, 11_111_111_111 * 10**6), ("1" * 12, BAD), ("0." + "0" * 17, BAD)):
        assert scan.decimal(laid(text.encode()), 0, len(text), 6) == expected


@given(st.text(st.sampled_from("0123456789-."), max_size=17))
@example("123456789012345")
@example("1234567890123456")
@example("00000001")
def test_integer(text: str) -> None:
    expected = int(text) if re.fullmatch("[0-9]{1,15}", text) else BAD
    assert scan.integer(laid(text.encode()), 0, len(text)) == expected
