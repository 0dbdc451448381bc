"""The command's frame: lazy subcommands, one line for a mistake, and how it ends."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from engine import errors
from procs import kernels
from procs.cli import main as cli
from procs.cli.exit_codes import ExitCode

Run = Callable[[argparse.Namespace], int]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Callable that installs ``run`` as the subcommand ``probe``."""

    def _install(run: Run) -> None:
        module = ModuleType("probe_command")
        vars(module)["add_arguments"] = lambda parser: parser.add_argument("--count", type=int)
        vars(module)["run"] = run
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setattr(cli, "COMMANDS", (cli.Command("probe", "probe_command", "probes"),))

    return _install


def _raising(error: BaseException) -> Run:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_answer_of_the_subcommand_is_the_exit_code(install: Callable[[Run], None]) -> None:
    install(lambda args: args.count)
    assert cli.main(["probe", "--count", "1"]) == 1
    assert cli.main(["probe", "--count", "0"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.ConfigError("config/paper.toml: unknown key 'spede'"), 2, "unknown key 'spede'"),
        (errors.RecordingDamaged("a.zst: truncated\nat frame 12"), 1, "a.zst: truncated at frame 12"),
        (FileNotFoundError(2, "No such file or directory", "a.zst"), 2, "a.zst: No such file or directory"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
    ],
)
def test_error_is_one_line_on_stderr(
    install: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    install(_raising(error))
    assert cli.main(["probe"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("pr3dict: ")
    assert said.err.endswith(f"{line}\n")
    assert said.err.count("\n") == 1


def test_a_defect_keeps_its_traceback(install: Callable[[Run], None]) -> None:
    install(_raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main(["probe"])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "pr3dict: which command?"),
        (["prob"], "pr3dict: unknown command 'prob'; did you mean 'probe'?"),
        (["zzz"], "pr3dict: unknown command 'zzz' (see"),
        (["--loud"], "pr3dict: unrecognized arguments: --loud"),
        (["probe", "--cuont"], "pr3dict probe: unrecognized arguments: --cuont"),
        (["probe", "--count", "x"], "pr3dict probe: argument --count: invalid int value"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    install: Callable[[Run], None], capsys: pytest.CaptureFixture[str], argv: list[str], line: str
) -> None:
    install(lambda args: 0)
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command.name} " in said
        assert command.help in said


def test_help_of_a_command_is_its_own(
    install: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(lambda args: 0)
    with pytest.raises(SystemExit) as ended:
        cli.main(["probe", "--help"])
    assert ended.value.code == 0
    assert "--count" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_of_the_table_is_there(
    command: cli.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command.name, "--help"])
    assert ended.value.code == 0
    assert f"pr3dict {command.name}" in capsys.readouterr().out


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_imports_no_heavy_library() -> None:
    heavy = ("numba", "numpy", "pyarrow", "rich", "orjson")
    code = f"""
import sys
from procs.cli.main import main
try:
    main(["--help"])
finally:
    sys.stderr.write(",".join(name for name in {heavy!r} if name in sys.modules))
"""
    assert _python(code).stderr == ""


def test_reader_that_leaves_ends_the_command_quietly() -> None:
    code = """
import sys, types
module = types.ModuleType("probe_command")
module.add_arguments = lambda parser: None
module.run = lambda args: [print("x" * 100) for _ in range(100_000)] and 0
sys.modules["probe_command"] = module
from procs.cli import main as cli
cli.COMMANDS = (cli.Command("probe", "probe_command", "probes"),)
sys.exit(cli.main(["probe"]))
"""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (ExitCode.OUTPUT_CLOSED, "")


@pytest.mark.parametrize("fd", [1, 2])
def test_a_closed_stream_is_no_error(fd: int) -> None:
    code = """
import sys, types
module = types.ModuleType("probe_command")
module.add_arguments = lambda parser: None
def run(args):
    print("out")
    sys.stderr.write("err")
    return 0
module.run = run
sys.modules["probe_command"] = module
from procs.cli import main as cli
cli.COMMANDS = (cli.Command("probe", "probe_command", "probes"),)
sys.exit(cli.main(["probe"]))
"""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {fd}>&-', sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "err" if fd == 1 else "out\n")


@pytest.mark.parametrize(
    ("warm", "uses_kernels", "plain", "said"),
    [(False, True, "0", 1), (True, True, "0", 0), (False, False, "0", 0), (False, True, "1", 0)],
    ids=["cold", "warm", "without kernels", "plain"],
)
def test_kernels_are_compiled_first_and_it_is_said(
    install: Callable[[Run], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    warm: bool,
    uses_kernels: bool,
    plain: str,
    said: int,
) -> None:
    order: list[str] = []

    def run(args: argparse.Namespace) -> int:
        order.append("run")
        return 0

    install(run)
    command = cli.COMMANDS[0]._replace(uses_kernels=uses_kernels)
    monkeypatch.setattr(cli, "COMMANDS", (command,))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", plain)
    monkeypatch.setattr("procs.kernels.set_cache_dir", lambda: tmp_path)
    monkeypatch.setattr("procs.kernels.warm", lambda: order.append("warm"))
    if warm:
        (tmp_path / kernels.STAMP).touch()
    assert cli.main(["probe"]) == 0
    assert order == ["warm"] * said + ["run"]
    line = "pr3dict: compiling the kernels, once after a change of the sources...\n"
    assert capsys.readouterr().err == line * said


def test_cache_directory_is_set_before_the_subcommand_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr("procs.kernels.set_cache_dir", lambda: order.append("cache"))
    monkeypatch.setattr("importlib.import_module", lambda name: order.append(name))
    with pytest.raises(AttributeError):
        cli.main(["check"])
    assert order == ["cache", "procs.cli.check"]
