"""Rows that see breaks in the 8x8 grid, or in the quantisation, that one JPEG compression leaves in pixels."""

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy import ndimage

from splice_jax.jpeg import BLOCK, ZIGZAG, block_dct
from splice_jax.methods.registry import register
from splice_jax.methods.traces.double_jpeg import LARGEST_STEPS, find_period
from splice_jax.methods.traces.trace import TraceLocalizer, luma, spread

STRONGEST = 50.0
"""Second differences, in levels, above this are edges of what was photographed, not of blocks."""

ALONG = 5
"""Blocks, of which the middle one is the line's own, over which a line is summed."""

ACROSS = 33
"""Pixels across a line within which it is compared with others: five lines of the grid."""

FREQUENCIES = ZIGZAG[1:32]


@register("blk")
class BlockGrid(TraceLocalizer):
    """Lines of the block grid where there should be none, and none where they should be, block by block.

    W. Li, Y. Yuan and N. Yu, "Passive detection of doctored JPEG image via block artifact grid extraction", Signal
    Processing 89, 2009: second differences across a line are summed along it, the median across it is taken off, and
    then the median of five lines 8 pixels apart. A block's response is by how much the strongest line inside it exceeds
    the weaker one at its border, rows and columns added. The grid begins where the image's lines are strongest, so that
    a cropped host is no splice.
    """

    name = "blk"
    cell = 1
    smallest = 3 * BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """In levels: the mean second difference over a line's pixels."""
        plane = luma(image)
        return stray_columns(plane) + stray_columns(np.ascontiguousarray(plane.T)).T


@register("dct")
class QuantizationError(TraceLocalizer):
    """How far a block's DCT coefficients are from the multiples of the steps that the image was quantised by.

    S. Ye, Q. Sun and E.-C. Chang, "Detecting digital image forgeries by measuring inconsistencies of blocking
    artifact", ICME 2007. Steps are read off the periods of the histograms, which show a first compression through a
    finer second one. As in the paper the highest peak counts, however low: of an image that was never compressed the
    response is its texture and noise, measured by steps that never were.
    """

    name = "dct"
    cell = BLOCK
    smallest = BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """In levels, summed over 31 coefficients."""
        coefficients = block_dct(luma(image))
        error = np.zeros(coefficients.shape[:2])
        for place in FREQUENCIES:
            values = coefficients[:, :, *place]
            step = find_period(np.rint(values).astype(int), float(LARGEST_STEPS[place]), tested=False)
            if step > 1:
                error += np.abs(values - step * np.rint(values / step))
        return error


def stray_columns(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Of each block, by how much the strongest vertical line inside it exceeds the weaker one at its border."""
    lines = column_lines(plane)
    origin = grid_origin(lines)
    columns = (plane.shape[1] - origin) // BLOCK
    inside = lines[:, origin : origin + columns * BLOCK].reshape(len(lines), columns, BLOCK)
    stray = inside[:, :, 1:-1].max(axis=2) - inside[:, :, [0, -1]].min(axis=2)
    return spread(stray, (plane.shape[0], plane.shape[1]), BLOCK, origin=(0, origin))


def column_lines(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "rows width"]:
    """How much more than beside it the brightness bends at each column, and at those 8 and 16 pixels away from it.

    A border of blocks bends it on both of its sides: at the last column of one block and the first of the next.
    """
    bend = np.zeros_like(plane)
    bend[:, 1:-1] = np.abs(2 * plane[:, 1:-1] - plane[:, :-2] - plane[:, 2:])
    bend[bend > STRONGEST] = 0
    rows, width = plane.shape[0] // BLOCK, plane.shape[1]
    strength = bend[: rows * BLOCK].reshape(rows, BLOCK, width).mean(axis=1)
    strength = ndimage.uniform_filter1d(strength, ALONG, axis=0, mode="reflect")
    strength -= ndimage.median_filter(strength, (1, ACROSS), mode="reflect")
    around = np.pad(strength, ((0, 0), (ACROSS // 2, ACROSS // 2)), mode="symmetric")
    return np.median([around[:, first : first + width] for first in range(0, ACROSS, BLOCK)], axis=0)


def grid_origin(lines: Float32[np.ndarray, "rows width"]) -> int:
    """The column, 0 … 7, at which blocks begin."""
    phases = np.array([lines[:, first::BLOCK].mean() for first in range(BLOCK)])
    return int(np.argmax(phases + np.roll(phases, 1)))
