"""Other recorders' files as lines, rows and objects: one pass, bounded memory, damage said in one line.

Everything here yields what is whole and then raises RecordingDamaged with the file and the line; how many
frames that made is said by ``procs.importers.source``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from engine.errors import RecordingDamaged
from procs.recording import LINE_BYTES_MAX
from procs.recording_blocks import MAGIC, read_blocks

SAMPLE_BYTES: Final = 64 << 10
ARRAY_BYTES_MAX: Final = 256 << 20  # a file that is one JSON array is held whole
PLAIN_READ_BYTES: Final = 1 << 20

JsonObject = dict[str, object]


def first_text(path: Path) -> bytes:
    """The first SAMPLE_BYTES of the file's text, decompressed when it is zstd; less when it is damaged."""
    text = b""
    with path.open("rb") as file:
        try:
            for block in _blocks(file, path):
                text += block
                if len(text) >= SAMPLE_BYTES:
                    break
        except RecordingDamaged:
            pass  # said when the file is read
    return text[:SAMPLE_BYTES]


def _blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    head = file.read(len(MAGIC))
    file.seek(0)
    if head == MAGIC:
        yield from read_blocks(file, str(path))
        return
    while block := file.read(PLAIN_READ_BYTES):
        yield block


def text_lines(path: Path) -> Iterator[bytes]:
    """Lines without their line ends. A last line without one counts as a line."""
    rest = b""
    count = 0
    with path.open("rb") as file:
        try:
            for block in _blocks(file, path):
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                count += len(lines)
                yield from lines
                if len(rest) > LINE_BYTES_MAX:
                    raise RecordingDamaged(f"{path}: a line of more than {LINE_BYTES_MAX} bytes")
        except RecordingDamaged as error:
            what = str(error).removeprefix(f"{path}: ")
            raise RecordingDamaged(f"{path} line {count + 1}: {what}") from error
    if rest:
        yield rest


def json_lines(path: Path) -> Iterator[tuple[int, JsonObject]]:
    """One JSON object a line, with the number of the line; blank lines are skipped."""
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RecordingDamaged(f"{path} line {number}: not JSON ({error})") from error
        if not isinstance(tree, dict):
            raise RecordingDamaged(f"{path} line {number}: not an object")
        yield number, tree


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows under the names of the first line. Quoted fields may not span lines."""
    names: list[str] = []
    for number, line in enumerate(text_lines(path), start=1):
        try:
            fields = next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordingDamaged(f"{path} line {number}: not CSV ({error})") from error
        if not names:
            names = fields
        elif fields:
            if len(fields) != len(names):
                raise RecordingDamaged(f"{path} line {number}: {len(fields)} fields, expected {len(names)}")
            yield dict(zip(names, fields, strict=True))


def json_array(path: Path) -> Iterator[JsonObject]:
    """Objects of a file that is one JSON array, one by one, so that a broken end costs only itself."""
    damage: RecordingDamaged | None = None
    parts: list[bytes] = []
    held = 0
    with path.open("rb") as file:
        try:
            for block in _blocks(file, path):
                parts.append(block)
                held += len(block)
                if held > ARRAY_BYTES_MAX:
                    raise RecordingDamaged(f"{path}: an array of more than {ARRAY_BYTES_MAX} bytes")
        except RecordingDamaged as error:
            damage = error
    text = b"".join(parts).decode(errors="replace")
    yield from _array_items(text, path, damage)


def _array_items(text: str, path: Path, damage: RecordingDamaged | None) -> Iterator[JsonObject]:
    decoder = json.JSONDecoder()
    at = text.find("[") + 1
    count = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if text[at : at + 1] == "]" and damage is None:
            return
        try:
            item, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            what = error.msg if damage is None else str(damage).removeprefix(f"{path}: ")
            raise RecordingDamaged(f"{path} object {count + 1}: {what}") from error
        if not isinstance(item, dict):
            raise RecordingDamaged(f"{path} object {count + 1}: not an object")
        count += 1
        yield item
