from __future__ import annotations

from engine.records import Outcome, Venue
from engine.risk.limits import GATE_MARKET, GATE_STATE, VENUES, gate_limits
from procs.config_files import load_config


def test_every_limit_comes_from_its_setting() -> None:
    config = load_config()
    row = gate_limits(config.risk, {Venue.KALSHI: config.venues.kalshi})
    for name in row.dtype.names or ():
        if name.startswith("orders_"):
            assert list(row[name]) == [0, 0, getattr(config.venues.kalshi, name)]
        else:
            assert int(row[name]) == getattr(config.risk, name) > 0


def test_every_market_counter_has_one_entry_for_each_outcome() -> None:
    for name in ("held_e6", "buying_e6", "selling_e6"):
        assert GATE_MARKET[name].shape == (len(Outcome),)
    for name in ("cash_micros", "reserved_micros", "tokens", "tokens_ns"):
        assert GATE_STATE[name].shape == (VENUES,) == (max(Venue) + 1,)
