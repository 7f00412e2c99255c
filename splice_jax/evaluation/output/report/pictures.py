"""Small pictures for the report: photographs, masks, maps, and what a map calls spliced at two thresholds.

Errors are not stored: the page draws them from the mask and what was called spliced. Both are sampled, never averaged,
so that every point is a pixel that was scored.
"""

import base64
import io
import math

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image

from splice_jax.metrics import LEVELS

LONGEST_SIDE = 480
"""A picture's longer side in pixels."""

FULL_SIZE_MAPS = 2500
"""With more maps, each is smaller, so that a report with a thousand images and twenty rows still opens."""

HALF_LEVEL = 32768
CALLED_AT_BEST, CALLED_AT_HALF = 85, 170
"""Grey values in `called`, which are added."""

_LEAST_SIDE = 120
Pixels = UInt8[np.ndarray, "height width 3"]
Levels = UInt16[np.ndarray, "height width"]


def longest_side(maps: int) -> int:
    """The longest side of maps in a report that shows this many.

    >>> longest_side(54), longest_side(10_000)
    (480, 240)
    """
    return max(_LEAST_SIDE, min(LONGEST_SIDE, round(LONGEST_SIDE * math.sqrt(FULL_SIZE_MAPS / max(1, maps)))))


def photograph(image: Pixels, side: int = LONGEST_SIDE) -> str:
    """The image, reduced to `side`, as a base64 JPEG."""
    return _jpeg(_reduce(Image.fromarray(image), side, Image.Resampling.BOX), 78)


def mask(spliced: Bool[np.ndarray, "height width"], side: int = LONGEST_SIDE) -> str:
    """The ground truth, 255 = spliced, reduced, as a base64 PNG."""
    return _png(spliced.astype(np.uint8) * np.uint8(255), side)


def probability(levels: Levels, side: int = LONGEST_SIDE) -> str:
    """A 16-bit map in grey, reduced, as a base64 JPEG: only for viewing, thresholds are applied before."""
    shares = Image.fromarray((levels / np.float32(LEVELS / 255)).astype(np.float32))
    reduced = np.array(_reduce(shares, side, Image.Resampling.BOX))
    return _jpeg(Image.fromarray(np.rint(reduced).clip(0, 255).astype(np.uint8)), 60)


def called(levels: Levels, best_level: int, side: int = LONGEST_SIDE) -> str:
    """What a map calls spliced: 85 from its best level up, 170 from 0.5 up, 255 for both; a base64 PNG."""
    at_best, at_half = levels >= best_level, levels >= HALF_LEVEL
    return _png(at_best * np.uint8(CALLED_AT_BEST) + at_half * np.uint8(CALLED_AT_HALF), side)


def _reduce(picture: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    ratio = side / max(picture.size)
    if ratio >= 1:
        return picture
    width, height = (max(1, round(length * ratio)) for length in picture.size)
    return picture.resize((width, height), resampling)


def _png(values: UInt8[np.ndarray, "height width"], side: int) -> str:
    return _base64(_reduce(Image.fromarray(values), side, Image.Resampling.NEAREST), "PNG")


def _jpeg(picture: Image.Image, quality: int) -> str:
    return _base64(picture, "JPEG", quality=quality)


def _base64(picture: Image.Image, kind: str, **options: object) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return base64.b64encode(encoded.getvalue()).decode("ascii")
