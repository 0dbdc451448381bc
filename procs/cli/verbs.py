"""What the operator's verbs have in common: how they say what came of it."""

from __future__ import annotations

import argparse
import json

from procs.control_wire import Body


def tell_outcome(args: argparse.Namespace, outcome: Body, sentence: str) -> None:
    """Print the outcome of a verb: a sentence for people, or one JSON document."""
    print(json.dumps({"ok": True, **outcome}, indent=2) if args.json else sentence)
