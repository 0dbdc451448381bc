"""What machines read: plain, complete, and in the units the keys say."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

from procs.cli.render_json import funnel_document, paper_document, result_tree
from procs.cli.render_reasons import sentence_of
from procs.paper_result import DataSeen, Outcome, PaperResult
from tests.procs.cli.paper_samples import MISSED, RECORDED, SESSION, TRADED


def _tree(result: PaperResult) -> dict[str, object]:
    tree = json.loads(json.dumps(result_tree(result)))
    assert isinstance(tree, dict)
    return tree


def test_every_field_of_a_result_is_there() -> None:
    tree = _tree(RECORDED)
    assert {field.name for field in fields(PaperResult)} <= set(tree)
    data = tree["data"]
    assert isinstance(data, dict)
    assert set(data) == {field.name for field in fields(DataSeen)}
    assert data["frames"] == 1_234_567
    assert data["lacks"] == ["opening_snapshot", "seq"]
    assert tree["frames_per_s"] == RECORDED.frames_per_s


def test_the_funnel_is_a_list_of_counts_in_pipeline_order() -> None:
    tree = _tree(RECORDED)
    funnel = tree["funnel"]
    assert isinstance(funnel, list)
    assert funnel[0] == {"stage": "strategy", "kind": "cross_venue", "reason": "no_edge", "count": 80_000}
    assert sum(row["count"] for row in funnel) == RECORDED.decisions
    why = tree["why_not"]
    assert isinstance(why, list)
    assert why[0] == {"reason": "no_edge", "count": 80_000, "in_words": sentence_of("no_edge")}


def test_outcomes_and_plantings_keep_their_integers() -> None:
    tree = _tree(replace(SESSION, planted=(TRADED, MISSED)))
    outcomes, planted = tree["outcomes"], tree["planted"]
    assert isinstance(outcomes, list)
    assert isinstance(planted, list)
    assert [outcome["latency_scale"] for outcome in outcomes] == [1, 2, 5]
    assert outcomes[0]["unrealised_micros"] == 323_400
    assert {field.name for field in fields(Outcome)} <= set(outcomes[0])
    assert [outcome["drawdown_warns"] for outcome in outcomes] == [False, True, False]
    assert outcomes[0]["accounts"]["kalshi"] == {
        "opening_micros": 10_000_000_000,
        "closing_micros": 10_071_234_500,
        "venue_says_micros": 10_071_234_500,
        "fees_micros": 0,
    }
    assert planted[1] == {
        **asdict(MISSED),
        "kinds": ["cross_venue"],
        "expected_reasons": [],
        "reasons": list(MISSED.reasons),
    }
    assert not tree["as_expected"]


def test_a_document_is_ok_when_nothing_is_at_fault() -> None:
    document = paper_document([RECORDED, SESSION], [], "abc")
    assert (document["ok"], document["faults"], document["config_hash"]) == (True, [], "abc")
    inputs = document["inputs"]
    assert isinstance(inputs, list)
    assert [(one["name"], one["synthetic"]) for one in inputs] == [
        ("packaged sample", False),
        ("seeded session 7", True),
    ]
    assert paper_document([], ["torn"], "")["ok"] is False


def test_a_funnel_document_names_its_file() -> None:
    document = json.loads(json.dumps(funnel_document("a.ndjson", SESSION.funnel, [])))
    assert (document["file"], document["ok"], document["faults"]) == ("a.ndjson", True, [])
    assert document["why_not"][0]["reason"] == "no_edge"
    assert funnel_document("a", SESSION.funnel, ["torn"])["ok"] is False
