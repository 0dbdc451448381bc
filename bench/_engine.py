"""A whole engine for a measurement: ``venue-sim`` and ``run``, in processes of their own, over sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from procs.config_files import load_config
from procs.health import HealthTable, ProcessHealth, ProcessState
from procs.places import runtime_root
from shm.errors import ShmError

PATIENCE_S: Final = 600.0  # a cold start compiles for minutes
LOOK_S: Final = 0.005
MODULE: Final = "procs.cli.main"
PROGRAM: Final = "pr3dict"
OWNER: Final = "owner"
VENUE_SIM: Final = "venue-sim"


def parked(topology: str = "two") -> str:
    """Setting with which every process of a topology parks when it has nothing to do."""
    processes = load_config().topologies[topology].processes
    tables = [
        f'{{name="{process.name}", roles={json.dumps([role.name.lower() for role in process.roles])}, '
        f'core={process.core}, wait="futex"}}'
        for process in processes
    ]
    return f"topologies.{topology}.processes=[{', '.join(tables)}]"


def command(*argv: str) -> list[str]:
    """``pr3dict ARGV`` by this interpreter."""
    return [sys.executable, "-m", MODULE, *argv]


class RunningEngine:
    """``run`` in topology two on what ``venue-sim`` plays of ``recording``; both end with the context.

    ``folder`` gets its state directory. ``speed`` and ``settings`` are options of the commands.
    """

    def __init__(
        self,
        recording: Path,
        folder: Path,
        *,
        speed: str = "1",
        settings: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._memory = tempfile.TemporaryDirectory(prefix="pr3dict-bench-", dir=runtime_root())
        self.run_dir = Path(self._memory.name) / "run"
        play = (str(recording), "--speed", speed, "--start-when-subscribed", "all")
        self.sim = subprocess.Popen(command(VENUE_SIM, *play), stdout=subprocess.PIPE)
        urls = _first_line(self.sim.stdout)["endpoints"]
        assert isinstance(urls, dict)
        given = [argument for setting in settings for argument in ("--set", setting)]
        self.began_s = boot_s()
        self.owner = subprocess.Popen(
            command(
                *("run", "--markets", str(recording), "--port", "0", "--json", *given),
                *("--run-dir", str(self.run_dir), "--state-dir", str(folder / "state")),
                *("--polymarket-url", urls["polymarket"], "--kalshi-url", urls["kalshi"]),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self.owner, self.sim):
            if process.poll() is None:
                process.terminate()
                process.communicate()
        self._memory.cleanup()

    def health(self) -> list[ProcessHealth]:
        """Rows of its processes; none before there is a table."""
        with suppress(FileNotFoundError, ShmError):
            return HealthTable.attach(self.run_dir).read()
        return []

    def is_fit(self) -> bool:
        """Whether every process of the topology is ready."""
        rows = self.health()
        return bool(rows) and all(row.state is ProcessState.READY for row in rows)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that the engine does; RuntimeError when it ended, or took too long."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if self.owner.poll() is not None:
                assert self.owner.stderr is not None
                raise RuntimeError(f"the engine ended: {self.owner.stderr.read().decode()}")
            if time.monotonic() > end_s:
                raise RuntimeError(f"waited too long for {what}")
            time.sleep(LOOK_S)

    def pids(self) -> dict[str, int]:
        """Every process of it by name: those of the topology, control, monitor, the owner, the venues."""
        found = {OWNER: self.owner.pid, VENUE_SIM: self.sim.pid}
        for pid in _descendants(self.owner.pid):
            name = _name_of(pid)
            if name:
                found[name] = pid
        return found

    def end(self) -> tuple[dict[str, object], dict[str, object]]:
        """End the run; its document of its one input, and the last line of the venues."""
        self.owner.terminate()
        out, said = self.owner.communicate()
        if not out:
            raise RuntimeError(f"the engine left no result: {said.decode()}")
        self.sim.terminate()
        last, _ = self.sim.communicate()
        [result] = json.loads(out)["inputs"]
        return result, json.loads(last.splitlines()[-1])


def boot_s() -> float:
    """Seconds since the machine started, as ``started_s`` counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started_s(pid: int) -> float:
    """When a process was started, to a hundredth of a second."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    )
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            yield int(word)
            yield from _descendants(int(word))


def _name_of(pid: int) -> str:
    """``market`` of ``pr3dict proc market ...``, ``monitor`` of ``pr3dict monitor ...``; else empty."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().split()
        if words and words[0] == PROGRAM:
            return words[2] if words[1] == "proc" else words[1]
    return ""


def _first_line(stream: IO[bytes] | None) -> dict[str, object]:
    assert stream is not None
    said: dict[str, object] = json.loads(stream.readline())
    return said
