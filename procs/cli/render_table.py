"""Tables, paragraphs and headings of the command line: one look, at most WIDTH_MAX columns wide.

On a terminal headings are bold and faults red; in a pipe or a file it is plain text without trailing blanks.
A figure is never cut: a table that a narrow terminal has no room for has its rows below each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

WIDTH_MAX: Final = 100
WRAPPED_MIN: Final = 20  # columns below which sentences are no longer read
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


Cells = Sequence[str | Text]


class _Fitting:
    """A table, or where it does not fit its rows below each other, a line for each cell."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Cells], *, headed: bool) -> None:
        self._columns = columns
        self._rows = rows
        self._headed = headed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits into the width there is."""
        if not self._headed or self._width() <= options.max_width:
            yield _grid(self._columns, self._rows, headed=self._headed)
            return
        for number, row in enumerate(self._rows):
            if number:
                yield ""
            cells = [(column.name, cell) for column, cell in zip(self._columns, row, strict=True)]
            yield _grid((Column(""), wrapping("")), cells, headed=False)

    def _width(self) -> int:
        """Columns that the table needs if nothing is to be cut."""
        widths = [
            max([cell_len(column.name), *(cell_len(str(row[place])) for row in self._rows)])
            for place, column in enumerate(self._columns)
        ]
        least = [
            min(width, WRAPPED_MIN) if column.wraps else width
            for width, column in zip(widths, self._columns, strict=True)
        ]
        return sum(least) + _INDENT * (len(widths) - 1)


def table(columns: Sequence[Column], rows: Iterable[Cells], *, headed: bool = True) -> Padding:
    """Table of ``rows``, one cell a column."""
    return Padding(_Fitting(columns, list(rows), headed=headed), (0, 0, 0, _INDENT))


def _grid(columns: Sequence[Column], rows: Iterable[Cells], *, headed: bool) -> Table:
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
    return grid


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
