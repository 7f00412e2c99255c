"""Jobs to time, on random input: gradient step, localizer, loader, a large product, parts of the network."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks.kernels import device_time
from splice_jax.data.feeding.loader import Batch, Columns, batches, columns_of, patch_groups
from splice_jax.data.feeding.patch_table import PatchTable
from splice_jax.methods import Localizer
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.methods.trained.semi_global.training import backbone_features, loss, training_from
from splice_jax.models.local_network import LocalNetwork, MaskHead
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables
from splice_jax.patches import PATCH_SIZE, labels
from splice_jax.runs.load import localizer_from_config
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, State, StepSpec, initial_state

TRAINING_GFLOP = 0.7
"""Of a patch, with a hidden size of 256 and three layers, forward and back, without the global branch."""


def training_step(config: ConfigDict) -> Callable[[], object]:
    """A gradient step on one batch, from host memory; it is compiled by the first call."""
    return _trainer(config)[0]


def kernels(config: ConfigDict) -> dict[str, float]:
    """Milliseconds of the devices' time in one training step, by part of the network."""
    train, step, states, batch = _trainer(config)
    train()
    return device_time(train, step.program(states[0], batch))


def _trainer(config: ConfigDict) -> tuple[Callable[[], object], ParallelStep, list[State], Batch]:
    """A gradient step on one batch, and what it is made of; the list holds the state, which each step replaces."""
    network = FAMILY.network(config)
    step, state = _step(config, network)
    table = random_table(config)
    batch = first_batch(config, table, backbone_features(network, initial_variables(network, jax.random.key(0)), table))
    states = [state]

    def train() -> None:
        states[0], _ = jax.block_until_ready(step(states[0], batch))

    return train, step, states, batch


def _step(
    config: ConfigDict, network: SemiGlobalNetwork, resident: Mapping[str, Any] = MappingProxyType({})
) -> tuple[ParallelStep, State]:
    """A network's step, and its state before the first one on every device."""
    optimizer = make_optimizer(
        step_schedule(config.learning_rate, (), 1.0, 0), clip_norm=config.clip_norm, frozen=FAMILY.frozen
    )
    step = ParallelStep(
        StepSpec(loss(network, config.loss, augment=config.augment), optimizer, FAMILY.frozen), resident
    )
    return step, step.replicate(initial_state(initial_variables(network, jax.random.key(0)), optimizer, 0))


def random_localizer(config: ConfigDict) -> Localizer:
    """The compiled, untrained network, which serves images of all sizes."""
    network = FAMILY.network(config)
    localizer = localizer_from_config(config, network, initial_variables(network, jax.random.key(0)))
    localizer(np.zeros((PATCH_SIZE, PATCH_SIZE, 3), np.uint8))
    return localizer


def random_table(config: ConfigDict, patches: int = 0) -> PatchTable:
    """A table of noise; if `patches` is 0, with enough patches for one batch."""
    random, count = np.random.default_rng(0), patches or config.batch_size
    masks = random.integers(0, 2, (count, PATCH_SIZE, PATCH_SIZE), np.uint8)
    images = count // config.patches_per_image
    return PatchTable(
        patches=random.integers(0, 256, (count, PATCH_SIZE, PATCH_SIZE, 3), np.uint8),
        masks=np.packbits(masks.reshape(count, -1), axis=-1),
        labels=labels(masks.astype(bool)).astype(np.uint8),
        image_of_patch=np.repeat(np.arange(images, dtype=np.int32), config.patches_per_image),
        thumbnails=random.integers(0, 256, (images, 224, 224, 3), np.uint8),
        residual_levels=np.full(images, 0.01, np.float32),
        sizes=_sizes(images, config.patches_per_image),
    )


def sparse_table(folder: Path, patches: int, patches_per_image: int) -> PatchTable:
    """A memory-mapped table of zeros of any size that takes no disk space until it is read or written."""
    images = patches // patches_per_image

    def column(name: str, *shape: int) -> Any:
        return np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)

    return PatchTable(
        patches=column("patches", patches, PATCH_SIZE, PATCH_SIZE, 3),
        masks=column("masks", patches, PATCH_SIZE**2 // 8),
        labels=np.zeros(patches, np.uint8),
        image_of_patch=np.repeat(np.arange(images, dtype=np.int32), patches_per_image),
        thumbnails=column("thumbnails", images, 224, 224, 3),
        residual_levels=np.full(images, 0.01, np.float32),
        sizes=_sizes(images, patches_per_image),
    )


def _sizes(images: int, patches_per_image: int) -> np.ndarray:
    """Of images a patch high."""
    return np.full((images, 2), [PATCH_SIZE, PATCH_SIZE * patches_per_image], np.int32)


def loading_rate(config: ConfigDict, table: PatchTable, count: int) -> float:
    """Patches per second of the loader alone, over `count` batches after the first eight, which fill its buffer."""
    columns = columns_of(table, np.zeros((len(table.thumbnails), 512), np.float32))
    stream = _stream(config, table, columns, num_epochs=None)
    for _ in range(8):
        next(stream)
    start = time.perf_counter()
    for _ in range(count):
        next(stream)
    return count * config.batch_size / (time.perf_counter() - start)


def training_rate(config: ConfigDict, table: PatchTable, count: int) -> float:
    """Patches per second of training from a table, loader and all, over `count` steps after the first two.

    Epochs repeat endlessly if the configuration counts in steps.
    """
    network = FAMILY.network(config)
    features = np.zeros((len(table.thumbnails), 512), np.float32)
    training = training_from(config, network, table, features)
    step, state = _step(config, network, training.resident)
    for _ in range(2):
        state, _ = step(state, next(training.batches))
    jax.block_until_ready(state)
    start = time.perf_counter()
    for _ in range(count):
        state, _ = step(state, next(training.batches))
    jax.block_until_ready(state)
    return count * config.batch_size / (time.perf_counter() - start)


def first_batch(config: ConfigDict, table: PatchTable, features: np.ndarray) -> Batch:
    """The inputs that training would get."""
    return next(_stream(config, table, columns_of(table, features), num_epochs=1))


def _stream(config: ConfigDict, table: PatchTable, columns: Columns, *, num_epochs: int | None) -> Any:
    groups = patch_groups(table.image_of_patch, config.patches_per_image, seed=0)
    sizes: dict[str, Any] = {"batch_size": config.batch_size, "num_epochs": num_epochs}
    return batches(columns, table.image_of_patch, groups, seed=0, **sizes)[1]


def product_rate(size: int = 4096, repeats: int = 3) -> float:
    """GFLOP/s of a large float32 matrix product, a share of its rows on each device: the machine's arithmetic limit."""
    mesh = jax.make_mesh((jax.local_device_count(),), ("rows",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    left = jax.device_put(np.ones((size, size), np.float32), rows)
    right = jax.device_put(np.ones((size, size), np.float32), whole)
    product = jax.jit(jnp.matmul, out_shardings=rows)
    jax.block_until_ready(product(left, right))
    return 2e-9 * size**3 / median_seconds(lambda: jax.block_until_ready(product(left, right)), repeats)


def parts(config: ConfigDict, repeats: int) -> dict[str, tuple[float, float]]:
    """Milliseconds per patch, forward and with gradients, of the local network and the mask head on one device."""
    count, key = config.batch_size, jax.random.key(0)
    network = FAMILY.network(config)
    local = LocalNetwork(network.hidden_size, network.num_layers, compute_dtype=network.compute_dtype)
    head = MaskHead()
    patches = np.random.default_rng(0).integers(0, 256, (count, PATCH_SIZE, PATCH_SIZE, 3), np.uint8)
    sequence = np.random.default_rng(0).standard_normal((64, count, network.hidden_size)).astype(np.float32)

    def outputs(module: Any, variables: Any, values: Any) -> jax.Array:
        found = module.apply(variables, values)
        return found if isinstance(found, jax.Array) else found.sequence

    found = {}
    for name, module, values in (("convolutions and LSTM", local, patches), ("mask head", head, sequence)):
        variables = jax.jit(module.init)(key, values)
        argument = (0, 1) if module is head else 0
        forward = jax.jit(lambda v, x, m=module: outputs(m, v, x))
        gradient = jax.jit(jax.grad(lambda v, x, m=module: outputs(m, v, x).sum(), argument))
        found[name] = tuple(
            1e3 / count * median_seconds(lambda f=f, v=variables, x=values: jax.block_until_ready(f(v, x)), repeats)
            for f in (_warm(forward, variables, values), _warm(gradient, variables, values))
        )
    return found


def _warm(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    jax.block_until_ready(function(*arguments))
    return function


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """The median time of `repeats` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
