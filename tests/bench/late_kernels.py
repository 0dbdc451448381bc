"""What an engine reads of the kernel cache after its start: ``python -m tests.bench.late_kernels FOLDER``.

From a frame to a plan, and from a plan to its orders and its end, over real rings and tables. It prints the
kernels, as JSON.
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
    for _ in range(2):
        for frame in market.rounds(1, PAIRS):  # cheap
            market.on_frame(frame)
            assert len(trade.take(1)) == 1
        for frame in market.rounds(1, PAIRS):  # and gone
            market.on_frame(frame)
        trade.begin()


def order(folder: Path, state: Path) -> None:
    """Plans to their orders, and to their ends."""
    market, desk = path.Market(folder), _orders.Desk(folder, state, PAIRS)
    market.open()
    path.Orders(market, desk, _orders.Flush(state)).run()


def main() -> int:
    """Load, trade, and say what was not loaded."""
    for name, value in (("PAIRS", PAIRS), ("PLANS", PLANS), ("IDLE_TURNS", 1)):
        setattr(path, name, value)
    kernels.load(kernels.OF_ROLES)
    before = read_so_far()
    folders = [Path(sys.argv[1], name) for name in ("plans", "orders", "state")]
    for folder in folders:
        folder.mkdir(0o700)
    plan(folders[0])
    order(*folders[1:])
    print(json.dumps(sorted(name for name, _ in read_so_far() - before)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
