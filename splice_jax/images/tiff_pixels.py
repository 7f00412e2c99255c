"""Pixels of TIFFs of 8 and 16 bits per channel.

Of these, Pillow reads some wrongly (16 bits in uncompressed planes) and some not at all (16-bit grey with alpha, or
with white as 0; planes of grey and alpha; BigTIFF with the high byte first). Here, strips and tiles are unpacked by
libtiff, one by one, each wrapped as a small TIFF of bytes, and put together after the predictor and the byte order are
undone.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import tiff_tags as tags
from splice_jax.images.decoding import opened
from splice_jax.images.tiff_tags import Directory

Samples = UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width channels"]

_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_BYTEWISE = {1, 5, 8, 32773, 32946, 34925, 50000}
"""Compressions of plain bytes: none, LZW, deflate, PackBits, deflate by its old number, LZMA, Zstandard."""
_HORIZONTAL, _SEPARATE, _ASSOCIATED = 2, 2, 1
_ROWS_AT_A_TIME = 256


class _Segment(NamedTuple):
    """A strip or tile: where it is in the picture (row, column, plane) and in the file, and its rows."""

    top: int
    left: int
    plane: int
    offset: int
    size: int
    rows: int


class _Layout(NamedTuple):
    """What all strips or tiles have in common: columns, samples per column, and their type."""

    columns: int
    channels: int
    dtype: np.dtype
    compression: int
    predictor: int
    fill_order: int


def applies(page: Directory) -> bool:
    """Whether this is grey, RGB or CMYK of 8 or 16 bits, in a compression that gives back bytes."""
    known = page.value(tags.PHOTOMETRIC, tags.BLACK_IS_0) in (tags.WHITE_IS_0, tags.BLACK_IS_0, tags.RGB, tags.CMYK)
    return known and set(page.bits) in ({8}, {16}) and page.value(tags.COMPRESSION, 1) in _BYTEWISE


def samples(encoded: bytes, page: Directory, title: str) -> Samples:
    """All channels of a page as stored, in the machine's byte order.

    Raises:
      UserError: a strip or tile is missing, or shorter than its pixels.
    """
    height, width, channels = page.value(tags.LENGTH), page.value(tags.WIDTH), page.value(tags.SAMPLES, 1)
    separate = page.value(tags.PLANAR, 1) == _SEPARATE
    columns = page.value(_TILE_WIDTH, width)
    dtype = np.dtype(f"{page.order}u{page.bits[0] // 8}")
    layout = _Layout(
        columns,
        1 if separate else channels,
        dtype,
        page.value(tags.COMPRESSION, 1),
        page.value(tags.PREDICTOR, 1),
        page.value(tags.FILL_ORDER, 1),
    )
    found = np.empty((height, width, channels), dtype.newbyteorder("="))
    for segment in _segments(page, height, width, channels if separate else 1, title):
        for down, block in _blocks(encoded, segment, layout, title):
            top = segment.top + down
            target = found[top : top + len(block), segment.left : segment.left + columns]
            planes = slice(segment.plane, segment.plane + layout.channels)
            target[:, :, planes] = block[: target.shape[0], : target.shape[1]]
    return found


def colours(found: Samples, page: Directory) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Grey or RGB of all channels of a page, and the lowest and the highest alpha, if there is one.

    Colours that were multiplied by their alpha are divided by it.
    """
    photometric = page.value(tags.PHOTOMETRIC, tags.BLACK_IS_0)
    number = tags.COLOURS[photometric]
    values, alpha, extent = found[:, :, :number], None, None
    if found.shape[2] > number:
        alpha = found[:, :, number]
        extent = int(alpha.min()), int(alpha.max())
    if alpha is not None and page.value(tags.EXTRA_SAMPLES) == _ASSOCIATED:
        values = _divided(values, alpha)
    if photometric == tags.WHITE_IS_0:
        values = ~values
    if photometric == tags.CMYK:
        inks = values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
        return np.asarray(Image.fromarray(np.ascontiguousarray(inks), "CMYK").convert("RGB")), extent
    return values[:, :, 0] if number == 1 else values, extent


def _divided(values: Samples, alpha: np.ndarray) -> Samples:
    white = np.iinfo(values.dtype).max
    found = np.empty_like(values)
    for top in range(0, len(values), _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        opacity = np.where(alpha[rows] == 0, white, alpha[rows])[:, :, None].astype(np.uint64)  # Nothing to undo.
        found[rows] = np.minimum(values[rows].astype(np.uint64) * white // opacity, white)
    return found


def _segments(page: Directory, height: int, width: int, planes: int, title: str) -> list[_Segment]:
    tiled = _TILE_OFFSETS in page
    rows = page.value(_TILE_LENGTH, height) if tiled else min(page.value(_ROWS_PER_STRIP, height), height)
    columns = page.value(_TILE_WIDTH, width) if tiled else width
    offsets = page.values(_TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    sizes = page.values(_TILE_BYTES if tiled else _STRIP_BYTES)
    if rows < 1 or columns < 1:
        raise UserError(f"{title}: broken or truncated (strips or tiles without pixels); get a whole copy of it")
    places = [
        (top, left, plane)
        for plane in range(planes)
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]
    if min(len(offsets), len(sizes)) < len(places):
        raise UserError(f"{title}: broken or truncated (strips or tiles are missing); get a whole copy of it")
    return [
        _Segment(*place, offset, size, rows if tiled else min(rows, height - place[0]))
        for place, offset, size in zip(places, offsets, sizes, strict=False)
    ]


def _blocks(encoded: bytes, segment: _Segment, layout: _Layout, title: str) -> Iterator[tuple[int, np.ndarray]]:
    """A strip or tile in pieces that need little memory: the piece's first row, and its samples."""
    row_bytes = layout.columns * layout.channels * layout.dtype.itemsize
    content = memoryview(encoded)[segment.offset : segment.offset + segment.size]
    needed = segment.rows * row_bytes
    if len(content) < (needed if layout.compression == tags.UNCOMPRESSED else segment.size):
        raise UserError(f"{title}: broken or truncated (a strip or tile is cut); get a whole copy of it")
    if layout.compression == tags.UNCOMPRESSED:
        unpacked = np.frombuffer(content, np.uint8, needed).reshape(segment.rows, row_bytes)
        tops = range(0, segment.rows, _ROWS_AT_A_TIME)
        pieces: Iterable[tuple[int, np.ndarray]] = ((top, unpacked[top : top + _ROWS_AT_A_TIME]) for top in tops)
    else:
        pieces = _unpacked(content, segment.rows, row_bytes, layout)
    for top, piece in pieces:
        values = np.ascontiguousarray(piece).view(layout.dtype).reshape(len(piece), layout.columns, layout.channels)
        if layout.predictor == _HORIZONTAL:
            values = np.cumsum(values, axis=1, dtype=layout.dtype.newbyteorder("="))
        yield top, values


def _unpacked(content: memoryview, rows: int, row_bytes: int, layout: _Layout) -> Iterator[tuple[int, np.ndarray]]:
    entries = [
        (tags.WIDTH, row_bytes), (tags.LENGTH, rows), (tags.BITS, 8), (tags.COMPRESSION, layout.compression),
        (tags.PHOTOMETRIC, tags.BLACK_IS_0), (tags.FILL_ORDER, layout.fill_order), (_STRIP_OFFSETS, 0),
        (tags.SAMPLES, 1), (_ROWS_PER_STRIP, rows), (_STRIP_BYTES, len(content)),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(entries) + 4
    directory = b"".join(
        struct.pack("<HHII", tag, 4, 1, start if tag == _STRIP_OFFSETS else value) for tag, value in entries
    )
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    with opened(b"".join([header, content]), "TIFF") as image:
        image.load()
        for top in range(0, rows, _ROWS_AT_A_TIME):
            yield top, np.asarray(image.crop((0, top, row_bytes, min(top + _ROWS_AT_A_TIME, rows))))
