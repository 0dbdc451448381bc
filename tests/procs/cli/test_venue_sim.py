"""``pr3dict venue-sim`` as a process: the lines it says, how it ends."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from procs.cli import main as cli
from procs.places import PACKAGES_ROOT
from tests.data import recordings as made
from tests.procs.venue_sim.client import connect, run, to_kalshi
from tests.procs.venue_sim.test_kalshi_auth import headers

pytestmark = pytest.mark.compiled_only

PATIENCE_S = 60.0


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    frames = [made.kalshi(made.snapshot(1, [["0.1000", "3.00"]], []))]
    frames += [made.kalshi(made.delta(seq, "yes", "0.1000", "1.00"), seq) for seq in range(2, 10)]
    return made.write(tmp_path / "r.ndjson.zst", made.header("kalshi"), frames)


class Served:
    """A ``venue-sim`` process."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "procs.cli.main", "venue-sim", *argv],
            cwd=PACKAGES_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> dict[str, object]:
        """The next line it says."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_S), "nothing said"
        document: dict[str, object] = json.loads(self.process.stdout.readline())
        return document

    def end(self) -> tuple[int, str, str]:
        """Exit code, and what it said at last."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def serve() -> Iterator[list[Served]]:
    """Processes that a test has started; ended with it."""
    started: list[Served] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def _start(serve: list[Served], *argv: str) -> Served:
    serve.append(Served(*argv))
    return serve[-1]


class _Endpoints:
    """What ``to_kalshi`` needs of a simulation."""

    def __init__(self, ready: dict[str, object]) -> None:
        self.endpoints = ready["endpoints"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_counts(serve: list[Served], recording: Path, number: int) -> None:
    served = _start(serve, str(recording), "--speed", "max")
    ready = served.line()
    assert ready["ready"] is True

    async def watch() -> None:
        client = await to_kalshi(_Endpoints(ready), [made.TICKER])  # type: ignore[arg-type]
        await client.until_texts(10)
        client.stop_reading()  # who does not read does not keep it
        os.kill(served.process.pid, number)

    run(watch)
    code, out, err = served.end()
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["played"] == 9
    assert document["venues"]["kalshi"]["texts_sent"] == 9
    assert document["venues"]["polymarket"]["accepted"] == 0


def test_once_ends_by_itself_with_1000_and_faults_are_done(
    serve: list[Served], recording: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nvenue = "kalshi"\nkind = "gap"\nat_frame = 4\n')
    served = _start(serve, str(recording), "--once", "--speed", "1000", "--faults", str(plan))
    ready = served.line()

    async def watch() -> list[object]:
        client = await to_kalshi(_Endpoints(ready), [made.TICKER])  # type: ignore[arg-type]
        await client.until_gone()
        assert client.codes == [1000]
        return [tree.get("seq") for tree in client.trees()]

    assert run(watch) == [None, 1, 2, 3, 5, 6, 7, 8, 9]
    code, out, _ = served.end()
    assert code == 0
    assert json.loads(out)["venues"]["kalshi"]["faults"] == ["gap at frame 4, connection 1"]


def test_faults_are_asked_for_on_stdin(serve: list[Served], recording: Path) -> None:
    served = _start(serve, str(recording), "--start-when-subscribed", "2", "--faults", "-")
    ready = served.line()
    stdin = served.process.stdin
    assert stdin is not None

    async def watch() -> list[int]:
        client = await to_kalshi(_Endpoints(ready), [made.TICKER])  # type: ignore[arg-type]
        await client.until_texts(1)
        stdin.write('{"venue":"kalshi","kind":"close","code":1008}\n')
        stdin.flush()
        await client.until_gone()
        return client.codes

    assert run(watch) == [1008]
    assert served.line()["done"] == 1
    stdin.close()  # who asks may go; the venues stay
    served.process.stdin = None
    served.process.send_signal(signal.SIGTERM)
    code, out, err = served.end()
    assert (code, err) == (0, "")
    assert json.loads(out)["venues"]["kalshi"]["faults_done"] == 1


def test_stdin_must_be_something_that_can_be_waited_for(recording: Path) -> None:
    with recording.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "procs.cli.main", "venue-sim", str(recording), "--faults", "-"],
            cwd=PACKAGES_ROOT,
            stdin=file,
            capture_output=True,
            check=False,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("pr3dict: <stdin>: neither a pipe nor a terminal")
    assert done.stderr.count("\n") == 1


def test_a_key_is_asked_for(serve: list[Served], tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = tmp_path / "public.pem"
    pem.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    served = _start(serve, "--seed", "7", "--kalshi-public-key", f"an-id={pem}")
    ready = served.line()
    assert ready["playing"] == "seeded session 7"

    async def shake_hands() -> None:
        import time

        url = _Endpoints(ready).endpoints["kalshi"]  # type: ignore[index]
        await connect(url, extra_headers=headers(key, time.time_ns() // 1_000_000))

    run(shake_hands)
    served.process.send_signal(signal.SIGTERM)
    code, out, _ = served.end()
    assert (code, json.loads(out)["venues"]["kalshi"]["accepted"]) == (0, 1)


def test_a_port_in_use_is_one_line_and_exit_2(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["venue-sim", str(recording), "--polymarket-port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"pr3dict: --polymarket-port 127.0.0.1:{port}: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["{recording}", "--seed", "3"], "--seed and recordings: one or the other"),
        (["{missing}"], "No such file"),
        (["--faults", "{missing}"], "No such file"),
        (["--kalshi-public-key", "{missing}"], "No such file"),
        (["--kalshi-public-key", "{recording}"], "not a public key in PEM"),
        (["{recording}", "--host", "192.0.2.7"], "--polymarket-port 192.0.2.7:0: "),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], line: str
) -> None:
    names = {"recording": str(recording), "missing": str(tmp_path / "missing")}
    assert cli.main(["venue-sim", *(text.format(**names) for text in argv)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("pr3dict: ")
    assert line in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--kalshi-port", "65536"), ("--kalshi-port", "-1"), ("--speed", "0"), ("--start-when-subscribed", "x")],
)
def test_values_out_of_bounds_are_usage(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["venue-sim", f"{option}={value}"])
    assert ended.value.code == 2
    assert option in capsys.readouterr().err
