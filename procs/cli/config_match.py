"""``pr3dict config match``: markets of two venues that may be the same, and what tells the others apart.

It proposes and never approves: what it prints for relations.toml is refused until a person who has read both
rule texts puts a name and a day to it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketRef, MarketSpec
from engine.catalog.matcher import Candidate, Difference, Matched, match, proposal
from engine.catalog.relations import Relation
from engine.errors import ConfigError
from procs.cli.exit_codes import ExitCode
from procs.recording_reader import RecordingReader

VALUE_CHARS_MAX: Final = 60  # longer ones are rule texts: named, not shown


def run_match(recordings: Sequence[Path], shown: int, as_json: bool) -> int:
    """Match the markets of the headers of ``recordings`` and print at most ``shown`` pairs (JSON: all)."""
    catalog = _catalog(recordings)
    matched = match(catalog)
    proposals = [proposal(pair, catalog) for pair in matched.candidates if pair.may_be_same]
    if as_json:
        print(json.dumps(_document(matched, proposals, catalog), indent=2))
        return ExitCode.OK
    lines = [line for pair in matched.candidates[:shown] for line in _pair_lines(pair, catalog)]
    lines += _summary(matched, len(proposals), shown)
    lines += [f"\n{toml_of(relation)}" for relation in proposals]
    print("\n".join(lines))
    return ExitCode.OK


def _catalog(recordings: Sequence[Path]) -> Catalog:
    """Every market that a header names; the first word on a market counts."""
    specs: list[MarketSpec] = []
    for path in recordings:
        with RecordingReader(path) as reader:
            specs += reader.header.markets
    if not specs:
        raise ConfigError("no recording carries metadata of a market")
    catalog = Catalog(len(specs))
    for spec in specs:
        if catalog.find(spec.venue, spec.symbol) is None:
            catalog.add_market(spec)
    return catalog


def _name(ref: MarketRef, catalog: Catalog) -> str:
    spec = catalog.spec(ref.slot)
    return f"{spec.venue.name.lower()}:{spec.symbol}"


def _pair_lines(pair: Candidate, catalog: Catalog) -> Iterator[str]:
    title = catalog.spec(pair.right.slot).title or _name(pair.right, catalog)
    yield f"{_name(pair.left, catalog)}  |  {title}"
    said = [_said(difference) for difference in pair.differences]
    yield "    differs in " + ", ".join(said) if said else "    nothing that can be read differs"


def _said(difference: Difference) -> str:
    left, right = difference.left or "not stated", difference.right or "not stated"
    if len(left) + len(right) > VALUE_CHARS_MAX:
        return difference.attribute
    return f"{difference.attribute} ({left} | {right})"


def _summary(matched: Matched, proposals: int, shown: int) -> Iterator[str]:
    pairs = matched.candidates
    hidden = len(pairs) - min(shown, len(pairs))
    yield f"{len(pairs)} pairs" + (f", {hidden} not shown" if hidden else "") + f", {proposals} proposed"
    if matched.refused:
        yield f"{matched.refused} more pairs were refused: too many"
    counts = Counter(difference.attribute for pair in pairs for difference in pair.differences)
    if counts:
        yield "told apart by  " + ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _document(matched: Matched, proposals: Sequence[Relation], catalog: Catalog) -> dict[str, object]:
    return {
        "pairs": [
            {
                "left": _name(pair.left, catalog),
                "right": _name(pair.right, catalog),
                "differences": {
                    difference.attribute: [difference.left, difference.right]
                    for difference in pair.differences
                },
            }
            for pair in matched.candidates
        ],
        "refused": matched.refused,
        "proposals": [toml_of(relation) for relation in proposals],
    }


def toml_of(relation: Relation) -> str:
    """Entry of relations.toml for ``relation``; JSON texts are TOML texts."""
    lines = [
        "[[relation]]",
        f"name = {json.dumps(relation.name)}",
        f'kind = "{relation.kind.name.lower()}"',
        f"note = {json.dumps(relation.note)}",
        'approved_by = ""',
        'approved_on = ""',
    ]
    for member in relation.member:
        lines += [
            "",
            "[[relation.member]]",
            f'venue = "{member.venue.name.lower()}"',
            f"symbol = {json.dumps(member.symbol)}",
            f'rules_sha256 = "{member.rules_sha256}"',
        ]
    return "\n".join(lines)
