from __future__ import annotations

import json
from pathlib import Path

import pytest

from procs.cli.main import main
from procs.config_files import load_config


def test_it_prints_every_setting_and_the_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    shown = capsys.readouterr().out
    assert "risk.daily_loss_max_micros " in shown
    assert f"hash           {load_config().fingerprint()}" in shown
    assert "relations      0 approved, 2 not approved" in shown


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--json", "--set", "risk.open_orders_max=9"]) == 0
    document = json.loads(capsys.readouterr().out)
    config = load_config(assignments=["risk.open_orders_max=9"])
    assert document["config"] == config.tree()
    assert document["hash"] == config.fingerprint()
    assert document["relations"] == {"approved": 0, "unapproved": 2}
    assert document["fee_schedules"] == 24


def test_live_settings_are_checked_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--live", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["engine"]["mode"] == "live"


def test_files_are_told_apart_by_what_they_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer, relations, fees = tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "c.toml"
    layer.write_text("[risk]\nopen_orders_max = 9\n")
    relations.write_text("relation = []\n")
    fees.write_text("schedule = []\n")
    assert main(["config", "check", "--json", str(layer), str(relations), str(fees)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["config"]["risk"]["open_orders_max"] == 9
    assert document["fee_schedules"] == 24


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[risk]\nopen_orders_maxx = 1\n", "mine.toml: risk.open_orders_maxx: unknown key (did you mean"),
        ('[risk]\nopen_orders_max = "1"\n', "mine.toml: risk.open_orders_max: expected an integer, got '1'"),
        ("[[relation]]\nkind = 1\n", "mine.toml: relation[0].kind: expected one of same,"),
        ("[[schedule]]\nvenue = 'x'\n", "mine.toml: schedule[0].venue: expected one of polymarket, kalshi"),
        ("[risk\n", "mine.toml: not TOML:"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert main(["config", "check", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_an_absent_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err


def test_another_action_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "mend"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
