"""Damaged frames: no exception, nothing read beyond the frame, and both parsers of one mind.

Seeded; PR3DICT_FUZZ_FRAMES says how many frames (``make fuzz`` runs many more than a test run).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.engine.venues import frames
from tests.engine.venues.frames import SideBySide, Speller, compact
from tests.plain_twin import PlainTwin, kernels_are_plain

FUZZING = os.environ.get("PR3DICT_HYPOTHESIS_PROFILE") == "fuzz"
FRAMES = int(os.environ.get("PR3DICT_FUZZ_FRAMES", "200000" if FUZZING else "2000"))
SEED = int(os.environ.get("PR3DICT_FUZZ_SEED", "20261122"))
PLAIN_SHARE = 40  # plain kernels are slower by this much or more

INTERESTING = b'{}[]",:\\ \t\n\r\x00\x1f\x7f\x80\xff0123456789.-+eEtfnu'


def damaged(rng: Random, payload: bytes) -> bytes:
    """The frame with a few bytes changed, left out, repeated or moved."""
    raw = bytearray(payload)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        at, length = rng.randrange(len(raw) + 1), rng.choice([1, 1, 1, 2, 4, 16])
        kind = rng.randrange(5)
        if kind == 0 and at < len(raw):
            raw[at] = rng.choice(INTERESTING)
        elif kind == 1 and at < len(raw):
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del raw[at : at + length]
        elif kind == 3:
            raw[at:at] = bytes(rng.choice(INTERESTING) for _ in range(length))
        else:
            piece = raw[at : at + length]
            to = rng.randrange(len(raw) + 1)
            raw[to:to] = piece
    return bytes(raw)


def kalshi_frame(rng: Random, seq: int) -> Any:
    return rng.choice(frames.KALSHI_SHAPES)(seq)


def polymarket_frame(rng: Random, seq: int) -> Any:
    return rng.choice(frames.POLYMARKET_SHAPES)()


VENUES: dict[str, tuple[Callable[[], SideBySide], Callable[[Random, int], Any]]] = {
    "kalshi": (frames.kalshi_pair, kalshi_frame),
    "polymarket": (frames.polymarket_pair, polymarket_frame),
}


def hurt(rng: Random, frame: Any) -> bytes:
    """A frame in some spelling, damaged or, now and then, whole."""
    payload = Speller(rng).frame(frame) if rng.random() < 0.3 else compact(frame)
    return payload if rng.random() < 0.1 else damaged(rng, payload)


@pytest.mark.parametrize("venue", VENUES)
def test_damaged_frames_are_read_alike_or_not_at_all(venue: str) -> None:
    make, shape = VENUES[venue]
    rng, pair = Random(SEED), make()
    count = FRAMES // PLAIN_SHARE if kernels_are_plain() else FRAMES
    decided = 0
    for index in range(count):
        seq = 1 + index // 3 + rng.choice([0, 0, 0, 0, 1, -1])
        try:
            decided += pair.feed(hurt(rng, shape(rng, max(seq, 1))), conn=rng.choice([0, 1]))[1]
        except Exception as error:
            raise AssertionError(f"frame {index} of seed {SEED}") from error
    assert 0.1 * count < decided < 0.9 * count


@pytest.mark.parametrize("venue", VENUES)
def test_noise_is_refused(venue: str) -> None:
    make, _ = VENUES[venue]
    rng, pair = Random(SEED), make()
    for _ in range(300):
        noise = bytes(rng.choice(INTERESTING) for _ in range(rng.randrange(80)))
        assert not pair.feed(noise)[1] or noise.strip() in (b"[]",)


@pytest.mark.parametrize("venue", VENUES)
def test_plain_kernels_read_nothing_beyond_the_frame(venue: str, plain_twin: PlainTwin) -> None:
    """Plain kernels raise IndexError where compiled ones would read on: here they must not, nor differ."""
    _, shape = VENUES[venue]
    rng = Random(SEED + 1)
    codecs = []
    for module, tables in (
        (plain_twin(f"engine.venues.{venue}.codec"), plain_twin("engine.venues.symbols")),
    ):
        symbols = tables.SymbolTable(8)
        for at, symbol in enumerate((*frames.TICKERS, frames.YES_TOKEN, frames.LONE_TOKEN)):
            symbols.add(symbol.encode(), at, 1)
        codecs = [getattr(module, f"{venue.title()}Codec")(symbols) for _ in range(2)]
    fast, general = codecs
    general.fast_enabled = False
    for seq in range(1, 1 + FRAMES // PLAIN_SHARE):
        payload = hurt(rng, shape(rng, seq))
        count = fast.feed(payload, seq, 0)
        assert count == general.feed(payload, seq, 0), payload
        assert fast.out[:count].tolist() == general.out[:count].tolist(), payload
