"""Training losses: cross entropies, alone and in Φ = Φ_classification + β Φ_segmentation + λ Φ_smooth."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

LOG_FLOOR = -100.0  # log-probabilities are clipped here, as in PyTorch's BCELoss, to keep log 0 finite
NORMALIZATIONS = ("count", "weight")


class LossTerms(NamedTuple):
    """The weighted sum and its three unweighted terms; scalars."""

    total: Float[Array, ""]
    classification: Float[Array, ""]
    segmentation: Float[Array, ""]
    smooth: Float[Array, ""]


def weighted_cross_entropy(
    log_probability: Float[Array, "... 2"],
    target: Int[Array, "..."],
    class_weights: Float[Array, " 2"],
    normalization: str,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """Mean of -W_target log p_target over all elements.

    Args:
        log_probability: log-probabilities of (authentic, spliced), at most 0.
        target: 0 or 1.
        class_weights: W_n and W_s.
        normalization: `count` divides by the number of elements (the paper), `weight` by the sum of their weights
            (PyTorch's weighted NLL, the released code).
        axis_name: the mapped axis that a batch is spread over, if any; averaging the results over it gives the result
            for the whole batch.

    Raises:
        ValueError: `normalization` is neither.
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"loss.normalization: {normalization!r} is neither of {', '.join(NORMALIZATIONS)}")
    weight = class_weights[target]
    # With two classes, a selection is much faster than a gather, and so is its gradient.
    chosen = jnp.where(target == 1, log_probability[..., 1], log_probability[..., 0])
    total = -(weight * jnp.maximum(chosen, LOG_FLOOR)).sum()
    if normalization == "count":
        return total / weight.size
    sum_of_weights = weight.sum()
    return total / (sum_of_weights if axis_name is None else jax.lax.pmean(sum_of_weights, axis_name))


def smoothness(mask_log_probability: Float[Array, "n 64 64 2"], label_log_probability: Float[Array, "n 2"]) -> Array:
    """Φ_smooth: mean over patches of |mean spliced probability of the mask - spliced probability of the label|."""
    mask = jnp.exp(mask_log_probability[..., 1]).mean((1, 2))
    return jnp.abs(mask - jnp.exp(label_log_probability[:, 1])).mean()


def semi_global_loss(
    label_log_probability: Float[Array, "n 2"],
    mask_log_probability: Float[Array, "n 64 64 2"],
    labels: Int[Array, " n"],
    masks: Int[Array, "n 64 64"],
    *,
    class_weights: tuple[float, float],
    beta: float,
    smooth: float,
    normalization: str,
    axis_name: str | None = None,
) -> LossTerms:
    """The loss of a batch of patches (Cun & Pun 2018).

    Args:
        label_log_probability: log-probabilities of (authentic, spliced) for each patch.
        mask_log_probability: the same for each pixel.
        labels: 1 for spliced patches.
        masks: 1 for spliced pixels.
        class_weights: W_n and W_s, for both heads.
        beta: weight of the segmentation term.
        smooth: λ, weight of the term that ties the two heads together.
        normalization: see `weighted_cross_entropy`.
        axis_name: see `weighted_cross_entropy`.
    """
    weights = jnp.asarray(class_weights, jnp.float32)
    classification = weighted_cross_entropy(label_log_probability, labels, weights, normalization, axis_name)
    segmentation = weighted_cross_entropy(mask_log_probability, masks, weights, normalization, axis_name)
    smooth_term = smoothness(mask_log_probability, label_log_probability)
    total = classification + beta * segmentation + smooth * smooth_term
    return LossTerms(total, classification, segmentation, smooth_term)


def binary_cross_entropy(
    logits: Float[Array, "..."],
    target: Float[Array, "..."],
    counted: Float[Array, "..."],
    weight: float = 1.0,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """Mean of -(W t log p + (1 - t) log(1 - p)) over the elements that count, p = sigmoid(logit).

    Args:
        logits: log odds.
        target: t, in [0, 1].
        counted: 1 for elements that count, 0 for others.
        weight: W, of the positive class.
        axis_name: see `weighted_cross_entropy`.
    """
    losses = weight * target * jax.nn.softplus(-logits) + (1 - target) * jax.nn.softplus(logits)
    return (losses * counted).sum() / _number(counted, axis_name)


def soft_dice(
    logits: Float[Array, "n h w"],
    target: Float[Array, "n h w"],
    counted: Float[Array, "n h w"],
    chosen: Array,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """Mean of 1 - (2 Σ p t + 1) / (Σ p + Σ t + 1) over the chosen images, 0 if there are none.

    F. Milletari, N. Navab and S.-A. Ahmadi, 3DV 2016.

    Args:
        logits: log odds; p is their sigmoid.
        target: t, in [0, 1].
        counted: 1 for pixels that count.
        chosen: [n], whether an image counts.
        axis_name: see `weighted_cross_entropy`.
    """
    probability = jax.nn.sigmoid(logits) * counted
    both, either = (probability * target).sum((1, 2)), (probability + target * counted).sum((1, 2))
    dice = 1 - (2 * both + 1) / (either + 1)
    return (dice * chosen).sum() / _number(chosen, axis_name)


def _number(counted: Array, axis_name: str | None) -> Array:
    """How many count, on average over the mapped axis; 1 if none does."""
    number = counted.sum().astype(jnp.float32)
    if axis_name is not None:
        number = jax.lax.pmean(number, axis_name)
    return jnp.where(number > 0, number, 1)


def median_frequency_weights(counts: Int[np.ndarray, "images classes"]) -> Float32[np.ndarray, " classes"]:
    """Class weights that make rare classes count as much as frequent ones (Eigen & Fergus, ICCV 2015).

    A class's frequency is its share of the pixels in the images where it occurs; its weight is the median of all
    frequencies divided by its own. A class that never occurs has weight 1.

    Args:
        counts: pixels of each class in each image.

    >>> median_frequency_weights(np.array([[90, 10], [100, 0]])).tolist()  # frequencies 190 / 200 and 10 / 100
    [0.5526..., 5.25]
    """
    totals = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    present = totals > 0
    frequency = counts.sum(axis=0)[present] / totals[present]
    weights = np.ones(counts.shape[1], np.float32)
    weights[present] = np.median(frequency) / frequency
    return weights
