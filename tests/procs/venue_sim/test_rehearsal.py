"""Faults asked for while the venues serve: done to whom they name and answered, or one line why not."""

from __future__ import annotations

import asyncio
import os

import orjson
import pytest

from procs.venue_sim.rehearsal import LINE_BYTES_MAX, Rehearsal
from procs.venue_sim.simulation import SimOptions, VenueSim
from tests.data import recordings as made
from tests.procs.venue_sim.client import run, served, tape_of, to_kalshi

pytestmark = pytest.mark.compiled_only

OTHER = "KXTEST-26-B"
NOW_NS = 1_790_000_000_000_000_000


def tape_of_two() -> object:
    specs = (made.kalshi_spec(), made.kalshi_spec(OTHER))
    return tape_of([], made.header("kalshi", markets=specs))


def rehearsal(sim: VenueSim, answers: list[dict[str, object]] | None = None) -> Rehearsal:
    said = [] if answers is None else answers
    return Rehearsal(sim, said.append, now_ns=lambda: NOW_NS)


def test_who_has_subscribed_to_the_symbol_suffers_it() -> None:
    async def test() -> None:
        async with served(tape_of_two(), SimOptions()) as sim:  # type: ignore[arg-type]
            victim = await to_kalshi(sim, [made.TICKER])
            bystander = await to_kalshi(sim, [OTHER])
            for client in (victim, bystander):
                await client.until_texts(1)
            asked = rehearsal(sim)
            line = {"venue": "kalshi", "kind": "close", "symbol": made.TICKER, "code": 1012}
            answer = asked.answer(orjson.dumps(line))
            await victim.until_gone()
            assert victim.codes == [1012]
            assert not bystander.gone
            venues = answer.pop("venues")
            assert answer == {"at_ns": NOW_NS, "fault": "close at frame 1", "done": 1}
            assert venues["kalshi"]["closed_by_venue"] == 1  # type: ignore[index]
            assert asked.answer(b"{}")["venues"]["kalshi"]["accepted"] == 2  # type: ignore[index]
            missed = asked.answer(orjson.dumps({**line, "symbol": "KXNOBODY"}))
            assert missed["done"] == 0
            assert missed["venues"]["kalshi"]["faults_missed"] == 1  # type: ignore[index]

    run(test)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"close", "line 1: no JSON"),
        (b"[]", "line 1: expected the keys of a fault"),
        (b'{"venue":"kalshi","kind":"close","at_frame":3}', "line 1: at_frame: a fault that is asked for"),
        (b'{"venue":"kalshi","kind":"explode"}', "line 1: kind 'explode', expected one of"),
        (b'{"venue":"nyse","kind":"close"}', "line 1: venue 'nyse', expected one of"),
        (b'{"venue":"polymarket","kind":"skip_numbers"}', "line 1: only Kalshi has sequence numbers"),
        (b'{"venue":"kalshi","kind":"close","codes":1}', "codes"),
    ],
)
def test_a_line_that_cannot_be_used_changes_nothing(line: bytes, what: str) -> None:
    async def test() -> None:
        async with served(tape_of_two(), SimOptions()) as sim:  # type: ignore[arg-type]
            client = await to_kalshi(sim, [made.TICKER])
            await client.until_texts(1)
            [said] = rehearsal(sim).answer(line).values()
            assert what in str(said)
            assert sim.logs["kalshi"].faults_done == 0

    run(test)


def test_lines_come_through_a_pipe_and_too_long_ones_are_refused() -> None:
    answers: list[dict[str, object]] = []

    async def test() -> None:
        async with served(tape_of_two(), SimOptions()) as sim:  # type: ignore[arg-type]
            reading, writing = os.pipe()
            with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pen:
                following = asyncio.create_task(rehearsal(sim, answers).follow(stream))
                pen.write(b"{}\n")
                long = memoryview(b"x" * (LINE_BYTES_MAX + 1) + b"\n{}\n")
                while long:
                    long = long[await asyncio.to_thread(pen.write, long) :]
                pen.close()
                await following

    run(test)
    assert "venues" in answers[0]
    assert any(f"more than {LINE_BYTES_MAX} bytes" in str(answer.get("error")) for answer in answers)
    assert "venues" in answers[-1]
