"""What `sfcn`, `mfcn` and `mfcn_edge` learn from: crops of whole images, and the cross entropies of both decoders."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from ml_collections import ConfigDict

from splice_jax.augmentation import dihedral, example_keys
from splice_jax.data import Split
from splice_jax.data.feeding.image_table import COLUMNS, EDGE, EDGE_RADIUS, SPLICED, Crop, ImageTable, build_table
from splice_jax.data.feeding.tables import table_folder
from splice_jax.losses import median_frequency_weights, weighted_cross_entropy
from splice_jax.methods.family import Loss, Training, Variables
from splice_jax.methods.trained.batches import batches_of_run
from splice_jax.models.mfcn import MFCN


def training_from(config: ConfigDict, network: MFCN, examples: Split) -> Training:
    """Crops at random positions; the cross entropies of both decoders, classes weighted by median frequency."""
    folder = table_folder("image_tables", f"{examples.identity} {COLUMNS} {EDGE_RADIUS}")
    table = build_table(examples, folder)
    steps, batches = batches_of_run(config, len(table.sizes), Crop(table, config.crop_size))
    return Training(steps, batches, loss(network, config.loss.normalization, table, augment=config.augment))


def loss(network: MFCN, normalization: str, table: ImageTable, *, augment: bool) -> Loss:
    """Cross entropy of the surface plus, if there is an edge decoder, that of the edge.

    Args:
        network: what is trained.
        normalization: see `losses.weighted_cross_entropy`.
        table: the training data; the class weights follow from its class frequencies.
        augment: whether crops are flipped and transposed at random.
    """
    outputs = {"surface": SPLICED} | ({"edge": EDGE} if network.edge else {})
    weights = {name: median_frequency_weights(table.class_counts(bit)) for name, bit in outputs.items()}

    def of_batch(variables: Variables, batch: Mapping[str, Array], key: Array, axis_name: str | None) -> Any:
        images, targets = batch["images"], batch["targets"]
        turning, dropout = jax.random.split(key)
        if augment:
            turned = dihedral(example_keys(turning, len(images), axis_name), images, targets)
            images, targets = turned["patches"], turned["masks"]
        scores, updates = network.clone(axis_name=axis_name).apply(
            variables, images, train=True, rngs={"dropout": dropout}, mutable=["batch_stats"]
        )
        terms = {
            name: weighted_cross_entropy(
                getattr(scores, name), (targets & bit) // bit, jnp.asarray(weights[name]), normalization, axis_name
            )
            for name, bit in outputs.items()
        }
        total = sum(terms.values(), jnp.zeros(()))
        scalars = {"loss/total": total} | {f"loss/{name}": term for name, term in terms.items()}
        return total, (updates["batch_stats"], scalars)

    return of_batch
