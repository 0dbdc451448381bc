"""Foreign files as lines and rows: what is whole, then one line about the damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import RecordingDamaged
from procs.importers import reading
from procs.importers.times import ms_ns, seconds_ns, utc_ns, whole_seconds_ns
from tests.data import foreign

Reader = Callable[[Path], Iterator[object]]


def _read(reader: Reader, path: Path) -> tuple[list[object], str]:
    rows: list[object] = []
    try:
        rows.extend(reader(path))
    except RecordingDamaged as error:
        return rows, str(error).removeprefix(str(path))
    return rows, ""


def test_lines_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PLAIN_READ_BYTES", 3)
    path = tmp_path / "x"
    path.write_bytes(b"one\ntwo\n\nfour")
    assert _read(reading.text_lines, path) == ([b"one", b"two", b"", b"four"], "")


def test_a_line_without_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 10)
    path = tmp_path / "x"
    path.write_bytes(b"one\n" + b"x" * 20)
    assert "line 2: a line of more than 10 bytes" in _read(reading.text_lines, path)[1]


def test_truncated_text_names_the_line(tmp_path: Path) -> None:
    lines = [b"%d" % (at * 7919) for at in range(100_000)]
    path = foreign.write_text(tmp_path / "x", b"\n".join(lines))
    path.write_bytes(path.read_bytes()[:-5000])
    got, said = _read(reading.text_lines, path)
    assert 0 < len(got) < len(lines)
    assert got == lines[: len(got)]
    assert f"line {len(got) + 1}: truncated" in said


@pytest.mark.parametrize(
    ("text", "whole", "said"),
    [
        (b'{"a":1}\n\n{"a":2}\n', 2, ""),
        (b'{"a":1}\n{"a":\n', 1, "line 2: not JSON"),
        (b'{"a":1}\n[1]\n', 1, "line 2: not an object"),
    ],
)
def test_json_lines(tmp_path: Path, text: bytes, whole: int, said: str) -> None:
    rows, message = _read(reading.json_lines, foreign.write_text(tmp_path / "x", text))
    assert len(rows) == whole
    assert said in message


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        (b'a,b\n1,"x,""y"""\r\n', [{"a": "1", "b": 'x,"y"'}], ""),
        (b"a,b\n1,2\n\n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], ""),
        (b"a,b\n1,2\n3\n", [{"a": "1", "b": "2"}], "line 3: 1 fields, expected 2"),
        (b'a,b\n1,"2\n', [], "line 2: not CSV"),
        (b"a,b\n1,\xff\n", [], "line 2: not CSV"),
    ],
)
def test_csv(tmp_path: Path, text: bytes, rows: list[object], said: str) -> None:
    got, message = _read(reading.csv_rows, foreign.write_text(tmp_path / "x", text))
    assert got == rows
    assert said in message


@pytest.mark.parametrize(
    ("text", "whole", "said"),
    [
        (b' [ {"a":1} , {"a":2} ] ', 2, ""),
        (b"[]", 0, ""),
        (b'[{"a":1},{"a"', 1, "object 2"),
        (b'[{"a":1},7]', 1, "object 2: not an object"),
        (b'[{"a":1}', 1, "object 2"),
    ],
)
def test_json_arrays(tmp_path: Path, text: bytes, whole: int, said: str) -> None:
    rows, message = _read(reading.json_array, foreign.write_text(tmp_path / "x", text))
    assert len(rows) == whole
    assert said in message


def test_truncated_array(tmp_path: Path) -> None:
    text = b"[" + b",".join(b'{"n":%d}' % (at * 7919) for at in range(50_000)) + b"]"
    path = foreign.write_text(tmp_path / "x", text)
    path.write_bytes(path.read_bytes()[:-100])
    rows, message = _read(reading.json_array, path)
    assert rows[:2] == [{"n": 0}, {"n": 7919}]
    assert "truncated" in message


def test_an_array_without_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ARRAY_BYTES_MAX", 3)
    assert (
        "more than 3 bytes" in _read(reading.json_array, foreign.write_text(tmp_path / "x", b'[{"a":1}]'))[1]
    )


def test_times() -> None:
    assert utc_ns("2026-08-03T20:47:29.428490+00:00", "p") == 1785790049428490000
    assert utc_ns("2025-01-25 18:15:47.925 +0100", "p") == 1737825347925000000
    assert utc_ns("2025-01-25 12:15:47.925 -0500", "p") == 1737825347925000000
    assert ms_ns("1765450848312", "p") == 1765450848312000000
    assert seconds_ns("1775028136.217", "p") == 1775028136217000000
    assert whole_seconds_ns("1775028600") == 1775028600 * 10**9
    assert whole_seconds_ns("soon") == 0


@pytest.mark.parametrize(
    ("reader", "text"),
    [(utc_ns, "2026-08-03T20:47:29"), (utc_ns, "soon"), (ms_ns, "1.5"), (seconds_ns, "1e3")],
)
def test_bad_times_name_their_place(reader: Callable[[str, str], int], text: str) -> None:
    with pytest.raises(RecordingDamaged, match=r"^file line 3: not a time"):
        reader(text, "file line 3")
