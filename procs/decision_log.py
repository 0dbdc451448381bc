"""Decision log: one line for every candidate, what was done or the reason it was not.

NDJSON. The first line says what the file is; every other line is one DECISION record in words::

    {"at_ns":1780795851472000000,"stage":"strategy","kind":"cross_venue","market":"kalshi:KXA","epoch":"1.7",
     "relation":"fed july, hold","edge_gross":"0.05","edge_net":"0.0233","reason":"none","signal":12}

Money is in dollars as decimal strings, sizes in contracts; an epoch is boot.counter. Edges are of one set at
the best prices, and stand where they were worked out: not for what became of a plan. The same input gives the
same bytes: nothing in a line depends on the machine or the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import IO, Final

import numpy as np
import orjson

from engine.errors import RecordingDamaged, RecordingFormat
from engine.reasons import Reason, label
from engine.records import DecisionStage, SignalKind
from engine.units import units_to_decimal

LOG_VERSION: Final = 1
HEADER_KEY: Final = "pr3dict_decisions"
_EPOCH_COUNTER_BITS: Final = 32
_WITHOUT_EDGES: Final = frozenset({DecisionStage.GATE, DecisionStage.EXECUTION})

Count = tuple[str, str, str]  # stage, kind, reason
Keep = Callable[[Mapping[str, object]], bool]  # of a line as an object


@dataclass(slots=True)
class Funnel:
    """How many decisions ended where: the answer to "why not"."""

    counts: dict[Count, int] = field(default_factory=dict)

    def add(self, stage: int, kind: int, reason: int, times: int = 1) -> None:
        """Count one decision by its codes."""
        self.add_words((_word(DecisionStage, stage), _word(SignalKind, kind), label(reason)), times)

    def add_words(self, key: Count, times: int = 1) -> None:
        """Count one decision already in words."""
        self.counts[key] = self.counts.get(key, 0) + times

    def total(self, stage: str) -> int:
        """Decisions of one stage."""
        return sum(count for (where, _, _), count in self.counts.items() if where == stage)

    def rows(self) -> list[tuple[str, str, str, int]]:
        """(stage, kind, reason, count) in pipeline order, most frequent first."""
        order = {stage.name.lower(): int(stage) for stage in DecisionStage}
        keyed = sorted(self.counts.items(), key=lambda item: (order.get(item[0][0], 99), -item[1], item[0]))
        return [(*key, count) for key, count in keyed]


class DecisionLog:
    """Writes DECISION records as lines, and counts them whether a file is written or not.

    ``relations``: names of the relations that reach the strategy, by their number. ``begins``: whether the
    file is new, and needs its first line.
    """

    def __init__(
        self,
        sink: IO[bytes] | None,
        market_name: Callable[[int, int], str],
        relations: Sequence[str] = (),
        *,
        begins: bool = True,
    ) -> None:
        self.funnel = Funnel()
        self.lines = 0
        self._sink = sink
        self._market_name = market_name
        self._relations = relations
        if sink is not None and begins:
            sink.write(orjson.dumps({HEADER_KEY: LOG_VERSION}) + b"\n")

    def write(self, decision: np.void) -> None:
        """Count one DECISION and write its line."""
        self.funnel.add(int(decision["stage"]), int(decision["kind"]), int(decision["reason"]))
        self.lines += 1
        if self._sink is not None:
            self._sink.write(orjson.dumps(self._line(decision)) + b"\n")

    def _line(self, decision: np.void) -> dict[str, object]:
        epoch = int(decision["epoch"])
        line: dict[str, object] = {
            "at_ns": int(decision["decided_ns"]),
            "stage": _word(DecisionStage, int(decision["stage"])),
            "kind": _word(SignalKind, int(decision["kind"])),
            "market": self._market_name(int(decision["slot"]), int(decision["generation"])),
            "epoch": f"{epoch >> _EPOCH_COUNTER_BITS}.{epoch & (1 << _EPOCH_COUNTER_BITS) - 1}",
            "relation": self._relation(int(decision["relation"])),
        }
        if int(decision["stage"]) not in _WITHOUT_EDGES:
            line["edge_gross"] = units_to_decimal(int(decision["edge_gross_micros"]), 6)
            line["edge_net"] = units_to_decimal(int(decision["edge_net_micros"]), 6)
        line["reason"] = label(int(decision["reason"]))
        if int(decision["signal_id"]):
            line["signal"] = int(decision["signal_id"])
        if int(decision["plan_id"]):
            line["plan"] = int(decision["plan_id"])
        if int(decision["size_e6"]):
            line["size"] = units_to_decimal(int(decision["size_e6"]), 6)
            line["profit"] = units_to_decimal(int(decision["profit_micros"]), 6)
        return line

    def _relation(self, number: int) -> str | int | None:
        """Name of a relation; None for a group or a single market, the number where no name is known."""
        if number < 0:
            return None
        return self._relations[number] if number < len(self._relations) else number


def is_decision_log(first_line: bytes) -> bool:
    """Whether a file beginning with this line is a decision log."""
    return first_line.startswith(b'{"' + HEADER_KEY.encode())


def with_edge(which: str) -> Keep:
    """Whether a line has an edge above zero; ``which``: ``gross`` is before fees, ``net`` after them."""
    return lambda line: Decimal(str(line.get(f"edge_{which}", 0))) > 0


def at_venue(venue: str) -> Keep:
    """Whether the market of a line is at ``venue``."""
    return lambda line: str(line["market"]).startswith(f"{venue}:")


def read_funnel(
    lines: Iterable[bytes], source: str, keep: Sequence[Keep] = ()
) -> tuple[Funnel, RecordingDamaged | None]:
    """Funnel of those lines of a decision log that everything in ``keep`` is true of, up to any damage.

    RecordingFormat for another version.
    """
    funnel = Funnel()
    for number, line in enumerate(lines, start=1):
        try:
            tree = orjson.loads(line)
            if number == 1:
                _check_version(tree, source)
                continue
            key = tree["stage"], tree["kind"], tree["reason"]
            if all(kept(tree) for kept in keep):
                funnel.add_words(key)
        except (orjson.JSONDecodeError, KeyError, TypeError, InvalidOperation):
            said = f"{source}: line {number} is not a decision; {number - 1} lines before it are whole"
            return funnel, RecordingDamaged(said)
    return funnel, None


def _check_version(header: Mapping[str, object], source: str) -> None:
    if header[HEADER_KEY] != LOG_VERSION:
        raise RecordingFormat(
            f"{source}: decision log version {header[HEADER_KEY]}, this build reads {LOG_VERSION}"
        )


def _word(kinds: type[DecisionStage | SignalKind], code: int) -> str:
    try:
        return kinds(code).name.lower()
    except ValueError:
        return f"{kinds.__name__.lower()}_{code}"


def why_not(funnel: Funnel) -> list[tuple[str, int]]:
    """Reasons over all stages and kinds, most frequent first; what passed is not a reason."""
    totals: dict[str, int] = {}
    for (_, _, reason), count in funnel.counts.items():
        if reason != label(Reason.NONE):
            totals[reason] = totals.get(reason, 0) + count
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))
