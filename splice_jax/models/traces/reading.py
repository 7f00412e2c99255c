"""From a photograph's pixels and its file to the trace bank's arguments."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from splice_jax.images import as_stored
from splice_jax.jpeg import BLOCK, NoCoefficientsError, read_luma

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_NO_TABLE = np.ones((BLOCK, BLOCK), np.float32)


class Reading(NamedTuple):
    """A photograph as its file stores it, cut to whole blocks; every array but `table` may be padded."""

    image: UInt8[np.ndarray, "height width 3"]
    luma: Float32[np.ndarray, "height width"]
    """The file's own if it is a JPEG, else of the pixels; 0 … 255."""
    table: Float32[np.ndarray, "8 8"]
    """The file's quantization steps of luma; ones if it is no JPEG."""
    orientation: int
    """EXIF orientation by which the file is turned upright."""

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.image.shape[0] // BLOCK, self.image.shape[1] // BLOCK

    def window(self, top: int, left: int, rows: int, columns: int) -> "Reading":
        """Some of the blocks, with the place of the first; beyond the picture its border is repeated."""
        place = [
            np.clip(np.arange(first * BLOCK, (first + count) * BLOCK), 0, length - 1)
            for first, count, length in zip((top, left), (rows, columns), self.luma.shape, strict=True)
        ]
        return self._replace(image=self.image[np.ix_(*place)], luma=self.luma[np.ix_(*place)])


def read(image: UInt8[np.ndarray, "height width 3"], encoded: bytes = b"") -> Reading:
    """The bank's arguments for a picture of at least 8x8 pixels.

    Args:
        image: upright.
        encoded: its file, if there is one. What is no JPEG with luma of its own is judged by its pixels.
    """
    luma, table, orientation = image @ _LUMA, _NO_TABLE, 1
    if encoded:
        try:
            stored = read_luma(encoded)
        except NoCoefficientsError:
            pass
        else:
            luma, table = stored.plane.astype(np.float32), stored.table.astype(np.float32)
            orientation = stored.orientation
            image = as_stored(image, orientation)
    height, width = (side // BLOCK * BLOCK for side in luma.shape)
    return Reading(image[:height, :width], luma[:height, :width], table, orientation)
