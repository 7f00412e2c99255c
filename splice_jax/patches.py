"""The grid of square patches that an image is cut into, their labels, and how their maps are stitched together."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped, UInt16

PATCH_SIZE = 64

Origins = Int32[np.ndarray, "rows columns 2"]


def grid(height: int, width: int, *, stride: int = PATCH_SIZE, border: str = "inward") -> Origins:
    """The upper left corners (y, x) of all patches of an image.

    Args:
      height: image height in pixels; counts as at least `PATCH_SIZE`, see `pad_to_patch`.
      width: image width in pixels, likewise.
      stride: pixels between neighbouring patches, 1 to `PATCH_SIZE`.
      border: how a remainder at the right or bottom that does not fill a step is handled. `"inward"`: the last row and
        column of patches move inward, so that every pixel is covered; `"crop"`: the remainder is left uncovered.

    Raises:
      ValueError: `stride`, `border` or a size is none of the above.

    >>> grid(64, 100).tolist()
    [[[0, 0], [0, 36]]]
    >>> grid(64, 100, border="crop").tolist()
    [[[0, 0]]]
    """
    rows, columns = _starts(height, stride, border), _starts(width, stride, border)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _starts(size: int, stride: int, border: str) -> Int32[np.ndarray, " starts"]:
    if size < 1 or not 1 <= stride <= PATCH_SIZE or border not in ("inward", "crop"):
        raise ValueError(
            f"size {size}, stride {stride}, border {border!r}: a size is at least 1 pixel, "
            f"a stride 1 to {PATCH_SIZE}, a border 'inward' or 'crop'"
        )
    last = max(size, PATCH_SIZE) - PATCH_SIZE
    starts = np.arange(0, last + 1, stride, dtype=np.int32)
    if border == "inward" and starts[-1] != last:
        starts = np.append(starts, np.int32(last))
    return starts


def pad_to_patch(
    image: Shaped[np.ndarray, "height width *rest"],
) -> Shaped[np.ndarray, "padded_height padded_width *rest"]:
    """The image with its last row and column repeated until both sides reach `PATCH_SIZE`; often the image itself."""
    below, right = (max(PATCH_SIZE - side, 0) for side in image.shape[:2])
    if not below and not right:
        return image
    return np.pad(image, [(0, below), (0, right)] + [(0, 0)] * (image.ndim - 2), mode="edge")


def extract(
    image: Shaped[np.ndarray, "height width *rest"], origins: Int32[np.ndarray, "patches 2"]
) -> Shaped[np.ndarray, "patches 64 64 *rest"]:
    """Copies the patches at `origins` from an image, padded by `pad_to_patch` if it is small."""
    image = pad_to_patch(image)
    patches = np.empty((len(origins), PATCH_SIZE, PATCH_SIZE, *image.shape[2:]), image.dtype)
    for patch, (y, x) in zip(patches, origins, strict=True):
        patch[...] = image[y : y + PATCH_SIZE, x : x + PATCH_SIZE]
    return patches


def labels(masks: Bool[np.ndarray, "patches 64 64"]) -> Int32[np.ndarray, " patches"]:
    """1 if strictly more than 7/8 of a patch's pixels are spliced, else 0 (Cun & Pun 2018, released code)."""
    spliced = np.count_nonzero(masks, axis=(1, 2))
    return (8 * spliced > 7 * PATCH_SIZE * PATCH_SIZE).astype(np.int32)


def join(patches: Any, side: int) -> Any:
    """Crops [n, 64 side, 64 side, ...] made of `side` x `side` patches each, which lie side by side, row after row.

    Args:
      patches: [n side side, 64, 64, ...], of NumPy or JAX.
      side: patches along a crop's side.
    """
    rest = patches.shape[3:]
    window = patches.reshape(-1, side, side, PATCH_SIZE, PATCH_SIZE, *rest)
    return window.swapaxes(2, 3).reshape(-1, side * PATCH_SIZE, side * PATCH_SIZE, *rest)


def cut(crops: Any) -> Any:
    """The patches that `join` made crops of."""
    side, rest = crops.shape[1] // PATCH_SIZE, crops.shape[3:]
    window = crops.reshape(-1, side, PATCH_SIZE, side, PATCH_SIZE, *rest)
    return window.swapaxes(2, 3).reshape(-1, PATCH_SIZE, PATCH_SIZE, *rest)


class Stitcher:
    """Incrementally joins maps of patches into one map of the image, averaging where patches overlap.

    Holds six bytes per image pixel, however many patches are added.
    """

    def __init__(self, height: int, width: int) -> None:
        padded = max(height, PATCH_SIZE), max(width, PATCH_SIZE)
        self._size = height, width
        self._map: Float32[np.ndarray, "padded_height padded_width"] = np.zeros(padded, np.float32)
        # At stride 1 a pixel lies in 64 x 64 patches, which 16 bits hold.
        self._patches: UInt16[np.ndarray, "padded_height padded_width"] = np.zeros(padded, np.uint16)

    def add(self, origins: Int32[np.ndarray, "patches 2"], maps: Float32[np.ndarray, "patches 64 64"]) -> None:
        """Adds the maps of the patches whose upper left corners are `origins`, as returned by `grid`."""
        for (y, x), values in zip(origins, maps, strict=True):
            window = slice(y, y + PATCH_SIZE), slice(x, x + PATCH_SIZE)
            self._map[window] += values
            self._patches[window] += 1

    def result(self) -> Float32[np.ndarray, "height width"]:
        """The map of the image, 0 where there is no patch. Computed in place: nothing can be added afterwards."""
        np.divide(self._map, self._patches, out=self._map, where=self._patches > 1)
        self._patches = np.minimum(self._patches, 1, out=self._patches)
        height, width = self._size
        return self._map[:height, :width]
