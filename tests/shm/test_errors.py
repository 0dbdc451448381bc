from __future__ import annotations

import inspect

import pytest

from shm import errors


def _public() -> list[type[errors.ShmError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return [item for _, item in found if issubclass(item, errors.ShmError)]


def test_one_tree() -> None:
    assert {error.__name__ for error in _public()} == {
        *("ShmError", "LayoutMismatch", "SegmentExists", "SegmentRefused", "RingRefused")
    }


@pytest.mark.parametrize("error", _public(), ids=lambda error: error.__name__)
def test_picture_names_every_error(error: type[Exception]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
    assert str(error("what and where")) == "what and where"
