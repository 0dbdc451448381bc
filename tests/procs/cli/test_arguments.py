from __future__ import annotations

import argparse

import pytest

from procs.cli.arguments import positive, speed


def test_whole_numbers_above_zero() -> None:
    assert (positive("1"), positive(" 20 ")) == (1, 20)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "1e3"])
def test_anything_else_is_said_in_words(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number above 0, got"):
        positive(text)


def test_speeds() -> None:
    assert (speed("2.5"), speed("1e3"), speed("max")) == (2.5, 1000.0, None)
    for text in ("0", "-1", "nan", "inf", "fast", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a number above 0, or max"):
            speed(text)
