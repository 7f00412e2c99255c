"""Training data as columns on disk: all patches of all images; one thumbnail and residual level per image.

The columns are memory-mapped, so a table may be larger than memory, and a batch is gathered by index, never patch by
patch. A table is built under a temporary name and then renamed, so a table that exists is complete.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from tqdm import tqdm

from splice_jax import patches
from splice_jax.data import Example
from splice_jax.data.feeding.tables import make_once, open_columns, wrap
from splice_jax.images import THUMBNAIL_SIZE, residual_level, thumbnail

COLUMNS = ("patches", "masks", "labels", "image_of_patch", "thumbnails", "residual_levels", "sizes")
VERSION = 2
"""Raise it when the computation of a column changes, so that old tables are not reused."""


@dataclass(frozen=True, eq=False)
class PatchTable:
    """n patches of k images, image after image."""

    patches: UInt8[np.ndarray, "n 64 64 3"]
    masks: UInt8[np.ndarray, "n 512"]
    """Mask bits packed by `numpy.packbits`; 1 = spliced."""
    labels: UInt8[np.ndarray, " n"]
    image_of_patch: Int32[np.ndarray, " n"]
    thumbnails: UInt8[np.ndarray, "k 224 224 3"]
    residual_levels: Float32[np.ndarray, " k"]
    sizes: Int32[np.ndarray, "k 2"]
    """Heights and widths of the images."""


def unpack_masks(packed: UInt8[np.ndarray, "... 512"]) -> UInt8[np.ndarray, "... 64 64"]:
    """Unpacks masks, 1 = spliced; in host memory or, for a JAX array, on its device."""
    unpackbits = packed.__array_namespace__().unpackbits
    return unpackbits(packed, axis=-1).reshape(*packed.shape[:-1], patches.PATCH_SIZE, patches.PATCH_SIZE)


def open_table(directory: Path) -> PatchTable:
    """Memory-maps the table that `build_table` wrote into `directory`."""
    return PatchTable(**open_columns(directory, COLUMNS))


def build_table(
    examples: Sequence[Example], directory: Path, *, stride: int = patches.PATCH_SIZE, border: str = "inward"
) -> PatchTable:
    """Cuts all images into patches, writes the table into `directory` and memory-maps it; an existing one is reused.

    If several processes build the same table, all use the one that is finished first.

    Args:
        examples: images and masks; read once, one at a time.
        directory: where the table goes; its name should identify what it is made from.
        stride: pixels between neighbouring patches.
        border: see `patches.grid`.
    """
    make_once(directory, functools.partial(_write, examples, stride, border))
    return open_table(directory)


def _write(examples: Sequence[Example], stride: int, border: str, directory: Path) -> None:
    directory.mkdir(parents=True)
    counts, labels, levels, sizes = [], [], [], []
    size = patches.PATCH_SIZE
    with (
        open(directory / "patches.raw", "wb") as pixels,
        open(directory / "masks.raw", "wb") as masks,
        open(directory / "thumbnails.raw", "wb") as thumbnails,
    ):
        for example in tqdm(examples, desc="cutting patches", unit="image", disable=None):
            origins = patches.grid(*example.mask.shape, stride=stride, border=border).reshape(-1, 2)
            cut = patches.extract(example.mask, origins)
            pixels.write(patches.extract(example.image, origins).tobytes())
            masks.write(np.packbits(cut.reshape(len(cut), -1), axis=-1).tobytes())
            thumbnails.write(thumbnail(example.image).tobytes())
            labels.append(patches.labels(cut).astype(np.uint8))
            levels.append(residual_level(example.image))
            sizes.append(example.mask.shape)
            counts.append(len(cut))
    n = sum(counts)
    wrap(directory / "patches.raw", (n, size, size, 3))
    wrap(directory / "masks.raw", (n, size * size // 8))
    wrap(directory / "thumbnails.raw", (len(counts), THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3))
    np.save(directory / "residual_levels.npy", np.array(levels))
    np.save(directory / "sizes.npy", np.array(sizes, np.int32))
    np.save(directory / "labels.npy", np.concatenate(labels))
    np.save(directory / "image_of_patch.npy", np.repeat(np.arange(len(counts), dtype=np.int32), counts))
