from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import ids
from engine.facts import RequestFacts, request_bytes, request_facts
from engine.ids import (
    BOOT_EPOCH_MAX,
    COUNTER_MAX,
    IDENTITY_BYTES,
    IdSource,
    boot_epoch_of,
    counter_of,
    index_set,
    index_set_members,
    kalshi_client_order_id,
    name_of_order,
    order_identity,
    polymarket_paper_hash,
)
from engine.records import ORDER_REQUEST, RequestKind, Venue
from engine.units import INT64_MAX


def facts(venue: Venue = Venue.KALSHI, **fields: int) -> RequestFacts:
    row: np.void = np.zeros(1, ORDER_REQUEST)[0]
    row["venue"], row["kind"], row["order_id"] = venue, RequestKind.NEW, (5 << 32) | 7
    for name, value in fields.items():
        row[name] = value
    return request_facts(row)


def test_ids_rise_and_tell_their_boot() -> None:
    source = IdSource(5)
    made = [source.next_id() for _ in range(3)]
    assert made == [(5 << 32) | n for n in (1, 2, 3)]
    assert [boot_epoch_of(one) for one in made] == [5, 5, 5]
    assert [counter_of(one) for one in made] == [1, 2, 3]
    assert IdSource(6).next_id() > made[-1]


def test_ids_continue_after_the_last_one_of_the_same_boot() -> None:
    assert IdSource(5, last=(5 << 32) | 41).next_id() == (5 << 32) | 42
    with pytest.raises(ValueError, match="boot epoch 4, not 5"):
        IdSource(5, last=4 << 32)


@pytest.mark.parametrize("boot", [0, -1, BOOT_EPOCH_MAX + 1])
def test_a_boot_epoch_outside_its_bits_is_refused(boot: int) -> None:
    with pytest.raises(ValueError, match="boot epoch"):
        IdSource(boot)


def test_the_coming_id_is_the_next_one_also_behind_those_passed_over() -> None:
    source = IdSource(5)
    assert source.coming_id == source.next_id() == (5 << 32) | 1
    source.pass_over(3)
    assert source.coming_id == source.next_id() == (5 << 32) | 5
    with pytest.raises(OverflowError, match="no ids left"):
        source.pass_over(COUNTER_MAX - 4)
    source.pass_over(COUNTER_MAX - 5)


def test_ids_fit_int64_and_end() -> None:
    last = IdSource(BOOT_EPOCH_MAX, last=(BOOT_EPOCH_MAX << 32) | (COUNTER_MAX - 1))
    assert last.next_id() <= INT64_MAX
    with pytest.raises(OverflowError, match="no ids left"):
        last.next_id()


def test_a_kalshi_client_order_id_is_32_characters_and_names_our_order() -> None:
    named = order_identity(facts())
    assert len(named) == IDENTITY_BYTES
    assert named.startswith(b"pr3-0000000500000007-")
    assert named == kalshi_client_order_id((5 << 32) | 7, request_bytes(facts()))


def test_a_polymarket_stand_in_is_32_bytes() -> None:
    one = facts(Venue.POLYMARKET)
    assert order_identity(one) == polymarket_paper_hash(request_bytes(one))
    assert len(order_identity(one)) == IDENTITY_BYTES


@pytest.mark.parametrize("venue", list(Venue))
def test_an_order_is_named_by_its_intent(venue: Venue) -> None:
    later = facts(venue, request_ns=99, recv_ns=98)
    intent = request_bytes(later._replace(request_ns=0, recv_ns=0))
    assert name_of_order(venue, later.order_id, intent) == order_identity(later)


@pytest.mark.parametrize("venue", list(Venue))
def test_the_intent_decides_and_nothing_else(venue: Venue) -> None:
    named = order_identity(facts(venue))
    later = facts(venue, request_ns=99, recv_ns=98)._replace(identity=bytes([7]) * IDENTITY_BYTES)
    assert order_identity(later) == named
    assert later.request_ns == 99
    changed = {
        order_identity(facts(venue, **{name: 3}))
        for name in (
            "order_id",
            "plan_id",
            "size_e6",
            "slot",
            "price_e4",
            "direction",
            "outcome",
            "tif",
            "leg",
        )
    }
    assert len(changed | {named}) == 10


def test_a_conversion_has_no_name() -> None:
    with pytest.raises(ValueError, match="index set"):
        order_identity(facts(Venue.POLYMARKET, kind=RequestKind.CONVERT))


@given(st.sets(st.integers(0, ids.INDEX_SET_MAX - 1)))
def test_an_index_set_gives_its_members_back(members: set[int]) -> None:
    mask = index_set(members)
    assert len(mask) == IDENTITY_BYTES
    assert index_set_members(mask) == tuple(sorted(members))


@pytest.mark.parametrize("member", [-1, 256])
def test_an_index_set_is_bounded(member: int) -> None:
    with pytest.raises(ValueError, match="group member"):
        index_set([member])
