"""What `sgt` learns from: crops of images' traces, spliced and authentic, and cross entropies of its three outputs."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from ml_collections import ConfigDict

from splice_jax.augmentation import dihedral, example_keys
from splice_jax.data import Split
from splice_jax.data.feeding.tables import table_folder
from splice_jax.data.feeding.trace_table import COLUMNS, FINE, VERSION, TraceCrop, build_table
from splice_jax.losses import binary_cross_entropy, soft_dice
from splice_jax.methods.family import Loss, Training, Variables
from splice_jax.methods.trained import crf_layer
from splice_jax.methods.trained.batches import batches_of_run
from splice_jax.models.semi_global_traces import SemiGlobalTraces
from splice_jax.models.traces import bank

LEAST_SHARE = 0.01
"""A crop of which less is spliced counts as authentic."""
BLOCK_TERM = 0.5
"""Weight of the blocks' own logits beside the fine ones."""


def training_from(config: ConfigDict, network: SemiGlobalTraces, examples: Split) -> Training:
    """Crops at random positions of spliced and authentic images."""
    folder = table_folder("trace_tables", f"{examples.identity} {COLUMNS} {VERSION} {bank.COUNT}")
    table = build_table(examples, folder)
    steps, batches = batches_of_run(config, len(table.sizes), TraceCrop(table, config.crop_blocks))
    of_batch = loss(
        network, config.loss, config.trace_dropout, augment=config.augment, crf_iterations=config.crf.iterations
    )
    return Training(steps, batches, of_batch)


def loss(
    network: SemiGlobalTraces, weights: ConfigDict, dropout: float, *, augment: bool, crf_iterations: int = 0
) -> Loss:
    """Cross entropy of the map plus soft Dice where there is a splice, plus cross entropy of the image's own logit.

    Where the variables hold a CRF, plus cross entropy of the map that it refines.

    Args:
        network: what is trained.
        weights: `spliced`, of spliced pixels against others; `dice`, `image` and `crf`, of the terms after the first.
        dropout: probability that a trace is left out of an example.
        augment: whether crops are flipped and transposed at random.
        crf_iterations: mean-field steps.
    """

    def of_batch(variables: Variables, batch: Mapping[str, Array], key: Array, axis_name: str | None) -> Any:
        turning, dropping = jax.random.split(key)
        traces = jax.vmap(bank.standardised)(batch["traces"].astype(jnp.float32), batch["medians"], batch["spreads"])
        traces = _dropped(example_keys(dropping, len(traces), axis_name), traces, dropout)
        colours, targets, inside = batch["colours"], batch["targets"], batch["inside"]
        if augment:
            keys = example_keys(turning, len(traces), axis_name)
            blocks, fine = dihedral(keys, traces, inside), dihedral(keys, colours, targets)
            traces, inside, colours, targets = blocks["patches"], blocks["masks"], fine["patches"], fine["masks"]
        inside = inside.astype(jnp.float32)
        target = targets / 255
        found: Any = network.apply(variables, traces, colours / 127.5 - 1, inside)
        share = (target.sum((1, 2)) / (4 * inside.sum((1, 2)) + 1e-6)) > LEAST_SHARE
        coarse = target.reshape(len(target), *inside.shape[1:2], 2, inside.shape[2], 2).mean((2, 4))
        fine_inside = inside.repeat(2, 1).repeat(2, 2)
        terms = {
            "fine": binary_cross_entropy(found.fine, target, fine_inside, weights.spliced, axis_name),
            "blocks": BLOCK_TERM * binary_cross_entropy(found.blocks, coarse, inside, weights.spliced, axis_name),
            "dice": weights.dice * soft_dice(found.fine, target, fine_inside, share, axis_name),
            "image": weights.image * binary_cross_entropy(found.image, share.astype(jnp.float32), jnp.ones(len(share))),
        }
        if (module := variables["params"].get(crf_layer.NAME)) is not None:
            kernels = crf_layer.kernels(module, FINE)
            refined = crf_layer.refined(found.fine, colours, fine_inside, kernels, crf_iterations)
            entropy = binary_cross_entropy(refined, target, fine_inside, weights.spliced, axis_name)
            terms["crf"] = weights.crf * entropy
        total = sum(terms.values(), jnp.zeros(()))
        right = ((found.image > 0) == share).mean()
        scalars = {"loss/total": total, "image/accuracy": right} | {
            f"loss/{name}": each for name, each in terms.items()
        }
        return total, (variables["batch_stats"], scalars)

    return of_batch


def _dropped(keys: Array, traces: Array, rate: float) -> Array:
    """Each example without some of its traces; the others are scaled up, as in any dropout."""
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, traces.shape[-1:]))(keys)
    return traces * (kept / (1 - rate))[:, None, None]
