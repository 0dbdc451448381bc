"""What of the kernel cache is read after the start: ``python -m tests.bench.late_kernels WAY FOLDER``.

WAY is ``plan``, from frames to plans, or ``order``, from plans to their orders and ends; over real rings and
tables, with the kernels of the roles that it takes and no others. It prints those that were read late.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench import _orders, _trade_side, path  # noqa: E402

PAIRS = 3
PLANS = 4


def read_so_far() -> set[tuple[str, int]]:
    """Every kernel of ours that was read or compiled in this process, and how many versions of it."""
    found = set()
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in kernels.PACKAGES:
            for kernel in vars(module).values():
                if hasattr(kernel, "nopython_signatures"):
                    found.add((f"{kernel.__module__}.{kernel.__name__}", len(kernel.nopython_signatures)))
    return found


def plan(folder: Path) -> None:
    """Opportunities to their plans, each of which is then done with."""
    market, trade = path.Market(folder), _trade_side.Trade(folder, PAIRS)
    market.open()
    trade.begin()
    for at_once in (1, PAIRS):  # several are decided together
        cheap, gone = market.rounds(1, PAIRS), market.rounds(1, PAIRS)
        for first in range(0, PAIRS, at_once):
            for frame in cheap[first : first + at_once]:
                market.on_frame(frame)
            assert len(trade.take(at_once)) == at_once
        for frame in gone:
            market.on_frame(frame)
        trade.begin()


def order(folder: Path) -> None:
    """Plans to their orders, and to their ends."""
    state = folder / "state"
    state.mkdir(0o700)
    market, desk = path.Market(folder), _orders.Desk(folder, state, PAIRS)
    market.open()
    path.Orders(market, desk, _orders.Flush(state)).run()


WAYS = {
    "plan": (plan, ("feed", "book", "strategy", "optimizer")),
    "order": (order, ("feed", "book", "executor")),
}


def main() -> int:
    """Load, trade, and say what was not loaded."""
    for name, value in (("PAIRS", PAIRS), ("PLANS", PLANS), ("IDLE_TURNS", 1)):
        setattr(path, name, value)
    way, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(0o700)
    trade, roles = WAYS[way]
    kernels.load(roles)
    before = read_so_far()
    trade(folder)
    print(json.dumps(sorted(name for name, _ in read_so_far() - before)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
