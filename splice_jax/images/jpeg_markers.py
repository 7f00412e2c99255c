"""The marker segments of a JPEG: what kind it is, and whether it is whole.

libjpeg fills in what is missing at the end of a file without an error, so that is looked at here.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from splice_jax.errors import UserError

MOST_SCANS = 100
"""More scans than any encoder writes take hours to decode."""

END = b"\xff\xd9"
_PADDED = 1024
PADDINGS = (
    b"",
    *(byte * _PADDED for byte in (b"\0", b"\x55", b"\xaa", b"\xfe")),
    *(bytes((7 * place * place + step * place) % 251 for place in range(1, _PADDED + 1)) for step in (3, 29, 101)),
)
"""What a decoder may find after the data: if it makes no difference, none was missing.

More than the blocks beyond the picture's edge can use up, which nobody sees.
"""

_UNLIKE_ZEROS = b"\xaa"
"""Its first bit differs from those that libjpeg fills in."""

_SCAN, _TABLES, _RESTARTS = 0xDA, 0xDB, 0xDD
_JPEG_LS, _LOSSLESS, _HIERARCHICAL, _ARITHMETIC = 0xF7, {0xC3, 0xCB}, {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}, {0xC9, 0xCA}
_FRAMES = {0xC0, 0xC1, 0xC2} | _LOSSLESS | _HIERARCHICAL | _ARITHMETIC
_PROGRESSIVE = 0xC2
_RESTART_MARKER = re.compile(rb"\xff[\xd0-\xd7]")
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\x01\xd0-\xd7\xff]")


class Segment(NamedTuple):
    """A marker segment: its code, what follows its length field, and the offset of what comes after it."""

    code: int
    content: bytes
    end: int


def segments(encoded: bytes) -> Iterator[Segment]:
    """The marker segments of a JPEG up to the end of the image; of a cut file, those that are whole."""
    match = _NEXT_MARKER.search(encoded, 2)
    while match:
        code, after = encoded[match.end() - 1], match.end()
        if code == END[1]:
            yield Segment(code, b"", after)
            return
        if len(encoded) < after + 2:
            return
        (length,) = struct.unpack_from(">H", encoded, after)
        if length < 2 or len(encoded) < after + length:
            return
        yield Segment(code, encoded[after + 2 : after + length], after + length)
        match = _NEXT_MARKER.search(encoded, after + length)


def refuse_unreadable(encoded: bytes, title: str) -> None:
    """Refuses JPEGs that libjpeg does not decode to 8 bits, by name, and those made of very many scans.

    Raises:
      UserError: 12 bits, lossless, hierarchical, arithmetic coding, 2 or more than 4 channels, over 100 scans.
    """
    scans = 0
    for segment in segments(encoded):
        if segment.code == _JPEG_LS:
            raise UserError(f"{title}: a JPEG-LS file, which is not read; save it as PNG or 8-bit TIFF")
        if segment.code in _FRAMES:
            _refuse_frame(segment, title)
        scans += segment.code == _SCAN
        if scans > MOST_SCANS:
            raise UserError(f"{title}: a JPEG of over {MOST_SCANS} scans, made to keep decoders busy; leave it out")


def _refuse_frame(frame: Segment, title: str) -> None:
    if len(frame.content) < 6:
        return
    bits, channels = frame.content[0], frame.content[5]
    if frame.content[1:3] == b"\0\0":
        raise UserError(f"{title}: a JPEG that says its height behind its data, which is not read; save it as PNG")
    reason = (
        "lossless" if frame.code in _LOSSLESS
        else "hierarchical" if frame.code in _HIERARCHICAL
        else "arithmetic-coded" if frame.code in _ARITHMETIC
        else f"{bits}-bit" if bits != 8
        else f"{channels}-channel" if channels not in (1, 3, 4)
        else ""
    )  # fmt: skip
    if reason:
        article = "an" if reason[0] in "a8" else "a"
        raise UserError(f"{title}: {article} {reason} JPEG, which is not read; save it as PNG or 8-bit TIFF")


def lacks_only_its_end(encoded: bytes) -> bool:
    """Whether a JPEG without its end marker has all its scans, and all restart markers in the last of them.

    Whether data are missing after that only decoding tells; see `trials`.
    """
    missing: dict[int, int] = {}  # Per component, a bit for each coefficient that is not final yet.
    last, progressive = Segment(0, b"", 2), False
    for last in segments(encoded):
        if last.code in _FRAMES and len(last.content) >= 6:
            missing, progressive = dict.fromkeys(last.content[6::3], 2**64 - 1), last.code == _PROGRESSIVE
        elif last.code == _SCAN and missing:
            _take_away(missing, last.content, progressive)
    whole = last.code == _SCAN and bool(missing) and not any(missing.values())
    return whole and not _NEXT_MARKER.search(encoded, last.end) and has_its_restarts(encoded)


def has_its_restarts(encoded: bytes) -> bool:
    """Whether the last scan has a restart marker between any two intervals; one more, at its end, hides nothing."""
    frame = scan = Segment(0, b"", 2)
    interval = 0
    for segment in segments(encoded):
        if segment.code in _FRAMES and len(segment.content) >= 6:
            frame = segment
        elif segment.code == _RESTARTS and len(segment.content) == 2:
            (interval,) = struct.unpack(">H", segment.content)
        elif segment.code == _SCAN:
            scan = segment
    if not interval or not frame.content or not scan.content:
        return True
    restarts = len(_RESTART_MARKER.findall(encoded, scan.end, _end_of_data(encoded, scan)))
    return restarts >= -(-_units(frame.content, scan.content) // interval) - 1


def _end_of_data(encoded: bytes, scan: Segment) -> int:
    following = _NEXT_MARKER.search(encoded, scan.end)
    return following.start() if following else len(encoded)


def trials(encoded: bytes) -> Iterator[list[bytes]]:
    """Groups of files that all decode to the same picture, if nothing but the end marker is missing.

    In the second group, the quantisation tables are such that a coefficient that differs is seen even where the
    picture is saturated.
    """
    for tables in (encoded, _with_tables_of(8, encoded)):
        yield [with_end(tables, padding) for padding in PADDINGS]


def _with_tables_of(step: int, encoded: bytes) -> bytes:
    changed = bytearray(encoded)
    for code, content, end in segments(encoded):
        place = end - len(content)
        while code == _TABLES and place < end:
            size = 2 if encoded[place] >> 4 else 1
            changed[place + 1 : place + 1 + 64 * size] = step.to_bytes(size) * 64
            place += 1 + 64 * size
    return bytes(changed[: len(encoded)])


def _units(frame: bytes, scan: bytes) -> int:
    """How many minimum coded units a scan has: blocks of one component, or groups of blocks of several."""
    height, width = struct.unpack_from(">HH", frame, 1)
    factors = {frame[at]: divmod(frame[at + 1], 16) for at in range(6, len(frame) - 1, 3)}
    widest, highest = (max(pair[axis] for pair in factors.values()) for axis in (0, 1))
    across, down = 8 * widest, 8 * highest
    if scan[0] == 1:
        wide, high = factors.get(scan[1], (1, 1))
        width, height, across, down = -(-width * wide // widest), -(-height * high // highest), 8, 8
    return -(-width // across) * -(-height // down)


def has_end(encoded: bytes) -> bool:
    """Whether a JPEG has its end marker."""
    return any(segment.code == END[1] for segment in segments(encoded))


def padded(encoded: bytes) -> bytes:
    """A JPEG that has its end marker, with other data before it: the same picture, if none of its own were missing."""
    end = next(segment.end for segment in segments(encoded) if segment.code == END[1]) - len(END)
    return encoded[:end] + _UNLIKE_ZEROS * _PADDED + encoded[end:]


def with_end(encoded: bytes, padding: bytes = b"") -> bytes:
    """A file as it is, but a JPEG that lacks its end marker, or half of it, with one; before it, `padding`."""
    if not encoded.startswith(b"\xff\xd8") or has_end(encoded):
        return encoded
    return (encoded[:-1] if encoded.endswith(b"\xff") else encoded) + padding + END


def _take_away(missing: dict[int, int], scan: bytes, progressive: bool) -> None:
    """Notes which coefficients a scan completes: all of a sequential one; of a progressive one, those down to bit 0."""
    number = scan[0] if scan else 0
    if len(scan) != 4 + 2 * number:
        return
    first, last, approximation = scan[-3:]
    if progressive and approximation & 15:
        return
    done = (2 ** (last + 1) - 2**first) if progressive else 2**64 - 1
    for component in scan[1 : 1 + 2 * number : 2]:
        if component in missing:
            missing[component] &= ~done
