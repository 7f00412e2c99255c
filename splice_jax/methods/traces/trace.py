"""What the hand-crafted rows have in common: from the response of a trace to a probability map and a mask."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float32, Num, UInt8

from splice_jax.crf import otsu
from splice_jax.methods.localizer import Found, Localizer, Undefined

TAIL = 0.01
"""The share of the lowest responses, and of the highest, that is squeezed into the ends of the scale."""

SQUEEZED = 0.05
"""How much of the scale each of these ends is."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class TraceLocalizer(Localizer):
    """A row that measures a trace, with no training; a row of its own has a `name` and a `response`."""

    cell: ClassVar[int] = 1
    """Pixels along the side of what one value of the response speaks of: 1, or that of its blocks."""

    smallest: ClassVar[int] = 1
    """Pixels along the shorter side of the smallest image in which the trace can be measured."""

    @abstractmethod
    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """How strongly the trace speaks for a splice: higher = more likely spliced, on any scale.

        Value (r, c) speaks of the pixels from (r, c) · `cell` to (r + 1, c + 1) · `cell`, exclusive. A remainder of the
        image that fills no cell may be left out. NaN says that nothing can be told there.

        Raises:
          Undefined: the trace cannot be in such an image.
        """

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """The response as a map, and what is above the map's own threshold (`otsu`) as its mask.

        Raises:
          Undefined: the image is smaller than `smallest`, or the trace cannot be in it.
        """
        self.require_size(image)
        return self.found(self.response(image), (image.shape[0], image.shape[1]))

    def require_size(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Raises `Undefined` where the image is smaller than `smallest`."""
        height, width = image.shape[:2]
        if min(height, width) < self.smallest:
            least = f"{self.smallest}x{self.smallest}"
            raise Undefined(f"row {self.name} needs an image of at least {least} pixels; this one has {width}x{height}")

    def found(self, response: Num[np.ndarray, "rows columns"], size: tuple[int, int]) -> Found:
        """Brings a response to an image of `size` (height, width), on the scale of `normalize`."""
        probability = spread(normalize(response), size, self.cell)
        return Found(probability, probability >= otsu(probability))


def normalize(response: Num[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    """The response on the scale 0 … 1, in its own order; 0 everywhere where it is the same everywhere.

    Linear from the `TAIL` quantile, at 0.05, to that of 1 − `TAIL`, at 0.95, and linear beyond, to the lowest value at
    0 and the highest at 1: a few extreme cells neither flatten the map nor lose their rank. Cells of which nothing can
    be told (NaN) have the median of the others, infinite ones the nearest finite value.

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
    """Values of cells as values of an image's pixels: linear between the cells' centres, the nearest one's beyond.

    Args:
      values: one per cell.
      size: height and width of the image, of any relation to the cells: every pixel gets a value.
      cell: pixels along a cell's side.
      origin: row and column of the first cell's first pixel, where a grid does not begin with the image.

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
    """A view of the whole blocks of a plane, a remainder left out.

    >>> blocks(np.arange(12).reshape(2, 6), 2)[0, 1].tolist()
    [[2, 3], [8, 9]]
    """
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    whole = plane[: rows * size, : columns * size]
    return whole.reshape(rows, size, columns, size).swapaxes(1, 2)


def luma(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Brightness as JPEG and television have it (ITU-R BT.601), 0 … 255, not rounded."""
    return image @ _LUMA
