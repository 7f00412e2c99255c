"""Batches of independent examples, as configured."""

from typing import Any

import jax
from ml_collections import ConfigDict

from splice_jax.data.feeding.streams import stream
from splice_jax.errors import UserError
from splice_jax.methods.family import Batches


def batches_of_run(config: ConfigDict, count: int, transform: Any) -> tuple[int, Batches]:
    """`data.feeding.streams.stream` as configured, for all devices of all processes.

    Raises:
        UserError: the batch size cannot be divided among the devices, or is larger than the data.
    """
    devices = jax.device_count()
    if config.batch_size % devices:
        raise UserError(f"config.batch_size: {config.batch_size} is no multiple of the number of devices, {devices}")
    try:
        return stream(
            count,
            transform,
            batch_size=config.batch_size,
            num_epochs=config.num_epochs if not config.num_steps else None,
            seed=config.seed,
            shard=jax.process_index(),
            shards=jax.process_count(),
        )
    except ValueError as error:
        raise UserError(f"config.{error}") from error
