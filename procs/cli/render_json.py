"""The same results for machines: plain trees of numbers and words, integers with their unit in the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from procs.cli.render_reasons import sentence_of
from procs.decision_log import Funnel, why_not
from procs.paper_result import Outcome, PaperResult

DOCUMENT_VERSION: Final = 1

Tree = dict[str, object]


def paper_document(results: Sequence[PaperResult], faults: Sequence[str], config_hash: str) -> Tree:
    """Document of ``pr3dict paper --json``; ``faults`` are the lines that stderr has too."""
    return {
        "pr3dict_paper": DOCUMENT_VERSION,
        "ok": not faults,
        "faults": list(faults),
        "config_hash": config_hash,
        "inputs": [result_tree(result) for result in results],
    }


def result_tree(result: PaperResult) -> Tree:
    """One input."""
    return {
        "name": result.name,
        "synthetic": result.synthetic,
        "is_live": result.is_live,
        "as_expected": result.as_expected,
        "damage": result.damage,
        "data": asdict(result.data),
        "books_by_trust": result.books_by_trust,
        "books_digest": result.books_digest,
        "kinds": {kind: asdict(found) for kind, found in result.kinds.items()},
        **funnel_tree(result.funnel),
        "relations_refused": result.relations_refused,
        "order_statuses": result.order_statuses,
        "outcomes": [_outcome_tree(outcome) for outcome in result.outcomes],
        "planted": [asdict(planted) for planted in result.planted],
        "decisions": result.decisions,
        "wall_s": result.wall_s,
        "frames_per_s": result.frames_per_s,
        "peak_rss_bytes": result.peak_rss_bytes,
    }


def _outcome_tree(outcome: Outcome) -> Tree:
    accounts: Mapping[str, object] = {venue: asdict(account) for venue, account in outcome.accounts.items()}
    return {
        "latency_scale": outcome.latency_scale,
        "orders": outcome.orders,
        "fills": outcome.fills,
        "fees_micros": outcome.fees_micros,
        "realised_micros": outcome.realised_micros,
        "marked_micros": outcome.marked_micros,
        "cost_held_micros": outcome.cost_held_micros,
        "unrealised_micros": outcome.unrealised_micros,
        "drawdown_ppm": outcome.drawdown_ppm,
        "drawdown_warns": outcome.drawdown_warns,
        "stopped_by": outcome.stopped_by,
        "plantings_wrong": outcome.plantings_wrong,
        "differences": outcome.differences,
        "late_legs": outcome.late_legs,
        "accounts": accounts,
    }


def funnel_document(source: str, funnel: Funnel, faults: Sequence[str]) -> Tree:
    """Document of ``pr3dict funnel --json``."""
    return {
        "pr3dict_funnel": DOCUMENT_VERSION,
        "ok": not faults,
        "faults": list(faults),
        "file": source,
        **funnel_tree(funnel),
    }


def funnel_tree(funnel: Funnel) -> Tree:
    """The funnel by stage, kind and reason, and the reasons over all of them with their sentences."""
    keys = ("stage", "kind", "reason", "count")
    return {
        "funnel": [dict(zip(keys, row, strict=True)) for row in funnel.rows()],
        "why_not": [
            {"reason": reason, "count": times, "in_words": sentence_of(reason)}
            for reason, times in why_not(funnel)
        ],
    }
