"""The mistakes we make on purpose are the ones we mean, and no others."""

from __future__ import annotations

import pytest

from tests.mutation.operators import KINDS, find_edits, find_originals, make_mutant


def _mutants(text: str, kind: str) -> list[str]:
    """Sources of all mutants of one kind."""
    found = [make_mutant(text, index, _offers) for index in range(len(find_edits(text, _offers)))]
    return [mutant.source for mutant in found if mutant.kind == kind]


def _offers(module: str, name: str) -> bool:
    return (module, name) in {("engine.units", "muldiv_floor"), ("shm.atomics", "store_relaxed")}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("compare", "x = a < b", ["x = a <= b"]),
        ("compare", "x = a >= b != c", ["x = a > b != c", "x = a >= b == c"]),
        ("compare", "x = a in b", ["x = a not in b"]),
        ("off_by_one", "x = y + 7", ["x = y + 8", "x = y + 6"]),
        ("rounding", "x = a // b", ["x = (a + b - 1) // b"]),
        ("rounding", "x = math.ceil(y)", ["x = math.floor(y)"]),
        ("negate", "if a:\n    b()", ["if not a:\n    b()"]),
        ("negate", "while a:\n    b()", ["while not a:\n    b()"]),
        ("negate", "x = 1 if a else 2", ["x = 1 if not a else 2"]),
        ("fence", "fence_release()", ["None"]),
        ("swap_side", "best_bid_e4 = best_ask_e4", ["best_bid_e4 = best_bid_e4"]),
        (
            "swap_side",
            "f(row['bids'], row['asks'])",
            ["f(row['asks'], row['asks'])", "f(row['bids'], row['bids'])"],
        ),
        ("swap_side", "f(Side.BID, Side.ASK)", ["f(Side.ASK, Side.ASK)", "f(Side.BID, Side.BID)"]),
    ],
)
def test_mistake(kind: str, text: str, expected: list[str]) -> None:
    assert _mutants(text, kind) == expected


def test_wrong_rounding_is_imported_from_where_the_right_one_came() -> None:
    text = (
        "from __future__ import annotations\nfrom engine.units import muldiv_ceil\nx = muldiv_ceil(1, 2, 3)"
    )
    lines = _mutants(text, "rounding")[0].splitlines()
    assert lines[1] == "from engine.units import muldiv_floor"
    assert lines[-1] == "x = muldiv_floor(1, 2, 3)"


def test_a_release_is_made_relaxed() -> None:
    text = "from shm.atomics import store_release\nstore_release(a, b)"
    assert _mutants(text, "fence")[0].splitlines()[-1] == "store_relaxed(a, b)"


@pytest.mark.parametrize(
    "text",
    [
        '"""Buy at the bid: 3 < 4."""',
        "class Side(IntEnum):\n    BID = 0\n    ASK = 1",
        "LEVELS_MAX: Final = 20",
        "if TYPE_CHECKING:\n    import x",
        "if __name__ == '__main__':\n    main()",
        "def f(x: Literal[1]) -> Literal[2]: ...",
        "raise ValueError(f'{x} is below 3')",
        "x = best_bid_e4",
        "from engine.other import price_ceil\nx = price_ceil",
        "x = True",
        "def warm():\n    record(Histogram(), 0)",
        "fence_silent(ring)",
    ],
)
def test_what_is_no_behaviour_is_left_alone(text: str) -> None:
    assert [kind for kind, _ in find_edits(text, _offers) if kind != "negate"] == []


def test_a_literal_that_is_no_bound_is_mutated() -> None:
    assert _mutants("PPM: Final = 10", "off_by_one") == ["PPM: Final = 11", "PPM: Final = 9"]


def test_a_number_is_shown_in_its_place() -> None:
    mutant = make_mutant("x = f(a[1], 2)", 1)
    assert (mutant.before, mutant.after) == ("a[1]", "a[0]")


def test_the_only_element_is_also_the_last_and_may_have_others_behind_it() -> None:
    text = "x = np.zeros(1, ROW)[0]\ny = np.zeros(1, ROW)"
    assert [make_mutant(text, index).after for index in range(len(find_edits(text)))] == [
        "np.zeros(0, ROW)",
        "np.zeros(1, ROW)[1]",
        "np.zeros(2, ROW)",
        "np.zeros(0, ROW)",
    ]


def test_a_mutant_says_where_and_what() -> None:
    mutant = make_mutant("x = 1\n\nif a < b:\n    pass\n", 2)
    assert (mutant.kind, mutant.line) == ("negate", 3)
    assert (mutant.before, mutant.after) == ("a < b", "not a < b")


def test_every_mutant_differs_from_its_original_and_parses() -> None:
    text = (
        "def f(a, b):\n    if a < 1 or b // 2 == 3:\n        fence_release()\n    return bid if a else ask\n"
    )
    edits = find_edits(text)
    assert find_originals(text) == [make_mutant(text, index).before for index in range(len(edits))]
    assert {kind for kind, _ in edits} == set(KINDS)
    for index in range(len(edits)):
        source = make_mutant(text, index).source
        compile(source, "mutant", "exec")
        assert source != text.rstrip()


def test_there_is_no_mutant_beyond_the_last() -> None:
    with pytest.raises(IndexError):
        make_mutant("x = 1", 2)
