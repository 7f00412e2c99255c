"""Rows that compress an image again and look at what that changes: `ela` and `ghost`."""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image
from scipy import ndimage

from splice_jax.jpeg import BLOCK
from splice_jax.methods.registry import register
from splice_jax.methods.traces.trace import TraceLocalizer, blocks

ELA_QUALITY = 90
GHOST_QUALITIES = tuple(range(51, 101))
SUBSAMPLED = 2
"""Pillow's name for 4:2:0."""

LONGEST = 65_500
"""Pixels along the longer side of the largest JPEG that libjpeg writes."""

PART, CONTEXT = 2**15, 16
"""Pixels along a side of a part of a longer image, and of what surrounds the part and is compressed with it.

Multiples of 16, the side of the squares that share a block of colours.
"""

WINDOW = 3
"""Blocks along the side of the squares over which a difference is averaged; 24 pixels, the paper has 16."""

GHOST_SHARES = (0.01, 0.5)
"""Of the image, that a ghost may cover: what covers more of it is the host."""

DARKEST = 0.4
"""A ghost's mean is at most this part of the mean around it. Where there is none, it is at least half of it."""


@register("ela")
class ErrorLevel(TraceLocalizer):
    """How much compression at quality 90, its colours subsampled, changes each pixel.

    N. Krawetz, "A Picture's Worth: Digital Image Analysis and Forensics", Black Hat USA 2007. A pixel that has been
    through a compression of that quality or lower, on this grid, changes less.
    """

    name = "ela"

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """In levels, the mean over the channels."""
        change = np.abs(image.astype(np.int16) - recompressed(image, ELA_QUALITY))
        return change.mean(axis=2, dtype=np.float32)


@register("ghost")
class Ghost(TraceLocalizer):
    """Where an image changes least at the one quality at which it falls into two parts most clearly.

    H. Farid, "Exposing Digital Forgeries From JPEG Ghosts", IEEE Transactions on Information Forensics and Security
    4(1), 2009. What has been compressed before, at a quality below that of the rest, shows as a dark ghost when the
    image is compressed at that quality again. The paper chooses the quality by looking, others by the ground truth, an
    oracle; here it is the one at which Otsu's two classes account for most of the variance, of those at which the
    darker class is dark (`DARKEST`) and smaller than the other (`GHOST_SHARES`).
    """

    name = "ghost"
    cell = BLOCK
    smallest = WINDOW * BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "rows columns"]:
        """1 − the difference, on the scale of all qualities; 0 everywhere where no quality shows a ghost."""
        differences = ghosts(image)
        clarities = [clarity(difference) for difference in differences]
        best = int(np.argmax(clarities))
        return 1 - differences[best] if clarities[best] > 0 else np.zeros_like(differences[best])


def ghosts(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "qualities rows columns"]:
    """The mean squared difference around each block at each of `GHOST_QUALITIES`.

    Each block's is scaled to 0 … 1 over the qualities, so that texture does not count.
    """
    differences = np.array([_squared_change(image, quality) for quality in GHOST_QUALITIES])
    low, high = differences.min(axis=0), differences.max(axis=0)
    return (differences - low) / np.maximum(high - low, np.float32(1e-6))


def clarity(difference: Float32[np.ndarray, "rows columns"]) -> float:
    """The share of the variance between the two classes that differ most, 0 … 1; 0 where the darker is no ghost."""
    values = np.sort(difference, axis=None).astype(np.float64)
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
    """Compressed as a JPEG with colours subsampled (4:2:0), and decoded; of any size.

    An image too long for a JPEG is compressed in parts on the same grid. Blocks do not know of one another but where
    decoding interpolates the colours between neighbouring pixels, which `CONTEXT` covers: the result is the same.
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
    """A stretch of one side."""

    seen: slice
    kept: slice
    kept_of_seen: slice


def _parts(side: int) -> list[_Part]:
    """What covers a side: itself where it is short enough, else stretches of `PART` pixels."""
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
