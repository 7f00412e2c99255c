"""Mutants that know a format: one part of it is changed, and what counts or measures the parts stays right."""

import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Mutate = Callable[[bytes, np.random.Generator], bytes]

WORDS = (
    b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"null", b"[]", b"{}", b'""', b"true", b"[" * 3000,
    b"../../etc/passwd", b"\xff\xfe", b"\0", b"\n", b'"', b",", b"x" * 200_000, b"x" * 2_000_000,
)  # fmt: skip
"""What parsers of text trip over."""
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "", "x", "../x", "\ud800", [], {}, [[1]],
    {"a.b": 1}, ["x", 2],
)  # fmt: skip
_NAMES = ("", "a.b", "x", "../x", "seed", "method", "__class__", "rows")
"""What parsers of JSON trip over: values and names of fields."""
_TAGS = (254, 255, 256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 317, 322, 325, 330, 338, 339, 530, 50706)
_TAG_VALUES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 32, 255, 32773, 32803, 32844, 50000, 2**31)
_LIKELY = {
    254: (0, 1, 4), 258: (1, 2, 4, 8, 12, 16, 32), 259: (1, 2, 3, 5, 7, 8, 32773, 34712, 34887, 50000),
    262: (0, 1, 2, 3, 5, 6, 8, 32803, 32844),
    277: (1, 2, 3, 4, 5), 278: (0, 1, 7), 284: (1, 2), 317: (1, 2, 3), 338: (0, 1, 2), 339: (1, 2, 3, 4, 5),
}  # fmt: skip
"""Values of tags of TIFFs; `_TAG_VALUES` for the others."""
_FRAMES, _MARKERS = (*range(0xC0, 0xD0),), (0x01, 0xC4, 0xDB, 0xDD, 0xE1, 0xFE, 0xD3)


def of_archive(archive: bytes, rng: np.random.Generator, mutate: Mutate) -> bytes:
    """A ZIP archive of which one member is a mutant, or has a strange name; checksums are right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(file, "w") as after:
        contents = {name: before.read(name) for name in before.namelist()}
        chosen = [*contents][rng.integers(len(contents))]
        if rng.random() < 0.2:
            contents["../" * int(rng.integers(3)) + chosen[: 1 + int(rng.integers(len(chosen)))]] = contents.pop(chosen)
        else:
            contents[chosen] = mutate(contents[chosen], rng)
        for name, content in contents.items():
            after.writestr(name, content)
    return file.getvalue()


def of_json(text: bytes, rng: np.random.Generator) -> bytes:
    """JSON in which one value is of another kind, or a field is left out, renamed or added; or lines of JSON."""
    return of_lines(text, rng) if b"}\n{" in text else _of_object(text, rng)


def _of_object(text: bytes, rng: np.random.Generator) -> bytes:
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


def of_lines(text: bytes, rng: np.random.Generator) -> bytes:
    """Lines, one of which is changed, comes twice, or is left out."""
    lines = text.split(b"\n")
    place, change = int(rng.integers(len(lines))), rng.integers(6)
    if change == 0:
        lines.insert(int(rng.integers(len(lines))), lines[place])
    elif change == 1:
        del lines[place]
    elif lines[place].startswith(b"{"):
        lines[place] = _of_object(lines[place], rng)
    else:
        name, _, value = lines[place].partition(b"=")
        word = WORDS[rng.integers(len(WORDS))]
        lines[place] = (name, name + b"=" + word, word + b"=" + value, name + b" " + value)[rng.integers(4)]
    return b"\n".join(lines)


def of_table(table: bytes, rng: np.random.Generator) -> bytes:
    """A table of which one cell is changed, is another's, is left out or comes twice, or a whole line is or does."""
    between = b"|" if b"|" in table.partition(b"\n")[0] else b","
    lines = [line.split(between) for line in table.split(b"\n")]
    row = int(rng.integers(len(lines))) if rng.random() < 0.8 else 0
    column, change = int(rng.integers(len(lines[row]))), rng.integers(6)
    if change == 0:
        lines.insert(row, lines[row])
    elif change == 1:
        del lines[row]
    elif change == 2:
        lines[row].insert(column, lines[row][column])
    elif change == 3:
        del lines[row][column]
    elif change == 4:
        lines[row][column] = lines[rng.integers(len(lines))][0]
    else:
        lines[row][column] = WORDS[rng.integers(len(WORDS))]
    return b"\n".join(between.join(line) for line in lines)


def of_jpeg(jpeg: bytes, rng: np.random.Generator) -> bytes:
    """A JPEG of which one segment is changed, renamed, cut, left out or repeated, or that lacks its end marker."""
    parts = _segments(jpeg)
    place, change = int(rng.integers(1, len(parts))), rng.integers(8)
    code, content = parts[place]
    if change == 0:
        del parts[place]
    elif change == 1:
        parts[place:place] = [parts[place]] * int(rng.choice([1, 1, 1, 5, 5, 120, 120, 2100]))
    elif change == 2:
        frame = next((at for at, part in enumerate(parts) if part[0] in _FRAMES and part[0] != 0xC4), place)
        parts[frame] = (int(rng.choice(_FRAMES)), parts[frame][1])
    elif change == 3:
        parts.insert(place, (int(rng.choice(_MARKERS)), rng.bytes(int(rng.integers(3)))))
    elif change == 4:
        del parts[-1]
        parts[-1] = (parts[-1][0], parts[-1][1][: len(parts[-1][1]) - int(rng.integers(12))])
    elif change == 5:
        parts.append((-1, (b"\xff\xd8\xff", b"\0\0\0\x18ftypmp42", b"PK\3\4", bytes(9), b"words")[rng.integers(5)]))
    elif content:
        changed = bytearray(content)
        changed[rng.integers(min(len(changed), 24))] = int(rng.integers(256) if change == 6 else rng.integers(5))
        parts[place] = (code, bytes(changed[: None if rng.random() < 0.7 else rng.integers(len(changed))]))
    return b"".join(_segment(*part) for part in parts)


def _segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Codes and contents of a whole JPEG's segments; the data of a scan are a part of their own, of code -1."""
    found, place = [(0xD8, b"")], 2
    while place < len(jpeg):
        if jpeg[place] != 0xFF or jpeg[place + 1 : place + 2] in (b"", b"\0", *(bytes([0xD0 + at]) for at in range(8))):
            end = place
            while (end := jpeg.find(b"\xff", end + 1)) >= 0 and jpeg[end + 1 : end + 2] <= b"\0":
                pass
            end = end if end >= 0 else len(jpeg)
            found.append((-1, jpeg[place:end]))
            place = end
        elif jpeg[place + 1] == 0xD9:
            found.append((0xD9, b""))
            place += 2
        else:
            size = int.from_bytes(jpeg[place + 2 : place + 4])
            found.append((jpeg[place + 1], jpeg[place + 4 : place + 2 + size]))
            place += 2 + max(2, size)
    return found


def _segment(code: int, content: bytes) -> bytes:
    if code == -1:
        return content
    alone = code in (0xD8, 0xD9, 0x01) or 0xD0 <= code <= 0xD7
    return bytes([0xFF, code]) + (b"" if alone else min(len(content) + 2, 0xFFFF).to_bytes(2)) + content


def of_tiff(tiff: bytes, rng: np.random.Generator) -> bytes:
    """A TIFF of which one tag of the first directory has another number, type or value."""
    order, changed = "<" if tiff[:1] == b"I" else ">", bytearray(tiff)
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (number,) = struct.unpack_from(order + "H", tiff, start)
    place, change = start + 2 + 12 * int(rng.integers(number)), rng.integers(5)
    if change == 0:
        struct.pack_into(order + "H", changed, place, int(rng.choice(_TAGS)))
    elif change == 1:
        struct.pack_into(order + "H", changed, place + 2, int(rng.integers(1, 19)))
    else:
        kind = struct.unpack_from(order + "H", tiff, place + 2)[0]
        tag = struct.unpack_from(order + "H", tiff, place)[0]
        value = int(rng.choice(_LIKELY.get(tag, _TAG_VALUES)))
        struct.pack_into(order + ("H" if kind == 3 else "I"), changed, place + 8, value & (0xFFFF if kind == 3 else -1))
    return bytes(changed)


def of_png(png: bytes, rng: np.random.Generator) -> bytes:
    """A PNG of which one chunk, or what is compressed in it, is changed, left out, cut or repeated."""
    parts, place = [], 8
    while place + 12 <= len(png):
        size = int.from_bytes(png[place : place + 4])
        parts.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + size]))
        place += 12 + size
    chosen, change = int(rng.integers(len(parts))), rng.integers(6)
    name, content = parts[chosen]
    if change == 0:
        del parts[chosen]
    elif change == 1:
        parts.insert(int(rng.integers(len(parts))), parts[chosen])
    elif name == b"IDAT":
        with contextlib.suppress(zlib.error):
            raw = bytearray(zlib.decompress(content)[: None if change > 2 else rng.integers(1, 9999)])
            raw[:] = raw.translate(bytes(byte & int(rng.choice([0, 1, 0x0F, 0x7F, 0xFF])) for byte in range(256)))
            raw[rng.integers(len(raw))] = int(rng.integers(256))
            parts[chosen] = (name, zlib.compress(bytes(raw), 1))
    elif content:
        changed = bytearray(content)
        changed[rng.integers(min(len(changed), 24))] = int(rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]))
        parts[chosen] = (name, bytes(changed[: None if change > 2 else rng.integers(len(changed))]))
    return png[:8] + b"".join(
        len(each).to_bytes(4) + name + each + zlib.crc32(name + each).to_bytes(4) for name, each in parts
    )


def of_boxes(media: bytes, rng: np.random.Generator) -> bytes:
    """An ISO media file, such as AVIF, of which one outermost box has another size."""
    places, place, changed = [], 0, bytearray(media)
    while place + 8 <= len(media):
        places.append(place)
        place += max(8, int.from_bytes(media[place : place + 4]))
    chosen = places[rng.integers(len(places))]
    changed[chosen : chosen + 4] = int(rng.choice([0, 1, 7, 9, 2**31])).to_bytes(4)
    return bytes(changed)
