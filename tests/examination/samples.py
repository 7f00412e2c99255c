"""Photographs with known traces and files with known content."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage


def scene(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Soft shapes with noise in all colours, uint8 [height, width, 3]: neither flat nor clipped."""
    random = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(random.normal(size=(height, width, 3)), (6, 6, 0))
    return (128 + 50 * soft / soft.std() + random.normal(0, 4, soft.shape)).clip(10, 245).astype(np.uint8)


def jpeg(image: np.ndarray, **options: Any) -> bytes:
    """A JPEG file by Pillow."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", **{"quality": 90, **options})
    return encoded.getvalue()


def exif(fields: dict[int, Any], details: dict[int, Any] | None = None, gps: dict[int, Any] | None = None) -> bytes:
    """EXIF by Pillow, with the sub-directories of details and place."""
    made = Image.Exif()
    made.update(fields)
    made.get_ifd(0x8769).update(details or {})
    made.get_ifd(0x8825).update(gps or {})
    return made.tobytes()


def exif_with_thumbnail(thumbnail: bytes, orientation: int = 1) -> bytes:
    """EXIF with a directory of the photograph and one of its thumbnail, as cameras write it."""
    first, second = 8, 8 + 2 + 12 + 4
    start = second + 2 + 2 * 12 + 4
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    offsets = struct.pack("<HHII", 0x0201, 4, 1, start) + struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
    head = b"II*\0" + struct.pack("<I", first) + struct.pack("<H", 1) + entries + struct.pack("<I", second)
    return b"Exif\0\0" + head + struct.pack("<H", 2) + offsets + struct.pack("<I", 0) + thumbnail


def segment(code: int, content: bytes) -> bytes:
    """A marker segment of a JPEG."""
    return bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content


def frame(code: int = 0xC0, sampling: Sequence[int] = (0x22, 0x11, 0x11), height: int = 16, width: int = 24) -> bytes:
    """A frame header."""
    parts = b"".join(bytes([number, factors, min(number, 1)]) for number, factors in enumerate(sampling))
    return segment(code, struct.pack(">BHHB", 8, height, width, len(sampling)) + parts)


def scan(data: bytes) -> bytes:
    """A scan header and its entropy-coded data, which nobody decodes."""
    return segment(0xDA, bytes([1, 0, 0, 0, 63, 0])) + data


def bomb(side: int) -> bytes:
    """A PNG that says it has side x side pixels, and a few bytes of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def scans(number: int) -> bytes:
    """A JPEG of many scans."""
    return b"\xff\xd8" + frame(0xC2) + scan(b"\x01") * number + b"\xff\xd9"
