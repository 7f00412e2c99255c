"""What `sgn` and `bappy` learn from: a table of patches, batches of them, and the three-term loss."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from splice_jax.augmentation import dihedral, example_keys
from splice_jax.data import Split
from splice_jax.data.feeding import loader
from splice_jax.data.feeding.patch_table import COLUMNS, VERSION, PatchTable, build_table
from splice_jax.data.feeding.tables import table_folder
from splice_jax.errors import UserError
from splice_jax.losses import semi_global_loss
from splice_jax.methods.family import Loss, Training, Variables
from splice_jax.models.kernels.compilation import convolution_options
from splice_jax.models.kernels.convolution import on_cpu
from splice_jax.models.semi_global import SemiGlobalNetwork


def loss(network: SemiGlobalNetwork, terms: ConfigDict, *, augment: bool) -> Loss:
    """The three-term loss of a batch from `data.feeding.loader`, its patches flipped at random if `augment` is set.

    Args:
        network: what is trained.
        terms: the `loss` section of a configuration.
        augment: whether patches are flipped and transposed at random.
    """

    def of_batch(variables: Variables, batch: Mapping[str, Any], key: Array, axis_name: str | None) -> Any:
        if "columns" in batch:
            batch = loader.gather(batch["columns"], batch["rows"], batch["images"])
        if augment:
            keys = example_keys(key, len(batch["patches"]), axis_name)
            batch = dict(batch) | dihedral(keys, batch["patches"], batch["masks"])
        outputs, updates = network.clone(axis_name=axis_name).apply(
            variables,
            batch["patches"],
            batch["backbone"],
            batch["image"] - batch["image"][0],  # A device's share starts with the first patch of an image.
            batch["residual_levels"],
            train=True,
            mutable=["batch_stats"],
        )
        targets = batch["labels"], batch["masks"]
        found = semi_global_loss(
            outputs.label,
            outputs.mask,
            *targets,
            class_weights=terms.class_weights,
            beta=terms.beta,
            smooth=terms.smooth,
            normalization=terms.normalization,
            axis_name=axis_name,
        )
        scalars = {f"loss/{name}": value for name, value in found._asdict().items()}
        scalars["bottleneck/active"] = outputs.active.mean()
        scalars["bottleneck/dead_patches"] = (outputs.active == 0).mean()
        return found.total, (updates.get("batch_stats", variables["batch_stats"]), scalars)

    return of_batch


def patch_table(config: ConfigDict, examples: Split) -> PatchTable:
    """The training split's table, kept in the user's cache."""
    made_from = f"{examples.identity} {config.patch_stride} {config.border} {COLUMNS} {VERSION}"
    folder = table_folder("patch_tables", made_from)
    return build_table(examples, folder, stride=config.patch_stride, border=config.border)


def backbone_features(network: SemiGlobalNetwork, variables: Variables, table: PatchTable) -> np.ndarray:
    """The global branch's input, computed once per image: a frozen ResNet's features [k, 512], or thumbnails.

    Empty rows [k, 0] if there is no global branch.
    """
    if network.global_network == "none":
        return np.zeros((len(table.thumbnails), 0), np.uint8)
    if not network.has_constant_features:
        return table.thumbnails
    backbone = functools.partial(network.apply, method="backbone")
    apply = jax.jit(backbone, compiler_options=convolution_options())
    size, count = 32, len(table.thumbnails)
    chunks = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)  # one shape, one compilation
        chunks.append(np.asarray(apply(variables, table.thumbnails[rows])))
    return np.concatenate(chunks)[:count]


def training_from(config: ConfigDict, network: SemiGlobalNetwork, table: PatchTable, features: np.ndarray) -> Training:
    """What the network learns from: a table, kept on the devices if they are accelerators and it fits.

    Args:
        config: see `splice_jax.runs.schema`.
        network: what is trained.
        table: the patches.
        features: `backbone_features`.

    Raises:
        UserError: the batch size is impossible.
    """
    devices = jax.device_count()
    if config.batch_size % (config.patches_per_image * devices):
        raise UserError(
            f"config.batch_size: {config.batch_size} is no multiple of patches_per_image x devices, "
            f"{config.patches_per_image} x {devices}"
        )
    columns = loader.columns_of(table, features)
    resident = not on_cpu() and columns.size <= 1e9 * config.resident_gigabytes
    try:
        steps, batches = loader.batches(
            columns,
            table.image_of_patch,
            batch_size=config.batch_size,
            patches_per_image=config.patches_per_image,
            num_epochs=None if config.num_steps else config.num_epochs,
            seed=config.seed,
            shard=jax.process_index(),
            shards=jax.process_count(),
            rows_only=resident,
        )
    except ValueError as error:
        raise UserError(f"config.{error}") from error
    of_batch = loss(network, config.loss, augment=config.augment)
    return Training(steps, batches, of_batch, {"columns": columns} if resident else {})
