"""Whether a PNG is whole: Pillow does not compare the checksums of its pixels."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from splice_jax.errors import UserError

_SIGNATURE_BYTES = 8
_END = b"IEND"
_INDEXED = b"\3"
"""The colour type of palettes."""
_CHANNELS = {2: 3, 4: 2, 6: 4}
"""By colour type; 1 for the others."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of the passes of an interlaced picture."""
_PIECE = 2**20


class Chunk(NamedTuple):
    """A chunk: its name, all its bytes, and whether its checksum is right; the last one may be cut."""

    name: bytes
    whole: memoryview
    intact: bool


def chunks(encoded: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG up to its end."""
    view, start = memoryview(encoded), _SIGNATURE_BYTES
    while start + 8 <= len(view):
        length, name = struct.unpack_from(">I4s", view, start)
        content, check = view[start + 8 : start + 8 + length], view[start + 8 + length : start + 12 + length]
        expected = zlib.crc32(content, zlib.crc32(name)).to_bytes(4)
        yield Chunk(name, view[start : start + 12 + length], len(content) == length and check == expected)
        if name == _END:
            return
        start += 12 + length


def checked(encoded: bytes, title: str) -> bytes:
    """The file without damaged chunks that the picture does not depend on, which Pillow would refuse.

    Raises:
      UserError: header, palette or pixels are damaged or cut, or a palette is missing.
    """
    found = list(chunks(encoded))
    for chunk in found:
        if chunk.name in (b"IHDR", b"PLTE", b"IDAT") and not chunk.intact:
            cut = 12 + int.from_bytes(chunk.whole[:4]) > len(chunk.whole)
            reason = "data end before the picture does" if cut else f"{chunk.name.decode()} is damaged"
            raise UserError(f"{title}: broken or truncated (the PNG's {reason}); get a whole copy of it")
    if encoded[28:29] > b"\1":
        raise UserError(
            f"{title}: broken or truncated (the PNG's interlacing is of no known kind); get a whole copy of it"
        )
    if encoded[25:26] == _INDEXED and not any(chunk.name == b"PLTE" for chunk in found):
        raise UserError(f"{title}: broken or truncated (the PNG's palette is missing); get a whole copy of it")
    if all(chunk.intact for chunk in found):
        return encoded
    return b"".join([encoded[:_SIGNATURE_BYTES], *(chunk.whole for chunk in found if chunk.intact)])


def refuse_short(encoded: bytes, title: str) -> None:
    """Raises UserError if a PNG's data are whole but fewer than its header says: decoders fill up with black."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", encoded, _SIGNATURE_BYTES + 8)
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(len(range(left, width, across)), len(range(top, height, down))) for left, top, across, down in passes]
    missing = sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns)
    stream = zlib.decompressobj()
    for chunk in chunks(encoded):
        content = chunk.whole[8:-4] if chunk.name == b"IDAT" else b""
        while content and missing > 0 and not stream.eof:
            missing -= len(stream.decompress(content, _PIECE))
            content = stream.unconsumed_tail
    if missing > 0:
        raise UserError(
            f"{title}: broken or truncated (the PNG's data end before the picture does); get a whole copy of it"
        )


def bit_depth(encoded: bytes) -> int:
    """Bits per sample, 1 … 16."""
    return encoded[24]
