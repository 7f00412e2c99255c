"""The stream of training batches: shuffled by grain, gathered from the patch table, resumable at any batch.

A batch is made of groups: `patches_per_image` patches of one image, so that the image's half of the network runs once
per image and not once per patch. Which patches form a group is drawn once, by seed; the groups are shuffled each epoch.
"""

import grain
import numpy as np
from jaxtyping import Int32, Int64, UInt8

from splice_jax.data.patch_table import PatchTable

Batch = dict[str, np.ndarray]
"""patches uint8 [n, 64, 64, 3]; masks uint8 [n, 64, 64] and labels int32 [n], 1 = spliced; image int32 [n], the row of
`backbone` each patch belongs to; backbone [k, ...], what the image's half is fed with;
residual_levels float32 [k]."""


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


class Gather(grain.transforms.Map):
    """Rows of groups to a batch."""

    def __init__(self, table: PatchTable, backbone: np.ndarray, groups: Int64[np.ndarray, "groups size"]) -> None:
        self._table, self._backbone, self._groups = table, backbone, groups

    def map(self, element: Int64[np.ndarray, " k"]) -> Batch:
        """The patches of the groups `element`, group after group."""
        groups = self._groups[element]
        rows = groups.reshape(-1)
        return {
            "patches": self._table.patches[rows],
            "masks": self._table.gather_masks(rows),
            "labels": self._table.labels[rows].astype(np.int32),
            "image": np.repeat(np.arange(len(groups), dtype=np.int32), groups.shape[1]),
            "residual_levels": self._table.residual_levels[self._table.image_of_patch[groups[:, 0]]],
            "backbone": self._backbone[self._table.image_of_patch[groups[:, 0]]],
        }


def batches(
    table: PatchTable,
    backbone: UInt8[np.ndarray, "k 224 224 3"] | np.ndarray,
    *,
    batch_size: int,
    patches_per_image: int,
    num_epochs: int | None,
    seed: int,
    shard: int = 0,
    shards: int = 1,
) -> tuple[int, "grain.DatasetIterator[Batch]"]:
    """Steps per epoch, and this process's batches of all epochs: an iterator with `get_state` and `set_state`.

    Args:
        table: the patches.
        backbone: one row per image: `SemiGlobalNetwork.backbone` of its thumbnail.
        batch_size: patches per step over all processes; this process gets its share of them.
        patches_per_image: patches of one image that stand in a batch together.
        num_epochs: how often every patch is seen; None for without end.
        seed: of groups and order.
        shard: number of this process.
        shards: number of processes.

    Raises:
        ValueError: the batch size cannot be shared out, or is larger than the data.
    """
    groups_per_batch, rest = divmod(batch_size, patches_per_image * shards)
    if rest or not groups_per_batch:
        raise ValueError(
            f"batch_size {batch_size} is no multiple of patches_per_image {patches_per_image} times {shards} processes"
        )
    groups = patch_groups(table.image_of_patch, patches_per_image, seed)
    steps = len(groups) // (groups_per_batch * shards)
    if not steps:
        raise ValueError(f"batch_size {batch_size} is larger than the data: {len(table.labels)} patches")
    rows = grain.MapDataset.source(np.arange(len(groups))).seed(seed).shuffle()
    share = rows[: steps * groups_per_batch * shards][shard::shards].batch(groups_per_batch).repeat(num_epochs)
    gathered = share.map(Gather(table, backbone, groups))
    return steps, iter(gathered.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)))
