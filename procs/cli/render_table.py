"""Tables, paragraphs and headings of the command line: one look, at most WIDTH_MAX columns wide.

On a terminal headings are bold and faults red; in a pipe or a file it is plain text without trailing blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

WIDTH_MAX: Final = 100
_INDENT: Final = 2
_GAP: Final = (0, 1, 0, 0)  # with the blank of the box itself two between columns


class Column(NamedTuple):
    """Heading of a column; numbers stand on the right, and ``wraps`` lets long words take several lines."""

    name: str
    right: bool = False
    wraps: bool = False


def right(name: str) -> Column:
    """A column of numbers."""
    return Column(name, right=True)


def wrapping(name: str) -> Column:
    """A column of sentences."""
    return Column(name, wraps=True)


def console_of(stream: TextIO) -> Console:
    """Console on ``stream``, no wider than WIDTH_MAX, which says what it is given and marks nothing up."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    console.width = min(WIDTH_MAX, console.width) if console.is_terminal else WIDTH_MAX
    return console


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], *, headed: bool = True) -> Padding:
    """Table of ``rows``, one cell a column."""
    grid = Table(
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        padding=_GAP if headed else (0, _INDENT, 0, 0),
    )
    for column in columns:
        grid.add_column(
            column.name,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 0, _INDENT))


def pairs(rows: Iterable[tuple[str, str]]) -> Padding:
    """Names and what they are, two columns without a heading."""
    return table((Column(""), wrapping("")), rows, headed=False)


def paragraph(text: str) -> Padding:
    """Sentences, wrapped."""
    return Padding(Text(text), (0, 0, 0, _INDENT))


def title(text: str) -> Rule:
    """First line of an input, across the page."""
    return Rule(Text(text, style="bold"), align="left", characters="═")


def section(heading: str, *parts: RenderableType) -> Group:
    """A heading and what stands under it, after an empty line."""
    return Group("", Text(heading, style="bold"), *parts)


def verdict(text: str, *, good: bool) -> Text:
    """A word of judgement."""
    return Text(text, style="green" if good else "bold red")


def show(parts: Iterable[RenderableType], stream: TextIO) -> None:
    """Print ``parts`` below each other."""
    console = console_of(stream)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
