from __future__ import annotations

from procs.config_files import load_config

from engine.records import Venue
from engine.risk.limits import gate_limits


def test_every_limit_comes_from_its_setting() -> None:
    config = load_config()
    row = gate_limits(config.risk, {Venue.KALSHI: config.venues.kalshi})
    for name in row.dtype.names or ():
        if name.startswith("orders_"):
            assert list(row[name]) == [0, 0, getattr(config.venues.kalshi, name)]
        else:
            assert int(row[name]) == getattr(config.risk, name) > 0
