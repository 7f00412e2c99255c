"""The thumbnail that a camera embeds in EXIF, beside the photograph: editors often forget to renew it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import ExifTags

from splice_jax.errors import UserError
from splice_jax.examination.file.jpeg_structure import read_structure
from splice_jax.images import exif_orientation, opened, read_image, resize, upright

LARGEST_SIDE = 1024
"""Pixels; what is larger is a preview of another kind and not compared."""
SMALLEST_SIDE = 16
LEAST_CORRELATION = 0.9
LARGEST_DIFFERENCE = 48.0
"""Levels of 0 … 255 in one cell; see `differs`."""

_CELLS = 8
_BAR_LEVEL = 24
_OFFSET, _LENGTH = 0x0201, 0x0202
_RATIO_TOLERANCE = 0.03
Pixels = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """An embedded thumbnail, and the photograph reduced to the same size."""

    pixels: Pixels
    """Upright, without the black bars that cameras put beside another aspect ratio."""
    photograph: Pixels
    """Of the same size; of the same aspect ratio only if `same_shape`."""
    same_shape: bool
    correlation: float
    """Of the brightness of both, -1 … 1."""
    difference: float
    """The largest mean difference in brightness among 8x8 cells, in levels, after gain and offset are matched."""

    @property
    def differs(self) -> bool:
        """Whether it shows something else: another shape or picture, or one cell that is clearly another."""
        other = self.correlation < LEAST_CORRELATION or self.difference > LARGEST_DIFFERENCE
        return other or not self.same_shape

    def difference_picture(self) -> UInt8[np.ndarray, "height width"]:
        """The difference in brightness, four times enlarged, 0 … 255."""
        change = np.abs(_matched(self.pixels, self.photograph))
        return (4 * change).clip(0, 255).astype(np.uint8)


def read_thumbnail(encoded: bytes, image: Pixels) -> Thumbnail | None:
    """The EXIF thumbnail of a file.

    Args:
        encoded: the file.
        image: its pixels, upright.

    Returns:
        None where there is none that can be read.
    """
    found = _embedded(encoded)
    if found is None:
        return None
    content, orientation = found
    structure = read_structure(content)
    if structure is None or max(structure.width, structure.height) > LARGEST_SIDE:  # Asked before it is decoded.
        return None
    try:
        pixels = read_image(content)
    except UserError:
        return None
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        return None
    return compare(upright(pixels, orientation), image)


def compare(pixels: Pixels, image: Pixels) -> Thumbnail:
    """Compares a thumbnail with its photograph, both upright."""
    pixels = _without_bars(pixels, image.shape[0] / image.shape[1])
    height, width = pixels.shape[:2]
    same = abs(height / width / (image.shape[0] / image.shape[1]) - 1) < _RATIO_TOLERANCE + 1 / min(height, width)
    photograph = resize(image, (height, width))
    change = _matched(pixels, photograph)
    return Thumbnail(pixels, photograph, bool(same), _correlation(pixels, photograph), _largest_cell(change))


def _embedded(encoded: bytes) -> tuple[bytes, int] | None:
    """The bytes of the thumbnail and the EXIF orientation, 1 where the thumbnail says its own."""
    try:
        with opened(encoded) as image:
            raw = image.info.get("exif", b"")
            fields = image.getexif().get_ifd(ExifTags.IFD.IFD1)
            orientation = exif_orientation(image)
    except Exception:  # Broken metadata make Pillow raise almost anything.
        return None
    start, length = fields.get(_OFFSET), fields.get(_LENGTH)
    if not isinstance(start, int) or not isinstance(length, int):
        return None
    start += 6 if raw.startswith(b"Exif\x00\x00") else 0
    content = raw[start : start + length]
    return (content, orientation) if content.startswith(b"\xff\xd8") else None


def _without_bars(pixels: Pixels, ratio: float) -> Pixels:
    """Cuts away black bars that are as wide as the photograph's ratio of height to width lets expect."""
    height, width = pixels.shape[:2]
    brightness = pixels.max(axis=2)
    for axis, spare in ((0, height - width * ratio), (1, width - height / ratio)):
        dark = brightness.mean(axis=1 - axis) <= _BAR_LEVEL
        bars = int(np.argmin(dark)), int(np.argmin(dark[::-1]))
        if spare > 1 and all(abs(bar - spare / 2) <= 2 for bar in bars):
            return np.ascontiguousarray(np.take(pixels, range(bars[0], dark.size - bars[1]), axis))
    return pixels


def _brightness(pixels: Pixels) -> Float32[np.ndarray, "height width"]:
    return pixels.mean(axis=2, dtype=np.float32)


def _matched(pixels: Pixels, photograph: Pixels) -> Float32[np.ndarray, "height width"]:
    """Brightness of the thumbnail less that of the photograph, which is given the thumbnail's mean and contrast."""
    one, other = _brightness(pixels), _brightness(photograph)
    gain = one.std() / max(float(other.std()), 1.0)
    return one - one.mean() - (other - other.mean()) * np.float32(np.clip(gain, 0.5, 2.0))


def _correlation(pixels: Pixels, photograph: Pixels) -> float:
    one, other = (_brightness(each) - _brightness(each).mean() for each in (pixels, photograph))
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale else 1.0


def _largest_cell(change: Float32[np.ndarray, "height width"]) -> float:
    rows, columns = (np.array_split(np.arange(length), max(1, length // _CELLS)) for length in change.shape)
    return max(abs(float(change[np.ix_(row, column)].mean())) for row in rows for column in columns)
