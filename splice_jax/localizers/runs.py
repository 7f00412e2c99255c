"""Trained runs as localizers."""

import functools
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from splice_jax import crf as crfs
from splice_jax import patches
from splice_jax.checkpoints import BEST, Checkpoints
from splice_jax.configuration import load_run_config
from splice_jax.errors import UserError
from splice_jax.localizers.base import Localizer
from splice_jax.localizers.patch_network import ORIENTATIONS, PatchNetworkLocalizer, Refine
from splice_jax.models import local_network, semi_global
from splice_jax.models.initializers import INITIALIZATIONS
from splice_jax.models.precision import COMPUTE_DTYPES
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables

METHODS = ("sgn", "bappy")
_CHOICES = {
    "method": METHODS,
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


def load(workdir: str | Path, *, crf: str = "none", config: ConfigDict | None = None) -> Localizer:
    """The localizer of a trained run, or of one that is still trained: its best checkpoint so far.

    Args:
        workdir: folder of the run, as given to train.py.
        crf: `none` or `pydensecrf`.
        config: what says the grid of patches and the CRF's parameters; the run's own config.json by default.

    Raises:
        UserError: no run there, no checkpoint in it yet, or the CRF is not installed.
    """
    workdir = Path(workdir)
    config = config or load_run_config(workdir)
    network = network_from_config(config)
    refine = crf_from_config(config, crf)
    variables, _ = best_checkpoint(workdir, network)
    return localizer_from_config(config, network, variables, refine)


def best_checkpoint(workdir: Path, network: SemiGlobalNetwork) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of a run's best checkpoint so far, in host memory, and its record.

    Raises:
        UserError: there is none yet, or it is of another network.
    """
    best = Checkpoints(workdir, BEST, read_only=True)
    if best.step is None:
        hint = f"train it with train.py --workdir={workdir}, at least to its first validation"
        raise UserError(f"{workdir}: holds no trained network yet; {hint}")
    return best.restore(variable_shapes(network))


def variable_shapes(network: SemiGlobalNetwork) -> dict[str, Any]:
    """The shapes of a network's variables; nothing is computed."""
    return jax.eval_shape(functools.partial(initial_variables, network), jax.random.key(0))


def network_from_config(config: ConfigDict) -> SemiGlobalNetwork:
    """The network that a configuration describes.

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


def crf_from_config(config: ConfigDict, backend: str) -> Refine | None:
    """The CRF stage as a function of (image, probability); None for `none`."""
    if backend == "none":
        return None
    crfs.backend_module(backend)
    parameters = crfs.CrfParameters.from_config(config.crf)
    return lambda image, probability: crfs.refine(backend, image, probability, parameters)


def localizer_from_config(
    config: ConfigDict, network: SemiGlobalNetwork, variables: Any, refine: Refine | None = None
) -> PatchNetworkLocalizer:
    """A localizer on the grid that a configuration describes."""
    return PatchNetworkLocalizer(
        config.method,
        network,
        variables,
        stride=config.patch_stride,
        border=config.border,
        orientations=config.orientations,
        refine=refine,
    )
