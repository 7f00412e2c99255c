"""The stream of training batches of independent examples: shuffled by grain, resumable at any batch."""

from collections.abc import Callable
from typing import Any

import grain
import numpy as np


def stream(
    count: int,
    transform: Callable[[int, np.random.Generator], dict[str, np.ndarray]],
    *,
    batch_size: int,
    num_epochs: int | None,
    seed: int,
    shard: int = 0,
    shards: int = 1,
) -> tuple[int, Any]:
    """Steps per epoch, and this process's batches of all epochs: an iterator with `get_state` and `set_state`.

    Args:
        count: number of examples.
        transform: maps an example's number and a fresh random generator to a dictionary of arrays.
        batch_size: examples per step over all processes; this process gets its share.
        num_epochs: how often every example is seen; None for endless batches.
        seed: seed of the order and of the transform's generators.
        shard: index of this process, which gets that part of every batch; in order, the parts make up the batch.
        shards: number of processes.

    Raises:
        ValueError: the batch size cannot be divided among the processes, or is larger than the data.
    """
    share, rest = divmod(batch_size, shards)
    if rest or not share:
        raise ValueError(f"batch_size {batch_size} is no multiple of {shards} processes")
    steps = count // batch_size
    if not steps:
        raise ValueError(f"batch_size {batch_size} is larger than the data: {count}")
    order = grain.MapDataset.source(np.arange(count)).seed(seed).shuffle()
    # Before the data are sharded: `random_map` draws by an element's position in the dataset it is applied to.
    examples = order.random_map(transform)[: steps * batch_size]
    batches = examples.batch(share)[shard::shards].repeat(num_epochs)
    return steps, iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)))
