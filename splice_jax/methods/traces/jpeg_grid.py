"""Methods that detect breaks in the 8x8 JPEG grid or the quantisation that a single compression leaves in pixels."""

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy import ndimage

from splice_jax.jpeg import BLOCK, ZIGZAG, block_dct
from splice_jax.methods.registry import register
from splice_jax.methods.traces.double_jpeg import LARGEST_STEPS, find_period
from splice_jax.methods.traces.trace import OFF_ITS_GRID, TraceLocalizer, luma, spread, textureless, to_pixels

STRONGEST = 50.0
"""Second differences above this, in levels, are edges in the scene, not between blocks."""

ALONG = 5
"""Blocks over which a line is averaged, centred on its own block."""

ACROSS = 33
"""Pixels across a line within which it is compared with others: five lines of the JPEG grid."""

FREQUENCIES = ZIGZAG[1:32]

NEVER_JPEG = "this file is no JPEG; if the photograph never was one, only texture and noise show"


@register("blk", version=3)
class BlockGrid(TraceLocalizer):
    """Lines of the JPEG grid that are where none should be, or missing where one should be, block by block.

    W. Li, Y. Yuan and N. Yu, "Passive detection of doctored JPEG image via block artifact grid extraction", Signal
    Processing 89, 2009: second differences across a line are summed along it, their median across the line is
    subtracted, and the median of five lines 8 pixels apart is taken. A block's response is how much the strongest line
    inside it exceeds the weaker one at its border, rows plus columns. The JPEG grid is taken to start where the image's
    lines are strongest, so that a cropped host does not count as a splice.
    """

    name = "blk"
    looks_for = "The grid of blocks that JPEG compression leaves: where it is broken or shifted counts as pasted in."
    weakened_by = {"no jpeg": NEVER_JPEG}
    cell = 1
    smallest = 3 * BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """The mean second difference over a line's pixels, in levels; NaN in flat and saturated blocks."""
        plane = luma(image)
        strays = stray_columns(plane) + stray_columns(np.ascontiguousarray(plane.T)).T
        return np.where(to_pixels(textureless(image, BLOCK), plane.shape, BLOCK), np.nan, strays)


@register("dct", version=2)
class QuantizationError(TraceLocalizer):
    """How far a block's DCT coefficients are from multiples of the image's quantisation steps.

    S. Ye, Q. Sun and E.-C. Chang, "Detecting digital image forgeries by measuring inconsistencies of blocking
    artifact", ICME 2007. The steps are estimated from the periods of the histograms, which show a first compression
    through a finer second one. As in the paper, the highest peak counts however low it is: for an image that was never
    compressed, the response only measures texture and noise, against meaningless steps.
    """

    name = "dct"
    looks_for = (
        "The steps to which JPEG compression rounds a picture: parts that do not keep to them count as pasted in."
    )
    weakened_by = {"no jpeg": NEVER_JPEG, "shifted jpeg": OFF_ITS_GRID}
    needs_texture = True
    cell = BLOCK
    smallest = BLOCK

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """In levels, summed over 31 coefficients."""
        coefficients = block_dct(luma(image))
        error = np.zeros(coefficients.shape[:2])
        rows, columns = error.shape
        telling = ~(textureless(image, BLOCK)[:rows, :columns])
        for place in FREQUENCIES if telling.any() else ():
            values = coefficients[:, :, *place]
            step = find_period(np.rint(values[telling]).astype(int), float(LARGEST_STEPS[place]), tested=False)
            if step > 1:
                error += np.abs(values - step * np.rint(values / step))
        return error


def stray_columns(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """For each block, how much the strongest vertical line inside it exceeds the weaker one at its border."""
    lines = column_lines(plane)
    origin = grid_origin(lines)
    columns = (plane.shape[1] - origin) // BLOCK
    inside = lines[:, origin : origin + columns * BLOCK].reshape(len(lines), columns, BLOCK)
    stray = inside[:, :, 1:-1].max(axis=2) - inside[:, :, [0, -1]].min(axis=2)
    return spread(stray, (plane.shape[0], plane.shape[1]), BLOCK, origin=(0, origin))


def column_lines(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "rows width"]:
    """How much more the brightness bends at each column, and those 8 and 16 pixels from it, than at those around it.

    A block border bends it on both sides: at the last column of one block and the first of the next.
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
    """The column, 0 … 7, where blocks start."""
    phases = np.array([lines[:, first::BLOCK].mean() for first in range(BLOCK)])
    return int(np.argmax(phases + np.roll(phases, 1)))
