"""Methods that compress an image again and look at what that changes: `ela` and `ghost`."""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image
from scipy import ndimage

from splice_jax.jpeg import BLOCK
from splice_jax.methods.registry import register
from splice_jax.methods.traces.trace import OFF_ITS_GRID, TraceLocalizer, blocks, textureless

ELA_QUALITY = 90
GHOST_QUALITIES = tuple(range(51, 101))
SUBSAMPLED = 2
"""Pillow's name for 4:2:0."""

LONGEST = 65_500
"""Longest side, in pixels, of a JPEG that libjpeg can write."""

PART, CONTEXT = 2**15, 16
"""Side, in pixels, of the parts that a longer image is cut into, and width of the context compressed with each.

Multiples of 16, the side of the squares that share one block of subsampled colours.
"""

WINDOW = 3
"""Side, in blocks, of the squares over which a difference is averaged: 24 pixels; the paper has 16."""

GHOST_SHARES = (0.01, 0.5)
"""Share of the image that a ghost may cover: anything larger is the host."""

DARKEST = 0.4
"""A ghost's mean is at most this fraction of the mean around it; without a ghost, it is at least half of it."""


@register("ela", version=2)
class ErrorLevel(TraceLocalizer):
    """How much compression at quality 90, with subsampled colours, changes each pixel.

    N. Krawetz, "A Picture's Worth: Digital Image Analysis and Forensics", Black Hat USA 2007. A pixel that was already
    compressed at that quality or lower, on the same JPEG grid, changes less.
    """

    name = "ela"
    looks_for = "How much a part changes when it is saved as JPEG once more: parts that change more count as pasted in."

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """The mean change over the channels, in levels."""
        change = np.abs(image.astype(np.int16) - recompressed(image, ELA_QUALITY))
        return change.mean(axis=2, dtype=np.float32)


@register("ghost", version=3)
class Ghost(TraceLocalizer):
    """Where an image changes least, at the quality that splits it most clearly into two parts.

    H. Farid, "Exposing Digital Forgeries From JPEG Ghosts", IEEE Transactions on Information Forensics and Security
    4(1), 2009. A part compressed earlier at a lower quality than the rest shows as a dark ghost when the image is
    compressed at that quality again. The paper picks the quality by eye, others by the ground truth, an oracle; here
    it is the one at which Otsu's two classes account for most of the variance, among those at which the darker class
    is dark enough (`DARKEST`) and not too large or small (`GHOST_SHARES`).
    """

    name = "ghost"
    looks_for = (
        "Parts that were once saved as JPEG at a lower quality than the rest: they change least when saved at "
        "that quality again."
    )
    weakened_by = {"shifted jpeg": OFF_ITS_GRID}
    flat = "no quality shows a ghost"
    needs_texture = True
    cell = BLOCK
    smallest = WINDOW * BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "rows columns"]:
        """1 − the difference, scaled over all qualities; 0 everywhere if no quality shows a ghost."""
        differences = ghosts(image)
        rows, columns = differences.shape[1:]
        seen = ~textureless(image, self.cell)[:rows, :columns]
        clarities = [clarity(difference[seen]) for difference in differences]
        best = int(np.argmax(clarities))
        return 1 - differences[best] if clarities[best] > 0 else np.zeros_like(differences[best])


def ghosts(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "qualities rows columns"]:
    """The mean squared difference around each block at each of `GHOST_QUALITIES`.

    Each block's differences are scaled to 0 … 1 over the qualities, so that texture does not matter.
    """
    differences = np.array([_squared_change(image, quality) for quality in GHOST_QUALITIES])
    low, high = differences.min(axis=0), differences.max(axis=0)
    return (differences - low) / np.maximum(high - low, np.float32(1e-6))


def clarity(difference: Float32[np.ndarray, " blocks"]) -> float:
    """The share of variance between Otsu's two classes, 0 … 1; 0 if the darker class is not a ghost."""
    values = np.sort(difference).astype(np.float64)
    if values.size < 2:
        return 0.0
    dark = np.arange(1, values.size)
    sums = np.cumsum(values)
    darker, lighter = sums[:-1] / dark, (sums[-1] - sums[:-1]) / (values.size - dark)
    between = dark * (values.size - dark) * (lighter - darker) ** 2 / values.size**2
    best = int(np.argmax(between))
    least, most = GHOST_SHARES
    share = dark[best] / values.size
    if between[best] == 0 or not least <= share <= most or darker[best] > DARKEST * lighter[best]:
        return 0.0
    return float(between[best] / values.var())


def _squared_change(image: UInt8[np.ndarray, "height width 3"], quality: int) -> Float32[np.ndarray, "rows columns"]:
    change = image.astype(np.int16) - recompressed(image, quality)
    squares = np.einsum("hwc,hwc->hw", change, change, dtype=np.float32)
    return ndimage.uniform_filter(blocks(squares, BLOCK).mean(axis=(2, 3)), WINDOW, mode="nearest")


def recompressed(image: UInt8[np.ndarray, "height width 3"], quality: int) -> UInt8[np.ndarray, "height width 3"]:
    """Compresses an image of any size as a JPEG with subsampled colours (4:2:0) and decodes it.

    An image too long for a JPEG is compressed in parts on the same JPEG grid. Blocks only interact where decoding
    interpolates colours between neighbouring pixels, which `CONTEXT` covers, so the result is the same.
    """
    if max(image.shape) <= LONGEST:
        return _through_jpeg(image, quality)
    result = np.empty_like(image)
    for rows in _parts(image.shape[0]):
        for columns in _parts(image.shape[1]):
            part = _through_jpeg(image[rows.seen, columns.seen], quality)
            result[rows.kept, columns.kept] = part[rows.kept_of_seen, columns.kept_of_seen]
    return result


class _Part(NamedTuple):
    """A section of one side."""

    seen: slice
    kept: slice
    kept_of_seen: slice


def _parts(side: int) -> list[_Part]:
    """Covers a side: with one part if it is short enough, otherwise with parts of `PART` pixels."""
    length = side if side <= LONGEST else PART
    starts = range(0, side, length)
    return [_part(start, min(start + length, side), side) for start in starts]


def _part(start: int, stop: int, side: int) -> _Part:
    first = max(0, start - CONTEXT)
    seen = slice(first, min(stop + CONTEXT, side))
    return _Part(seen, slice(start, stop), slice(start - first, stop - first))


def _through_jpeg(image: UInt8[np.ndarray, "height width 3"], quality: int) -> UInt8[np.ndarray, "height width 3"]:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=quality, subsampling=SUBSAMPLED)
    return np.asarray(Image.open(encoded))
