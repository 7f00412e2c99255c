"""What the hand-crafted methods have in common: turning a trace's response into a probability map and a mask."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Num, UInt8
from scipy import ndimage

from splice_jax.crf import otsu
from splice_jax.methods.localizer import Found, Localizer, Undefined

TAIL = 0.01
"""The share of responses, at each extreme, that is squeezed into the ends of the scale."""

SQUEEZED = 0.05
"""The fraction of the scale that each end takes up."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

OFF_ITS_GRID = "the photograph was a JPEG and cropped or turned since; this row looks for blocks where they were before"
"""Why a row that takes blocks from the corner on says less of such a photograph."""


class TraceLocalizer(Localizer):
    """A method that measures a trace, without training; subclasses define `name` and `response`."""

    cell: ClassVar[int] = 1
    """Side, in pixels, of the square that one response value covers: 1, or the block size."""

    flat: ClassVar[str] = "the trace is equally strong everywhere"
    """Why a response is the same everywhere."""

    needs_texture: ClassVar[bool] = False
    """Whether flat and saturated cells, in which there is nothing to measure, take no part in the statistics."""

    @abstractmethod
    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """How strongly the trace indicates a splice: higher = more likely spliced, on any scale.

        Value (r, c) covers the pixels from (r, c) · `cell` to (r + 1, c + 1) · `cell`, exclusive. A remainder of the
        image that does not fill a cell may be left out. NaN means that nothing can be said there.

        Raises:
          Undefined: such an image cannot carry the trace.
        """

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """The response as a map, and as its mask what is above the map's own threshold (`otsu`).

        Raises:
          Undefined: the image is smaller than `smallest`, cannot carry the trace, or has the same response everywhere.
        """
        self.require_size(image)
        response = self.response(image)
        if self.needs_texture:
            rows, columns = response.shape
            response = np.where(textureless(image, self.cell)[:rows, :columns], np.nan, response)
        return self.found(response, (image.shape[0], image.shape[1]))

    def found(
        self, response: Num[np.ndarray, "rows columns"], size: tuple[int, int], origin: tuple[int, int] = (0, 0)
    ) -> Found:
        """Turns a response into a map of `size` (height, width), scaled by `normalize`, and its mask.

        Args:
          response: one value per cell.
          size: of the image.
          origin: row and column of the first cell's first pixel.

        Raises:
          Undefined: the response is the same wherever something can be said.
        """
        self.require_contrast(response)
        probability = spread(normalize(response), size, self.cell, origin=origin)
        valid = to_pixels(~np.isnan(response), size, self.cell, origin)
        return Found(probability, (probability >= otsu(probability[valid])) & valid, valid=valid)

    def require_contrast(self, response: Num[np.ndarray, "rows columns"]) -> None:
        """Raises `Undefined` if a response is the same wherever something can be said."""
        finite = response[np.isfinite(response)]
        if not finite.size:
            raise Undefined(f"row {self.name} has nothing to measure: the image is flat or saturated everywhere")
        if finite.min() == finite.max():
            raise Undefined(f"row {self.name} would give a flat map: {self.flat}")


def textureless(image: UInt8[np.ndarray, "height width 3"], cell: int) -> Bool[np.ndarray, "rows columns"]:
    """By cell, whether more than half of its pixels are saturated, or like all their neighbours.

    Saturated is black or white in all channels. There may be a row and a column more than whole cells.
    """
    saturated = (image.min(axis=2) == 255) | (image.max(axis=2) == 0)
    like = np.ones(image.shape[:2], bool)
    for channel in np.moveaxis(image, 2, 0):
        like &= ndimage.maximum_filter(channel, 3) == ndimage.minimum_filter(channel, 3)
    share = ndimage.uniform_filter((saturated | like).astype(np.float32), cell)
    return share[cell // 2 :: cell, cell // 2 :: cell] > 0.5


def to_pixels(
    cells: Bool[np.ndarray, "rows columns"], size: tuple[int, int], side: int, origin: tuple[int, int] = (0, 0)
) -> Bool[np.ndarray, "height width"]:
    """Each pixel's cell, of which the first begins at the origin; beyond the outermost cells, those."""
    rows, columns = (
        np.clip((np.arange(length) - first) // side, 0, most - 1)
        for length, first, most in zip(size, origin, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]


def normalize(response: Num[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    """Scales the response to 0 … 1, preserving its order; 0 everywhere if it is constant.

    Piecewise linear: the lowest value maps to 0, the `TAIL` quantile to 0.05, the 1 − `TAIL` quantile to 0.95 and the
    highest value to 1, so a few extreme cells neither flatten the map nor lose their rank. Cells about which nothing
    can be said (NaN) get the median of the others, infinite ones the nearest finite value.

    >>> normalize(np.array([[4.0, 2.0], [3.0, np.inf]])).round(2).tolist()
    [[1.0, 0.0], [0.5, 1.0]]
    """
    values = np.asarray(response, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() == finite.max():
        return np.zeros(values.shape, np.float32)
    low, high = finite.min(), finite.max()
    values = np.nan_to_num(values, nan=float(np.median(finite)), neginf=low, posinf=high)
    knots, scale = [low], [0.0]
    lower, upper = np.quantile(finite, [TAIL, 1 - TAIL])
    for knot, place in ((lower, SQUEEZED), (upper, 1 - SQUEEZED)):
        if lower < upper and low < knot < high:
            knots.append(knot)
            scale.append(place)
    return np.interp(values, [*knots, high], [*scale, 1.0]).astype(np.float32)


def spread(
    values: Num[np.ndarray, "rows columns"], size: tuple[int, int], cell: int, *, origin: tuple[int, int] = (0, 0)
) -> Float32[np.ndarray, "height width"]:
    """Interpolates cell values to pixels: linearly between cell centres, constant beyond the outermost.

    Args:
      values: one per cell.
      size: height and width of the image, not necessarily a multiple of the cell: every pixel gets a value.
      cell: side of a cell in pixels.
      origin: row and column of the first cell's first pixel, if the cells do not start at the image's corner.

    >>> spread(np.array([[0.0, 4.0]]), (1, 10), 4).tolist()
    [[0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0, 4.0, 4.0]]
    """
    spread_out = np.asarray(values, np.float32)
    for axis in range(2):
        place = (np.arange(size[axis]) - origin[axis] + 0.5) / cell - 0.5
        place = np.clip(place, 0, spread_out.shape[axis] - 1)
        before = place.astype(np.intp)
        after = np.minimum(before + 1, spread_out.shape[axis] - 1)
        share = np.expand_dims((place - before).astype(np.float32), 1 - axis)
        first, second = (np.take(spread_out, index, axis) for index in (before, after))
        spread_out = first + share * (second - first)
    return spread_out


def blocks(plane: Num[np.ndarray, "height width"], size: int) -> Num[np.ndarray, "rows columns size size"]:
    """A view of the whole blocks of a plane, without any remainder.

    >>> blocks(np.arange(12).reshape(2, 6), 2)[0, 1].tolist()
    [[2, 3], [8, 9]]
    """
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    whole = plane[: rows * size, : columns * size]
    return whole.reshape(rows, size, columns, size).swapaxes(1, 2)


def luma(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Brightness as JPEG and television define it (ITU-R BT.601), 0 … 255, not rounded."""
    return image @ _LUMA
