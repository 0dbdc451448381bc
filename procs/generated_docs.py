"""``python -m procs.generated_docs``: write the pages of ``docs/`` that are made from code, or check them.

With ``--check`` nothing is written: exit 1 when a page is not what the code makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from procs import generated_layouts, generated_states
from procs.places import PACKAGES_ROOT

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "layouts.md": generated_layouts.page,
    "states.md": generated_states.page,
}


def stale_pages(docs: Path) -> list[str]:
    """Names of the pages that are missing or not what the code makes."""
    return [name for name, page in PAGES.items() if not _is(docs / name, page())]


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(argv: Sequence[str] = (), docs: Path = PACKAGES_ROOT / "docs") -> int:
    """Write the pages that have changed, or with ``--check`` name them; 1 for stale ones, 2 for usage."""
    if argv not in ([], ["--check"], ()):
        sys.stderr.write("usage: python -m procs.generated_docs [--check]\n")
        return 2
    stale = stale_pages(docs)
    for name in stale:
        if argv:
            sys.stderr.write(f"docs/{name} is not what the code makes: run make docs\n")
        else:
            (docs / name).write_text(PAGES[name](), encoding="utf-8")
            sys.stderr.write(f"wrote docs/{name}\n")
    return int(bool(stale and argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
