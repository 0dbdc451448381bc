"""The state of an engine for people: what it may do, who said so, and how its processes are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from rich.console import RenderableType
from rich.text import Text

from procs.cli.render_table import Column, pairs, right, section, table, verdict, wrapping
from procs.cli.render_values import NOTHING, count, moment, short_time, span

Tree = Mapping[str, object]
FIT = ("ready", "stopped")


def status_parts(document: Tree) -> Iterator[RenderableType]:
    """What ``pr3dict status`` shows of a document of ``procs.engine_status``."""
    yield pairs(_facts(document))
    halts = cast(list[Tree], document["halts"])
    if halts:
        columns = (Column("halted by"), Column("who"), Column("when"), wrapping("why"))
        yield section(
            "HALTED: no order leaves until 'pr3dict resume --reason ...'", table(columns, _halts(halts))
        )
    processes = cast(list[Tree], document["processes"])
    if processes:
        yield section("Processes", process_table(processes))
    errors = [(str(process["name"]), str(process["error"])) for process in processes if process["error"]]
    if errors:
        yield section("Last errors", pairs(errors))


def _facts(document: Tree) -> Iterator[tuple[str, str]]:
    yield "engine", f"running, epoch {document['epoch']}" if document["running"] else "not running"
    if document["running"] and not document["owner"]:
        yield "owner", "gone: it ends by itself unless the same 'pr3dict run' takes it over"
    yield "run directory", str(document["run_dir"])
    for word, doing in (("paused", "orders that open exposure are refused"), ("stopping", "shutting down")):
        setting = cast("Tree | None", document[word])
        if setting is not None:
            yield word, f"{doing}; since {moment(int(str(setting['at_ns'])))}, by pid {setting['pid']}"
    yield "control", "answers" if document["control"] else "does not answer"


def _halts(halts: list[Tree]) -> Iterator[list[str | Text]]:
    for halt in halts:
        at_ns = int(str(halt["at_ns"]))
        when = moment(at_ns) if at_ns else NOTHING
        yield [verdict(str(halt["reason"]), good=False), str(halt["who"]), when, str(halt["text"]) or NOTHING]


def process_table(processes: list[Tree]) -> RenderableType:
    """One row a process."""
    columns = [
        Column("process"),
        Column("state"),
        right("pid"),
        right("up"),
        right("heartbeat"),
        right("work"),
        Column("waits by"),
        wrapping("roles"),
    ]
    return table(columns, [_process(process) for process in processes])


def _process(process: Tree) -> list[str | Text]:
    condition = str(process["condition"])
    started = condition != "absent"
    return [
        str(process["name"]),
        verdict(condition, good=condition in FIT) if started else condition,
        str(process["pid"]) if started else NOTHING,
        span(int(str(process["up_ns"]))) if started else NOTHING,
        short_time(int(str(process["heartbeat_age_ns"]))) if started else NOTHING,
        count(int(str(process["work"]))),
        str(process["waiting"]) or NOTHING,
        ", ".join(cast(list[str], process["roles"])) or NOTHING,
    ]
