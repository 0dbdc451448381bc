"""Results on disk: one file a machine, in which each bench has its latest result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench._machine import machine_name
from bench._result import Result, of_document
from engine.errors import ConfigError
from procs.places import PACKAGES_ROOT

RESULTS: Final = PACKAGES_ROOT / "bench" / "results"
FORMAT: Final = 1


def load(path: Path) -> list[Result]:
    """Results of a file; ConfigError when it is not one of ours."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ConfigError(f"{path}: format {document['format']}, expected {FORMAT}")
        return [of_document(one) for one in document["results"]]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not results of a bench: {error}") from None


def save(results: Sequence[Result], folder: Path = RESULTS) -> Path:
    """Keep results in the file of this machine; those of other benches stay as they were."""
    path = folder / f"{machine_name(results[0].machine)}.json"
    kept = {result.bench: result for result in (load(path) if path.exists() else [])}
    kept |= {result.bench: result for result in results}
    document = {"format": FORMAT, "results": [kept[name].document() for name in sorted(kept)]}
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path
