"""The pages that are made from code: they are as the code is, and they say what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.config import Role
from procs import generated_docs, generated_layouts, generated_states
from procs.generated_layouts import MODULES, declared, fields_table, owned_segments, type_of, unit_of
from procs.generated_states import diagram, halt_steps, machines, state_table

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_pages_in_the_tree_are_what_the_code_makes() -> None:
    assert generated_docs.stale_pages(DOCS) == [], "run make docs"


def test_stale_pages_are_named_and_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "layouts.md").write_text("old")
    assert generated_docs.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs/layouts.md is not what the code makes: run make docs",
        "docs/states.md is not what the code makes: run make docs",
    ]
    assert (tmp_path / "layouts.md").read_text() == "old"
    assert generated_docs.main([], tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"layouts.md", "states.md"}
    assert generated_docs.main(["--check"], tmp_path) == 0
    assert generated_docs.main(["--chekc"], tmp_path) == 2


def test_every_segment_has_the_owner_that_takes_it_over() -> None:
    layouts = [entry for names in MODULES.values() for name in names for entry in declared(name)]
    owned = {one.name: one for one in owned_segments(layouts)}
    assert (owned["books.kalshi"].holds, owned["books.kalshi"].writer) == ("`BOOK_ROW`", "book")
    assert (owned["plans"].writer, owned["plans"].readers) == ("optimizer", ("executor",))
    assert owned["plans"].holds == "`PLAN_HEAD`, `PLAN_LEG`..."
    assert (owned["updates.polymarket"].writer, owned["updates.polymarket"].readers) == ("feed", ())
    assert {one.writer for one in owned.values()} == {role.name.lower() for role in Role} - {"ledger"}


def test_a_field_says_type_offset_unit_and_what_stands_beside_it() -> None:
    [top] = [entry for entry in declared("engine.records") if entry.name == "TOP"]
    rows = list(fields_table(top))
    assert rows[0] == "| field | type | offset | unit | |"
    assert "| `doubt` | int32 | 88 |  | Reason of the last doubt |" in rows
    assert "| `bid_size_e6` | int64 | 40 | 1/1,000,000 contract |  |" in rows
    assert len(rows) == 2 + len(top.layout.names or ())
    [request] = [entry for entry in declared("engine.records") if entry.name == "ORDER_REQUEST"]
    assert request.comments["identity"].startswith("what the venue will know it by")


def test_types_and_units_in_words() -> None:
    assert unit_of("recv_ns") == "ns"
    assert unit_of("vwap_buy_e6") == "1/1,000,000 dollar"
    assert unit_of("slot") == ""
    layout = np.dtype([("a", "S16"), ("b", "<i4", (3,)), ("c", np.dtype([("d", "<i8")]), (2,))])
    assert layout.fields is not None
    assert [type_of(layout.fields[name][0]) for name in "abc"] == [
        "16 bytes of text",
        "int32[3]",
        "8 bytes[2]",
    ]


def test_the_halt_is_what_it_becomes_when_it_is_done_to() -> None:
    assert {(state, event): after for state, event, after in halt_steps()} == {
        ("FREE", "halt"): "HALTED",
        ("FREE", "resume"): "FREE",
        ("FREE", "restart"): "FREE",
        ("LATCH_ONLY", "halt"): "HALTED",
        ("LATCH_ONLY", "resume"): "FREE",
        ("LATCH_ONLY", "restart"): "HALTED",
        ("WORD_ONLY", "halt"): "HALTED",
        ("WORD_ONLY", "resume"): "FREE",
        ("WORD_ONLY", "restart"): "FREE",
        ("HALTED", "halt"): "HALTED",
        ("HALTED", "resume"): "FREE",
        ("HALTED", "restart"): "HALTED",
    }


def test_a_machine_is_a_table_and_a_diagram() -> None:
    steps = (("A", "go", "B / RUN"), ("A", "stay", "A"), ("B", "go", "C / STOP"))
    assert list(state_table(steps)) == [
        "| in state | go | stay |",
        "|---|---|---|",
        "| **A** | B / RUN | . |",
        "| **B** | C / STOP |  |",
        "| **C** |  |  |",
    ]
    assert diagram("A", steps).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> A",
        "    A --> B: go",
        "    B --> C: go",
    ]


def test_every_machine_begins_where_it_has_a_way_on() -> None:
    found = list(machines())
    assert len(found) == 7
    for machine in found:
        assert machine.begins in {state for state, _, _ in machine.steps}, machine.title
        assert f"## {machine.title}" in generated_states.page()
    assert "### LADDER_ROW" in generated_layouts.page()
