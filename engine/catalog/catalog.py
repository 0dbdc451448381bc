"""The catalog: markets by slot, their groups, and the row arrays that kernels read. One writer.

A market reference is (slot, generation). A removed slot is handed out again, with the next generation, only
after every registered reader has confirmed a version of the catalog in which the market was already gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import IntFlag
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.groups import NO_GROUP, Groups
from engine.catalog.market import RANGES_MAX, FeeKind, GroupKind, MarketRef, MarketSpec
from engine.errors import ConfigError, UnknownMarket
from engine.records import Venue

__all__ = ["MARKET_ROW", "NO_GROUP", "READERS_MAX", "SLOTS_MAX", "Catalog", "MarketFlag", "MarketRows"]

SLOTS_MAX: Final = 1 << 20
READERS_MAX: Final = 32


class MarketFlag(IntFlag):
    """Bits of MARKET_ROW.flags."""

    IN_USE = 1  # the slot holds a market; cleared on removal, the generation stays
    MIRROR = 2  # NO is the book of YES turned over: no complement trade on it
    NEG_RISK = 4
    AUGMENTED = 8  # unnamed outcomes may still win
    AT_MOST_ONE = 16  # of its group
    EXHAUSTIVE = 32  # exactly one of its group wins and every member the venue lists is in the catalog
    DEFAULTED = 64  # some of the row is a default, not venue metadata
    OPEN = 128  # not known to be closed, paused or settled


MARKET_ROW: Final = np.dtype(
    [
        ("generation", "<i4"),
        ("group", "<i4"),  # NO_GROUP: alone
        ("flags", "<i4"),  # MarketFlag
        ("venue", "u1"),
        ("fee_kind", "u1"),  # FeeKind; UNKNOWN is never traded
        ("n_ranges", "u1"),
        ("pad", "u1"),
        ("lot_e6", "<i8"),
        ("min_size_e6", "<i8"),
        ("min_notional_micros", "<i8"),
        ("taker_rate_ppb", "<i8"),  # multiplier included
        ("maker_rate_ppb", "<i8"),
        ("exponent_e3", "<i8"),
        ("unit_micros", "<i8"),
        ("precision_micros", "<i8"),
        ("fee_from_ns", "<i8"),
        ("open_ns", "<i8"),
        ("close_ns", "<i8"),  # 0 unknown
        ("taker_delay_ns", "<i8"),
        ("range_start_e4", "<i4", (RANGES_MAX,)),
        ("range_end_e4", "<i4", (RANGES_MAX,)),
        ("range_step_e4", "<i4", (RANGES_MAX,)),
    ]
)

MarketRows = npt.NDArray[np.void]  # structured array of MARKET_ROW


class Catalog:
    """At most ``capacity`` markets at a time; ``rows`` is MARKET_ROW by slot, never reallocated.

    Beyond the bound a market is refused with ConfigError and counted in ``refused``.
    """

    def __init__(self, capacity: int) -> None:
        if not 0 < capacity <= SLOTS_MAX:
            raise ConfigError(f"catalog capacity {capacity} is not within 1..{SLOTS_MAX}")
        self.capacity = capacity
        self.rows: MarketRows = np.zeros(capacity, MARKET_ROW)
        self.refused = 0
        self._specs: list[MarketSpec | None] = [None] * capacity
        self._by_symbol: dict[tuple[Venue, str], int] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._version = 0
        self._retiring: deque[tuple[int, int]] = deque()  # (version of the removal, slot), oldest first
        self._readers: dict[int, int] = {}
        self._groups = Groups()
        self._changed: dict[int, None] = {}  # slots, in order of their first change since the last take

    def __len__(self) -> int:
        """Markets held."""
        return len(self._by_symbol)

    @property
    def version(self) -> int:
        """Counts every change; what a reader confirms at its barrier."""
        return self._version

    @property
    def symbols(self) -> Mapping[tuple[Venue, str], int]:
        """Read-only view: (venue, symbol) to slot, in order of arrival."""
        return MappingProxyType(self._by_symbol)

    def take_changed(self) -> list[int]:
        """Slots whose rows changed since the last call, for the one that publishes them."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def add_market(self, spec: MarketSpec) -> MarketRef:
        """Give it a slot. ConfigError when it is here already, contradicts its group, or no slot is free."""
        if (spec.venue, spec.symbol) in self._by_symbol:
            raise ConfigError(f"{spec.venue.name.lower()}:{spec.symbol} is in the catalog already")
        self._groups.check(spec)
        self._recycle()
        if not self._free:
            self.refused += 1
            raise ConfigError(f"catalog is full: {self.capacity} slots, {len(self._retiring)} retiring")
        slot = self._free.pop()
        generation = int(self.rows[slot]["generation"]) + 1
        self._specs[slot] = spec
        self._by_symbol[spec.venue, spec.symbol] = slot
        _fill_row(self.rows, slot, spec, generation)
        group = self._groups.join(slot, spec)
        self.rows[slot]["group"] = group
        self._mark_group(group)
        self._has_changed(slot)
        return MarketRef(slot, generation)

    def update_market(self, slot: int, spec: MarketSpec) -> None:
        """Replace what is known (grid, fee, close time); identity and group stay, or ConfigError."""
        old = self.spec(slot)
        identity = (spec.venue, spec.symbol, spec.group, spec.group_kind)
        if (old.venue, old.symbol, old.group, old.group_kind) != identity:
            raise ConfigError(f"{old.symbol}: an update cannot change venue, symbol or group")
        row = self.rows[slot]
        generation, group, was_open = int(row["generation"]), int(row["group"]), self.is_open(slot)
        self._specs[slot] = spec
        _fill_row(self.rows, slot, spec, generation)
        row["group"] = group
        if group != NO_GROUP:
            self._groups.learn(group, spec)
        self._mark_group(group)
        self.set_open(slot, was_open)

    def is_open(self, slot: int) -> bool:
        """Whether nothing says that trading in ``slot`` has stopped."""
        return bool(int(self.rows[slot]["flags"]) & MarketFlag.OPEN)

    def set_open(self, slot: int, is_open: bool) -> None:
        """Record that trading stopped or started; UnknownMarket for an empty slot."""
        self.spec(slot)
        flags = int(self.rows[slot]["flags"])
        self.rows[slot]["flags"] = flags | MarketFlag.OPEN if is_open else flags & ~MarketFlag.OPEN
        self._has_changed(slot)

    def remove_market(self, slot: int) -> None:
        """Take a market out. The slot rests until every reader has confirmed the version this call makes."""
        spec = self.spec(slot)
        group = int(self.rows[slot]["group"])
        del self._by_symbol[spec.venue, spec.symbol]
        self._specs[slot] = None
        self.rows[slot]["flags"] = 0
        self.rows[slot]["group"] = NO_GROUP
        if group != NO_GROUP:
            self._groups.leave(slot, group)
            self._mark_group(group)
        self._has_changed(slot)
        self._retiring.append((self._version, slot))

    def spec(self, slot: int) -> MarketSpec:
        """Metadata of the market in ``slot``; UnknownMarket when it is empty or out of range."""
        spec = self._specs[slot] if 0 <= slot < self.capacity else None
        if spec is None:
            raise UnknownMarket(f"no market in slot {slot}")
        return spec

    def ref(self, slot: int) -> MarketRef:
        """Current reference of the market in ``slot``; UnknownMarket when it is empty."""
        self.spec(slot)
        return MarketRef(slot, int(self.rows[slot]["generation"]))

    def find(self, venue: Venue, symbol: str) -> MarketRef | None:
        """Reference of a market by its venue symbol; None when it is not here."""
        slot = self._by_symbol.get((venue, symbol))
        return None if slot is None else self.ref(slot)

    def is_current(self, ref: MarketRef) -> bool:
        """Whether ``ref`` still names a market."""
        if not 0 <= ref.slot < self.capacity or self._specs[ref.slot] is None:
            return False
        return int(self.rows[ref.slot]["generation"]) == ref.generation

    def groups(self) -> tuple[int, ...]:
        """Numbers of all groups with members, in order of arrival."""
        return tuple(self._groups)

    def group_number(self, venue: Venue, name: str) -> int:
        """Number of a group by the venue's name; NO_GROUP when unknown."""
        return self._groups.number(venue, name)

    def group_members(self, group: int) -> tuple[int, ...]:
        """Slots of a group's markets in order of arrival; empty for an unknown group."""
        held = self._groups.get(group)
        return tuple(held.slots) if held else ()

    def group_kind(self, group: int) -> GroupKind:
        """What the venue promises of the group; NONE for an unknown group."""
        held = self._groups.get(group)
        return held.kind if held else GroupKind.NONE

    def group_exhaustive(self, group: int) -> bool:
        """Whether exactly one of the members *in the catalog* wins: needs the venue's count of the set."""
        held = self._groups.get(group)
        return held is not None and held.exhaustive

    def register_reader(self) -> int:
        """Number of a new reader; from now on it holds back the recycling of slots. At most READERS_MAX."""
        if len(self._readers) >= READERS_MAX:
            raise ConfigError(f"catalog has {READERS_MAX} readers already")
        reader = max(self._readers, default=-1) + 1
        self._readers[reader] = self._version
        return reader

    def drop_reader(self, reader: int) -> None:
        """Forget a reader (ended, or fenced): it holds nothing back any more."""
        del self._readers[reader]

    def confirm(self, reader: int, version: int) -> None:
        """The reader's barrier: it holds nothing older than ``version``. ConfigError for a future one."""
        if version > self._version:
            raise ConfigError(f"reader {reader} confirms version {version} of {self._version}")
        self._readers[reader] = max(self._readers[reader], version)

    def barrier(self) -> int:
        """Slots that became free because every reader has passed their removal."""
        before = len(self._free)
        self._recycle()
        return len(self._free) - before

    def _recycle(self) -> None:
        passed = min(self._readers.values(), default=self._version)
        while self._retiring and self._retiring[0][0] <= passed:
            self._free.append(self._retiring.popleft()[1])

    def _has_changed(self, slot: int) -> None:
        self._changed[slot] = None
        self._version += 1

    def _mark_group(self, group: int) -> None:
        exhaustive = self.group_exhaustive(group)
        for slot in self.group_members(group):
            flags = int(self.rows[slot]["flags"])
            marked = flags | MarketFlag.EXHAUSTIVE if exhaustive else flags & ~MarketFlag.EXHAUSTIVE
            if marked != flags:
                self.rows[slot]["flags"] = marked
                self._changed[slot] = None  # and the version with the market that brought it about


def _fill_row(rows: MarketRows, slot: int, spec: MarketSpec, generation: int) -> None:
    rows[slot] = np.zeros((), MARKET_ROW)  # nothing of the market that was here before
    row = rows[slot]
    row["generation"] = generation
    row["group"] = NO_GROUP
    row["flags"] = _flags(spec)
    row["venue"] = spec.venue
    for name in ("lot_e6", "min_size_e6", "min_notional_micros", "open_ns", "close_ns", "taker_delay_ns"):
        row[name] = getattr(spec, name)
    row["fee_kind"] = FeeKind.UNKNOWN if spec.fee is None else spec.fee.kind
    if spec.fee is not None:
        for name in ("taker_rate_ppb", "maker_rate_ppb", "exponent_e3", "unit_micros", "precision_micros"):
            row[name] = getattr(spec.fee, name)
        row["fee_from_ns"] = spec.fee.valid_from_ns
    row["n_ranges"] = len(spec.price_ranges)
    for index, (start, end, step) in enumerate(spec.price_ranges):
        row["range_start_e4"][index] = start
        row["range_end_e4"][index] = end
        row["range_step_e4"][index] = step


def _flags(spec: MarketSpec) -> int:
    flags = MarketFlag.IN_USE | MarketFlag.OPEN
    for is_set, flag in (
        (spec.mirror, MarketFlag.MIRROR),
        (spec.neg_risk, MarketFlag.NEG_RISK),
        (spec.neg_risk_augmented, MarketFlag.AUGMENTED),
        (spec.group_kind is not GroupKind.NONE, MarketFlag.AT_MOST_ONE),
        (bool(spec.defaulted), MarketFlag.DEFAULTED),
    ):
        if is_set:
            flags |= flag
    return int(flags)
