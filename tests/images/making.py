"""Image files made by hand or by Pillow."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    if kind == "WEBP":
        options["lossless"] = True
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG made by hand: Pillow cannot write 16-bit RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def tiff(pixels: np.ndarray, bits: int, photometric: int) -> bytes:
    """An uncompressed little-endian grey or RGB TIFF made by hand."""
    height, width, channels = pixels.shape
    bits_at, pixels_at = 8 + 2 + 9 * 12 + 4, 8 + 2 + 9 * 12 + 4 + 2 * channels
    entries = [(256, 4, 1, width), (257, 4, 1, height)]
    entries += [(258, 3, channels, bits if channels == 1 else bits_at), (259, 3, 1, 1), (262, 3, 1, photometric)]
    entries += [(273, 4, 1, pixels_at), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, pixels.nbytes)]
    directory = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0\0\0\0"
    return b"II*\0\x08\0\0\0" + directory + struct.pack("<H", bits) * channels + pixels.tobytes()
