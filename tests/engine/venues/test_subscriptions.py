"""Subscriptions and their members against plain dictionaries and lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reasons import Reason
from engine.venues import subscriptions as module
from engine.venues import workspace as layout
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import NONE, Workspace

SYMBOLS = [b"M%d" % at for at in range(6)]


class Subscriptions:
    """A workspace over six markets, with the kernels as methods."""

    def __init__(self) -> None:
        self.symbols = SymbolTable(8)
        for slot, symbol in enumerate(SYMBOLS):
            self.symbols.add(symbol, slot, 1)
        self.space = Workspace(len(self.symbols.table), np.zeros(0, np.int64))
        self.words, self.table = self.space.words, self.symbols.table

    def row(self, market: int) -> int:
        found = self.symbols.find(SYMBOLS[market])
        assert found is not None
        return found.row

    def doubted(self, tracker: int, spared: int = NONE) -> list[int]:
        """Slots of the doubts written about a subscription."""
        self.words[layout.REASON], self.words[layout.SPARED], self.words[layout.SEQ] = (
            Reason.SEQUENCE_GAP,
            spared,
            9,
        )
        out = self.space.out
        count = module.doubt_members(self.words, self.table, out, 3, tracker)
        for record in out[3 : 3 + count]:
            assert (int(record["aux"]), int(record["wire_seq"])) == (Reason.SEQUENCE_GAP, 9)
        return [int(record["slot"]) for record in out[3 : 3 + count]]

    def free(self) -> int:
        """Members that are free."""
        count, member = 0, int(self.words[layout.MEMBER_FREE])
        while member != NONE:
            count, member = count + 1, int(self.words[member + module.MEMBER_NEXT])
        return count


KEYS = [(0, 1), (0, 2), (1, 1), (7, -5), (7, 10**14)]
steps = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "leave", "drop", "forget", "move"]),
        st.sampled_from(KEYS),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(steps)
def test_subscriptions_behave_as_lists_of_markets(actions: list[tuple[str, tuple[int, int], int]]) -> None:
    made = Subscriptions()
    model: dict[tuple[int, int], list[int]] = {}
    generation = 1
    for action, key, market in actions:
        tracker = module.find_tracker(made.words, *key)
        assert (tracker != NONE) == (key in model)
        if action == "join":
            tracker = module.open_tracker(made.words, *key)
            members = model.setdefault(key, [])
            assert module.join(made.words, made.table, tracker, made.row(market))
            if market not in members:
                members.append(market)
        elif action == "move":  # the symbol is another market from now on
            generation += 1
            made.symbols.add(SYMBOLS[market], market, generation)
            for members in model.values():
                if market in members:
                    members.remove(market)
        elif key in model and action == "leave":
            module.leave(made.words, made.table, tracker, made.row(market))
            model[key] = [member for member in model[key] if member != market]
        elif key in model and action == "drop":
            module.drop_tracker(made.words, tracker)
            del model[key]
        elif key in model:
            module.forget_members(made.words, tracker)
            model[key] = []
        for known, members in model.items():
            found = module.find_tracker(made.words, *known)
            assert made.doubted(found) == members
            assert module.count_members(made.words, made.table, found) == len(members)
    for key in model:
        module.drop_tracker(made.words, module.find_tracker(made.words, *key))
    assert made.free() == layout.MEMBERS_MAX
    assert not made.words[layout.TRACKERS_AT : layout.MEMBERS_AT : layout.TRACKER_WORDS].any()


def test_a_new_subscription_knows_nothing() -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 3, 4)
    assert made.words[tracker + module.LAST] == NONE
    assert made.doubted(tracker) == []
    assert module.open_tracker(made.words, 3, 4) == tracker
    assert module.is_tracker_of(made.words, tracker, 3)
    assert not module.is_tracker_of(made.words, tracker, 4)


def test_one_market_can_be_spared() -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 0, 1)
    for market in (2, 0, 4):
        module.join(made.words, made.table, tracker, made.row(market))
    assert made.doubted(tracker, made.row(0)) == [2, 4]


def test_a_market_may_belong_to_two_subscriptions() -> None:
    made = Subscriptions()
    first, second = (module.open_tracker(made.words, 0, sid) for sid in (1, 2))
    for _ in range(3):
        for tracker in (first, second):
            assert module.join(made.words, made.table, tracker, made.row(1))
    assert made.doubted(first) == made.doubted(second) == [1]


@pytest.mark.long_plain
def test_sids_of_a_connection_are_bounded_and_stand_ins_are_not_counted() -> None:
    made = Subscriptions()
    for sid in range(layout.SIDS_PER_CONN_MAX):
        assert module.open_tracker(made.words, 5, sid) != NONE
    assert module.open_tracker(made.words, 5, 10**6) == NONE
    assert module.open_tracker(made.words, 6, 10**6) != NONE
    assert module.open_tracker(made.words, 5, -2) != NONE
    assert module.open_tracker(made.words, 5, 7) != NONE  # known ones stay


def test_subscriptions_in_all_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Subscriptions()
    made.words[layout.TRACKERS_AT : layout.MEMBERS_AT : layout.TRACKER_WORDS] = module.USED
    made.words[layout.TRACKERS_AT + module.CONN : layout.MEMBERS_AT : layout.TRACKER_WORDS] = -1
    assert module.find_tracker(made.words, 0, 1) == NONE
    assert module.open_tracker(made.words, 0, 1) == NONE
    made.words[layout.TRACKERS_AT + 8 * 100] = module.DROPPED
    assert module.open_tracker(made.words, 0, 1) == layout.TRACKERS_AT + 8 * 100


def test_markets_of_a_subscription_are_bounded_and_old_ones_make_room() -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 0, 1)
    module.join(made.words, made.table, tracker, made.row(0))
    made.words[tracker + module.MEMBERS] = layout.MARKETS_PER_SID_MAX
    assert not module.join(made.words, made.table, tracker, made.row(1))
    assert module.join(made.words, made.table, tracker, made.row(0))  # it is one already
    made.symbols.add(SYMBOLS[0], 0, 2)  # the member that was there is another market now
    assert module.join(made.words, made.table, tracker, made.row(1))
    assert made.doubted(tracker) == [1]


def test_members_in_all_are_bounded() -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 0, 1)
    made.words[layout.MEMBER_FREE] = NONE
    assert not module.join(made.words, made.table, tracker, made.row(1))
    assert made.doubted(tracker) == []


def test_leaving_the_middle_and_the_end_keeps_the_list_whole() -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 0, 1)
    for market in range(5):
        module.join(made.words, made.table, tracker, made.row(market))
    for market, left in ((2, [0, 1, 3, 4]), (4, [0, 1, 3]), (0, [1, 3])):
        module.leave(made.words, made.table, tracker, made.row(market))
        assert made.doubted(tracker) == left
        assert int(made.words[tracker + module.MEMBERS]) == len(left)
    module.join(made.words, made.table, tracker, made.row(5))
    module.join(made.words, made.table, tracker, made.row(0))
    assert made.doubted(tracker) == [1, 3, 5, 0]


@pytest.mark.parametrize(("seq", "shown"), [(9, 9), (1, 1), (0, 0), (NONE, 0)])
def test_a_doubt_bears_the_sequence_number_that_raised_it(seq: int, shown: int) -> None:
    made = Subscriptions()
    tracker = module.open_tracker(made.words, 0, 1)
    module.join(made.words, made.table, tracker, made.row(2))
    made.words[layout.SEQ], made.words[layout.SPARED] = seq, NONE
    assert module.doubt_members(made.words, made.table, made.space.out, 0, tracker) == 1
    assert int(made.space.out[0]["wire_seq"]) == shown
