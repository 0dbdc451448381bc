"""Both venues on real sockets: every frame, the book of the position, pacing, handshakes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from picows import WSHandshakeError, WSMsgType

from engine.errors import ConfigError
from engine.records import Trust, Venue
from engine.venues.counts import Count
from procs.recording import RecordingHeader
from procs.recording_frames import Frame
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.venue_sim.tape import Tape, recorded_tape, seeded_tape
from tests.data import recordings as made
from tests.procs.venue_sim.client import Client, connect, run, served, tape_of, to_kalshi, to_polymarket
from tests.procs.venue_sim.reading import assert_same_books, books_of, tickers_of, tokens_of
from tests.procs.venue_sim.test_kalshi_auth import headers

pytestmark = pytest.mark.compiled_only

SEED = 20_261_128
SOME_FRAMES = 5_000
HOUR_MS = 3_600_000
YES, NO = made.YES_TOKEN, made.NO_TOKEN


def delta(seq: int, size: str = "1.00") -> object:
    return made.delta(seq, "yes", "0.1000", size)


def beginning(tape: Tape) -> Tape:
    """Some frames of a tape of one source."""
    frames = [frame for run in tape.runs() for frame in run.batch.frames()]
    [source] = tape._sources
    return tape_of(frames[:SOME_FRAMES], source.header)


def test_every_frame_of_a_session_arrives_and_the_books_are_the_sessions() -> None:
    async def check() -> None:
        positions: list[int] = []
        async with served(seeded_tape(SEED), SimOptions(once=True, on_position=positions.append)) as sim:
            specs = sim.books.replay.specs
            polymarket = await to_polymarket(sim, tokens_of(specs))
            channels = ("orderbook_delta", "market_lifecycle_v2")
            kalshi = await to_kalshi(sim, tickers_of(specs), *channels)
            await polymarket.until_gone()
            await kalshi.until_gone()
        assert (polymarket.codes, kalshi.codes) == ([1000], [1000])
        recorded = [frame for run in seeded_tape(SEED).runs() for frame in run.batch.frames()]
        assert polymarket.texts == [frame.raw for frame in recorded if frame.venue is Venue.POLYMARKET]
        sent = [orjson.loads(frame.raw) for frame in recorded if frame.venue is Venue.KALSHI]
        assert [tree["msg"] for tree in sent[1:]] == [tree["msg"] for tree in kalshi.trees()[2:]]
        assert positions == sorted(frame.recv_ns for frame in recorded)
        assert sim.played == len(recorded)
        numbers = [tree["seq"] for tree in kalshi.trees() if tree.get("sid") == 1]
        assert numbers == [tree["seq"] for tree in sent if tree["type"].startswith("orderbook")]
        log = sim.logs["kalshi"]
        assert (log.frames, log.texts_sent, log.subscriptions) == (len(sent), len(sent) - 1, 1)
        found = books_of(specs, (Venue.POLYMARKET, polymarket.texts), (Venue.KALSHI, kalshi.texts))
        assert_same_books(found, sim.books.replay)
        assert int(found.codecs[Venue.KALSHI].counts[Count.SEQ_GAPS]) == 1  # the session plants one

    run(check)


def _polymarket_frames() -> list[Frame]:
    levels = [{"price": "0.4", "size": "5"}, {"price": "0.3", "size": "2.5"}]
    book = {"event_type": "book", "asset_id": YES, "market": "0xabc", "bids": levels, "asks": []}
    entry = {
        "asset_id": YES,
        "price": "0.45",
        "size": "7",
        "side": "BUY",
        "best_bid": "0.45",
        "best_ask": "1",
    }
    change = {"event_type": "price_change", "market": "0xabc", "price_changes": [entry], "timestamp": "3"}
    other = {**change, "price_changes": [{**entry, "size": "9"}]}
    return [
        made.polymarket({**book, "timestamp": "1"}),
        made.polymarket(change, 1),
        made.polymarket(other, HOUR_MS),
    ]


def test_a_snapshot_is_the_book_at_the_position_and_frames_go_on_from_there() -> None:
    frames = [
        *_polymarket_frames(),
        made.kalshi(made.snapshot(1, [["0.1000", "3.00"]], [["0.5000", "2.00"]]), 1),
        made.kalshi(delta(2), 2),
        made.kalshi(delta(3, "4.00"), HOUR_MS),
    ]
    frames.sort(key=lambda frame: frame.recv_ns)

    async def check() -> None:
        async with served(tape_of(frames), SimOptions(speed=1.0)) as sim:
            first = await to_kalshi(sim, [made.TICKER])
            watching = await to_polymarket(sim, [YES])
            await first.until_texts(3)
            await watching.until_texts(2)
            late = await to_kalshi(sim, [made.TICKER])
            await late.until_texts(2)
            token = await to_polymarket(sim, [YES, NO])
            await token.until_texts(1)
            await _again(first)
            assert sim.played == 4  # what comes an hour later is waited for
            assert late.trees()[1] == {
                "type": "orderbook_snapshot",
                "sid": 1,
                "seq": 1,
                "msg": {
                    "market_ticker": made.TICKER,
                    "market_id": "m",
                    "yes_dollars_fp": [["0.1000", "4.00"]],
                    "no_dollars_fp": [["0.5000", "2.00"]],
                },
            }
            (book,) = orjson.loads(token.texts[0])  # there is none of the other token
            assert book["asset_id"] == YES
            assert [(level["price"], level["size"]) for level in book["bids"]] == [
                ("0.3", "2.5"),
                ("0.4", "5"),
                ("0.45", "7"),
            ]
            specs = sim.books.replay.specs
            found = books_of(specs, (Venue.KALSHI, late.texts), (Venue.POLYMARKET, token.texts))
            assert_same_books(found, sim.books.replay)
            assert (sim.logs["polymarket"].snapshots_lacking, sim.logs["polymarket"].snapshots) == (2, 1)

    async def _again(first: Client) -> None:
        """The same by get_snapshot, with the next number and the number of the command."""
        params = {"sid": 1, "action": "get_snapshot", "market_tickers": [made.TICKER]}
        first.send({"id": 7, "cmd": "update_subscription", "params": params})
        await first.until_texts(5)
        ok, snapshot = first.trees()[3:]
        assert (ok["type"], ok["seq"], ok["id"]) == ("ok", 3, 7)
        assert (snapshot["type"], snapshot["seq"], snapshot["id"]) == ("orderbook_snapshot", 4, 7)

    run(check)


def test_who_comes_late_or_again_ends_with_the_same_books() -> None:
    async def check() -> None:
        options = SimOptions(once=True, wait_for_readers=True)
        async with served(beginning(seeded_tape(SEED)), options) as sim:
            specs = sim.books.replay.specs
            kalshi = await to_kalshi(sim, tickers_of(specs), "orderbook_delta", "market_lifecycle_v2")
            polymarket = await to_polymarket(sim, tokens_of(specs))
            await polymarket.until_texts(900)
            assert polymarket.transport is not None
            polymarket.transport.disconnect(graceful=False)
            await polymarket.until_gone()
            again = await to_polymarket(sim, tokens_of(specs))
            await again.until_gone()
            await kalshi.until_gone()
        assert 0 < len(again.texts) < sim.logs["polymarket"].frames
        found = books_of(specs, (Venue.POLYMARKET, again.texts), (Venue.KALSHI, kalshi.texts))
        assert_same_books(found, sim.books.replay)
        assert sim.logs["polymarket"].snapshots == 1

    run(check)


def test_frames_without_a_subscriber_only_move_the_books() -> None:
    frames = [made.kalshi(made.snapshot(1, [["0.1000", "3.00"]], []))]
    frames += [made.kalshi(delta(seq), seq) for seq in range(2, 500)]

    async def check() -> None:
        async with served(tape_of(frames), SimOptions(start_when_subscribed=0)) as sim:
            await sim.finished.wait()
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_texts(2)
            client.send({"id": 2, "cmd": "list_subscriptions"})
            await client.until_texts(3)
            assert [tree["type"] for tree in client.trees()] == ["subscribed", "orderbook_snapshot", "ok"]
            assert client.trees()[1]["msg"]["yes_dollars_fp"] == [["0.1000", "501.00"]]  # type: ignore[index]
            assert sim.logs["kalshi"].texts_sent == 0

    run(check)


@pytest.mark.parametrize(
    "strange",
    [b'{"type":"orderbook_delta', b'{"type":"orderbook_delta","sid":1,"seq":2,"msg":{}}'],
    ids=["no JSON", "no market"],
)
def test_what_the_recorder_could_not_read_nobody_can(strange: bytes) -> None:
    frames = [made.kalshi(made.snapshot(1, [["0.1000", "3.00"]], [])), made.kalshi(strange, 1)]
    frames.append(made.kalshi(delta(3), 2))
    book = {"event_type": "book", "asset_id": YES, "bids": [], "asks": []}
    frames += [made.polymarket(book, 3), made.polymarket(b'{"event_type":"book","bids":[]}', 4)]

    async def check() -> None:
        async with served(tape_of(frames), SimOptions(once=True)) as sim:
            kalshi = await to_kalshi(sim, [made.TICKER])
            polymarket = await to_polymarket(sim, [YES])
            await kalshi.until_gone()
            await polymarket.until_gone()
            streams = ((Venue.KALSHI, kalshi.texts), (Venue.POLYMARKET, polymarket.texts))
            assert_same_books(books_of(sim.books.replay.specs, *streams), sim.books.replay)
            trust = [sim.books.replay.trust(slot) for slot in range(2)]
            assert trust == [Trust.SUSPECT, Trust.SUSPECT]

    run(check)


def test_the_position_waits_for_a_subscription_at_each_venue_that_has_frames() -> None:
    frames = [made.polymarket({"event_type": "new_market", "market": "m"}), made.kalshi(delta(1), 1)]

    async def check() -> None:
        async with served(tape_of(frames), SimOptions(start_when_subscribed=2)) as sim:
            first = await to_polymarket(sim, [YES])
            kalshi = [await to_kalshi(sim, [made.TICKER]) for _ in range(2)]
            first.send(b"PING")
            assert await first.until_texts(1) == [b"PONG"]
            assert sim.played == 0
            await to_polymarket(sim, [YES])
            await sim.finished.wait()
            for client in (first, *kalshi):
                await client.until_texts(2)
        async with served(tape_of(frames[1:], made.header("kalshi"))) as sim:
            await to_kalshi(sim, [made.TICKER])
            await sim.finished.wait()  # the other venue has no frames to wait with

    run(check)


def test_the_position_may_wait_for_every_book_that_is_named() -> None:
    async def check() -> None:
        options = SimOptions(start_when_subscribed=None)
        async with served(tape_of([made.kalshi(delta(1))]), options) as sim:
            first = await to_polymarket(sim, [YES])
            await to_kalshi(sim, [made.TICKER])
            first.send(b"PING")
            assert await first.until_texts(1) == [b"PONG"]
            assert sim.played == 0
            first.send({"operation": "subscribe", "assets_ids": [NO]})
            await sim.finished.wait()

    run(check)


def _heavy(count: int) -> list[Frame]:
    """Frames of 16 KiB: more together than the kernel keeps for one connection."""
    padding = "x" * (16 << 10)
    return [
        made.kalshi({"type": "trade", "sid": 3, "seq": n + 1, "msg": {"pad": padding}}) for n in range(count)
    ]


def test_at_full_speed_the_position_waits_for_who_does_not_read() -> None:
    count = 2_000

    async def check() -> None:
        async with served(tape_of(_heavy(count), made.header("kalshi")), SimOptions(once=True)) as sim:
            client = Client()
            await connect(sim.endpoints["kalshi"], client)
            client.stop_reading()
            client.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"]}})
            await asyncio.wait_for(_full(sim), 60)
            stood = sim.played
            assert 0 < stood < count
            other = await connect(sim.endpoints["kalshi"])  # the venue is alive meanwhile
            other.send({"id": 1, "cmd": "list_subscriptions"})
            await other.until_texts(1)
            assert sim.played == stood
            client.read_again()
            await client.until_gone()
            assert client.codes == [1000]
            assert [tree["seq"] for tree in client.of_type("trade")] == list(range(1, count + 1))

    run(check)


async def _full(sim: VenueSim) -> None:
    while sim.kalshi.takes:  # noqa: ASYNC110 - what is waited for is a state of the venue's socket
        await asyncio.sleep(0.001)


def test_at_recorded_speed_who_does_not_read_is_cut_off() -> None:
    async def check() -> None:
        frames = _heavy(2_000)
        async with served(tape_of(frames, made.header("kalshi")), SimOptions(speed=1e9)) as sim:
            client = Client()
            await connect(sim.endpoints["kalshi"], client)
            client.stop_reading()
            client.send({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"]}})
            await sim.finished.wait()
            assert sim.played == len(frames)
            assert sim.logs["kalshi"].cut_off == 1
            client.read_again()
            await client.until_gone()
            assert client.codes == []

    run(check)


def test_a_handshake_is_signed_or_refused() -> None:
    key = Ed25519PrivateKey.generate()
    now_ms = 1_793_534_400_000

    async def check() -> None:
        options = SimOptions(kalshi_keys={"an-id": key.public_key()}, now_ms=lambda: now_ms)
        async with served(tape_of([]), options) as sim:
            url = sim.endpoints["kalshi"]
            client = await connect(url, extra_headers=headers(key, now_ms))
            client.send({"id": 1, "cmd": "list_subscriptions"})
            await client.until_texts(1)
            for sent in ({}, headers(Ed25519PrivateKey.generate(), now_ms)):
                with pytest.raises(WSHandshakeError) as refused:
                    await connect(url, extra_headers=sent)
                assert refused.value.response is not None
                assert refused.value.response.status == 401
                assert b"error" in (refused.value.raw_body or b"")
            await connect(sim.endpoints["polymarket"])  # asks nobody for a signature
            assert (sim.logs["kalshi"].accepted, sim.logs["kalshi"].unauthorised) == (1, 2)

    run(check)


def test_another_path_is_not_found() -> None:
    async def check() -> None:
        async with served(tape_of([])) as sim:
            for venue, url in sim.endpoints.items():
                with pytest.raises(WSHandshakeError) as refused:
                    await connect(url + "x")
                assert refused.value.response is not None
                assert refused.value.response.status == 404, venue
                await connect(url + "?a=b")

    run(check)


def test_keep_alives() -> None:
    async def check() -> None:
        async with served(tape_of([]), SimOptions(ping_s=0.02, silent_s=0.05)) as sim:
            kalshi = await connect(sim.endpoints["kalshi"])
            await kalshi.until(lambda: len(kalshi.pings) >= 3)
            assert set(kalshi.pings) == {b"heartbeat"}
            assert kalshi.transport is not None
            kalshi.transport.send_ping(b"mine")
            silent = await to_polymarket(sim, [YES])
            await silent.until_gone()
            assert silent.codes == [1001]
            assert sim.logs["polymarket"].closed_by_venue == 1
        async with served(tape_of([])) as sim:
            early = await connect(sim.endpoints["polymarket"])
            early.send(b"PING")
            await early.until_gone()
            assert early.codes == [1008]
            assert sim.logs["polymarket"].closed_by_venue == 1

    run(check)


def test_a_message_in_fragments_is_one_message_and_a_client_may_close() -> None:
    async def check() -> None:
        async with served(tape_of([])) as sim:
            client = await connect(sim.endpoints["kalshi"])
            assert client.transport is not None
            text = orjson.dumps({"id": 1, "cmd": "list_subscriptions"})
            client.transport.send(WSMsgType.TEXT, text[:9], fin=False)
            client.transport.send(WSMsgType.CONTINUATION, text[9:])
            await client.until_texts(1)
            client.transport.send_close()
            await client.until_gone()
            assert sim.logs["kalshi"].closed_by_client == 1
            assert sim.kalshi.open == 0

    run(check)


def test_connections_and_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procs.venue_sim.venue.CONNECTIONS_OPEN_MAX", 2)
    monkeypatch.setattr("procs.venue_sim.connection.MESSAGE_BYTES_MAX", 100)

    async def check() -> None:
        async with served(tape_of([])) as sim:
            url = sim.endpoints["kalshi"]
            first = await connect(url)
            await connect(url)
            with pytest.raises(WSHandshakeError) as refused:
                await connect(url)
            assert refused.value.response is not None
            assert (refused.value.response.status, sim.logs["kalshi"].refused) == (429, 1)
            assert first.transport is not None
            first.transport.send(WSMsgType.TEXT, b"x" * 60, fin=False)
            first.transport.send(WSMsgType.CONTINUATION, b"x" * 40, fin=True)  # just fits
            await first.until_texts(1)
            first.send(b"x" * 101)
            await first.until_gone()
            assert first.codes == [1008]
            await connect(url)  # there is room again

    run(check)


def test_a_port_in_use_is_refused_and_nothing_stays_open() -> None:
    async def check() -> None:
        async with served(tape_of([])) as sim:
            taken = int(sim.endpoints["kalshi"].split(":")[2].split("/")[0])
            second = VenueSim(tape_of([]), SimOptions(kalshi_port=taken))
            with pytest.raises(ConfigError, match=rf"--kalshi-port 127\.0\.0\.1:{taken}: .*in use"):
                await second.open()
            with pytest.raises(OSError, match=r"refused|Connect"):
                await connect(second.endpoints["polymarket"])

    run(check)


def test_a_damaged_recording_is_played_as_far_as_it_is_whole(tmp_path: Path) -> None:
    head: RecordingHeader = made.header("kalshi")
    lines = [head.to_line().rstrip(), b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"{}"}', b"no line"]
    path = made.write_lines(tmp_path / "broken.ndjson.zst", lines)

    async def check() -> None:
        with ExitStack() as opened:
            options = SimOptions(start_when_subscribed=0)
            async with served(recorded_tape([path], opened), options) as sim:
                await sim.finished.wait()
                assert sim.played == 2  # one stands for what is lost, so that nobody trusts a book any more
                assert "broken.ndjson.zst line 3" in str(sim.damage)

    run(check)


def test_recordings_together_keep_their_connections_apart(tmp_path: Path) -> None:
    other = "KXOTHER"
    first = [made.kalshi(made.snapshot(1, [["0.10", "3.00"]], [])), made.kalshi(delta(2), 2)]
    second = [
        made.kalshi(made.snapshot(7, [["0.20", "1.00"]], [], other), 1),
        made.kalshi(made.delta(8, "yes", "0.20", "1.00", other), 3),
    ]
    paths = [made.write(tmp_path / "a.zst", made.header("kalshi"), first)]
    head = made.header("kalshi", markets=(made.kalshi_spec(), made.kalshi_spec(other)))
    paths.append(made.write(tmp_path / "b.zst", head, second))

    async def check() -> None:
        with ExitStack() as opened:
            async with served(recorded_tape(paths, opened)) as sim:
                client = await to_kalshi(sim, [made.TICKER, other])
                await client.until_texts(5)
                assert [tree.get("seq") for tree in client.trees()] == [None, 1, 2, 3, 4]
                assert len(sim.books.replay.specs) == 2
                assert [sim.books.replay.trust(slot) for slot in range(2)] == [Trust.LIVE, Trust.LIVE]

    run(check)


def test_frames_may_be_delivered_by_who_conducts_the_time() -> None:
    frames = [*_polymarket_frames()[:2], made.kalshi(made.snapshot(1, [["0.1000", "3.00"]], []), 3)]
    frames.append(made.polymarket(b"PONG", 4))

    async def check() -> None:
        sim = VenueSim(tape_of(frames), SimOptions(start_when_subscribed=2))
        await sim.open()
        clients = [await to_polymarket(sim, [YES]) for _ in range(2)]
        for ticker in (made.TICKER, "KXOTHER"):
            await to_kalshi(sim, [ticker])
        await sim.subscribed()
        assert [sim.deliver(frame) for frame in frames] == [2, 2, 1, 0]
        for client in clients:
            assert await client.until_texts(2) == [frame.raw for frame in frames[:2]]
        late = await to_kalshi(sim, [made.TICKER])
        await late.until_texts(2)
        assert late.trees()[1]["type"] == "orderbook_snapshot"
        assert sim.played == 4
        sim.close()

    run(check)
