"""Mean-field inference by brute force, every pixel with every other: the oracle of tests, for small images."""

import numpy as np
from jaxtyping import Float64, UInt8

from splice_jax.crf.mean_field import Kernels


def mean_field(
    unary: Float64[np.ndarray, "labels height width"],
    image: UInt8[np.ndarray, "height width 3"],
    kernels: Kernels,
    iterations: int,
    compatibility: Float64[np.ndarray, "labels labels"] | None = None,
) -> Float64[np.ndarray, "labels height width"]:
    """The marginals that `splice_jax.crf.mean_field.mean_field` approximates, in float64 and without a grid.

    Memory grows with the square of the pixels: 24 x 24 take 5 MB, 100 x 100 take 2 GB.
    """
    labels, height, width = unary.shape
    y, x = np.mgrid[:height, :width]
    position = np.stack([y, x], -1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    near = np.concatenate(
        [position / float(kernels.bilateral_position_std), colour / float(kernels.bilateral_colour_std)], 1
    )
    messages = float(kernels.bilateral_weight) * _normalised(near)
    messages += float(kernels.smoothness_weight) * _normalised(position / float(kernels.smoothness_position_std))
    penalty = 1 - np.eye(labels) if compatibility is None else compatibility
    energies = unary.reshape(labels, -1)
    marginals = _softmax(-energies)
    for _ in range(iterations):
        marginals = _softmax(-energies - penalty @ marginals @ messages)
    return marginals.reshape(unary.shape)


def _normalised(features: Float64[np.ndarray, "pixels dimensions"]) -> Float64[np.ndarray, "pixels pixels"]:
    """D^-1/2 K D^-1/2 with the Gaussian kernel K, pixels with themselves included, and D the sums of its rows."""
    squares = (features**2).sum(1)
    kernel = np.exp(-0.5 * np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0))
    root = np.sqrt(kernel.sum(1))
    return kernel / root / root[:, None]


def _softmax(logits: Float64[np.ndarray, "labels pixels"]) -> Float64[np.ndarray, "labels pixels"]:
    exponentials = np.exp(logits - logits.max(0))
    return exponentials / exponentials.sum(0)
