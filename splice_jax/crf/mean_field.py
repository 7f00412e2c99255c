"""Mean-field inference in a fully connected CRF (Krähenbühl & Koltun 2011) in JAX, on whatever device JAX runs on.

The energy of a labelling is the sum over pixels of the unary energy of their labels, and over all pairs i, j of
μ(label_i, label_j) times

    ω1 · k1(i, j) + ω2 · k2(i, j),   k1 from exp(−|p_i − p_j|² / 2σ_α² − |I_i − I_j|² / 2σ_β²),
                                     k2 from exp(−|p_i − p_j|² / 2σ_γ²)

with positions p in pixels and colours I in 0 … 255. "From": as in the authors' program, each kernel K is normalised to
D^-1/2 K D^-1/2, where D sums K's rows, and a pixel sends a message to itself too. k1 is filtered by the permutohedral
lattice, as there; k2 is separable and filtered exactly.

This module and what it imports know nothing of the rest of the package.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int32, UInt8

from splice_jax.crf import permutohedral, separable

Scalar = float | Float[Array, ""]


class Kernels(NamedTuple):
    """Weights and widths, all differentiable."""

    bilateral_weight: Scalar
    """ω1."""
    bilateral_position_std: Scalar
    """σ_α, pixels."""
    bilateral_colour_std: Scalar
    """σ_β, in levels of 0 … 255."""
    smoothness_weight: Scalar
    """ω2."""
    smoothness_position_std: Scalar
    """σ_γ, pixels."""


class Inference(NamedTuple):
    """What mean-field steps came to."""

    marginals: Float[Array, "batch labels height width"]
    """They sum to 1 over labels; NaN for an image whose lattice had no room."""
    overflow: Bool[Array, " batch"]
    """Whose lattice had no room: to be repeated with a larger `capacity`."""


def mean_field(
    unary: Float[Array, "batch labels height width"],
    image: UInt8[Array, "batch height width 3"],
    kernels: Kernels,
    *,
    iterations: int,
    capacity: int,
    reach: int | None = None,
    sizes: Int32[Array, "batch 2"] | None = None,
    compatibility: Float[Array, "labels labels"] | None = None,
) -> Inference:
    """The marginals after a number of parallel mean-field steps that start from softmax(−unary).

    To be called under `jax.jit`, with the keywords up to `reach` static. The gradient by unaries, weights and
    compatibility is exact for the steps taken. That by the widths of the bilateral kernel is exact for the lattice as
    long as no pixel changes its simplex: it passes through the barycentric weights, and the lattice's vertices are
    constants.

    Args:
      unary: energies, −log of a probability.
      image: the photographs.
      kernels: weights and widths, shared by the batch.
      iterations: steps.
      capacity: vertices that a lattice has room for; a power of two, see `permutohedral.build`.
      reach: pixels to either side at which the kernel in position is cut off, None for nowhere; 5 σ_γ changes nothing.
      sizes: height and width of each image where images are padded to one size, at the right and the bottom, with
        whatever is finite; there the marginals mean nothing.
      compatibility: the penalty μ of a pair of labels; Potts, 1 − identity, by default.
    """
    batch, labels, height, width = unary.shape
    if image.shape != (batch, height, width, 3):
        raise ValueError(f"unaries of shape {unary.shape} do not belong to images of shape {image.shape}")
    if sizes is None:
        sizes = jnp.broadcast_to(jnp.array([height, width], jnp.int32), (batch, 2))
    reach = max(height, width) if reach is None else reach
    kernels = Kernels(*(jnp.asarray(value, unary.dtype) for value in kernels))

    def infer(energies: Array, pixels: Array, size: Array) -> Inference:
        return _infer(energies, pixels, size, kernels, compatibility, iterations, capacity, reach)

    if batch == 1:  # Scatters of one image are faster alone than as a batch of one.
        return jax.tree.map(lambda x: x[None], infer(unary[0], image[0], sizes[0]))
    return jax.vmap(infer)(unary, image, sizes)


def _infer(
    unary: Float[Array, "labels height width"],
    image: UInt8[Array, "height width 3"],
    size: Int32[Array, " 2"],
    kernels: Kernels,
    compatibility: Float[Array, "labels labels"] | None,
    iterations: int,
    capacity: int,
    reach: int,
) -> Inference:
    labels, *shape = unary.shape
    penalty = 1 - jnp.eye(labels, dtype=unary.dtype) if compatibility is None else compatibility
    inside = (jnp.arange(shape[0])[:, None] < size[0]) & (jnp.arange(shape[1]) < size[1])
    inside = inside.astype(unary.dtype)
    lattice = permutohedral.build(_features(image, size, kernels), capacity)
    norm = inside.ravel() / jnp.sqrt(permutohedral.filtered(lattice, inside.reshape(1, -1))[0] + 1e-20)

    def message(values: Float[Array, "channels height width"]) -> Float[Array, "channels height width"]:
        flat = norm * permutohedral.filtered(lattice, norm * values.reshape(len(values), norm.size))
        near = separable.filtered(inside * values, kernels.smoothness_position_std, size, reach)
        return kernels.bilateral_weight * flat.reshape(values.shape) + kernels.smoothness_weight * near

    # Messages are linear and marginals sum to 1. So only what marginals have above 1 / labels is sent, and the last
    # label's follows from the others', which for two labels halves the work.
    shared: Array | float = 0.0  # What 1 / labels sends; between labels it makes no difference to Potts.
    if compatibility is not None:
        shared = penalty.mean(1)[:, None, None] * message(inside[None])

    @jax.checkpoint
    def step(marginals: Array, _: None) -> tuple[Array, None]:
        messages = message(marginals[:-1] - 1 / labels)
        messages = jnp.concatenate([messages, -sum(messages, jnp.zeros_like(marginals[:1]))])
        return _softmax(-unary - jnp.tensordot(penalty, messages, 1) - shared), None

    marginals, _ = lax.scan(step, _softmax(-unary), length=iterations)
    # Multiplied, not chosen, so that gradients turn NaN too.
    return Inference(marginals * jnp.where(lattice.overflow, jnp.nan, 1), lattice.overflow)


def _softmax(logits: Float[Array, "labels height width"]) -> Float[Array, "labels height width"]:
    """`jax.nn.softmax` over labels, in a tenth of its time on a CPU, where XLA is slow to reduce a leading axis."""
    highest = lax.stop_gradient(functools.reduce(jnp.maximum, logits))
    exponentials = jnp.exp(logits - highest)
    return exponentials / sum(exponentials)


def _features(
    image: UInt8[Array, "height width 3"], size: Int32[Array, " 2"], kernels: Kernels
) -> Float[Array, "5 pixels"]:
    """Where the pixels are in position and colour, in standard deviations.

    Pixels beyond the image's size are put where its last ones are, so that they make no vertices of their own.
    """
    y = jnp.minimum(jnp.arange(image.shape[0]), size[0] - 1)
    x = jnp.minimum(jnp.arange(image.shape[1]), size[1] - 1)
    colours = jnp.moveaxis(image[y][:, x], -1, 0) / kernels.bilateral_colour_std
    grid = jnp.stack(jnp.broadcast_arrays(x, y[:, None])) / kernels.bilateral_position_std
    return jnp.concatenate([grid, colours]).reshape(5, -1)
