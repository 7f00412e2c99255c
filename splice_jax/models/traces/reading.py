"""From a photograph's pixels and its file to the trace bank's arguments."""

import contextlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from splice_jax.images import as_stored
from splice_jax.jpeg import BLOCK, Chroma, Luma, NoCoefficientsError, read_planes
from splice_jax.models.traces.decoded import (
    DecodedLuma,
    chroma_steps,
    clipped_blocks,
    decoded_luma,
    grid_origin,
    to_levels,
    whole_blocks,
)
from splice_jax.models.traces.recompression import CHROMA_ZERO, TO_YCC


class Reading(NamedTuple):
    """A photograph as its file stores it, cut to whole blocks; every array but `tables` may be padded."""

    image: UInt8[np.ndarray, "height width 3"]
    planes: Float32[np.ndarray, "height width 3"]
    """Luma and chroma, the file's own if it is a JPEG that has them (see `jpeg.Chroma`), else the pixels', rounded to
    whole levels where a JPEG decoded to them; 0 … 255.5."""
    tables: Float32[np.ndarray, "2 8 8"]
    """The file's quantization steps of luma and of chroma, or those of the JPEG that the pixels were decoded from, see
    `decoded`; ones where there are none."""
    orientation: int
    """EXIF orientation by which the file is turned upright."""
    origin: tuple[int, int] = (0, 0)
    """Row and column of the first block's first pixel: elsewhere than in the corner if pixels show blocks there."""

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.image.shape[0] // BLOCK, self.image.shape[1] // BLOCK

    def cut(self, plane: Shaped[np.ndarray, "height width *channels"]) -> Shaped[np.ndarray, "rows columns *channels"]:
        """A plane of the upright picture, such as its mask, cut to the pixels of all blocks."""
        rows, columns = self.blocks
        top, left = self.origin
        stored = as_stored(plane, self.orientation)
        return stored[top : top + rows * BLOCK, left : left + columns * BLOCK]

    def window(self, top: int, left: int, rows: int, columns: int) -> "Reading":
        """Some of the blocks, with the place of the first; beyond the picture its border is repeated."""
        kept, missing = [], []
        for first, count, whole in zip((top, left), (rows, columns), self.blocks, strict=True):
            begin, end = max(first, 0), min(first + count, whole)
            kept.append(slice(begin * BLOCK, end * BLOCK))
            missing.append(((begin - first) * BLOCK, (first + count - end) * BLOCK))

        def cut(plane: np.ndarray) -> np.ndarray:
            return np.pad(plane[tuple(kept)], [*missing, (0, 0)], mode="edge")

        return self._replace(image=cut(self.image), planes=cut(self.planes))


def read(image: UInt8[np.ndarray, "height width 3"], encoded: bytes = b"") -> Reading:
    """The bank's arguments for a picture of at least 8x8 pixels.

    Args:
        image: upright.
        encoded: its file, if there is one. What is no JPEG with luma of its own is judged by its pixels, in blocks that
            begin where a grid stands out, and by the quantization that they show.
    """
    if encoded:
        with contextlib.suppress(NoCoefficientsError):
            return _of_file(image, *read_planes(encoded))
    grid = grid_origin(image) or (0, 0)
    decoded = decoded_luma(image, grid)
    return _of_pixels(image, grid) if decoded is None else _of_decoded(image, decoded)


def _of_file(image: np.ndarray, luma: Luma, chroma: Chroma | None) -> Reading:
    reading = _unread(as_stored(image, luma.orientation))._replace(orientation=luma.orientation)
    height, width = reading.image.shape[:2]
    reading.planes[..., 0], reading.tables[0] = luma.plane[:height, :width], luma.table
    if chroma is None:
        reading.planes[..., 1:] = _chroma_of(reading.image)
    else:
        reading.planes[..., 1:], reading.tables[1] = chroma.planes, chroma.table
    return reading


def _of_pixels(image: np.ndarray, origin: tuple[int, int]) -> Reading:
    reading = _unread(image, origin)
    reading.planes[..., 0] = reading.image @ TO_YCC[0]
    reading.planes[..., 1:] = _chroma_of(reading.image)
    return reading


def _of_decoded(image: np.ndarray, luma: DecodedLuma) -> Reading:
    """With the levels that a decoder had, and the steps that they show."""
    reading = _unread(image, luma.origin)
    reading.planes[..., 0], reading.tables[0] = luma.plane, luma.steps
    chroma = _chroma_of(reading.image)
    levels = to_levels(chroma)
    if (steps := chroma_steps(levels, clipped_blocks(reading.image))) is None:
        reading.planes[..., 1:] = chroma
    else:
        reading.planes[..., 1:], reading.tables[1] = levels, steps
    return reading


def _unread(image: np.ndarray, origin: tuple[int, int] = (0, 0)) -> Reading:
    """The whole blocks from the origin on; their planes are to be filled."""
    pixels = whole_blocks(image, origin)
    return Reading(pixels, np.empty(pixels.shape, np.float32), np.ones((2, BLOCK, BLOCK), np.float32), 1, origin)


def _chroma_of(image: np.ndarray) -> np.ndarray:
    return image @ TO_YCC[1:].T + CHROMA_ZERO
