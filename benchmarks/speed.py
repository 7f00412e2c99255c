"""Patches per second in training and seconds per image in localization, on random input."""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax.data.loader import Batch, batches
from splice_jax.data.patch_table import PatchTable
from splice_jax.localizers import Localizer
from splice_jax.localizers.runs import localizer_from_config, network_from_config
from splice_jax.models.semi_global import initial_variables
from splice_jax.patches import PATCH_SIZE, labels
from splice_jax.training.loop import backbone_features
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, Recipe, initial_state


def training_rate(config: ConfigDict, repeats: int) -> float:
    """Patches per second of a training step, data loading left out: the median of `repeats` compiled ones."""
    network = network_from_config(config)
    optimizer = make_optimizer(step_schedule(config.learning_rate, (), 1.0, 0), clip_norm=config.clip_norm)
    step = ParallelStep(Recipe(network, optimizer, config.loss, config.augment))
    variables = initial_variables(network, jax.random.key(0))
    table = random_table(config)
    batch = first_batch(config, table, backbone_features(network, variables, table, config))
    states = [step.replicate(initial_state(variables, optimizer, 0))]

    def train() -> None:
        states[0], _ = jax.block_until_ready(step(states[0], batch))

    train()
    return config.batch_size / median_seconds(train, repeats)


def localization_seconds(localizer: Localizer, height: int, width: int, repeats: int) -> float:
    """Seconds from an image in memory to its map, the median of `repeats`, by a localizer that has run before."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return median_seconds(lambda: localizer(image), repeats)


def random_localizer(config: ConfigDict) -> Localizer:
    """The network as it is before training, compiled: that serves images of all sizes."""
    network = network_from_config(config)
    localizer = localizer_from_config(config, network, initial_variables(network, jax.random.key(0)))
    localizer(np.zeros((PATCH_SIZE, PATCH_SIZE, 3), np.uint8))
    return localizer


def random_table(config: ConfigDict) -> PatchTable:
    """A table of noise that fills one batch."""
    random, count = np.random.default_rng(0), config.batch_size
    masks = random.integers(0, 2, (count, PATCH_SIZE, PATCH_SIZE), np.uint8)
    images = count // config.patches_per_image
    return PatchTable(
        patches=random.integers(0, 256, (count, PATCH_SIZE, PATCH_SIZE, 3), np.uint8),
        masks=np.packbits(masks.reshape(count, -1), axis=-1),
        labels=labels(masks.astype(bool)).astype(np.uint8),
        image_of_patch=np.repeat(np.arange(images, dtype=np.int32), config.patches_per_image),
        thumbnails=random.integers(0, 256, (images, 224, 224, 3), np.uint8),
        residual_levels=np.full(images, 0.01, np.float32),
    )


def first_batch(config: ConfigDict, table: PatchTable, features: np.ndarray) -> Batch:
    """What training would be fed with."""
    sizes = {"batch_size": config.batch_size, "patches_per_image": config.patches_per_image}
    return next(batches(table, features, num_epochs=1, seed=0, **sizes)[1])


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """The median time of `repeats` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
