"""Decompression in verified blocks: what is whole comes out, damage is one line."""

from __future__ import annotations

import io
import itertools
import random

import pytest
import zstandard

from engine.errors import RecordingDamaged, RecordingFormat
from procs import recording_blocks
from procs.recording_blocks import read_blocks, whole_blocks


def _frames(*texts: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    return b"".join(compressor.compress(text) for text in texts)


def _noise(seed: int, size: int = 20_000) -> bytes:
    return random.Random(seed).randbytes(size)


def _read(data: bytes) -> tuple[list[bytes], str]:
    blocks: list[bytes] = []
    try:
        blocks.extend(read_blocks(io.BytesIO(data), "f"))  # keeps what came before an error
    except (RecordingDamaged, RecordingFormat) as error:
        return blocks, str(error)
    return blocks, ""


def test_each_compressed_frame_is_one_block() -> None:
    texts = [_noise(seed) for seed in range(5)]
    assert _read(_frames(*texts)) == (texts, "")


def test_empty_and_foreign_files() -> None:
    assert _read(b"") == ([], "f: empty file")
    assert _read(b"hello world") == ([], "f: not a zstd file")
    with pytest.raises(RecordingFormat):
        list(read_blocks(io.BytesIO(b"PAR1...."), "f"))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 10])
def test_a_file_that_ends_in_its_first_bytes_is_truncated(length: int) -> None:
    blocks, said = _read(_frames(_noise(1))[:length])
    assert b"".join(blocks) == b""
    assert said == "f: truncated: the file ends inside a compressed block"


def test_truncation_gives_the_readable_beginning() -> None:
    texts = [_noise(1, 300_000), _noise(2, 300_000)]
    data = _frames(*texts)
    blocks, said = _read(data[: len(data) * 3 // 4])
    got = b"".join(blocks)
    assert "truncated" in said
    assert len(got) >= 300_000
    assert b"".join(texts).startswith(got)


def test_no_altered_byte_ever_comes_out() -> None:
    texts = [_noise(seed) for seed in range(4)]
    data = _frames(*texts)
    whole = b"".join(texts)
    chance = random.Random(7)
    for _ in range(200):
        at = chance.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        blocks, said = _read(bytes(flipped))
        got = b"".join(blocks)
        assert whole.startswith(got)
        assert said or got == whole  # a flip in a frame's reserved bits may mean nothing


def _kind(block: bytes | RecordingDamaged) -> int:
    """Which of five noises it is; -1: damage."""
    return (
        -1 if isinstance(block, RecordingDamaged) else [_noise(seed, 500) for seed in range(5)].index(block)
    )


@pytest.mark.parametrize("searched", [1 << 20, 5])
def test_what_follows_damage_is_found_again(monkeypatch: pytest.MonkeyPatch, searched: int) -> None:
    monkeypatch.setattr(recording_blocks, "SEARCHED_BYTES", searched)
    parts = [_frames(_noise(seed, 500)) for seed in range(5)]
    for at in range(len(parts[2])):
        broken = [*parts[:2], parts[2][:at] + bytes([parts[2][at] ^ 4]) + parts[2][at + 1 :], *parts[3:]]
        got = list(whole_blocks(io.BytesIO(b"".join(broken)), "f"))
        kinds = [_kind(block) for block in got]
        # the last: the flag that there is a checksum, which is then what cannot be read
        assert kinds in ([0, 1, -1, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, -1, 3, 4])
        assert (kinds != [0, 1, -1, 3, 4]) == (at == 4)
    cut = list(whole_blocks(io.BytesIO(parts[0] + parts[1][4:]), "f"))
    assert [type(block) for block in cut] == [bytes, RecordingDamaged]


def test_damage_that_looks_like_the_end_of_the_file_is_told_from_it() -> None:
    """A bit that makes a block longer than it is: the decoder then wants more than there is."""
    parts = [_frames(_noise(0, 500)), _frames(_noise(1, 10_000).hex().encode()), _frames(_noise(2, 500))]
    longer = 0
    for at, bit in itertools.product(range(4, 14), range(8)):  # headers of frame and block
        broken = parts[1][:at] + bytes([parts[1][at] ^ 1 << bit]) + parts[1][at + 1 :]
        got = list(whole_blocks(io.BytesIO(parts[0] + broken + parts[2]), "f"))
        assert (got[0], got[-1]) == (_noise(0, 500), _noise(2, 500)), (at, bit)
        longer += any("without an end" in str(block) for block in got)
    assert longer > 0
    blocks, said = _read(parts[0] + parts[1][:300] + parts[2][:100])
    assert (blocks[0], "truncated" in said) == (_noise(0, 500), True), "no whole one follows"


def test_a_huge_frame_is_handed_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_blocks, "HELD_BYTES_MAX", 50_000)
    text = _noise(3, 400_000)
    blocks, said = _read(_frames(text))
    assert said == ""
    assert b"".join(blocks) == text
    assert len(blocks) > 3
    assert max(map(len, blocks)) < 400_000


def test_what_one_read_can_expand_to_is_bounded() -> None:
    data = _frames(bytes(64 << 20))
    sizes = [len(block) for block in read_blocks(io.BytesIO(data), "f")]
    assert sum(sizes) == 64 << 20
