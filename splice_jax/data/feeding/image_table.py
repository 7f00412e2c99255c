"""Training data of networks that see whole images: pixels and targets on disk, one image after another.

A training example is a crop of fixed size, drawn anew each time. The columns are memory-mapped, so only the pixel rows
of the crop are read.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8
from scipy import ndimage
from tqdm import tqdm

from splice_jax.data import Example
from splice_jax.data.feeding.tables import make_once, open_columns, wrap

COLUMNS = ("pixels", "targets", "sizes", "counts")
SPLICED, EDGE = 1, 2
"""Bits of a target."""
EDGE_RADIUS = 2


@dataclass(frozen=True, eq=False)
class ImageTable:
    """k images with p pixels in total."""

    pixels: UInt8[np.ndarray, "p 3"]
    targets: UInt8[np.ndarray, " p"]
    """`SPLICED` and `EDGE`, or 0."""
    sizes: Int32[np.ndarray, "k 2"]
    """Heights and widths."""
    counts: Int64[np.ndarray, "k 2"]
    """Number of spliced pixels, and of pixels near the spliced region's boundary."""

    def image(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
        """The memory-mapped pixels and targets of an image."""
        height, width = self.sizes[index].tolist()
        start = int(self.starts[index])
        rows = slice(start, start + height * width)
        return self.pixels[rows].reshape(height, width, 3), self.targets[rows].reshape(height, width)

    @functools.cached_property
    def starts(self) -> Int64[np.ndarray, " k+1"]:
        """Where each image starts, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.sizes.astype(np.int64).prod(axis=1))])

    def class_counts(self, which: int) -> Int64[np.ndarray, "k 2"]:
        """For each image, how many pixels lack and how many have the target bit `which` (`SPLICED` or `EDGE`)."""
        yes = self.counts[:, which.bit_length() - 1]
        return np.stack([np.diff(self.starts) - yes, yes], axis=1)


def edge_target(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels within `EDGE_RADIUS` rows and columns of a mask's boundary, on both sides."""
    size = 2 * EDGE_RADIUS + 1
    inside = mask.astype(np.uint8)
    return ndimage.maximum_filter(inside, size) != ndimage.minimum_filter(inside, size)


def build_table(examples: Sequence[Example], folder: Path) -> ImageTable:
    """Writes all images into `folder` and memory-maps them; an existing table is reused.

    Args:
        examples: images and masks; read once, one at a time.
        folder: where the table goes; its name should identify what it is made from.
    """
    make_once(folder, functools.partial(_write, examples))
    return ImageTable(**open_columns(folder, COLUMNS))


def _write(examples: Sequence[Example], folder: Path) -> None:
    folder.mkdir(parents=True)
    sizes, counts = [], []
    with open(folder / "pixels.raw", "wb") as pixels, open(folder / "targets.raw", "wb") as targets:
        for example in tqdm(examples, desc="storing images", unit="image", disable=None):
            edge = edge_target(example.mask)
            pixels.write(example.image.tobytes())
            targets.write((SPLICED * example.mask + EDGE * edge).astype(np.uint8).tobytes())
            sizes.append(example.mask.shape)
            counts.append((np.count_nonzero(example.mask), np.count_nonzero(edge)))
    total = sum(height * width for height, width in sizes)
    wrap(folder / "pixels.raw", (total, 3))
    wrap(folder / "targets.raw", (total,))
    np.save(folder / "sizes.npy", np.array(sizes, np.int32))
    np.save(folder / "counts.npy", np.array(counts, np.int64))


class Crop:
    """Crops the image of a given number at random: images uint8 [s, s, 3], targets uint8 [s, s]."""

    def __init__(self, table: ImageTable, size: int) -> None:
        self._table, self._size = table, size

    def __call__(self, element: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Images smaller than a crop are extended by repeating their last row and column."""
        image, targets = self._table.image(element)
        y, x = (int(rng.integers(0, max(side - self._size, 0) + 1)) for side in targets.shape)
        window = slice(y, y + self._size), slice(x, x + self._size)
        missing = [(0, max(self._size - side, 0)) for side in targets.shape]
        return {
            "images": np.pad(image[window], [*missing, (0, 0)], mode="edge"),
            "targets": np.pad(targets[window], missing, mode="edge"),
        }
