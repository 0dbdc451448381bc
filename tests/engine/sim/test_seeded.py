from __future__ import annotations

from engine.sim import clearing, faults, latency, venue
from engine.sim.seeded import below, between, chance, draw, mix


def test_the_same_words_give_the_same_bits_and_others_do_not() -> None:
    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert (
        len({draw(1, 2, 3), draw(1, 3, 2), draw(2, 2, 3), draw(1, 2), draw(1, 2, 3, 0), draw(1, -2, 3)}) == 6
    )


def test_known_values_never_change() -> None:
    assert mix(0) == 0
    assert mix(1) == 0x5692161D100B05E5


def test_bits_are_spread_evenly() -> None:
    counts = [0] * 10
    for number in range(20_000):
        counts[below(draw(5, number), 10)] += 1
    assert min(counts) > 1_850
    assert max(counts) < 2_150


def test_chance_and_between_respect_their_ends() -> None:
    assert not any(chance(draw(1, n), 0) for n in range(200))
    assert all(chance(draw(1, n), 1_000_000) for n in range(200))
    assert {between(draw(1, n), 3, 5) for n in range(200)} == {3, 4, 5}
    assert between(0, 4, 4) == between(2**64 - 1, 4, 4) == 4


def test_everything_that_is_drawn_has_a_word_of_its_own_and_keeps_it() -> None:
    """Two of one word would share their luck; another word would give every seed another run."""
    assert (latency._REQUEST_WORD, latency._REPORT_WORD) == (1, 2)
    assert (faults._REQUEST_WORD, faults._REPORT_WORD, faults._TRADE_WORD, faults._SHARE_WORD) == (
        11,
        12,
        13,
        14,
    )
    assert (clearing._FINALITY_WORD, clearing._CONVERSION_WORD) == (21, 22)
    assert venue._QUERY_NUMBERS == 2**32
