"""Traces in what a small filter leaves of the pixels: noise, interpolation, and what ties the colours together."""

import jax.numpy as jnp
from jaxtyping import Array, Float32

from splice_jax.models.traces.planes import FLOOR, Blocks, Plane, block_means, mean_of_nine, median_of_nine, shifted

LAGS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 2))
SHORT_LAGS = ((0, 1), (1, 0), (1, 1))
COLOUR_LAGS = ((0, 1), (1, 0), (0, 2), (2, 0))
_VARIANCE_FLOOR = 0.05


def residual(plane: Plane) -> Plane:
    """Each pixel minus the mean of the 3x3 around it, in levels."""
    return plane - mean_of_nine(plane)


def magnitude(residual: Plane) -> Blocks:
    """Log of the mean magnitude in each block."""
    return jnp.log(block_means(jnp.abs(residual)) + FLOOR)


def median_magnitude(luma: Plane) -> Blocks:
    """Log of the mean distance from the median of 3x3 pixels in each block: noise rather than edges (row `noi4`)."""
    return jnp.log(block_means(jnp.abs(luma - median_of_nine(luma))) + FLOOR)


def least_magnitude(residual: Plane) -> Blocks:
    """Log of the least of the mean magnitudes in a block's four quarters: the noise beside an edge."""
    quarters = block_means(jnp.abs(residual), 4)
    rows, columns = quarters.shape
    return jnp.log(quarters.reshape(rows // 2, 2, columns // 2, 2).min((1, 3)) + FLOOR)


def autocorrelation(residual: Plane, lags: tuple[tuple[int, int], ...], side: int = 8) -> Float32[Array, "r c lags"]:
    """Correlation of a residual with itself some pixels on, per block of `side` pixels: resampling, blur, sharpening.

    A. Popescu and H. Farid, IEEE Transactions on Signal Processing 53, 2005, find how interpolated pixels correlate.
    """
    variance = block_means(residual**2, side) + _VARIANCE_FLOOR
    return jnp.stack([block_means(residual * shifted(residual, *lag), side) / variance for lag in lags], -1)


def peakedness(residual: Plane) -> Blocks:
    """Log of the mean fourth power over the squared variance in each block (S. Lyu et al., IJCV 110, 2014)."""
    square = residual**2
    return jnp.log((block_means(square**2) + _VARIANCE_FLOOR) / (block_means(square) ** 2 + _VARIANCE_FLOOR))


def colour_tie(red: Plane, green: Plane) -> Blocks:
    """Log ratio of the difference between two channels' residuals to the second: demosaicing ties them together.

    A. E. Dirik and N. Memon, ICIP 2009, look for the same interpolation.
    """
    return jnp.log((block_means(jnp.abs(red - green)) + FLOOR) / (block_means(jnp.abs(green)) + FLOOR))


def halved(plane: Plane) -> Plane:
    """Means of 2x2 pixels."""
    return block_means(plane, 2)
