"""95 % intervals by the bootstrap over images (Efron 1979), corrected for bias and skewness (BCa, Efron 1987).

With few images, plain percentiles of the samples give intervals that are too narrow. The correction needs every
statistic with each image left out in turn; above `MOST_CORRECTED` images it is too small to matter, and plain
percentiles are used.

For the same seed and number of images, the same images are drawn for every row, which pairs their differences. Samples
are drawn a block at a time and counts read a portion of the images at a time, so that memory grows neither with the
number of samples nor with what is counted of an image.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.special import ndtr, ndtri

RESAMPLES = 2000
"""Number of samples per interval."""

MOST_CORRECTED = 10_000
"""Maximum number of images for BCa intervals."""

METHOD = f"BCa, percentile above {MOST_CORRECTED} images"

_TAILS = np.array([0.025, 0.975])
_BLOCK_SAMPLES, _BLOCK_DRAWS = 200, 500_000
_PORTION = 2**20
"""Numbers of a portion of the images' counts."""

Statistic = Callable[[Float64[np.ndarray, "samples *shape"]], Float64[np.ndarray, " samples"]]


def of_mean(values: Float[np.ndarray, " images"], *, seed: int) -> list[float]:
    """The interval of a mean over images, as [low, high]."""
    if values.min() == values.max():
        return [float(values[0])] * 2
    sampled = np.concatenate([values[drawn].mean(axis=1) for [drawn] in _blocks((len(values),), seed)])
    # Without image i, the mean falls by (value i - mean) / (images - 1).
    return _interval(sampled, float(values.mean()), [values - values.mean()])


def of_pooled(
    counts: Int[np.ndarray, "images *shape"],
    statistic: Statistic,
    *,
    seed: int,
    used: Bool[np.ndarray, " last"] | None = None,
) -> list[float]:
    """The interval of a statistic of counts summed over images, as [low, high].

    Every sample's sums are exact, so they do not depend on the order of addition.

    Args:
      counts: of every image; they may lie on disk, and are read a portion of the images at a time.
      statistic: of sums.
      seed: what is drawn.
      used: which of the counts along the last axis the statistic is of; all by default.
    """
    images = len(counts)

    def portions() -> Iterator[Float64[np.ndarray, "some *shape"]]:
        at_once = max(1, _PORTION // counts[0].size)
        for start in range(0, images, at_once):
            part = counts[start : start + at_once]
            yield np.asarray(part if used is None else np.compress(used, part, axis=-1), np.float64)

    sampled = [statistic(_summed(_times(drawn, images), portions())) for [drawn] in _blocks((images,), seed)]
    total = _summed(np.ones((1, images)), portions())
    influence = []
    if 1 < images <= MOST_CORRECTED:
        without = np.concatenate([statistic(total - portion) for portion in portions()])
        influence.append((images - 1) * (np.nanmean(without) - without))
    return _interval(np.concatenate(sampled), float(statistic(total)[0]), influence)


def _summed(
    times: Float64[np.ndarray, "samples images"], portions: Iterable[Float64[np.ndarray, "some *shape"]]
) -> Float64[np.ndarray, "samples *shape"]:
    """The counts of all images, each as often as it is in a sample."""
    sums: Any = 0.0
    start = 0
    for portion in portions:
        end = start + len(portion)
        sums = sums + np.tensordot(times[:, start:end], portion, 1)
        start = end
    return np.asarray(sums)


def of_two_groups(
    first: Float[np.ndarray, " first"], second: Float[np.ndarray, " second"], *, seed: int
) -> tuple[float, list[float]]:
    """The share of pairs in which the first group's value is higher, with ties counting half, and its interval.

    This is the AUC with which the values separate the groups (Mann & Whitney 1947). Images of each group are drawn
    separately.
    """
    levels, ranks = np.unique(np.concatenate([first, second]), return_inverse=True)
    ours, theirs = ranks[: len(first)], ranks[len(first) :]
    pairs = len(first) * len(second)

    def share(drawn: Sequence[Int[np.ndarray, "samples images"]]) -> Float64[np.ndarray, " samples"]:
        """Counts both groups by level: a value beats all values at lower levels, and half of those at its own."""
        wins, losses = (_times(group[each], len(levels)) for group, each in zip((ours, theirs), drawn, strict=True))
        return (wins * (losses.cumsum(axis=1) - losses / 2)).sum(axis=1) / pairs

    value = float(share([np.arange(len(group))[None] for group in (ours, theirs)])[0])
    first_below, second_below = (
        counts.cumsum() - counts / 2
        for counts in (np.bincount(group, minlength=len(levels)) for group in (ours, theirs))
    )
    won, lost = second_below[ours] / len(second), 1 - first_below[theirs] / len(first)
    sampled = np.concatenate([share(drawn) for drawn in _blocks((len(first), len(second)), seed)])
    return value, _interval(sampled, value, [won - won.mean(), lost - lost.mean()])


def _interval(
    sampled: Float64[np.ndarray, " samples"], value: float, influence: Sequence[Float64[np.ndarray, " images"]]
) -> list[float]:
    """The statistic's interval, between two percentiles of the samples.

    Args:
      sampled: the statistic of every sample; NaN where it is undefined.
      value: the statistic of the images themselves.
      influence: by group, each image's influence on the statistic: (images - 1) times the difference between the mean
        of all statistics with one image left out and the one without this image.
    """
    defined = sampled[~np.isnan(sampled)]
    if defined.min() == defined.max():
        return [float(defined[0])] * 2
    tails = _TAILS
    if influence and max(map(len, influence)) <= MOST_CORRECTED:
        tails = _corrected(defined, value, [each[~np.isnan(each)] for each in influence])
    low, high = np.percentile(defined, 100 * tails).tolist()
    return [low, high]


def _corrected(
    sampled: Float64[np.ndarray, " samples"], value: float, influence: Sequence[Float64[np.ndarray, " images"]]
) -> Float64[np.ndarray, "2"]:
    """The tails for BCa; plain ones if all samples are on one side of the value, which allows no correction."""
    bias = ndtri((np.mean(sampled < value) + np.mean(sampled <= value)) / 2)
    cubes = sum((each**3).sum() / len(each) ** 3 for each in influence)
    squares = sum((each**2).sum() / len(each) ** 2 for each in influence)
    acceleration = cubes / squares**1.5 / 6 if squares else 0.0
    shifted = bias + ndtri(_TAILS)
    scale = 1 - acceleration * shifted
    if not np.isfinite(bias) or scale.min() <= 0:
        return _TAILS
    return ndtr(bias + shifted / scale)


def _blocks(sizes: tuple[int, ...], seed: int) -> Iterator[list[Int[np.ndarray, "samples images"]]]:
    """The images each sample draws, with replacement, from groups of these sizes; a block of samples at a time.

    For a single group, the draws do not depend on the size of the blocks.
    """
    if RESAMPLES * sum(sizes) <= _BLOCK_DRAWS:
        yield from _remembered(sizes, seed)
    else:
        yield from _drawn(sizes, seed)


@functools.lru_cache(maxsize=4)
def _remembered(sizes: tuple[int, ...], seed: int) -> list[list[Int[np.ndarray, "samples images"]]]:
    return list(_drawn(sizes, seed))


def _drawn(sizes: tuple[int, ...], seed: int) -> Iterator[list[Int[np.ndarray, "samples images"]]]:
    random = [np.random.default_rng([seed, number] if number else seed) for number in range(len(sizes))]
    at_once = max(1, min(_BLOCK_SAMPLES, _BLOCK_DRAWS // sum(sizes)))
    for start in range(0, RESAMPLES, at_once):
        samples = min(at_once, RESAMPLES - start)
        yield [each.integers(size, size=(samples, size)) for each, size in zip(random, sizes, strict=True)]


def _times(drawn: Int[np.ndarray, "samples images"], kinds: int) -> Float64[np.ndarray, "samples kinds"]:
    """How often each of 0 ... kinds - 1 occurs in each sample."""
    offset = kinds * np.arange(len(drawn))[:, None]
    times = np.bincount((drawn + offset).ravel(), minlength=len(drawn) * kinds)
    return times.reshape(len(drawn), kinds).astype(np.float64)
