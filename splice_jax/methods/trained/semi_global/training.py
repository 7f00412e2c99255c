"""What `sgn` and `bappy` learn from: a table of patches, batches of them, and the three-term loss."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from splice_jax import patches
from splice_jax.augmentation import dihedral, example_keys
from splice_jax.crf.mean_field import Kernels
from splice_jax.data import Split
from splice_jax.data.feeding import loader
from splice_jax.data.feeding.patch_table import COLUMNS, VERSION, PatchTable, build_table
from splice_jax.data.feeding.tables import table_folder
from splice_jax.errors import UserError
from splice_jax.losses import semi_global_loss, weighted_cross_entropy
from splice_jax.methods.family import Loss, Training, Variables
from splice_jax.methods.trained import crf_layer
from splice_jax.models.kernels.compilation import convolution_options
from splice_jax.models.kernels.convolution import on_cpu
from splice_jax.models.semi_global import SemiGlobalNetwork

SQUARE = 4
"""Side, in pixels, of the squares that the CRF sees in training, one mean for each: as fine as the maps of `sgt`."""


def loss(network: SemiGlobalNetwork, terms: ConfigDict, *, augment: bool, crf_iterations: int = 0) -> Loss:
    """The three-term loss of a batch from `data.feeding.loader`, its patches flipped at random if `augment` is set.

    Where the variables hold a CRF, the groups of patches are windows (`loader.patch_windows`), which are flipped as a
    whole, and the cross entropy of their refined map is added.

    Args:
        network: what is trained.
        terms: the `loss` section of a configuration.
        augment: whether patches are flipped and transposed at random.
        crf_iterations: mean-field steps.
    """

    def of_batch(variables: Variables, batch: Mapping[str, Any], key: Array, axis_name: str | None) -> Any:
        if "columns" in batch:
            batch = loader.gather(batch["columns"], batch["rows"], batch["images"])
        module = variables["params"].get(crf_layer.NAME)
        side = 1 if module is None else math.isqrt(len(batch["patches"]) // len(batch["backbone"]))
        if augment:
            batch = dict(batch) | _turned(key, batch, side, axis_name)
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
        if module is not None:
            log_probability, spliced = _refined(
                outputs.mask, batch, side, crf_layer.kernels(module, SQUARE), crf_iterations
            )
            entropy = weighted_cross_entropy(
                log_probability, spliced, jnp.asarray(terms.class_weights), terms.normalization, axis_name
            )
            scalars |= {"loss/crf": terms.crf * entropy, "loss/total": found.total + terms.crf * entropy}
        scalars["bottleneck/active"] = outputs.active.mean()
        scalars["bottleneck/dead_patches"] = (outputs.active == 0).mean()
        return scalars["loss/total"], (updates.get("batch_stats", variables["batch_stats"]), scalars)

    return of_batch


def _turned(key: Array, batch: Mapping[str, Any], side: int, axis_name: str | None) -> dict[str, Array]:
    """Patches, masks and labels of windows of `side` x `side` patches, each flipped and transposed as a whole."""
    pixels, masks = (patches.join(batch[name], side) for name in ("patches", "masks"))
    keys = example_keys(key, len(pixels), axis_name)
    turned = {name: patches.cut(crops) for name, crops in dihedral(keys, pixels, masks).items()}
    labels = batch["labels"].reshape(-1, side, side)
    return turned | {"labels": dihedral(keys, labels, labels)["masks"].reshape(-1)}


def _refined(
    mask: Float[Array, "n 64 64 2"], batch: Mapping[str, Any], side: int, kernels: Kernels, iterations: int
) -> tuple[Float[Array, "windows squares squares 2"], Int[Array, "windows squares squares"]]:
    """Log-probabilities of every square of the windows after the CRF, and whether most of it is spliced."""

    def squares(values: Array) -> Array:
        """The mean of each."""
        crops = patches.join(values, side)
        count = crops.shape[1] // SQUARE
        return crops.reshape(-1, count, SQUARE, count, SQUARE, *crops.shape[3:]).mean((2, 4))

    odds, colours = squares(mask[..., 1] - mask[..., 0]), jnp.rint(squares(batch["patches"])).astype(jnp.uint8)
    refined = crf_layer.refined(odds, colours, jnp.ones_like(odds), kernels, iterations)
    both = jnp.stack([jax.nn.log_sigmoid(-refined), jax.nn.log_sigmoid(refined)], -1)
    return both, (squares(batch["masks"]) > 0.5).astype(jnp.int32)


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
    groups = _groups(config, table)
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
            groups,
            batch_size=config.batch_size,
            num_epochs=None if config.num_steps else config.num_epochs,
            seed=config.seed,
            shard=jax.process_index(),
            shards=jax.process_count(),
            rows_only=resident,
        )
    except ValueError as error:
        raise UserError(f"config.{error}") from error
    of_batch = loss(network, config.loss, augment=config.augment, crf_iterations=config.crf.iterations)
    return Training(steps, batches, of_batch, {"columns": columns} if resident else {})


def _groups(config: ConfigDict, table: PatchTable) -> np.ndarray:
    """Patches that stand in a batch together: any of an image or, where the CRF is trained, neighbours."""
    if not config.loss.crf:
        return loader.patch_groups(table.image_of_patch, config.patches_per_image, config.seed)
    side = math.isqrt(config.patches_per_image)
    if side**2 != config.patches_per_image:
        raise UserError(
            f"config.patches_per_image: {config.patches_per_image} fill no square, which a CRF needs; set 16"
        )
    if config.patch_stride != patches.PATCH_SIZE:
        raise UserError(
            f"config.patch_stride: {config.patch_stride}, but a CRF is trained on patches side by side; set "
            f"{patches.PATCH_SIZE} and look closer in evaluations"
        )
    groups = loader.patch_windows(table.sizes, side, config.seed, border=config.border)
    if not len(groups):
        raise UserError(
            f"config.patches_per_image: no training image is {patches.PATCH_SIZE * side} pixels high and wide; "
            "set a smaller square number or give larger images"
        )
    return groups
