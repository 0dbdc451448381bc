from __future__ import annotations

import pytest

from engine.catalog.groups import NO_GROUP, Group, Groups
from engine.catalog.market import GroupKind
from engine.errors import ConfigError
from engine.records import Venue
from tests.engine.catalog.specs import PLAIN, member


@pytest.mark.parametrize(
    ("kind", "size", "members", "augmented", "exhaustive"),
    [
        (GroupKind.EXACTLY_ONE, 2, 2, False, True),
        (GroupKind.EXACTLY_ONE, 3, 2, False, False),  # one is not here
        (GroupKind.EXACTLY_ONE, 1, 2, False, False),  # the count is wrong: trust nothing
        (GroupKind.EXACTLY_ONE, 0, 2, False, False),  # nobody counted
        (GroupKind.EXACTLY_ONE, 0, 0, False, False),
        (GroupKind.EXACTLY_ONE, 2, 2, True, False),  # an unnamed outcome may win
        (GroupKind.AT_MOST_ONE, 2, 2, False, False),  # all may settle NO
    ],
)
def test_when_a_group_is_exhaustive(
    kind: GroupKind, size: int, members: int, augmented: bool, exhaustive: bool
) -> None:
    group = Group(Venue.POLYMARKET, "g", kind, size, augmented, list(range(members)))
    assert group.exhaustive is exhaustive


def test_a_number_is_never_used_twice() -> None:
    groups = Groups()
    first = groups.join(0, member("a"))
    groups.leave(0, first)
    assert groups.get(first) is None
    second = groups.join(1, member("b"))
    assert second != first
    assert list(groups) == [second]


def test_groups_of_two_venues_may_share_a_name() -> None:
    groups = Groups()
    assert groups.join(0, member("a")) != groups.join(1, member("b", venue=Venue.KALSHI))


def test_a_market_alone_is_in_no_group() -> None:
    groups = Groups()
    assert groups.join(0, PLAIN) == NO_GROUP
    groups.check(PLAIN)
    assert list(groups) == []


def test_the_larger_count_and_the_worse_news_win() -> None:
    groups = Groups()
    number = groups.join(0, member("a", size=3))
    groups.join(1, member("b", size=2, augmented=True))
    groups.join(2, member("c"))
    group = groups.get(number)
    assert group is not None
    assert (group.size, group.augmented, group.slots) == (3, True, [0, 1, 2])


def test_members_must_agree_on_the_kind() -> None:
    groups = Groups()
    groups.join(0, member("a"))
    groups.check(member("b"))
    with pytest.raises(ConfigError, match="exactly_one"):
        groups.check(member("b", kind=GroupKind.AT_MOST_ONE))


def test_no_group_is_what_rows_say() -> None:
    assert NO_GROUP == -1
