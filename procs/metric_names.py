"""What a counter in shared memory is called outside: names, units and labels by Prometheus' conventions.

The label of a counter is ``NAME`` or ``NAME,key=value,...``, for example ``frames,venue=kalshi``. The end of
NAME tells unit and kind::

    wait_ns         pr3dict_wait_seconds_total        nanoseconds become seconds
    cash_micros     pr3dict_cash_dollars_total        micro-dollars become dollars
    filled_e6       pr3dict_filled_contracts_total    millionths become contracts
    frames          pr3dict_frames_total              everything else is counted as it is
    open_orders_now pr3dict_open_orders               a gauge, in whatever unit is before _now
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "pr3dict_"
GAUGE_SUFFIX: Final = "_now"
UNITS: Final = {"_ns": ("_seconds", 1e9), "_micros": ("_dollars", 1e6), "_e6": ("_contracts", 1e6)}
COUNTERS_AFFIX: Final = "counters"

_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class MetricName:
    """``family`` is the name without ``_total``; a value in shared memory is divided by ``divisor``."""

    family: str
    is_gauge: bool
    labels: dict[str, str]
    divisor: float

    @property
    def text(self) -> str:
        """Help text: what it counts, in words."""
        words = self.family.removeprefix(PREFIX).replace("_", " ")
        return f"{words}, as its process says now" if self.is_gauge else f"{words}, since its process started"


def metric_name(label: str) -> MetricName:
    """Name of the metric that a counter's label stands for."""
    name, *pairs = label.split(",")
    labels = dict(pair.partition("=")[::2] for pair in pairs)
    stem = plain(name)
    is_gauge = stem.endswith(GAUGE_SUFFIX)
    stem = stem.removesuffix(GAUGE_SUFFIX) if is_gauge else stem.removesuffix("_total")
    divisor = 1.0
    for suffix, (unit, per_unit) in UNITS.items():
        if stem.endswith(suffix):
            stem, divisor = stem.removesuffix(suffix) + unit, per_unit
    named = {plain(key): value for key, value in labels.items()}
    return MetricName(PREFIX + stem, is_gauge, named, divisor)


def source_of(segment: str) -> str:
    """Whose counters a segment holds: its name without the word for what it is."""
    return segment.removeprefix(f"{COUNTERS_AFFIX}.").removesuffix(f".{COUNTERS_AFFIX}")


def plain(text: str) -> str:
    """Lower case, and an underscore for whatever may not stand in a name."""
    return _NOT_IN_A_NAME.sub("_", text.lower()).strip("_") or "unnamed"
