from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venues.assembly import Assembly, Piece


@given(st.lists(st.lists(st.binary(max_size=5), min_size=1, max_size=5), max_size=5))
def test_pieces_become_the_messages_they_were(messages: list[list[bytes]]) -> None:
    assembly = Assembly(25)
    for parts in messages:
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            piece = assembly.add(part, begins=number == 0, ends=last)
            assert piece is (Piece.WHOLE if last else Piece.PART)
            assert assembly.is_open is not last
        assert assembly.take() == b"".join(parts)


@pytest.mark.parametrize("begins_inside", [True, False])
def test_pieces_out_of_order_are_told(begins_inside: bool) -> None:
    assembly = Assembly(10)
    if begins_inside:
        assembly.add(b"a", begins=True, ends=False)
    assert assembly.add(b"b", begins=begins_inside, ends=True) is Piece.OUT_OF_ORDER


def test_the_bound_is_on_the_whole_message() -> None:
    assembly = Assembly(10)
    assert assembly.add(b"x" * 5, begins=True, ends=False) is Piece.PART
    assert assembly.add(b"x" * 5, begins=False, ends=False) is Piece.PART
    assert assembly.add(b"x", begins=False, ends=True) is Piece.TOO_LONG


def test_each_message_has_the_whole_bound_for_itself() -> None:
    assembly = Assembly(10)
    for _ in range(2):
        assert assembly.add(b"x" * 10, begins=True, ends=True) is Piece.WHOLE
        assert assembly.take() == b"x" * 10
    assert assembly.add(b"x" * 11, begins=True, ends=True) is Piece.TOO_LONG
