from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.rules import fingerprint, is_fingerprint, normalised


@pytest.mark.parametrize(
    "same",
    [
        "The final score counts.",
        "  the  final\n\nscore\tcounts. ",
        "THE FINAL SCORE COUNTS.\r\n",
        "The\u00a0final score counts.",
        "The \ufb01nal score counts.",
    ],
)
def test_case_and_the_shape_of_white_space_carry_no_meaning(same: str) -> None:
    assert fingerprint(same) == fingerprint("The final score counts.")


@pytest.mark.parametrize(
    "other",
    ["This market resolves to NO.", "This market resolves to YES", "This market resolves to YES. >= 5"],
)
def test_any_other_change_is_noticed(other: str) -> None:
    assert fingerprint(other) != fingerprint("This market resolves to YES.")


def test_the_fingerprint_is_the_sha256_of_the_normalised_text() -> None:
    assert normalised(" A  b\n") == "a b"
    assert fingerprint(" A  b\n") == hashlib.sha256(b"a b").hexdigest()


@pytest.mark.parametrize("nothing", ["", "  \n\t"])
def test_no_text_has_no_fingerprint(nothing: str) -> None:
    assert fingerprint(nothing) == ""


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 64, True),
        ("0123456789abcdef" * 4, True),
        ("a" * 63, False),
        ("A" * 64, False),
        ("g" * 64, False),
    ],
)
def test_form_of_a_fingerprint(text: str, expected: bool) -> None:
    assert is_fingerprint(text) is expected
