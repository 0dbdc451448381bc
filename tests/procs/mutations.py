"""Ways in which one delta of a stream can go wrong on its way to us."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import cast

import orjson

from procs.recording_frames import Frame

Frames = list[Frame]


def _is_delta(frame: Frame) -> bool:
    return (
        b'"orderbook_delta","sid"' in frame.raw
        or b'"price_changes"' in frame.raw
        or b'"changes"' in frame.raw
    )


def _pick(frames: Frames, chance: random.Random) -> int:
    """Index of a delta that is followed by another frame."""
    return chance.choice([at for at, frame in enumerate(frames[:-1]) if _is_delta(frame)])


def delete(frames: Frames, chance: random.Random) -> Frames:
    """One delta never arrives."""
    at = _pick(frames, chance)
    return frames[:at] + frames[at + 1 :]


def double(frames: Frames, chance: random.Random) -> Frames:
    """One delta arrives twice."""
    at = _pick(frames, chance)
    return [*frames[: at + 1], frames[at], *frames[at + 1 :]]


def swap(frames: Frames, chance: random.Random) -> Frames:
    """One delta arrives after the frame behind it."""
    at = _pick(frames, chance)
    return [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]]


def alter(frames: Frames, chance: random.Random) -> Frames:
    """One delta says another size."""
    at = _pick(frames, chance)
    tree = orjson.loads(frames[at].raw)
    entries = tree.get("price_changes") or [tree["msg"]]
    target = cast("dict[str, object]", chance.choice(entries))
    name = next(name for name in ("delta_fp", "delta", "size") if name in target)
    more = float(str(target[name])) + chance.choice((1, 10, 250))
    target[name] = int(more) if name == "delta" else f"{more:.2f}"
    return [*frames[:at], frames[at]._replace(raw=orjson.dumps(tree)), *frames[at + 1 :]]


MUTATIONS: Mapping[str, Callable[[Frames, random.Random], Frames]] = {
    "delete": delete,
    "double": double,
    "swap": swap,
    "alter": alter,
}
