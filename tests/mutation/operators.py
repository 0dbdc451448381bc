"""Ways to break a module on purpose: each edit is one mistake that somebody could make.

=========== =====================================================================================
compare     ``<`` for ``<=``, ``==`` for ``!=`` and their kind
off_by_one  an integer one higher or one lower; not the value of a named bound, which is a choice
rounding    ceil for floor in a name, ``//`` rounding up
fence       a fence left out, an acquire or release made relaxed, a seq_cst made a release
negate      the condition of an if, while or conditional expression turned round
swap_side   bid for ask, buy for sell
=========== =====================================================================================

Edits are found in a fixed order, so the n-th edit of a text is the same in every process.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("compare", "off_by_one", "rounding", "fence", "negate", "swap_side")

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
WEAKER = {
    "load_acquire": "load_relaxed",
    "store_release": "store_relaxed",
    "store_seq_cst": "store_release",
}
OTHER_ROUNDING = {"ceil": "floor", "floor": "ceil"}
OTHER_SIDE = {"bid": "ask", "ask": "bid", "bids": "asks", "asks": "bids", "buy": "sell", "sell": "buy"}

BOUND = re.compile(r"_(?:MAX|MIN)(?:_|$)")  # tests go by its name; 400 for 401 is no mistake
FENCES = {"fence_acquire", "fence_release", "fence_seq_cst"}
LIBRARIES_THAT_ROUND = {"math", "np", "numpy"}

Offers = Callable[[str, str], bool]  # whether a module, by its dotted name, has a name

# Fields of a node that hold no behaviour.
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "type_params"}


@dataclass(frozen=True)
class Edit:
    """One change to a syntax tree: ``apply`` makes it, ``show`` renders the place before and after."""

    kind: str
    line: int
    apply: Callable[[], None]
    show: Callable[[], str]


@dataclass(frozen=True)
class Mutant:
    """One broken version of a module."""

    kind: str
    line: int
    before: str
    after: str
    source: str


def _swap_words(name: str, words: dict[str, str]) -> str:
    """Exchange whole words of an identifier: best_bid_e4 gives best_ask_e4, and BID gives ASK."""

    def exchange(match: re.Match[str]) -> str:
        found = match.group()
        other = words.get(found.lower(), found)
        return other.upper() if found.isupper() else other.capitalize() if found[0].isupper() else other

    return re.sub(r"[A-Z]?[a-z]+|[A-Z]+", exchange, name)


class _Finder:
    """Collects the edits of one tree."""

    def __init__(self, tree: ast.Module, offers: Offers) -> None:
        self._tree = tree
        self._offers = offers
        self._names = _names_in(tree)
        self._idle = set(_idle_steps(tree))
        self._origin = {
            alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module is not None
            for alias in node.names
            if alias.asname is None
        }

    def edits(self) -> Iterator[Edit]:
        yield from self._below(self._tree)

    def _below(self, node: ast.AST) -> Iterator[Edit]:
        for field, value in ast.iter_fields(node):
            if field in _SKIPPED_FIELDS:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_inert(child, node):
                    yield from self._at(child, node)
                    yield from self._below(child)

    def _at(self, node: ast.AST, parent: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.Compare):
            yield from self._compare(node)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node, parent)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            yield self._round_up(node)
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            yield self._negate(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from self._drop_fence(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from self._rename(node, "id")
        elif isinstance(node, ast.Attribute):
            yield from self._rename(node, "attr")

    def _compare(self, node: ast.Compare) -> Iterator[Edit]:
        for index, operator in enumerate(node.ops):
            if type(operator) in FLIPPED:
                flipped = FLIPPED[type(operator)]()
                yield Edit("compare", node.lineno, _setter(node.ops, index, flipped), _shower(node))

    def _constant(self, node: ast.Constant, parent: ast.AST) -> Iterator[Edit]:
        if type(node.value) is int:
            shown = parent if isinstance(parent, ast.expr) else node  # a number says little by itself
            for step in (1, -1):
                if (id(node), step) not in self._idle:
                    changed = node.value + step
                    yield Edit("off_by_one", node.lineno, _assigner(node, "value", changed), _shower(shown))
        elif isinstance(node.value, str):
            other = _swap_words(node.value, OTHER_SIDE)
            if other != node.value and other in self._names:
                yield Edit("swap_side", node.lineno, _assigner(node, "value", other), _shower(node))

    def _round_up(self, node: ast.BinOp) -> Edit:
        less_one = ast.BinOp(ast.BinOp(node.left, ast.Add(), node.right), ast.Sub(), ast.Constant(1))
        return Edit("rounding", node.lineno, _assigner(node, "left", less_one), _shower(node))

    def _negate(self, node: ast.If | ast.While | ast.IfExp) -> Edit:
        turned = ast.UnaryOp(ast.Not(), node.test)

        def show() -> str:
            return ast.unparse(node.test)

        return Edit("negate", node.test.lineno, _assigner(node, "test", turned), show)

    def _drop_fence(self, node: ast.Expr) -> Iterator[Edit]:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in FENCES:
            yield Edit("fence", node.lineno, _assigner(node, "value", ast.Constant(None)), _shower(node))

    def _rename(self, node: ast.Name | ast.Attribute, field: str) -> Iterator[Edit]:
        name: str = getattr(node, field)
        choices = {
            "fence": WEAKER.get(name, name),
            "rounding": _swap_words(name, OTHER_ROUNDING),
            "swap_side": _swap_words(name, OTHER_SIDE),
        }
        for kind, other in choices.items():
            if other != name and self._reachable(node, name, other):
                yield Edit(kind, node.lineno, self._renaming(node, field, name, other), _shower(node))

    def _reachable(self, node: ast.Name | ast.Attribute, name: str, other: str) -> bool:
        """Whether ``other`` means something here: a name that does not exist proves nothing by failing."""
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in LIBRARIES_THAT_ROUND:
            return name in OTHER_ROUNDING
        imported = name in self._origin and isinstance(node, ast.Name)
        return other in self._names or (imported and self._offers(self._origin[name], other))

    def _renaming(
        self, node: ast.Name | ast.Attribute, field: str, name: str, other: str
    ) -> Callable[[], None]:
        """Rename, and import the other name from where the first one came if the module does not have it."""

        def apply() -> None:
            setattr(node, field, other)
            if isinstance(node, ast.Name) and other not in self._names:
                taken = ast.ImportFrom(self._origin[name], [ast.alias(other)], 0)
                self._tree.body.insert(_after_future(self._tree), taken)

        return apply


def _names_in(tree: ast.Module) -> set[str]:
    """Every identifier and string of a module: what a swapped word may turn into without being nonsense."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.FunctionDef(name=name)
            ):
                names.add(name)
            case ast.alias(name=name):
                names.add(name)
            case ast.Constant(value=str(name)):
                names.add(name)
    return names


def _is_inert(node: ast.AST, parent: ast.AST) -> bool:
    """Docstrings, values of enums and bounds; what runs for the type checker, the compiler or the shell."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(parent, ast.ClassDef) and isinstance(node, ast.Assign):
        return any("Enum" in ast.unparse(base) or "Flag" in ast.unparse(base) for base in parent.bases)
    if isinstance(node, ast.FunctionDef):
        return node.name == "warm"  # calls each kernel once with anything of the right type
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
    if isinstance(parent, ast.AnnAssign) and isinstance(parent.target, ast.Name) and node is parent.value:
        return BOUND.search(parent.target.id) is not None
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _idle_steps(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Numbers and steps that change nothing: the first of one element is the last, and the first of two."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and re.match(r"np\.zeros\(1, .*\)\[0\]$", ast.unparse(node)):
            yield id(node.slice), -1
            if isinstance(node.value, ast.Call):
                yield id(node.value.args[0]), 1


def _after_future(tree: ast.Module) -> int:
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return index + 1
    return 0


def _setter(items: list[ast.cmpop], index: int, value: ast.cmpop) -> Callable[[], None]:
    return lambda: items.__setitem__(index, value)


def _assigner(node: ast.AST, field: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, field, value)


def _shower(node: ast.AST) -> Callable[[], str]:
    return lambda: ast.unparse(node)


def _offers_nothing(module: str, name: str) -> bool:
    return False


def find_edits(text: str, offers: Offers = _offers_nothing) -> list[tuple[str, int]]:
    """Kind and line of every edit that ``text`` allows, in order.

    ``offers`` says which names a module could import in place of those it does.
    """
    return [(edit.kind, edit.line) for edit in _Finder(ast.parse(text), offers).edits()]


def find_originals(text: str, offers: Offers = _offers_nothing) -> list[str]:
    """Render the place of every edit as it is, in the order of ``find_edits``."""
    return [edit.show() for edit in _Finder(ast.parse(text), offers).edits()]


def make_mutant(text: str, index: int, offers: Offers = _offers_nothing) -> Mutant:
    """Text with its ``index``-th edit made; IndexError when it has fewer."""
    tree = ast.parse(text)
    edit = list(_Finder(tree, offers).edits())[index]
    before = edit.show()
    edit.apply()
    after = edit.show()
    return Mutant(edit.kind, edit.line, before, after, ast.unparse(ast.fix_missing_locations(tree)))
