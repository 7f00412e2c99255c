"""Mutants of valid files: bytes changed, cut, doubled and mixed, with checksums made right where a format has them."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from benchmarks.fuzzing import grammar
from splice_jax.images import encode_png

_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (0, 1, 2**15 - 1, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_STRANGERS = (
    b"", bytes(64), b"words", b"{}", b"[]", b"\xff\xfea\0", b"8BPS\0\1", b"P6 1 1 255 \0\0\0", b"%PDF-1.7\n",
    b"\x1f\x8b\x08", b"<svg/>", b"<!doctype html>", b"\0\0\0\x18ftypmp42", b"\0\0\0\x0cJXL \r\n", b"PK\5\6" + bytes(18),
    b"II*\0\x08\0\0\0",
    encode_png(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)),
)  # fmt: skip
"""Whole files of other kinds."""
_NEAR_THE_START = 0.5
"""Share of the changes that fall among the first bytes, where headers are."""
_OF_A_PART = 0.6
"""Share of the mutants that are made by the format, see `grammar`."""


def mutant(seed: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A file with one to four things changed.

    Args:
        seed: a valid file.
        others: valid files of the same reader, which pieces are taken from.
        rng: decides what changes; the same numbers give the same mutant.
    """
    if rng.random() < _OF_A_PART and (changed := _of_a_part(seed, others, rng)):
        return changed
    found = bytearray(seed)
    for _ in range(1 + int(rng.integers(4))):
        if found:
            _CHANGES[rng.integers(len(_CHANGES))](found, others, rng)
    return _with_checksums(bytes(found)) if rng.random() < 0.7 else bytes(found)


def _of_a_part(seed: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A file of which one part is changed, as its format has it; nothing where no format is known."""
    if seed.startswith(b"PK\3\4"):
        return grammar.of_archive(seed, rng, lambda member, rng: mutant(member, others, rng))
    if seed.startswith(b"\xff\xd8"):
        return grammar.of_jpeg(seed, rng)
    if seed.startswith(b"\x89PNG"):
        return grammar.of_png(seed, rng)
    if seed.startswith((b"II*\0", b"MM\0*")):
        return grammar.of_tiff(seed, rng)
    if seed[4:8] == b"ftyp":
        return grammar.of_boxes(seed, rng)
    if seed.startswith(b"{"):
        return grammar.of_json(seed, rng)
    if b"\0" in seed or b"\n" not in seed:
        return b""
    head = seed.partition(b"\n")[0]
    return grammar.of_table(seed, rng) if b"," in head or b"|" in head else grammar.of_lines(seed, rng)


def _place(content: bytes | bytearray, rng: np.random.Generator) -> int:
    end = min(len(content), 200) if rng.random() < _NEAR_THE_START else len(content)
    return int(rng.integers(max(1, end)))


def _bit(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    content[_place(content, rng)] ^= 1 << int(rng.integers(8))


def _byte(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    content[_place(content, rng)] = _BYTES[rng.integers(len(_BYTES))]


def _number(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    place, value = _place(content, rng), _NUMBERS[rng.integers(len(_NUMBERS))]
    layout = str(rng.choice(["<H", ">H", "<I", ">I"]))
    packed = struct.pack(layout, value & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF))
    content[place : place + len(packed)] = packed


def _noise(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    place, length = _place(content, rng), int(rng.integers(1, 65))
    content[place : place + length] = rng.integers(0, 256, length, np.uint8).tobytes()


def _cut(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def _less(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    place = _place(content, rng)
    del content[place : place + int(rng.integers(1, 65))]


def _twice(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    place, length = _place(content, rng), int(rng.integers(1, 257))
    content[place:place] = content[place : place + length] * int(rng.integers(1, 5))


def _mixed(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    other = others[int(rng.integers(len(others)))]
    start, place, length = _place(other, rng), _place(content, rng), int(rng.integers(1, 257))
    content[place : place + length] = other[start : start + length]


def _word(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    place = _place(content, rng)
    content[place : place + int(rng.integers(5))] = grammar.WORDS[rng.integers(len(grammar.WORDS))]


def _stranger(content: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    content[:] = _STRANGERS[rng.integers(len(_STRANGERS))]


_CHANGES = (_stranger, _bit, _byte, _number, _noise, _cut, _less, _twice, _mixed, _word)


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them now; any other file as it is."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    fixed, start = bytearray(content), 8
    while start + 12 <= len(fixed):
        end = start + 8 + int.from_bytes(fixed[start : start + 4])
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[start + 4 : end]).to_bytes(4)
        start = end + 4
    return bytes(fixed)
