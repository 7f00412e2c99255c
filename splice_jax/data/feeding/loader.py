"""The stream of training batches: shuffled by grain, gathered from the patch table, resumable at any batch.

A batch consists of groups of equally many patches from one image, so that the global branch of the network runs once
per image and not once per patch. The groups are drawn once, by seed, and shuffled each epoch. If the table's
columns are on a device, the stream only carries row numbers, and `gather` is called on the device.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, Shaped, UInt8

from splice_jax import patches
from splice_jax.data.feeding.patch_table import PatchTable, unpack_masks

if TYPE_CHECKING:
    import grain

Batch = dict[str, np.ndarray]
"""patches uint8 [n, 64, 64, 3]; masks uint8 [n, 64, 64] and labels int32 [n], 1 = spliced; image int32 [n], the index
into `backbone` for each patch; backbone [k, ...], the global branch's input; residual_levels float32 [k]."""


class Columns(NamedTuple):
    """What batches are gathered from: NumPy arrays in memory or on disk, or JAX arrays on a device."""

    patches: UInt8[np.ndarray, "n 64 64 3"]
    masks: UInt8[np.ndarray, "n 512"]
    labels: UInt8[np.ndarray, " n"]
    residual_levels: Float32[np.ndarray, " k"]
    backbone: Shaped[np.ndarray, "k ..."]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(column.nbytes for column in self)


def columns_of(table: PatchTable, backbone: np.ndarray) -> Columns:
    """A table's columns; `backbone` has one entry per image, `SemiGlobalNetwork.backbone` of its thumbnail."""
    return Columns(table.patches, table.masks, table.labels, table.residual_levels, backbone)


def gather(columns: Columns, rows: Any, images: Any) -> dict[str, Any]:
    """The batch of the patches `rows` [n], with n/k from each of the images `images` [k], in order.

    With JAX arrays it can be traced, and the batch consists of JAX arrays too.
    """
    namespace: Any = columns.labels.__array_namespace__()
    return {
        "patches": columns.patches[rows],
        "masks": unpack_masks(columns.masks[rows]),
        "labels": columns.labels[rows].astype(np.int32),
        "image": namespace.repeat(namespace.arange(len(images), dtype=np.int32), len(rows) // len(images)),
        "residual_levels": columns.residual_levels[images],
        "backbone": columns.backbone[images],
    }


def patch_groups(image_of_patch: Int32[np.ndarray, " n"], size: int, seed: int) -> Int64[np.ndarray, "groups size"]:
    """Divides each image's patches, in random order, into groups of `size`.

    Every patch is in at least one group. An image's last group is filled up with patches from the same image.
    """
    order = np.random.default_rng(seed).random(len(image_of_patch))
    shuffled = np.lexsort((order, image_of_patch))
    starts = np.flatnonzero(np.diff(image_of_patch, prepend=-1))
    counts = np.diff(np.append(starts, len(image_of_patch)))
    groups = [
        shuffled[start + np.arange(-(-count // size) * size) % count].reshape(-1, size)
        for start, count in zip(starts, counts, strict=True)
    ]
    return np.concatenate(groups)


def patch_windows(
    sizes: Int32[np.ndarray, "k 2"], side: int, seed: int, *, border: str
) -> Int64[np.ndarray, "windows side*side"]:
    """Groups of `side` x `side` patches that lie side by side, row after row: together, they are a crop of an image.

    The windows of an image do not overlap, and the first lies at random. A smaller image has none.

    Args:
        sizes: heights and widths of all images, cut into patches side by side.
        side: patches along a window's side.
        seed: of the places.
        border: see `patches.grid`; patches that were moved inward are in no window.
    """
    random, first, windows = np.random.default_rng(seed), 0, []
    for size in sizes.tolist():
        shape = patches.grid(*size, border=border).shape[:2]
        numbers = first + np.arange(math.prod(shape)).reshape(shape)
        first += numbers.size
        counts = [length // patches.PATCH_SIZE for length in size]
        tops, lefts = (range(int(random.integers(count % side + 1)), count - side + 1, side) for count in counts)
        windows += [numbers[y : y + side, x : x + side].reshape(-1) for y in tops for x in lefts]
    return np.array(windows, np.int64).reshape(-1, side**2)


class Rows:
    """Turns groups into the row numbers of their patches and images."""

    def __init__(self, groups: Int64[np.ndarray, "groups size"], image_of_patch: Int32[np.ndarray, " n"]) -> None:
        self._groups, self._image_of_patch = groups.astype(np.int32), image_of_patch

    def __call__(self, element: Int64[np.ndarray, " k"]) -> dict[str, np.ndarray]:
        """The arguments `rows` and `images` of `gather` for the groups `element`, group after group."""
        groups = self._groups[element]
        return {"rows": groups.reshape(-1), "images": self._image_of_patch[groups[:, 0]]}


class Gather:
    """Turns row numbers into a batch."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, element: dict[str, np.ndarray]) -> Batch:
        """Calls `gather` with these arguments."""
        return gather(self._columns, **element)


def batches(
    columns: Columns,
    image_of_patch: Int32[np.ndarray, " n"],
    groups: Int64[np.ndarray, "groups size"],
    *,
    batch_size: int,
    num_epochs: int | None,
    seed: int,
    shard: int = 0,
    shards: int = 1,
    rows_only: bool = False,
) -> tuple[int, "grain.DatasetIterator[Batch]"]:
    """Steps per epoch, and this process's batches of all epochs: an iterator with `get_state` and `set_state`.

    Args:
        columns: the columns of n patches.
        image_of_patch: the image each patch belongs to.
        groups: `patch_groups` or `patch_windows`, which go into a batch together.
        batch_size: patches per step over all processes; this process gets its share.
        num_epochs: how often every group is seen; None for endless batches.
        seed: seed of the order.
        shard: index of this process, which gets that part of every batch; in order, the parts make up the batch.
        shards: number of processes.
        rows_only: whether batches are the arguments of `gather`, `rows` and `images`, rather than its results.

    Raises:
        ValueError: the batch size cannot be divided among the processes, or is larger than the data.
    """
    import grain  # Only training needs it: localizing works without.

    size = groups.shape[1]
    groups_per_batch, rest = divmod(batch_size, size * shards)
    if rest or not groups_per_batch:
        raise ValueError(f"batch_size {batch_size} is no multiple of patches_per_image {size} times {shards} processes")
    steps = len(groups) // (groups_per_batch * shards)
    if not steps:
        count = min(groups.size, len(image_of_patch))  # Groups repeat a patch where an image has too few.
        raise ValueError(f"batch_size {batch_size} is larger than the data: {count} patches")
    rows = grain.MapDataset.source(np.arange(len(groups))).seed(seed).shuffle()
    share = rows[: steps * groups_per_batch * shards].batch(groups_per_batch)[shard::shards].repeat(num_epochs)
    found = share.map(Rows(groups, image_of_patch))
    if not rows_only:
        found = found.map(Gather(columns))
    return steps, iter(found.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)))
