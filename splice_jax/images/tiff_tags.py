"""The directories of a TIFF: which page is the picture, and what cannot be read, by name.

Pillow reads the pixels of most TIFFs; its tags do not show thumbnails and raw data in sub-directories.
"""

import struct
from collections.abc import Iterator

import numpy as np

from splice_jax.errors import UserError

SUBFILE, OLD_SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, SAMPLES, PLANAR, PREDICTOR, SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT = (
    266,
    277,
    284,
    317,
    330,
    338,
    339,
)
ORIENTATION, SUBSAMPLING, DNG_VERSION = 274, 530, 50706

UNCOMPRESSED = 1
LOSSY = {6, 7}
"""Compressions that change pixels: JPEG, old and new."""
_READ_COMPRESSIONS = LOSSY | {1, 2, 3, 4, 5, 8, 32771, 32773, 32946, 34925, 50000}
"""Besides, none (in bytes or words), those of fax machines, LZW, deflate (two numbers), PackBits, LZMA, Zstandard."""
_OTHER_COMPRESSIONS = {
    22610: "JPEG XR", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34661: "JBIG",
    34887: "LERC", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_TITLES = {WHITE_IS_0: "grey", BLACK_IS_0: "grey", RGB: "RGB", PALETTE: "palette", CMYK: "CMYK", YCBCR: "YCbCr"}
COLOURS = {WHITE_IS_0: 1, BLACK_IS_0: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
"""Channels of colour, by photometric interpretation."""

_RAW_PHOTOMETRIC, _RAW_COMPRESSION = {32803, 34892}, {32767, 32769, 32770, 34713, 65535}
_LAB, _LOGLUV = {8, 9, 10}, {32844, 32845}
_TYPES = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_SIZES = {2: 1, 5: 8, 10: 8, 11: 4, 12: 8} | {code: int(name[1]) for code, name in _TYPES.items()}
_MOST_DIRECTORIES = 1000
_SAMPLE_FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_NO_WHITE = "pixels have no agreed white; save it with 8 or 16 bits per channel"


class Directory:
    """The tags of one page whose values are whole numbers."""

    def __init__(self, encoded: bytes, order: str, entries: dict[int, tuple[int, int, int]]) -> None:
        """`order`: "<" or ">". `entries`: tag -> type, number of values, and their offset in the file."""
        self.order = order
        self._encoded, self._entries = encoded, entries

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def values(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The values of a tag; `default` if it is not there, or is cut."""
        kind, count, offset = self._entries.get(tag, (0, 0, 0))
        if kind not in _TYPES or not count or offset + count * _SIZES[kind] > len(self._encoded):
            return default
        return tuple(np.frombuffer(self._encoded, self.order + _TYPES[kind], count, offset).tolist())

    def value(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return self.values(tag, (default,))[0]

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits per sample, of each channel."""
        return self.values(BITS, (1,))

    @property
    def is_reduced(self) -> bool:
        """Whether this is a thumbnail or a transparency mask of another page."""
        return bool(self.value(SUBFILE) & 0b101) or self.value(OLD_SUBFILE) == 2


def directories(encoded: bytes, title: str) -> list[Directory]:
    """The pages of a TIFF or BigTIFF, in the order of the file.

    Raises:
      UserError: not even the first is whole.
    """
    found = list(_chain(encoded, *_first(encoded)))
    if not found:
        raise UserError(f"{title}: broken or truncated (the TIFF's directory is missing); get a whole copy of it")
    return found


def picture_page(pages: list[Directory], encoded: bytes, title: str) -> int:
    """The number of the page that is the picture: the first that is no thumbnail.

    Raises:
      UserError: it is a raw photograph, or all pages are thumbnails of a picture that is stored elsewhere in the file.
    """
    nested = [inner for page in pages for inner in _nested(encoded, page)]
    if any(map(_is_raw, [*pages, *nested])):
        raise UserError(
            f"{title}: a raw photograph, which is not read; develop it and give the JPEG or TIFF; its preview is "
            "another picture"
        )
    full = [number for number, page in enumerate(pages) if not page.is_reduced]
    if full:
        return full[0]
    if any(not inner.is_reduced for inner in nested):
        raise UserError(f"{title}: its pages are thumbnails of a picture in a sub-directory; save the picture alone")
    return max(range(len(pages)), key=lambda number: pages[number].value(WIDTH) * pages[number].value(LENGTH))


def refuse_unreadable(page: Directory, title: str) -> None:
    """Raises UserError for pixels that cannot be read as a photograph, by name."""
    formats, bits = set(page.values(SAMPLE_FORMAT, (1,))), page.bits
    if others := formats - {1, 4}:
        raise UserError(f"{title}: {_SAMPLE_FORMATS.get(min(others), 'unknown')} {_NO_WHITE}")
    if max(bits) > 16:
        raise UserError(f"{title}: {max(bits)}-bit {_NO_WHITE}")
    if PHOTOMETRIC not in page:
        raise UserError(
            f"{title}: a TIFF that does not say whether 0 is black or white (no PhotometricInterpretation); save it "
            "anew as PNG or TIFF"
        )
    photometric, channels = page.value(PHOTOMETRIC, BLACK_IS_0), page.value(SAMPLES, 1)
    if photometric in _LAB | _LOGLUV:
        space = "L*a*b*" if photometric in _LAB else "LogLuv"
        raise UserError(f"{title}: a TIFF in {space} colours, which are not read; save it as RGB")
    if channels - COLOURS.get(photometric, channels) not in (0, 1):
        space = _TITLES[photometric]
        raise UserError(f"{title}: a TIFF of {channels} channels, {space}; save it as RGB, with or without alpha")
    subsampled = page.values(SUBSAMPLING, (2, 2)) != (1, 1)
    if photometric == YCBCR and page.value(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED and subsampled:
        raise UserError(f"{title}: an uncompressed TIFF in subsampled YCbCr, which is not read; save it as RGB")
    if (number := page.value(COMPRESSION, UNCOMPRESSED)) not in _READ_COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(number, f"number {number}")
        raise UserError(f"{title}: a TIFF in a compression that is not read, {name}; save it as PNG or with LZW")


def _first(encoded: bytes) -> tuple[str, bool, int]:
    """Byte order, whether it is a BigTIFF, and the offset of the first directory."""
    order = "<" if encoded[:1] == b"I" else ">"
    big = 43 in encoded[2:4]
    header, layout = (16, "8xQ") if big else (8, "4xI")
    return order, big, struct.unpack_from(order + layout, encoded)[0] if len(encoded) >= header else 0


def _chain(encoded: bytes, order: str, big: bool, offset: int) -> Iterator[Directory]:
    """Directories from an offset on; ends where one is cut, or comes again."""
    count_layout, layout, link, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    count_size, entry_size, seen = struct.calcsize(order + count_layout), 4 + 2 * inline, set[int]()
    while offset and offset not in seen and len(seen) < _MOST_DIRECTORIES and offset + count_size <= len(encoded):
        seen.add(offset)
        (number,) = struct.unpack_from(order + count_layout, encoded, offset)
        start = offset + count_size
        if not number or start + number * entry_size > len(encoded):
            return
        entries: dict[int, tuple[int, int, int]] = {}
        for place in range(start, start + number * entry_size, entry_size):
            tag, kind, count = struct.unpack_from(order + layout, encoded, place)
            value = place + entry_size - inline
            if _SIZES.get(kind, 1) * count > inline:
                (value,) = struct.unpack_from(order + link, encoded, value)
            entries.setdefault(tag, (kind, count, value))
        yield Directory(encoded, order, entries)
        end = start + number * entry_size
        offset = struct.unpack_from(order + link, encoded, end)[0] if end + inline <= len(encoded) else 0


def _nested(encoded: bytes, page: Directory) -> Iterator[Directory]:
    big = 43 in encoded[2:4]
    for offset in page.values(SUB_DIRECTORIES)[:_MOST_DIRECTORIES]:
        yield from _chain(encoded, page.order, big, offset)


def _is_raw(page: Directory) -> bool:
    raw_data = page.value(PHOTOMETRIC) in _RAW_PHOTOMETRIC or page.value(COMPRESSION) in _RAW_COMPRESSION
    return raw_data or DNG_VERSION in page
