"""95 % intervals by the bootstrap over images (Efron 1979): percentiles over samples drawn with replacement.

With the same seed and number of images the same images are drawn for every row, which pairs their differences.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

RESAMPLES = 2000
"""Samples behind every interval."""

_BOUNDS = [2.5, 97.5]
_AT_ONCE = 200


def of_mean(values: Float[np.ndarray, " images"], *, seed: int) -> list[float]:
    """The interval of a mean over images, as [low, high]."""
    return _interval(values[_drawn(len(values), seed)].mean(axis=1))


def of_pooled(
    counts: Int64[np.ndarray, "images *shape"],
    statistic: Callable[[Float64[np.ndarray, "samples *shape"]], Float64[np.ndarray, " samples"]],
    *,
    seed: int,
) -> list[float]:
    """The interval of a statistic of counts that are added over images, as [low, high].

    The sums of every sample are exact, so they do not depend on the order of addition.
    """
    times, flat = _multiplicities(len(counts), seed), counts.reshape(len(counts), -1).astype(np.float64)
    parts = [times[start : start + _AT_ONCE] @ flat for start in range(0, RESAMPLES, _AT_ONCE)]
    return _interval(np.concatenate([statistic(part.reshape(-1, *counts.shape[1:])) for part in parts]))


def of_two_groups(wins: Float[np.ndarray, "first second"], *, seed: int) -> list[float]:
    """The interval of the mean of pairs of two groups, images of each drawn on their own: that of an AUC."""
    first, second = (_multiplicities(size, seed + part) for part, size in enumerate(wins.shape))
    return _interval(((first @ wins) * second).sum(axis=1) / wins.size)


def _interval(values: Float64[np.ndarray, " samples"]) -> list[float]:
    low, high = np.nanpercentile(values, _BOUNDS).tolist()
    return [low, high]


@functools.lru_cache(maxsize=4)
def _drawn(images: int, seed: int) -> Int[np.ndarray, "samples images"]:
    return np.random.default_rng(seed).integers(images, size=(RESAMPLES, images))


@functools.lru_cache(maxsize=4)
def _multiplicities(images: int, seed: int) -> Float64[np.ndarray, "samples images"]:
    """How often each image stands in each sample."""
    offset = images * np.arange(RESAMPLES)[:, None]
    times = np.bincount((_drawn(images, seed) + offset).ravel(), minlength=RESAMPLES * images)
    return times.reshape(RESAMPLES, images).astype(np.float64)
