"""The bench of raced sockets: every change is timed once, and the relay delays and keeps the order."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import uvloop

from bench import race

pytestmark = pytest.mark.compiled_only


@pytest.mark.parametrize("sockets", [1, 2])
def test_every_change_is_timed_once(sockets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "CHANGES", 60)
    specs, frames = race.session(tmp_path)
    bench = race.Bench(specs, frames, sockets, race.Way(0.0005, 0.002))
    uvloop.run(bench.run())
    assert len(bench.late_ns) == 60
    assert min(bench.late_ns) > 0
    assert bench.feed is not None
    assert (bench.feed.feed.race is None) == (sockets == 1)


def test_a_way_without_delay_has_none_and_stalls_are_rare() -> None:
    draw = random.Random(race.SEED)
    assert race.Way().delay_s(draw) == 0.0
    slow = race.Way(0.001, 10.0)
    delays = [slow.delay_s(draw) for _ in range(20_000)]
    assert min(delays) >= 0.001
    assert 0 < sum(delay > 10 for delay in delays) < 200


def test_what_comes_over_the_relay_is_late_and_in_order() -> None:
    async def main() -> bytes:
        async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for number in range(50):
                writer.write(b"%02d" % number)
                await asyncio.sleep(0)
            await writer.drain()
            await hold.wait()
            writer.close()

        hold = asyncio.Event()
        server = await asyncio.start_server(say, "127.0.0.1", 0)
        relay = race.Relay(server.sockets[0].getsockname()[1], race.Way(0.001, 0.002))
        reader, writer = await asyncio.open_connection("127.0.0.1", await relay.open())
        heard = await reader.readexactly(100)
        hold.set()
        writer.close()
        await relay.close()
        server.close()
        return heard

    assert asyncio.run(main()) == b"".join(b"%02d" % number for number in range(50))
