"""The Semi-Global Network and the network of Bappy et al. as trained rows: `sgn` and `bappy`."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from splice_jax import patches
from splice_jax.augmentation import dihedral, example_keys
from splice_jax.data import Split
from splice_jax.data.feeding import loader
from splice_jax.data.feeding.patch_table import COLUMNS, VERSION, PatchTable, build_table
from splice_jax.data.feeding.tables import table_folder
from splice_jax.errors import UserError
from splice_jax.losses import semi_global_loss
from splice_jax.methods.trained.family import Family, Loss, Refine, Training, Variables
from splice_jax.methods.trained.patch_network import ORIENTATIONS, PatchNetworkLocalizer
from splice_jax.models import local_network, semi_global
from splice_jax.models.kernels.compilation import convolution_options
from splice_jax.models.kernels.convolution import on_cpu
from splice_jax.models.kernels.initializers import INITIALIZATIONS
from splice_jax.models.kernels.precision import COMPUTE_DTYPES
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables
from splice_jax.weights.archive import load_variables

_CHOICES = {
    "global_network": semi_global.GLOBAL_NETWORKS,
    "input_normalization": local_network.INPUT_NORMALIZATIONS,
    "activation": local_network.ACTIVATIONS,
    "block_order": local_network.BLOCK_ORDERS,
    "global_normalization": semi_global.GLOBAL_NORMALIZATIONS,
    "cnn_output": semi_global.CNN_OUTPUTS,
    "resnet_batch_norm": semi_global.RESNET_BATCH_NORMS,
    "initialization": INITIALIZATIONS,
    "compute_dtype": COMPUTE_DTYPES,
    "border": ("inward", "crop"),
}


class SemiGlobal(Family):
    """Networks that see an image patch by patch."""

    unit = "patches"

    def network(self, config: ConfigDict) -> SemiGlobalNetwork:
        """The Semi-Global Network, for `bappy` without its global branch."""
        check_fields(config)
        return SemiGlobalNetwork(
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            input_normalization=config.input_normalization,
            activation=config.activation,
            block_order=config.block_order,
            global_network="none" if config.method == "bappy" else config.global_network,
            global_normalization=config.global_normalization,
            cnn_output=config.cnn_output,
            resnet_batch_norm=config.resnet_batch_norm,
            initialization=config.initialization,
            compute_dtype=config.compute_dtype,
        )

    def initialize(self, network: SemiGlobalNetwork, key: Array) -> Variables:
        """As `models.semi_global.initial_variables`."""
        return initial_variables(network, key)

    def initial_variables(self, network: SemiGlobalNetwork, key: Array) -> Variables:
        """As `models.semi_global.initial_variables`."""
        return initial_variables(network, key)

    def with_weights(self, variables: Variables, config: ConfigDict) -> Variables:
        """The variables with the frozen network's weights from the file that `global_weights` names."""
        if "resnet" not in variables["params"]:
            return variables
        if not config.global_weights:
            print("global_weights: empty, the frozen ResNet-18 keeps random weights", flush=True)
            return variables
        frozen = {name: variables[name]["resnet"] for name in variables if "resnet" in variables[name]}
        loaded = load_variables(Path(config.global_weights), frozen)
        return variables | {name: variables[name] | {"resnet": loaded[name]} for name in frozen}

    def training(
        self, config: ConfigDict, network: SemiGlobalNetwork, variables: Variables, examples: Split
    ) -> Training:
        """Groups of patches of one image, shuffled; the three-term loss."""
        table = patch_table(config, examples)
        return training_from(config, network, table, backbone_features(network, variables, table))

    def localizer(
        self,
        config: ConfigDict,
        network: SemiGlobalNetwork,
        variables: Variables,
        *,
        row: str,
        refine: Refine | None = None,
    ) -> PatchNetworkLocalizer:
        """A localizer on the grid that a configuration describes."""
        return PatchNetworkLocalizer(
            row,
            network,
            variables,
            stride=config.patch_stride,
            border=config.border,
            orientations=config.orientations,
            refine=refine,
        )


FAMILY = SemiGlobal()


def check_fields(config: ConfigDict) -> None:
    """Makes sure that there is such a network, and such a grid.

    Raises:
        UserError: a field that has no such choice or is out of range.
    """
    for field, choices in _CHOICES.items():
        if config[field] not in choices:
            raise UserError(f"config.{field}: {config[field]!r} is none of {', '.join(choices)}")
    if config.hidden_size not in (64, 256):
        raise UserError(f"config.hidden_size: {config.hidden_size} is neither 64 nor 256, whose tiles are squares")
    if config.num_layers < 1:
        raise UserError(f"config.num_layers: {config.num_layers} is less than 1")
    if config.orientations not in ORIENTATIONS:
        raise UserError(f"config.orientations: {config.orientations} is none of {', '.join(map(str, ORIENTATIONS))}")
    if not 1 <= config.patch_stride <= patches.PATCH_SIZE:
        raise UserError(f"config.patch_stride: {config.patch_stride} is not from 1 to {patches.PATCH_SIZE} pixels")


def loss(network: SemiGlobalNetwork, terms: ConfigDict, *, augment: bool) -> Loss:
    """The three-term loss of a batch as `data.loader` makes it, its patches turned at random where `augment` says so.

    Args:
        network: what is trained.
        terms: the section `loss` of a configuration.
        augment: whether patches are turned.
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
            batch["image"] - batch["image"][0],  # A device's share begins with the first patch of an image.
            batch["residual_levels"],
            train=True,
            mutable=["batch_stats"],
        )
        targets = batch["labels"], batch["masks"]
        found = semi_global_loss(outputs.label, outputs.mask, *targets, **terms, axis_name=axis_name)
        scalars = {f"loss/{name}": value for name, value in found._asdict().items()}
        scalars["bottleneck/active"] = outputs.active.mean()
        scalars["bottleneck/dead_patches"] = (outputs.active == 0).mean()
        return found.total, (updates.get("batch_stats", variables["batch_stats"]), scalars)

    return of_batch


def patch_table(config: ConfigDict, examples: Split) -> PatchTable:
    """The table of the training split, cached beside the prepared data sets."""
    made_from = f"{examples.identity} {config.patch_stride} {config.border} {COLUMNS} {VERSION}"
    folder = table_folder("patch_tables", made_from)
    return build_table(examples, folder, stride=config.patch_stride, border=config.border)


def backbone_features(network: SemiGlobalNetwork, variables: Variables, table: PatchTable) -> np.ndarray:
    """What the image's half is fed with, for every image once: a frozen ResNet's features [k, 512], or thumbnails.

    Where there is no such half, rows of nothing [k, 0].
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
    """What the network learns from a table, which lies on the devices where they are accelerators and it fits.

    Args:
        config: see configs/default.py.
        network: what is trained.
        table: the patches.
        features: `backbone_features`.

    Raises:
        UserError: a batch size that cannot be.
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
