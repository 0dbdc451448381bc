"""Groups of markets of which at most one, or exactly one, wins: who belongs, and whether all are here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from engine.catalog.market import GroupKind, MarketSpec
from engine.errors import ConfigError
from engine.records import Venue

NO_GROUP: Final = -1


@dataclass(slots=True)
class Group:
    """One group; ``size``: members the venue lists (0 unknown), ``augmented``: unnamed ones may still win."""

    venue: Venue
    name: str
    kind: GroupKind
    size: int = 0
    augmented: bool = False
    slots: list[int] = field(default_factory=list)

    @property
    def exhaustive(self) -> bool:
        """Whether exactly one of the members that are here wins."""
        complete = self.size > 0 and self.size == len(self.slots)
        return self.kind is GroupKind.EXACTLY_ONE and not self.augmented and complete


class Groups:
    """Groups by number; a number is never used twice. A group exists as long as it has members."""

    def __init__(self) -> None:
        self._groups: dict[int, Group] = {}
        self._numbers: dict[tuple[Venue, str], int] = {}
        self._next = 0

    def __iter__(self) -> Iterator[int]:
        """Numbers in order of arrival."""
        return iter(tuple(self._groups))

    def get(self, number: int) -> Group | None:
        """Group of a number; None when it has no members any more, or never had."""
        return self._groups.get(number)

    def number(self, venue: Venue, name: str) -> int:
        """Number of a group by the venue's name for it; NO_GROUP when unknown."""
        return self._numbers.get((venue, name), NO_GROUP)

    def check(self, spec: MarketSpec) -> None:
        """ConfigError when ``spec`` says something else of its group than the members before it."""
        held = self.get(self.number(spec.venue, spec.group))
        if held and held.kind is not spec.group_kind:
            kind = held.kind.name.lower()
            raise ConfigError(f"{spec.symbol}: its group {spec.group} is {kind} for its other markets")

    def join(self, slot: int, spec: MarketSpec) -> int:
        """Put ``slot`` into the group of its market; answers the group's number, NO_GROUP for none."""
        if not spec.group:
            return NO_GROUP
        key = (spec.venue, spec.group)
        if key not in self._numbers:
            self._numbers[key] = self._next
            self._groups[self._next] = Group(spec.venue, spec.group, spec.group_kind)
            self._next += 1
        number = self._numbers[key]
        self._groups[number].slots.append(slot)
        self.learn(number, spec)
        return number

    def learn(self, number: int, spec: MarketSpec) -> None:
        """Take in what a member says of the whole group; the larger count and the worse news win."""
        held = self._groups[number]
        held.size = max(held.size, spec.group_size)
        held.augmented = held.augmented or spec.neg_risk_augmented

    def leave(self, slot: int, number: int) -> None:
        """Take ``slot`` out of its group; what remains is never exhaustive, as a member is missing."""
        held = self._groups[number]
        held.slots.remove(slot)
        if not held.slots:
            del self._groups[number]
            del self._numbers[held.venue, held.name]
