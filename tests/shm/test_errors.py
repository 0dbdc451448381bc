from __future__ import annotations

import inspect

import pytest

from shm import errors


def _public() -> list[type[Exception]]:
    return [
        item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == errors.__name__
    ]


def test_one_tree() -> None:
    assert all(issubclass(error, errors.ShmError) for error in _public())
    assert {error.__name__ for error in _public()} == {
        *("ShmError", "LayoutMismatch", "SegmentExists", "SegmentRefused", "RingRefused")
    }


@pytest.mark.parametrize("error", _public(), ids=lambda error: error.__name__)
def test_picture_names_every_error(error: type[Exception]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
    assert str(error("what and where")) == "what and where"
