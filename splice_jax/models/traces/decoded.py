"""Whether pixels are what a JPEG decodes to, and by which steps it was quantised.

A JPEG that was opened and saved as a PNG, cropped or handed over as an array still shows what its file would, once the
place of its blocks is found. Where nothing was clipped, luma rounded to whole levels is that of the decoder, before it
made red, green and blue, and every coefficient lies within rounding errors of a multiple of its step (Z. Fan & R. de
Queiroz, Identification of bitmap compression history: JPEG detection and quantizer estimation, IEEE Transactions on
Image Processing 12(2), 2003). The same holds for chroma that was not subsampled.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from splice_jax.jpeg import BLOCK, block_dct
from splice_jax.models.traces.planes import cut_blocks
from splice_jax.models.traces.recompression import TO_YCC

MOST_STEP = 255
"""Largest step that is looked for."""
LEAST_BLOCKS = 48
"""Textured blocks without clipped pixels from which on something is said."""

_MOST_BLOCKS = 4096
"""Spread over the picture, from which the steps are estimated."""
_LEAST_DEVIATION = 2.0
"""Of a block's levels: in smoother ones, rounding errors repeat from row to row and add up."""
_LEAST_MULTIPLES = 12
"""Multiples of a step other than 0 that make it sure."""
_BINS_PER_LEVEL, _MOST_LEVEL = 4, 1025
"""Of the histograms of coefficients."""
_FAR = 1.25
"""Distance from a multiple that rounding alone seldom brings about: over four standard deviations in luma."""
_MOST_RATIO = 8
"""Of the median step to the least of the three lowest frequencies but DC: libjpeg's tables have 8 at most from quality
50 on. It is more where errors that add up, in blocks that vary in one direction alone, hide a step. The chroma of a few
cameras, whose tables have 11, is given up."""
_LOWEST = (1, 8, 9)
_FOUR_DEVIATIONS = 0.47
"""Of a squared error of rounding, four times its standard deviation."""
_MOST_FOREIGN, _MOST_TOGETHER = 0.002, 3
"""Share of blocks that fit no multiples, and number among 3x3 blocks or in all: more were pasted after the decoding."""
_ROWS_AT_A_TIME = 64
_NEAR = 0.75
"""Levels within which rounding leaves most coefficients that were quantised to 0."""
_WINDOWS, _LEAST_WINDOWS, _MOST_PLACES = 256, 32, 4096
"""Textured ones from which the grid is found, least number of them, and places among which they are looked for."""
_STANDS_OUT = 6.0
"""Deviations from the other 63 places of the grid. Of 113 JPEGs of real splices, cut off their grid, it was 7.3 and
more; of 104 photographs that were made smaller or never compressed, 4.5 and less."""


class _Demands(NamedTuple):
    """When planes count as quantised."""

    mean_square: float
    """Of the distances from multiples of a step, at most."""
    far: float
    """Share of coefficients further than `_FAR` from one, at most."""
    steps: int
    """Frequencies with a sure step of 2 and more, at least."""
    share: float
    """Of these among the frequencies that are not all 0, at least."""


_LUMA = _Demands(0.14, 0.002, 6, 0.0)
"""Independent errors of rounding have a mean square of 1/12, coefficients without a step of 2 have 1/3."""
_CHROMA = _Demands(0.3, 0.05, 6, 0.375)
"""Chroma is smoother, so that errors add up; that of a subsampled JPEG fits steps at a few high frequencies."""


class Steps(NamedTuple):
    """By which planes were quantised."""

    steps: Float32[np.ndarray, "8 8"]
    """[vertical, horizontal] frequency."""
    sure: Float32[np.ndarray, " 64"]
    """The steps of which there are enough multiples, 0 for others."""


class DecodedLuma(NamedTuple):
    """The luma of the JPEG that pixels were decoded from."""

    plane: UInt8[np.ndarray, "height width"]
    """Of its whole blocks."""
    steps: Float32[np.ndarray, "8 8"]
    """Its quantization steps, as `luma_steps` gives them."""
    sure: Bool[np.ndarray, "8 8"]
    """Which of them many multiples show."""
    origin: tuple[int, int]
    """Row and column, 0 … 7, of the first whole block's first pixel."""


def decoded_luma(image: UInt8[np.ndarray, "height width 3"], grid: tuple[int, int] | None = None) -> DecodedLuma | None:
    """What pixels show of the JPEG that they were decoded from; None if they do not look decoded.

    Args:
        image: RGB.
        grid: where blocks may begin, beside the corner; None for what `grid_origin` finds.
    """
    for origin in dict.fromkeys([grid or grid_origin(image) or (0, 0), (0, 0)]):
        pixels = whole_blocks(image, origin)
        luma = to_levels(pixels @ TO_YCC[0])
        if pixels.size and (found := luma_steps(luma, clipped_blocks(pixels))) is not None:
            sure = (found.sure > 0).reshape(BLOCK, BLOCK)
            return DecodedLuma(luma.astype(np.uint8), found.steps, sure, origin)
    return None


def whole_blocks(image: Shaped[np.ndarray, "height width *c"], origin: tuple[int, int]) -> Shaped[np.ndarray, "h w *c"]:
    """The pixels of all whole blocks from the origin on."""
    height, width = ((side - first) // BLOCK * BLOCK for side, first in zip(image.shape[:2], origin, strict=True))
    return image[origin[0] :, origin[1] :][:height, :width]


def to_levels(plane: Float32[np.ndarray, "height width *c"]) -> Float32[np.ndarray, "height width *c"]:
    """Rounded to whole levels, 0 … 255."""
    return np.clip(np.rint(plane), 0, 255)


def grid_origin(image: UInt8[np.ndarray, "height width 3"]) -> tuple[int, int] | None:
    """Row and column, 0 … 7, at which the first whole block of a JPEG begins in its pixels; None if nowhere.

    At a JPEG's own blocks, more coefficients are nearly 0 than at the other 63 places that a grid can have.
    """
    windows = _textured_windows(image)
    if len(windows) < _LEAST_WINDOWS:
        return None
    blocks = np.ascontiguousarray(sliding_window_view(windows, (BLOCK, BLOCK), (1, 2)))
    coefficients = block_dct(blocks.reshape(-1, BLOCK)).reshape(len(windows), BLOCK * BLOCK, BLOCK * BLOCK)
    zeros = (np.abs(coefficients[..., 1:]) < _NEAR).mean((0, 2))
    best = int(zeros.argmax())
    others = np.delete(zeros, best)
    spread = 1.4826 * np.median(np.abs(others - np.median(others))) + 1 / coefficients.size
    if zeros[best] - np.median(others) < _STANDS_OUT * spread:
        return None
    row, column = divmod(best, BLOCK)
    return row, column


def luma_steps(luma: Float32[np.ndarray, "height width"], clipped: Bool[np.ndarray, "rows columns"]) -> Steps | None:
    """The steps by which luma was quantised; None if it does not look decoded.

    Where nearly all coefficients are 0, the step is not known, and the largest known one stands there. None, too, where
    blocks fit no steps, many or some that lie together: what was pasted after the decoding stands out by that.

    Args:
        luma: in whole levels, 0 … 255; sides are multiples of 8.
        clipped: as `clipped_blocks` gives it.
    """
    textured = _textured(luma, clipped)
    found = _steps(_coefficients(luma, textured), _LUMA)
    return None if found is None or _has_a_foreign_part(luma, textured, found.sure) else found


def chroma_steps(
    chroma: Float32[np.ndarray, "height width 2"], clipped: Bool[np.ndarray, "rows columns"]
) -> Float32[np.ndarray, "8 8"] | None:
    """The same of the two chroma planes, which share a table; None of subsampled chroma."""
    planes = chroma[..., 0], chroma[..., 1]
    found = _steps(np.concatenate([_coefficients(plane, _textured(plane, clipped)) for plane in planes]), _CHROMA)
    return None if found is None else found.steps


def clipped_blocks(image: UInt8[np.ndarray, "height width 3"]) -> Bool[np.ndarray, "rows columns"]:
    """Blocks of 8x8 pixels of which one is at an end of the scale."""
    height, width, _ = image.shape
    ends = image + np.uint8(1) <= 1  # 255 wraps to 0
    return np.asarray(ends.reshape(height // BLOCK, BLOCK, width // BLOCK, 3 * BLOCK).any((1, 3)))


def _textured_windows(image: np.ndarray) -> Float32[np.ndarray, "windows 15 15"]:
    """Luma of windows in which every place of the grid has a whole block, without clipped pixels."""
    side = 2 * BLOCK - 1
    if min(image.shape[:2]) < side:
        return np.empty((0, side, side), np.float32)
    windows = sliding_window_view(image, (side, side), (0, 1))[::BLOCK, ::BLOCK]
    place = _spread_evenly(windows.shape[0] * windows.shape[1], _MOST_PLACES)
    pixels = windows[np.unravel_index(place, windows.shape[:2])]
    luma: np.ndarray = np.rint(np.tensordot(pixels, TO_YCC[0], (1, 0)))
    fit = (luma.std((1, 2)) >= _LEAST_DEVIATION) & ~(pixels + np.uint8(1) <= 1).any((1, 2, 3))
    luma = luma[fit]
    return luma[_spread_evenly(len(luma), _WINDOWS)].astype(np.float32)


def _spread_evenly(count: int, most: int) -> np.ndarray:
    """Indices of at most so many of `count`."""
    return np.linspace(0, max(count - 1, 0), min(count, most)).astype(np.intp)


def _coefficients(plane: np.ndarray, textured: Bool[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "blocks 64"]:
    """Of textured blocks; equal ones, as in tiled patterns, count once."""
    row, column = np.nonzero(textured)
    chosen = _spread_evenly(len(row), _MOST_BLOCKS)
    blocks = cut_blocks(plane)[row[chosen], column[chosen]].astype(np.uint8)
    different = np.unique(blocks.view(f"V{BLOCK * BLOCK}")).view(np.uint8)
    return block_dct(different.reshape(-1, BLOCK)).reshape(-1, BLOCK * BLOCK)


def _textured(plane: np.ndarray, clipped: np.ndarray) -> Bool[np.ndarray, "rows columns"]:
    deviation: np.ndarray = cut_blocks(plane).std(-1)
    return ~clipped & (deviation >= _LEAST_DEVIATION)


def _steps(coefficients: Float32[np.ndarray, "blocks 64"], demands: _Demands) -> Steps | None:
    """The largest steps that the coefficients fit, if enough of them are sure and larger than 1."""
    if len(coefficients) < LEAST_BLOCKS:
        return None
    square, far, multiples, beside = np.split(_histograms(coefficients) @ _distances(), 4, 1)
    steps = np.arange(1, MOST_STEP + 1, dtype=np.float32)
    fits = (square <= demands.mean_square * len(coefficients)) & (far <= demands.far * len(coefficients))
    fits &= beside <= demands.mean_square * multiples + 0.5  # many zeros must not hide that the rest are none
    nothing = fits[:, -1:]

    def largest(least_multiples: int) -> np.ndarray:
        return np.where(fits[:, :-1] & ~nothing & (multiples[:, :-1] >= least_multiples), steps, 0).max(1)

    sure = largest(_LEAST_MULTIPLES)
    if np.count_nonzero(sure > 1) < max(demands.steps, demands.share * np.count_nonzero(~nothing)):
        return None
    found = largest(1)
    found = np.where(found, found, found.max())
    if np.median(sure[sure > 1]) > _MOST_RATIO * found[list(_LOWEST)].min():
        return None
    return Steps(found.reshape(BLOCK, BLOCK), sure)


def _has_a_foreign_part(luma: np.ndarray, textured: np.ndarray, sure: Float32[np.ndarray, " 64"]) -> bool:
    """Whether textured blocks that lie together, or many, are too far from multiples of the steps."""
    told, step = sure > 1, sure[sure > 1]
    most = _LUMA.mean_square + _FOUR_DEVIATIONS / np.sqrt(len(step))
    foreign = np.zeros(textured.shape, bool)
    for top in range(0, len(textured), _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        blocks = cut_blocks(luma[top * BLOCK : rows.stop * BLOCK])[textured[rows]]
        coefficients = block_dct(blocks.reshape(-1, BLOCK)).reshape(-1, BLOCK * BLOCK)
        multiples = coefficients[:, told] / step
        multiples -= np.rint(multiples)
        foreign[rows][textured[rows]] = ((multiples * step) ** 2).mean(1) > most
    together = ndimage.convolve(foreign.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant")
    many = foreign.sum() > max(_MOST_TOGETHER, _MOST_FOREIGN * textured.sum())
    return bool(many or together.max() > _MOST_TOGETHER)


def _histograms(coefficients: Float32[np.ndarray, "blocks 64"]) -> Float32[np.ndarray, "64 bins"]:
    """Of magnitudes, per frequency; without those of `_MOST_LEVEL` and more."""
    count = _BINS_PER_LEVEL * _MOST_LEVEL
    bins = np.minimum(np.rint(np.abs(coefficients) * _BINS_PER_LEVEL).astype(np.intp), count)
    each = bins + np.arange(bins.shape[1]) * (count + 1)
    counts = np.bincount(each.ravel(), minlength=bins.shape[1] * (count + 1)).reshape(-1, count + 1)
    return counts[:, :count].astype(np.float32)


@functools.cache
def _distances() -> Float32[np.ndarray, "bins 4*steps"]:
    """Of each bin from the nearest multiple of each step, and last from 0 alone.

    Four tables beside each other: squared; 1 where `_FAR`; 1 where the multiple is not 0; squared where it is not 0.
    """
    level = np.arange(_BINS_PER_LEVEL * _MOST_LEVEL)[:, None] / _BINS_PER_LEVEL
    step = np.append(np.arange(1.0, MOST_STEP + 1), np.inf)
    multiple = np.rint(level / step)
    distance = level - np.where(multiple > 0, multiple * np.minimum(step, MOST_STEP), 0)
    square, other = distance**2, multiple > 0
    return np.concatenate([square, np.abs(distance) > _FAR, other, square * other], 1).astype(np.float32)
