"""Importers of other recorders' files: `open_source` finds the one that knows a file, by its content."""

from __future__ import annotations

from procs.importers.detect import IMPORTERS, Source, open_source

__all__ = ["IMPORTERS", "Source", "open_source"]
