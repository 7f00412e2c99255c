"""The structure of a JPEG file, read from its markers without decoding a pixel (ITU-T T.81, annex B).

Every loop is bounded by the file's length or by `MOST_SEGMENTS`, and searching is left to `bytes`: a hostile file costs
no more than an honest one of its size. What is broken ends the reading and is named in `Structure.problem`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from splice_jax.errors import printable
from splice_jax.jpeg import BLOCK, ZIGZAG

MOST_SEGMENTS = 2000
"""More segments than any camera or editor writes; reading stops there."""

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_START_OF_IMAGE, _END_OF_IMAGE, _SCAN, _TABLES, _RESTART, _COMMENT = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_FRAMES = {
    0xC0: "baseline",
    0xC1: "extended sequential",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC9: "extended sequential, arithmetic coding",
    0xCA: "progressive, arithmetic coding",
}
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that ends entropy-coded data: neither a stuffed zero, nor a restart, nor a filling byte."""
_KNOWN_TAILS = (
    (0, b"\xff\xd8\xff", "another JPEG, as phones and some cameras append previews, depth maps and gain maps"),
    (4, b"ftyp", "a video, as phones append to a motion photo"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
)
Table = tuple[tuple[int, ...], ...]


class Segment(NamedTuple):
    """One marker segment before the scans."""

    marker: str
    """`APP1`, `DQT`, `SOF0`, ..."""
    size: int
    """Bytes, without the marker."""
    identifier: str = ""
    """What an application segment calls itself: `Exif`, `ICC_PROFILE`, `Photoshop 3.0`, ..."""


@dataclass
class Structure:
    """What the markers of a JPEG say."""

    process: str = ""
    """`baseline`, `progressive`, ...; empty where there is no frame."""
    width: int = 0
    height: int = 0
    precision: int = 0
    """Bits per sample."""
    components: int = 0
    subsampling: str = ""
    """`4:4:4`, `4:2:2`, `4:2:0`, `4:4:0`, `4:1:1`, grey, or the sampling factors where they have no such name."""
    tables: dict[int, Table] = field(default_factory=dict)
    """Quantization steps by table number, [vertical][horizontal] frequency."""
    scans: int = 0
    restart_interval: int = 0
    """Blocks between restart markers; 0 for none."""
    restart_markers: int = 0
    trailing_bytes: int = 0
    """After the end of the image."""
    trailing: str = ""
    """What these bytes are, as far as their beginning tells."""
    segments: list[Segment] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    problem: str = ""
    """Where and why reading ended early; empty where it did not."""

    def identifiers(self) -> list[str]:
        """What the application segments call themselves, each once, in order."""
        named = (segment.identifier for segment in self.segments if segment.identifier)
        return list(dict.fromkeys(named))


class _Broken(Exception):
    """Reading cannot go on; the message is for `Structure.problem`."""


def read_structure(encoded: bytes) -> Structure | None:
    """The structure of a JPEG; None for any other file. Never raises, however broken the file is."""
    if not encoded.startswith(b"\xff\xd8"):
        return None
    found = Structure()
    try:
        end = _read(encoded, found)
        _read_tail(encoded[end:], found)
    except _Broken as problem:
        found.problem = str(problem)
    return found


def _read(encoded: bytes, found: Structure) -> int:
    """Reads all segments; returns the position behind the end of the image."""
    position = 2
    for _ in range(MOST_SEGMENTS):
        code, start = _next_marker(encoded, position)
        if code == _END_OF_IMAGE:
            return start
        if code in _STANDALONE:
            position = start
            continue
        content, position = _content(encoded, start)
        _note(code, content, found)
        if code == _SCAN:
            position = _end_of_scan(encoded, position, found)
    raise _Broken(f"more than {MOST_SEGMENTS} segments")


def _next_marker(encoded: bytes, position: int) -> tuple[int, int]:
    """The next marker's code and the position behind it."""
    if encoded[position : position + 1] != b"\xff":
        where = "the file ends" if position >= len(encoded) else "no marker"
        raise _Broken(f"{where} at byte {position}, where a segment should begin")
    match = re.compile(rb"\xff+([^\xff])", re.DOTALL).match(encoded, position)
    if match is None:
        raise _Broken("the file ends in the middle of a marker")
    return match[1][0], match.end()


def _content(encoded: bytes, start: int) -> tuple[bytes, int]:
    """A segment's content and the position behind it."""
    size = int.from_bytes(encoded[start : start + 2], "big")
    if size < 2 or start + size > len(encoded):
        raise _Broken(f"the segment at byte {start} says it has {size} bytes, which cannot be")
    return encoded[start + 2 : start + size], start + size


def _end_of_scan(encoded: bytes, position: int, found: Structure) -> int:
    match = _AFTER_SCAN.search(encoded, position)
    end = match.start() if match else len(encoded)
    found.scans += 1
    found.restart_markers += sum(encoded.count(bytes([0xFF, code]), position, end) for code in range(0xD0, 0xD8))
    return end


def _note(code: int, content: bytes, found: Structure) -> None:
    identifier = _identifier(content) if 0xE0 <= code <= 0xEF else ""
    found.segments.append(Segment(_name(code), len(content), identifier))
    if code == _TABLES:
        for number, table in _tables(content):
            found.tables.setdefault(number, table)
    elif code in _FRAMES:
        _read_frame(_FRAMES[code], content, found)
    elif code == _RESTART and len(content) >= 2:
        found.restart_interval = int.from_bytes(content[:2], "big")
    elif code == _COMMENT:
        found.comments.append(printable(content[:400].decode("utf-8", "replace").strip("\x00 "), 200))


def _tables(content: bytes) -> Iterator[tuple[int, Table]]:
    position = 0
    while position < len(content):
        wide, number = content[position] >> 4, content[position] & 15
        width = 2 if wide else 1
        steps = content[position + 1 : position + 1 + BLOCK * BLOCK * width]
        if len(steps) < BLOCK * BLOCK * width:
            raise _Broken("a quantization table is cut short")
        values = [int.from_bytes(steps[at : at + width], "big") for at in range(0, len(steps), width)]
        square = [[0] * BLOCK for _ in range(BLOCK)]
        for (row, column), value in zip(ZIGZAG, values, strict=True):
            square[row][column] = value
        yield number, tuple(map(tuple, square))
        position += 1 + len(steps)


def _read_frame(process: str, content: bytes, found: Structure) -> None:
    if len(content) < 6 or len(content) < 6 + 3 * content[5]:
        raise _Broken("the frame header is cut short")
    found.process, found.precision, found.components = process, content[0], content[5]
    found.height, found.width = (int.from_bytes(content[at : at + 2], "big") for at in (1, 3))
    sampling = [(content[7 + 3 * each] >> 4, content[7 + 3 * each] & 15) for each in range(content[5])]
    found.subsampling = subsampling(sampling)


def subsampling(factors: list[tuple[int, int]]) -> str:
    """The usual name of (horizontal, vertical) sampling factors, one pair per component.

    >>> subsampling([(2, 2), (1, 1), (1, 1)])
    '4:2:0'
    """
    if len(factors) == 1:
        return "grey"
    first, others = factors[0] if factors else (0, 0), set(factors[1:])
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    if len(factors) == 3 and len(others) == 1:
        other = others.pop()
        if all(other) and first[0] % other[0] == 0 and first[1] % other[1] == 0:
            ratio = first[0] // other[0], first[1] // other[1]
            return names.get(ratio, f"{ratio[0]}x{ratio[1]}")
    return ", ".join(f"{horizontal}x{vertical}" for horizontal, vertical in factors)


def _read_tail(tail: bytes, found: Structure) -> None:
    found.trailing_bytes = len(tail)
    if not tail:
        return
    known = [what for at, begin, what in _KNOWN_TAILS if tail.startswith(begin, at)]
    if known:
        found.trailing = known[0]
    elif not tail.strip(b"\x00\xff"):
        found.trailing = "padding"
    else:
        found.trailing = "unknown"


def _identifier(content: bytes) -> str:
    name = content[:40].split(b"\x00", 1)[0]
    if not name or any(not 32 <= byte < 127 for byte in name):
        return ""
    return printable(name.decode("ascii"), 40).split("://")[-1]


def _name(code: int) -> str:
    if 0xE0 <= code <= 0xEF:
        return f"APP{code - 0xE0}"
    named = {0xC4: "DHT", 0xCC: "DAC", _SCAN: "SOS", _TABLES: "DQT", _RESTART: "DRI", _COMMENT: "COM"}
    if code in named:
        return named[code]
    return f"SOF{code - 0xC0}" if 0xC0 <= code <= 0xCF else f"0x{code:02X}"
