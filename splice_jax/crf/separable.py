"""The kernel in position alone: a Gaussian along columns, then along rows, as products of band matrices."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32

_BLOCK = 64
"""Pixels that one product of a band's matrix computes, at least."""


def filtered(
    values: Float[Array, "channels height width"], std: float | Float[Array, ""], size: Int32[Array, " 2"], reach: int
) -> Float[Array, "channels height width"]:
    """D^-1/2 K D^-1/2 · values, with K_ij = exp(−|p_i − p_j|² / 2 std²) and D the sums of its rows.

    Args:
      values: 0 beyond `size`.
      std: of the Gaussian, pixels; differentiable.
      size: height and width that count; what lies beyond has no weight.
      reach: pixels to either side at which the Gaussian is cut off; none where it covers the image.
    """
    for length in (size[1], size[0]):
        inside = (jnp.arange(values.shape[2]) < length).astype(values.dtype)
        norm = inside / jnp.sqrt(_blurred(inside, std, reach) + 1e-20)
        values = jnp.swapaxes(norm * _blurred(norm * values, std, reach), 1, 2)
    return values


def _blurred(
    values: Float[Array, "*rows length"], std: float | Float[Array, ""], reach: int
) -> Float[Array, "*rows length"]:
    """Each block of pixels is a product of itself and its surroundings with one and the same matrix."""
    length = values.shape[-1]
    reach = min(reach, length - 1)
    block = min(max(_BLOCK, reach), length)
    blocks = -(-length // block)
    around = [(0, 0)] * (values.ndim - 1) + [(reach, reach + blocks * block - length)]
    padded = jnp.pad(values, around)
    windows = jnp.stack([padded[..., b * block : (b + 1) * block + 2 * reach] for b in range(blocks)], axis=-2)
    offsets = jnp.arange(block + 2 * reach)[:, None] - reach - jnp.arange(block)
    kernel = jnp.where(jnp.abs(offsets) <= reach, jnp.exp(-0.5 * (offsets / std) ** 2), 0).astype(values.dtype)
    # Full precision: a TPU would multiply numbers of 8 bits.
    blurred = jnp.matmul(windows, kernel, precision=lax.Precision.HIGHEST)
    return blurred.reshape(*values.shape[:-1], blocks * block)[..., :length]
