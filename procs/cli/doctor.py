"""``pr3dict doctor``: whether this host is fit to run the engine, and what is in the way."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from rich.text import Text

from procs.cli.engine_arguments import add_engine_arguments, engine_dirs
from procs.cli.exit_codes import ExitCode
from procs.cli.render_table import Column, show, table, wrapping
from procs.doctor import Finding, Level, examine, patient_here

STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Exit 1 when something fails; warnings are for whoever wants it faster or safer."""
    dirs = engine_dirs(args)
    findings = examine(patient_here(dirs.config, dirs.run_dir, dirs.state_dir))
    fit = not any(finding.level is Level.FAIL for finding in findings)
    if args.json:
        document = {"pr3dict_doctor": 1, "ok": fit, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(document, indent=2))
    else:
        show([table((Column("what"), Column("is"), wrapping("why")), map(_row, findings))], sys.stdout)
    return ExitCode.OK if fit else ExitCode.FAILURE


def _row(finding: Finding) -> list[str | Text]:
    return [finding.what, Text(finding.level.value, style=STYLES[finding.level]), finding.text]
