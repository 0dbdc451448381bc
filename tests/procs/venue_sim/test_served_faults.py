"""Every kind of fault on real sockets: the one it is done to sees it, the other sees nothing of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import orjson
import pytest
from picows import WSHandshakeError

from engine.records import Venue
from procs.recording_frames import Frame, pack
from procs.replay import Replay
from procs.venue_sim.connection import GARBAGE
from procs.venue_sim.faults import (
    Close,
    Duplicate,
    Fault,
    Gap,
    Garbage,
    HalfOpen,
    Kind,
    Oversized,
    Refuse,
    Reorder,
    Silence,
    SkipNumbers,
    SlowDrip,
    Truncated,
    WrongSchema,
)
from procs.venue_sim.outlet import frame_header
from procs.venue_sim.simulation import SimOptions, VenueSim
from tests.data import recordings as made
from tests.procs.venue_sim.client import Client, connect, run, served, tape_of, to_kalshi, to_polymarket

pytestmark = pytest.mark.compiled_only

FRAMES = 12
AT = 5  # the fault's frame
HOUR_MS = 3_600_000
Check = Callable[[VenueSim, Client, Client], Awaitable[None]]


def _frames(later_ms: int = 0) -> list[Frame]:
    """A snapshot and deltas; those from ``AT`` + 1 on come ``later_ms`` after the others."""
    return [made.kalshi(made.snapshot(1, [["0.1000", "1.00"]], []))] + [
        made.kalshi(made.delta(seq, "yes", "0.1000", "1.00"), seq + later_ms * (seq > AT))
        for seq in range(2, FRAMES + 1)
    ]


def _served(kind: Kind, check: Check, *, later_ms: int = 0, speed: float | None = None) -> None:
    """Do a fault of Kalshi to the first of two clients at frame AT, and look at both."""
    fault = Fault(venue=Venue.KALSHI, kind=kind, at_frame=AT, connection=1)

    async def test() -> None:
        options = SimOptions(faults=(fault,), start_when_subscribed=2, speed=speed)
        async with served(tape_of(_frames(later_ms), made.header("kalshi")), options) as sim:
            victim = await to_kalshi(sim, [made.TICKER])
            bystander = await to_kalshi(sim, [made.TICKER])
            await check(sim, victim, bystander)
            await bystander.until_texts(1 + FRAMES)
            assert numbers(bystander) == list(range(1, FRAMES + 1))
            assert not bystander.gone
            assert sim.logs["kalshi"].faults == [f"{fault}, connection 1"]

    run(test)


def numbers(client: Client) -> list[object]:
    """Sequence numbers of the data of one subscription, in the order they came."""
    trees = (orjson.loads(text) for text in client.texts if text != GARBAGE)
    return [tree["seq"] for tree in trees if tree.get("sid") == 1]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 3000, 4001])
def test_close_with_a_code(code: int) -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_gone()
        assert victim.codes == [code]
        assert numbers(victim) == list(range(1, AT))
        assert sim.logs["kalshi"].closed_by_venue == 1

    _served(Close(code=code, reason="because"), check)


def test_close_1006_is_the_end_without_a_close_frame() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_gone()
        assert victim.codes == []
        assert numbers(victim) == list(range(1, AT))

    _served(Close(code=1006), check)


def test_who_does_not_answer_a_close_frame_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procs.venue_sim.outlet.CLOSE_ANSWER_S", 0.02)
    fault = Fault(venue=Venue.KALSHI, kind=Close(code=1012), connection=1)

    async def test() -> None:
        async with served(tape_of([]), SimOptions(faults=(fault,))) as sim:
            client = await to_kalshi(sim, [made.TICKER], client=Client(answers_close=False))
            await client.until_gone()
            assert client.codes == [1012]

    run(test)


def test_half_open_keeps_the_socket_and_says_nothing() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await sim.finished.wait()
        await bystander.until_texts(1 + FRAMES)
        assert victim.transport is not None
        victim.transport.send_ping(b"are you there")
        victim.send({"id": 5, "cmd": "list_subscriptions"})
        bystander.send({"id": 5, "cmd": "list_subscriptions"})
        await bystander.until_texts(2 + FRAMES)
        assert numbers(victim) == list(range(1, AT))
        assert len(victim.texts) == AT
        assert (sim.kalshi.open, victim.gone) == (2, False)
        assert sim.logs["kalshi"].texts_withheld == FRAMES - AT + 1

    _served(HalfOpen(), check)


def test_silence_answers_and_sends_no_data() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await sim.finished.wait()
        params = {"sid": 1, "action": "get_snapshot", "market_ticker": made.TICKER}
        victim.send({"id": 5, "cmd": "update_subscription", "params": params})
        await victim.until_texts(AT + 1)
        assert [tree["type"] for tree in victim.trees()[AT:]] == ["ok"]
        assert victim.trees()[AT]["seq"] == FRAMES + 1

    _served(Silence(), check)


def test_silence_has_an_end() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_texts(AT + FRAMES - AT)
        assert numbers(victim) == [*range(1, AT), *range(AT + 1, FRAMES + 1)]

    _served(Silence(for_ms=10), check, later_ms=500, speed=1.0)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (Gap(frames=2), [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]),
        (SkipNumbers(numbers=2), [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14]),
        (Duplicate(frames=2), [1, 2, 3, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12]),
        (Reorder(times=2), [1, 2, 3, 4, 6, 5, 8, 7, 9, 10, 11, 12]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_numbers_on_their_way(kind: Kind, seen: list[int]) -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_texts(1 + len(seen))
        await sim.finished.wait()
        assert numbers(victim) == seen
        await bystander.until_texts(1 + FRAMES)
        assert sim.logs["kalshi"].texts_written == len(victim.texts) + len(bystander.texts)
        replay = Replay([made.kalshi_spec()])
        for batch in pack([made.kalshi(text) for text in victim.texts]):
            replay.feed(batch, batch.recv_ns)
        is_whole = isinstance(kind, Duplicate)
        assert (replay.levels(0) == sim.books.replay.levels(0)) == (not isinstance(kind, Gap))
        assert (replay.trust(0) is sim.books.replay.trust(0)) == is_whole

    _served(kind, check)


@pytest.mark.parametrize("kind", [Garbage(frames=3), WrongSchema(frames=3)], ids=["garbage", "wrong schema"])
def test_texts_that_cannot_be_read_come_besides_the_others(kind: Kind) -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_texts(1 + FRAMES + 3)
        strange = victim.texts[AT : AT + 3]
        assert len(set(strange)) == 1
        await bystander.until_texts(1 + FRAMES)
        assert [text for text in victim.texts if text not in strange] == bystander.texts
        replay = Replay([made.kalshi_spec()])
        for batch in pack([made.kalshi(strange[0])]):
            replay.feed(batch, batch.recv_ns)
        (codec,) = replay.codecs.values()
        assert codec.last_error  # the engine's codec refuses it, and does not raise

    _served(kind, check)


def test_a_frame_is_cut_in_the_middle() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await victim.until_gone()
        assert victim.codes == []
        assert numbers(victim) == list(range(1, AT))

    _served(Truncated(), check)


def test_an_oversized_frame_is_announced_in_its_header() -> None:
    async def test() -> None:
        fault = Fault(venue=Venue.POLYMARKET, kind=Oversized(), connection=1)
        async with served(tape_of([]), SimOptions(faults=(fault,))) as sim:
            reader, writer = await _raw_client(sim)
            header = await reader.readexactly(10)
            assert header == frame_header(0x81, 100_000_000)
            assert await reader.readexactly(1 << 20) == bytes(1 << 20)  # and it does come
            writer.close()
            bounded = await connect(sim.endpoints["kalshi"])
            bounded.send({"id": 1, "cmd": "list_subscriptions"})
            await bounded.until_texts(1)

    run(test)


async def _raw_client(sim: VenueSim) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A subscribed client of Polymarket that sees the bytes."""
    host, port = sim.endpoints["polymarket"].split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ["GET /ws/market HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
    writer.write("\r\n".join(lines).encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    text = orjson.dumps({"type": "market", "assets_ids": []})
    writer.write(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)  # masked with zeros
    return reader, writer


def test_a_client_with_a_bound_refuses_an_oversized_frame() -> None:
    async def test() -> None:
        fault = Fault(venue=Venue.POLYMARKET, kind=Oversized(), connection=1)
        async with served(tape_of([]), SimOptions(faults=(fault,))) as sim:
            client = Client()
            await connect(sim.endpoints["polymarket"], client, max_frame_size=1 << 20)
            client.send({"type": "market", "assets_ids": []})
            await client.until_gone()
            assert client.texts == []

    run(test)


def test_a_slow_drip_comes_byte_by_byte_and_costs_what_is_due_meanwhile() -> None:
    async def check(sim: VenueSim, victim: Client, bystander: Client) -> None:
        await bystander.until_texts(1 + FRAMES)
        assert numbers(victim) == list(range(1, AT))
        await victim.until_texts(1 + AT)
        assert numbers(victim) == list(range(1, AT + 1))
        victim.send({"id": 5, "cmd": "list_subscriptions"})  # the connection goes on
        await victim.until_texts(2 + AT)
        assert sim.logs["kalshi"].texts_written == len(victim.texts) + len(bystander.texts)

    _served(SlowDrip(every_ms=1), check)


def test_refused_with_a_status_and_who_is_inside_stays() -> None:
    async def test() -> None:
        fault = Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=HOUR_MS, status=502), at_frame=AT)
        async with served(tape_of(_frames(), made.header("kalshi")), SimOptions(faults=(fault,))) as sim:
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_texts(1 + FRAMES)
            with pytest.raises(WSHandshakeError) as refused:
                await connect(sim.endpoints["kalshi"])
            assert refused.value.response is not None
            assert refused.value.response.status == 502
            assert (sim.logs["kalshi"].refused, sim.logs["kalshi"].accepted) == (1, 1)
            assert sim.logs["kalshi"].faults == ["refuse at frame 5"]
            await connect(sim.endpoints["polymarket"])

    run(test)


def test_nobody_listens_and_who_is_inside_stays() -> None:
    async def test() -> None:
        fault = Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=HOUR_MS, status=0), at_frame=AT)
        async with served(tape_of(_frames(), made.header("kalshi")), SimOptions(faults=(fault,))) as sim:
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_texts(1 + FRAMES)
            with pytest.raises(OSError, match=r"refused|Connect"):
                await connect(sim.endpoints["kalshi"])
            client.send({"id": 5, "cmd": "list_subscriptions"})
            await client.until_texts(2 + FRAMES)

    run(test)


@pytest.mark.parametrize("status", [0, 503])
def test_after_a_refusal_everybody_is_admitted_at_the_same_port(status: int) -> None:
    async def test() -> None:
        plan = (
            Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=50, status=status), at_frame=AT),
            Fault(venue=Venue.KALSHI, kind=Close(code=1012), at_frame=AT),
        )
        async with served(tape_of(_frames(), made.header("kalshi")), SimOptions(faults=plan)) as sim:
            url = sim.endpoints["kalshi"]
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_gone()
            again = await _insist(sim)
            await again.until_texts(2)
            body = again.trees()[1]["msg"]
            assert isinstance(body, dict)
            assert body["yes_dollars_fp"] == [["0.1000", f"{FRAMES}.00"]]
            assert sim.endpoints["kalshi"] == url

    run(test)


def test_a_port_that_somebody_else_took_meanwhile_is_waited_for() -> None:
    async def test() -> None:
        plan = (Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=50, status=0), at_frame=1),)
        options = SimOptions(faults=plan, start_when_subscribed=0)
        async with served(tape_of(_frames(), made.header("kalshi")), options) as sim:
            await sim.finished.wait()
            port = int(sim.endpoints["kalshi"].split(":")[2].split("/")[0])
            with socket.create_server(("127.0.0.1", port)):
                while sim.kalshi._refusing is not None:  # noqa: ASYNC110 - a state of the venue
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
            await (await _insist(sim)).until_texts(2)

    run(test)


def test_the_later_of_two_refusals_decides() -> None:
    async def test() -> None:
        plan = (
            Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=1), at_frame=1),
            Fault(venue=Venue.KALSHI, kind=Refuse(for_ms=HOUR_MS), at_frame=2),
            Fault(venue=Venue.POLYMARKET, kind=Refuse(for_ms=20), at_frame=1),
        )
        frames = [*_frames(), made.polymarket(b"PONG", FRAMES + 1)]
        options = SimOptions(faults=plan, start_when_subscribed=0)
        async with served(tape_of(frames), options) as sim:
            await sim.finished.wait()
            while sim.polymarket._refusing is not None:  # noqa: ASYNC110 - a state of the venue
                await asyncio.sleep(0.001)
            with pytest.raises(WSHandshakeError):  # the first refusal would have been over before that
                await connect(sim.endpoints["kalshi"])

    run(test)


async def _insist(sim: VenueSim) -> Client:
    """Connect when the venue lets us."""
    while True:
        try:
            return await to_kalshi(sim, [made.TICKER])
        except (WSHandshakeError, OSError):
            await asyncio.sleep(0.01)


def test_a_fault_without_a_connection_is_done_to_all_and_one_without_a_frame_at_the_subscription() -> None:
    async def test() -> None:
        plan = (
            Fault(venue=Venue.KALSHI, kind=Gap(frames=1), at_frame=AT),
            Fault(venue=Venue.KALSHI, kind=Close(code=1008), connection=3),
        )
        options = SimOptions(faults=plan, start_when_subscribed=2)
        async with served(tape_of(_frames(), made.header("kalshi")), options) as sim:
            clients = [await to_kalshi(sim, [made.TICKER]) for _ in range(2)]
            for client in clients:
                await client.until_texts(FRAMES)
                assert numbers(client) == [seq for seq in range(1, FRAMES + 1) if seq != AT]
            third = await connect(sim.endpoints["kalshi"])
            third.send({"id": 1, "cmd": "list_subscriptions"})
            await third.until_texts(1)
            assert not third.gone
            params = {"channels": ["orderbook_delta"], "market_ticker": made.TICKER}
            third.send({"id": 2, "cmd": "subscribe", "params": params})
            await third.until_gone()
            assert third.codes == [1008]

    run(test)


def test_a_fault_without_a_victim_is_counted() -> None:
    async def test() -> None:
        plan = (Fault(venue=Venue.KALSHI, kind=Gap(), at_frame=AT, connection=2),)
        async with served(tape_of(_frames(), made.header("kalshi")), SimOptions(faults=plan)) as sim:
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_texts(1 + FRAMES)
            assert (sim.logs["kalshi"].faults_missed, sim.logs["kalshi"].faults_done) == (1, 0)

    run(test)


def test_who_is_half_open_is_no_reader_to_go_on_for() -> None:
    async def test() -> None:
        plan = (Fault(venue=Venue.KALSHI, kind=HalfOpen(), at_frame=AT, connection=1),)
        options = SimOptions(faults=plan, wait_for_readers=True, once=True)
        async with served(tape_of(_frames(), made.header("kalshi")), options) as sim:
            victim = await to_kalshi(sim, [made.TICKER])
            await victim.until_texts(AT)
            again = await to_kalshi(sim, [made.TICKER])
            await again.until_gone()
            assert numbers(victim) == list(range(1, AT))
            body = again.trees()[1]["msg"]
            assert isinstance(body, dict)
            assert body["yes_dollars_fp"] == [["0.1000", f"{AT}.00"]]  # up to where it stood
            assert numbers(again) == list(range(1, FRAMES - AT + 2))
            await victim.until_gone()  # the end comes to it too

    run(test)


def test_faults_of_one_venue_are_not_the_others() -> None:
    book = {"event_type": "book", "asset_id": made.YES_TOKEN, "bids": [], "asks": []}

    async def test() -> None:
        fault = Fault(venue=Venue.POLYMARKET, kind=Gap(frames=1), at_frame=2)
        frames = [made.polymarket({**book, "hash": str(n)}, n) for n in range(3)] + _frames()
        async with served(tape_of(frames), SimOptions(faults=(fault,))) as sim:
            kalshi = await to_kalshi(sim, [made.TICKER])
            polymarket = await to_polymarket(sim, [made.YES_TOKEN])
            await kalshi.until_texts(1 + FRAMES)
            await polymarket.until_texts(2)
            assert [tree["hash"] for tree in polymarket.trees()] == ["0", "2"]

    run(test)
