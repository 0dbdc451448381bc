"""A fault, the doubt it raises, and the way back: for how long, of which markets, and of none but these."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.reasons import Reason
from engine.records import Trust, Venue
from tests.faults.engine import NS_PER_MS, Done, Engine, Seen, Turn

Name = tuple[Venue, str]


@dataclass(frozen=True)
class Recovery:
    """One market's: from the fault, and from the doubt, until it was LIVE again."""

    name: Name
    why: Reason
    fault_ns: int
    doubt_ns: int
    live_ns: int

    @property
    def from_fault_ms(self) -> float:
        """By the venue's clock and the engine's, which are one host's."""
        return (self.live_ns - self.fault_ns) / NS_PER_MS

    @property
    def from_doubt_ms(self) -> float:
        """By the engine's own clock."""
        return (self.live_ns - self.doubt_ns) / NS_PER_MS


def marks(engine: Engine) -> dict[Name, int]:
    """How many changes of trust each market has had."""
    engine.eye.look()
    return {name: len(seen.turns) for name, seen in engine.eye.seen.items()}


def recoveries(
    engine: Engine, done: Done, before: dict[Name, int], touched: Collection[Name]
) -> list[Recovery]:
    """Wait until each of ``touched`` has fallen into doubt and is LIVE again; nobody else has."""
    seen = engine.eye.seen
    engine.until(
        lambda: all(_is_back(seen[name], before[name]) for name in touched), f"{touched} to be LIVE again"
    )
    others = {name for name in seen if name not in touched and len(seen[name].turns) > before[name]}
    assert others == set(), f"also in doubt: {[(name, seen[name].turns[before[name] :]) for name in others]}"
    return [_recovery(name, done, seen[name].turns[before[name] :]) for name in touched]


def _is_back(seen: Seen, before: int) -> bool:
    turns = seen.turns[before:]
    return bool(turns) and turns[-1].trust is Trust.LIVE


def _recovery(name: Name, done: Done, turns: list[Turn]) -> Recovery:
    doubt = next(turn for turn in turns if turn.trust is Trust.SUSPECT)
    live = next(turn for turn in reversed(turns) if turn.trust is Trust.LIVE)
    assert live.epoch > doubt.epoch, "a new trust in the same epoch"
    return Recovery(name, doubt.doubt, done.at_ns, doubt.book_ns, live.book_ns)


def told(found: list[Recovery]) -> Iterator[str]:
    """A line for each, to be printed."""
    for one in found:
        yield (
            f"{one.name[0].name.lower()}:{one.name[1]} {one.why.name.lower()}: LIVE again "
            f"{one.from_fault_ms:.0f} ms after the fault, {one.from_doubt_ms:.0f} ms after the doubt"
        )
