"""From a photograph's pixels and its file to the trace bank's arguments."""

import contextlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from splice_jax.images import as_stored
from splice_jax.jpeg import BLOCK, NoCoefficientsError, read_planes
from splice_jax.models.traces.decoded import chroma_steps, clipped_blocks, luma_steps
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

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.image.shape[0] // BLOCK, self.image.shape[1] // BLOCK

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
        encoded: its file, if there is one. What is no JPEG with luma of its own is judged by its pixels, and by the
            quantization that they show.
    """
    luma, chroma, orientation = None, None, 1
    if encoded:
        with contextlib.suppress(NoCoefficientsError):
            luma, chroma = read_planes(encoded)
            orientation = luma.orientation
            image = as_stored(image, orientation)
    height, width = (side // BLOCK * BLOCK for side in image.shape[:2])
    image = image[:height, :width]
    planes, tables = np.empty(image.shape, np.float32), np.ones((2, BLOCK, BLOCK), np.float32)
    if luma is not None:
        planes[..., 0], tables[0] = luma.plane[:height, :width], luma.table
    if chroma is not None:
        planes[..., 1:], tables[1] = chroma.planes, chroma.table
    else:
        planes[..., 1:] = image @ TO_YCC[1:].T + CHROMA_ZERO
    if luma is None:
        planes[..., 0] = image @ TO_YCC[0]
        _decoded(image, planes, tables)
    return Reading(image, planes, tables, orientation)


def _decoded(image: np.ndarray, planes: np.ndarray, tables: np.ndarray) -> None:
    """Puts the levels that a decoder had, and the steps that they show, where the pixels were decoded from a JPEG."""
    clipped = clipped_blocks(image)
    if (steps := luma_steps(luma := _levels(planes[..., 0]), clipped)) is None:
        return
    planes[..., 0], tables[0] = luma, steps
    if (steps := chroma_steps(chroma := _levels(planes[..., 1:]), clipped)) is not None:
        planes[..., 1:], tables[1] = chroma, steps


def _levels(plane: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(plane), 0, 255)
