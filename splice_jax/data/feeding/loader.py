"""The stream of training batches: shuffled by grain, gathered from the patch table, resumable at any batch.

A batch is made of groups: `patches_per_image` patches of one image, so that the image's half of the network runs once
per image and not once per patch. Which patches form a group is drawn once, by seed; the groups are shuffled each epoch.
Where the table's columns lie on a device, the stream holds the numbers of rows only and `gather` is called there.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, Shaped, UInt8

from splice_jax.data.feeding.patch_table import PatchTable, unpack_masks

if TYPE_CHECKING:
    import grain

Batch = dict[str, np.ndarray]
"""patches uint8 [n, 64, 64, 3]; masks uint8 [n, 64, 64] and labels int32 [n], 1 = spliced; image int32 [n], the row of
`backbone` each patch belongs to; backbone [k, ...], what the image's half is fed with;
residual_levels float32 [k]."""


class Columns(NamedTuple):
    """What batches are gathered from: arrays of NumPy, in memory or on disk, or of JAX, on a device."""

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
    """A table's columns; `backbone` has one row per image: `SemiGlobalNetwork.backbone` of its thumbnail."""
    return Columns(table.patches, table.masks, table.labels, table.residual_levels, backbone)


def gather(columns: Columns, rows: Any, images: Any) -> dict[str, Any]:
    """The batch of the patches `rows` [n], n/k of each of the images `images` [k], in order.

    From JAX arrays it can be traced, and the batch is made of JAX arrays too.
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
    """Cuts each image's patches, in random order, into groups of `size`.

    Every patch is in at least one group. The last group of an image is filled up with patches of the same image.
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


class Rows:
    """Groups to the rows of their patches and images."""

    def __init__(self, groups: Int64[np.ndarray, "groups size"], image_of_patch: Int32[np.ndarray, " n"]) -> None:
        self._groups, self._image_of_patch = groups.astype(np.int32), image_of_patch

    def __call__(self, element: Int64[np.ndarray, " k"]) -> dict[str, np.ndarray]:
        """The arguments `rows` and `images` of `gather` for the groups `element`, group after group."""
        groups = self._groups[element]
        return {"rows": groups.reshape(-1), "images": self._image_of_patch[groups[:, 0]]}


class Gather:
    """Rows to a batch."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, element: dict[str, np.ndarray]) -> Batch:
        """As `gather`, of its arguments by name."""
        return gather(self._columns, **element)


def batches(
    columns: Columns,
    image_of_patch: Int32[np.ndarray, " n"],
    *,
    batch_size: int,
    patches_per_image: int,
    num_epochs: int | None,
    seed: int,
    shard: int = 0,
    shards: int = 1,
    rows_only: bool = False,
) -> tuple[int, "grain.DatasetIterator[Batch]"]:
    """Steps per epoch, and this process's batches of all epochs: an iterator with `get_state` and `set_state`.

    Args:
        columns: of n patches.
        image_of_patch: whose patch each is.
        batch_size: patches per step over all processes; this process gets its share of them.
        patches_per_image: patches of one image that stand in a batch together.
        num_epochs: how often every patch is seen; None for without end.
        seed: of groups and order.
        shard: number of this process, which gets that part of every batch, so that the parts in order are the batch.
        shards: number of processes.
        rows_only: whether batches are the arguments of `gather`, `rows` and `images`, and not its results.

    Raises:
        ValueError: the batch size cannot be shared out, or is larger than the data.
    """
    import grain  # Only training needs it: a localizer of this network is there without.

    groups_per_batch, rest = divmod(batch_size, patches_per_image * shards)
    if rest or not groups_per_batch:
        raise ValueError(
            f"batch_size {batch_size} is no multiple of patches_per_image {patches_per_image} times {shards} processes"
        )
    groups = patch_groups(image_of_patch, patches_per_image, seed)
    steps = len(groups) // (groups_per_batch * shards)
    if not steps:
        raise ValueError(f"batch_size {batch_size} is larger than the data: {len(image_of_patch)} patches")
    rows = grain.MapDataset.source(np.arange(len(groups))).seed(seed).shuffle()
    share = rows[: steps * groups_per_batch * shards].batch(groups_per_batch)[shard::shards].repeat(num_epochs)
    found = share.map(Rows(groups, image_of_patch))
    if not rows_only:
        found = found.map(Gather(columns))
    return steps, iter(found.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)))
