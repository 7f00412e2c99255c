"""What `camera_response` learns from: forged and authentic edges, one histogram each."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32
from ml_collections import ConfigDict

from splice_jax.data import Split
from splice_jax.data.feeding.edge_table import (
    AUTHENTIC_BEYOND,
    COLUMNS,
    FORGED_WITHIN,
    MOST_PER_IMAGE,
    OneEdge,
    build_table,
)
from splice_jax.data.feeding.edges import BINS, HIGH, LEAST_COHERENCE, LEAST_CONTRAST, LOW, PATCH, SMOOTHING
from splice_jax.data.feeding.tables import table_folder
from splice_jax.losses import median_frequency_weights, weighted_cross_entropy
from splice_jax.methods.family import Loss, Training, Variables
from splice_jax.methods.trained.batches import batches_of_run
from splice_jax.models.camera_response import EdgeLeNet


def training_from(config: ConfigDict, network: EdgeLeNet, examples: Split) -> Training:
    """Edges near mask boundaries against edges far from them, weighted as if both were equally frequent."""
    edges = (PATCH, BINS, SMOOTHING, HIGH, LOW, LEAST_CONTRAST, LEAST_COHERENCE)
    kinds = (FORGED_WITHIN, AUTHENTIC_BEYOND, MOST_PER_IMAGE)
    table = build_table(examples, table_folder("edge_tables", f"{examples.identity} {COLUMNS} {edges} {kinds}"))
    steps, batches = batches_of_run(config, len(table.labels), OneEdge(table))
    weights = median_frequency_weights(np.bincount(table.labels, minlength=2)[None])
    return Training(steps, batches, loss(network, config.loss.normalization, weights))


def loss(network: EdgeLeNet, normalization: str, class_weights: Float32[np.ndarray, " 2"]) -> Loss:
    """Weighted cross entropy of the edges' labels.

    Args:
        network: what is trained.
        normalization: see `losses.weighted_cross_entropy`.
        class_weights: weights of natural and forged edges.
    """

    def of_batch(variables: Variables, batch: Mapping[str, Array], key: Array, axis_name: str | None) -> Any:
        found: Any = network.apply({"params": variables["params"]}, batch["histograms"])
        weights = jnp.asarray(class_weights)
        total = weighted_cross_entropy(found, batch["labels"], weights, normalization, axis_name)
        right = (found.argmax(axis=-1) == batch["labels"]).mean()
        return total, (variables["batch_stats"], {"loss/total": total, "edges/right": right})

    return of_batch
