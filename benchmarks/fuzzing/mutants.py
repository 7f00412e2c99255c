"""Mutants of valid files: bytes changed, cut, doubled and mixed, with checksums made right where a format has them."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (0, 1, 2**15 - 1, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_WORDS = (
    b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"null", b"[]", b"{}", b'""', b"true", b"[" * 3000,
    b"../../etc/passwd", b"\xff\xfe", b"\0", b"\n", b'"', b",", b"x" * 200_000,
)  # fmt: skip
"""What parsers of text trip over."""
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "", "x", "../x", "\ud800", [], {}, [[1]],
    {"a.b": 1}, ["x", 2],
)  # fmt: skip
_NAMES = ("", "a.b", "x", "../x", "seed", "method", "__class__", "rows")
"""What parsers of JSON trip over: values and names of fields."""
_NEAR_THE_START = 0.5
"""Share of the changes that fall among the first bytes, where headers are."""


def mutant(seed: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A file with one to four things changed.

    Args:
        seed: a valid file.
        others: valid files of the same reader, which pieces are taken from.
        rng: decides what changes; the same numbers give the same mutant.
    """
    if seed.startswith(b"PK\3\4") and rng.random() < 0.6:
        return _with_a_member_changed(seed, rng)
    if seed.startswith(b"{") and rng.random() < 0.6:
        return _with_a_value_changed(seed, rng)
    found = bytearray(seed)
    for _ in range(1 + int(rng.integers(4))):
        if found:
            _CHANGES[rng.integers(len(_CHANGES))](found, others, rng)
    return _with_checksums(bytes(found)) if rng.random() < 0.7 else bytes(found)


def _with_a_member_changed(archive: bytes, rng: np.random.Generator) -> bytes:
    """A ZIP archive of which one member is a mutant, or has a strange name; checksums are right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(file, "w") as after:
        contents = {name: before.read(name) for name in before.namelist()}
        chosen = [*contents][rng.integers(len(contents))]
        if rng.random() < 0.2:
            contents["../" * int(rng.integers(3)) + chosen[: 1 + int(rng.integers(len(chosen)))]] = contents.pop(chosen)
        else:
            contents[chosen] = mutant(contents[chosen], [*contents.values()], rng)
        for name, content in contents.items():
            after.writestr(name, content)
    return file.getvalue()


def _with_a_value_changed(text: bytes, rng: np.random.Generator) -> bytes:
    """JSON in which one value is of another kind, or a field is left out, renamed or added."""
    content = json.loads(text)
    section = content
    while True:
        keys = [*section] if isinstance(section, dict) else [*range(len(section))]
        key = keys[rng.integers(len(keys))]
        if not (isinstance(section[key], dict | list) and section[key] and rng.random() < 0.7):
            break
        section = section[key]
    value, change = _VALUES[rng.integers(len(_VALUES))], rng.integers(4)
    if change == 0 or isinstance(section, list):
        section[key] = value
    elif change == 1:
        section[str(rng.choice(_NAMES))] = section.pop(key)
    elif change == 2:
        del section[key]
    else:
        section[str(rng.choice(_NAMES))] = value
    return json.dumps(content).encode()


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
    content[place : place + int(rng.integers(5))] = _WORDS[rng.integers(len(_WORDS))]


_CHANGES = (_bit, _byte, _number, _noise, _cut, _less, _twice, _mixed, _word)


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
