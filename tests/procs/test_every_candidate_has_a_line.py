"""The decision log of a real recording against a recount that knows nothing of the engine.

The packaged weather recording is read as plain JSON into dictionaries of best prices. From them follow which
candidates had to be looked at, frame by frame, and the gross edge of each.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

import pytest
import zstandard

from procs.config_files import load_config
from procs.paper import PaperOptions, run_recordings
from procs.places import samples_dir

pytestmark = pytest.mark.compiled_only

RECORDING = samples_dir() / "weather_20260803.ndjson.zst"
ONE = Decimal(1)
Best = tuple[Decimal | None, Decimal | None]  # bid, ask of YES
KINDS = ("complement_buy", "partition_buy_yes", "partition_buy_no")


class Due(NamedTuple):
    """A line that has to be there, and the best prices of the market's whole group at that moment."""

    at_ns: int
    market: str
    group: tuple[Best | None, ...]


def _objects() -> Iterator[dict[str, object]]:
    with RECORDING.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    yield from map(json.loads, text.splitlines())


class Recount:
    """Books of best prices in dictionaries, and what changed in them."""

    def __init__(self, markets: list[Mapping[str, str]]) -> None:
        self.yes: dict[str, str] = {}
        self.no: dict[str, str] = {}
        self.members: dict[str, list[str]] = defaultdict(list)
        self.group_of: dict[str, str] = {}
        self.best: dict[str, Best] = {}
        self.turned: dict[str, Best] = {}  # of the NO token, in YES terms
        self.contradicted: Counter[str] = Counter()  # frames one after the other
        self.distrusted: set[str] = set()
        for market in markets:
            name = f"{market['venue']}:{market['symbol']}"
            self.yes[market["yes_token"] or market["symbol"]] = name
            if market["no_token"]:
                self.no[market["no_token"]] = name
            self.group_of[name] = f"{market['venue']} {market['group']}"
            self.members[self.group_of[name]].append(name)

    def due(self, at_ns: int, raw: str) -> Iterator[Due]:
        """Lines that a frame has to give for each kind of candidate."""
        read = json.loads(raw)
        events = read if isinstance(read, list) else [read]
        changed = [name for event in events if (name := self._take(event)) is not None]
        tokens = {str(event.get("asset_id")) for event in events}
        for name in {self.no[token] for token in tokens & self.no.keys()}:
            self._compare(name)
        for name in changed:
            if name not in self.distrusted:
                group = tuple(self.best.get(member) for member in self.members[self.group_of[name]])
                yield Due(at_ns, name, group)

    def _take(self, event: Mapping[str, object]) -> str | None:
        """Take in one snapshot; the market when the best prices of a book to be trusted are others now."""
        if event.get("event_type") == "book":
            name, best = self.yes.get(str(event["asset_id"])), _polymarket(event)
            if name is None:
                self.turned[self.no[str(event["asset_id"])]] = _turn(best)
                return None
        else:
            message = event["msg"]
            assert isinstance(message, dict)
            name, best = self.yes[message["market_ticker"]], _kalshi(message)
        is_news = self.best.get(name) != best or name in self.distrusted
        self.distrusted.discard(name)  # by a newer snapshot
        self.best[name] = best
        return name if is_news else None

    def _compare(self, name: str) -> None:
        """A market whose two tokens contradict each other in more than one frame is not trusted."""
        same = name not in self.turned or self.turned[name] == self.best.get(name)
        self.contradicted[name] = 0 if same else self.contradicted[name] + 1
        if self.contradicted[name] > 1:
            self.distrusted.add(name)


def _polymarket(event: Mapping[str, object]) -> Best:
    def prices(side: object) -> list[Decimal]:
        assert isinstance(side, list)
        return [Decimal(level["price"]) for level in side]

    return max(prices(event["bids"]), default=None), min(prices(event["asks"]), default=None)


def _kalshi(message: Mapping[str, list[list[str]]]) -> Best:
    bids = [Decimal(price) for price, _ in message.get("yes_dollars_fp", [])]
    asks = [ONE - Decimal(price) for price, _ in message.get("no_dollars_fp", [])]
    return max(bids, default=None), min(asks, default=None)


def _turn(best: Best) -> Best:
    bid, ask = best
    return None if ask is None else ONE - ask, None if bid is None else ONE - bid


def _gross(kind: str, group: tuple[Best | None, ...]) -> Decimal | None:
    """Edge of one set before fees; None where a leg has no price."""
    if None in group:
        return None
    bests = [best for best in group if best is not None]
    if kind == "partition_buy_yes":
        asks = [ask for _, ask in bests]
        return None if None in asks else ONE - sum(ask for ask in asks if ask is not None)
    bids = [bid for bid, _ in bests if bid is not None]  # NO of what nobody bids for cannot be bought
    return sum(bids, -ONE) if len(bids) > 1 else None


def test_the_log_has_a_line_for_each_and_its_edge_is_the_recounted_one() -> None:
    lines = _objects()
    header = next(lines)
    recount = Recount(header["markets"])  # type: ignore[arg-type]
    due: list[Due] = []
    clock_ns = 0
    for frame in lines:
        clock_ns = max(clock_ns, int(str(frame["recv_ns"])))
        due += recount.due(clock_ns, str(frame["raw"]))

    log = io.BytesIO()
    config = load_config(assignments=["engine.topology=inline"])
    options = PaperOptions(config=config, files=(RECORDING,), decisions=log, latency_scales=(1,))
    result = run_recordings("weather", options, lambda progress: None)
    logged = [json.loads(line) for line in log.getvalue().splitlines()[1:]]
    assert len(logged) == result.decisions
    expected = Counter((one.at_ns, one.market) for one in due)
    assert sum(expected.values()) > 3_000
    for kind in KINDS:
        told = Counter((line["at_ns"], line["market"]) for line in logged if line["kind"] == kind)
        assert told == expected, kind
    assert {line["kind"] for line in logged} == set(KINDS)

    groups = {(one.at_ns, one.market): one.group for one in due}
    compared = 0
    for line in logged:
        if line["kind"] == "complement_buy" or line["reason"] == "book_not_live":
            continue
        edge = _gross(line["kind"], groups[line["at_ns"], line["market"]])
        if edge is not None:
            assert Decimal(line["edge_gross"]) == edge, line
            compared += 1
    assert compared > 6_000
