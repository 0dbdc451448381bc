"""The one shape of a result: what is better, ratios of pairs, claims, and that it survives being kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import _headlines, _kept, _page, _show, load, path, scan, sessions
from bench._result import OURS, Claim, Result, Row, claim, claim_ratio, of_document
from engine.errors import ConfigError

MACHINE: dict[str, object] = {
    "cpu": "ACME(R) Fast 9 CPU @ 3.00GHz",
    "cores": 2,
    "smt_siblings": False,
    "virtual": True,
    "governor": "unknown",
    "clock": "tsc",
    "kernel": "6.1",
    "python": "3.11",
    "numba": "1",
    "numpy": "2",
    "load": 0.5,
    "measured": "2026-11-28 10:00",
}


def made() -> Result:
    """Three runs of a cost and a rate; the second run was slow for both, and interrupted."""
    result = Result("some", dict(MACHINE))
    cost = [
        {"p50_ns": 10.0, "p99_ns": 20.0},
        {"p50_ns": 40.0, "p99_ns": 90.0},
        {"p50_ns": 11.0, "p99_ns": 25.0},
    ]
    result.rows = [
        Row("hop", OURS, cost, [0, 7, 0]),
        Row("hop", "other 1.0", [{"p50_ns": 100.0}, {"p50_ns": 200.0}, {"p50_ns": 220.0}], [0, 0, 0]),
        Row("flow", OURS, [{"per_s": 8.0}, {"per_s": 2.0}, {"per_s": 9.0}], [0, 0, 0]),
        Row("flow", "other 1.0", [{"per_s": 2.0}, {"per_s": 1.0}, {"per_s": 3.0}], [0, 0, 0]),
    ]
    return result


def test_best_is_least_of_a_cost_and_most_of_a_rate() -> None:
    result = made()
    hop, flow = result.row("hop"), result.row("flow")
    assert hop is not None
    assert flow is not None
    assert hop.spread("p50_ns") == (10.0, 11.0, 40.0)
    assert flow.spread("per_s") == (9.0, 8.0, 2.0)


def test_ratios_are_medians_of_pairs_and_not_ratios_of_medians() -> None:
    assert made().ratios() == [("hop", "other 1.0", "p50_ns", 10.0), ("flow", "other 1.0", "per_s", 3.0)]


def test_claims_are_of_the_best_run_and_fail_aloud() -> None:
    result = made()
    claim(result, "hop", "p50_ns", 10)
    claim(result, "hop", "p99_ns", 19)
    claim(result, "flow", "per_s", 9)
    claim(result, "not measured", "p50_ns", 1)
    claim_ratio(result, "hop", "other", 10)
    claim_ratio(result, "hop", "absent peer", 10)
    assert [one.holds for one in result.claims] == [True, False, True, True]
    assert result.failed == 1
    said = "\n".join(_show.lines(result))
    assert "DOES NOT HOLD  hop, p99_ns: 20 <= 19" in said


def test_ratios_come_first_and_a_disturbed_run_is_not_hidden() -> None:
    result = made()
    result.missing["redis"] = "not installed"
    lines = list(_show.lines(result))
    assert lines[2].startswith("ratios")
    assert "10.0x  hop: p50_ns against other 1.0" in lines[3]
    assert "  peer redis: not installed" in lines
    assert any("disturbed: 1 of 3 runs, 7 switches" in line for line in lines)
    assert "      p50_ns            10 ns / 11 ns / 40 ns" in lines


@pytest.mark.parametrize(
    ("value", "figure", "text"),
    [
        (2_500_000, "per_s", "2.50 M/s"),
        (1_500, "per_s", "1,500 /s"),
        (45.31, "ns", "45.3 ns"),
        (1_234, "p50_ns", "1.23 us"),
        (250_000, "max_ns", "250 us"),
        (3e9, "max_ns", "3.00 s"),
        (12.25, "peak_mib", "12.2 MiB"),
        (0.031, "share", "3.10%"),
        (1.5, "s", "1.50 s"),
        (2.75, "cpu_s", "2.75 s"),
        (37, "descriptors_end", "37"),
        (1_002, "frames", "1,002"),
    ],
)
def test_numbers_carry_their_unit(value: float, figure: str, text: str) -> None:
    assert _show.number(value, figure) == text


def test_a_result_survives_being_kept_and_others_in_the_file_stay(tmp_path: Path) -> None:
    first, second = made(), made()
    second.bench = "another"
    first.claims.append(Claim("x", 1.0, 2.0, at_least=True))
    path = _kept.save([first], tmp_path)
    assert path.name == "acme-fast-9-2-cores.json"
    assert _kept.save([second], tmp_path) == path
    first.rows = first.rows[:2]
    _kept.save([first], tmp_path)
    assert [found.document() for found in _kept.load(path)] == [second.document(), first.document()]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "results": []}', '{"format": 1, "results": [{}]}'])
def test_what_is_no_result_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"old\.json: "):
        _kept.load(path)


def test_a_comparison_names_what_changed() -> None:
    old, new = made(), made()
    for run in new.rows[0].runs:
        run["p50_ns"] *= 2
    said = "\n".join(_show.compared([new], [old]))
    assert "hop | p50_ns: 11 ns -> 22 ns (+100%)" in said
    assert "hop | against other 1.0: 10.0x -> 5.0x" in said
    assert "not in the old results" in "\n".join(_show.compared([new], []))


def test_the_page_is_made_from_the_files_and_only_between_its_marks(tmp_path: Path) -> None:
    _kept.save([made()], tmp_path)
    text = f"before\n{_page.BEGIN}\nold\n{_page.END}\nafter\n"
    page = _page.page(text, tmp_path)
    assert page.startswith("before\n")
    assert page.endswith(f"{_page.END}\nafter\n")
    assert "old" not in page
    assert "### ACME(R) Fast 9 CPU @ 3.00GHz, 2 cores\n\n#### some\n" in page
    assert "| hop | **10.0x** other 1.0 (200 ns) | 11 ns (10 ns, 40 ns) | 25 ns | 1 of 3 |" in page
    assert _page.page(page, tmp_path) == page


def test_the_page_in_docs_is_what_its_files_make() -> None:
    text = _page.PAGE.read_text(encoding="utf-8")
    assert _page.BEGIN in text
    assert _page.page(text) == text


def test_the_readme_has_a_line_for_each_of_its_figures_measured_or_not(tmp_path: Path) -> None:
    text = f"before\n{_page.BEGIN}\nold\n{_page.END}\nafter\n"
    assert "Nothing is kept yet." in _page.readme(text, tmp_path)
    result = made()
    first = _headlines.HEADLINES[0]
    result.bench = first.bench
    for row in result.rows[:2]:
        row.what = first.what
    _kept.save([result], tmp_path)
    readme = _page.readme(text, tmp_path)
    assert readme.startswith("before\n")
    assert readme.endswith(f"{_page.END}\nafter\n")
    again = f"`.venv/bin/pr3dict bench {first.bench}`"
    assert f"| {first.asked} | **11 ns** (10 ns) | 10.0x other 1.0 | 0.5 | {again} |" in readme
    assert readme.count("| not measured |") == len(_headlines.HEADLINES) - 1
    assert _page.readme(readme, tmp_path) == readme


def test_the_readme_is_what_the_files_make() -> None:
    text = _page.README.read_text(encoding="utf-8")
    assert _page.BEGIN in text
    assert _page.readme(text) == text


def test_the_figures_of_the_readme_are_rows_of_its_benches() -> None:
    rows = {
        "path": (path.VISIBLE, path.PLAN),
        "load": (load.SUSTAINED,),
        "scan": (scan.SCAN,),
        "sessions": tuple(sessions.PER_S_MIN),
    }
    assert len(_headlines.HEADLINES) == 5
    for headline in _headlines.HEADLINES:
        assert headline.what in rows[headline.bench]


def test_a_document_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="not a result"):
        of_document({"bench": "x"})
