"""Intervals, against SciPy's on the same draws."""

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from splice_jax.evaluation.scores import bootstrap


def reference(
    data: Sequence[np.ndarray], statistic: Callable[..., Any], distribution: np.ndarray | None = None, seed: int = 0
) -> list[float]:
    """SciPy's BCa interval: of samples that it draws as we do, or of those that are given."""
    given = None if distribution is None else SimpleNamespace(bootstrap_distribution=distribution)
    found = stats.bootstrap(
        data,
        statistic,
        method="BCa",
        n_resamples=bootstrap.RESAMPLES if given is None else 0,
        bootstrap_result=given,
        rng=np.random.default_rng(seed),
    )
    return [float(found.confidence_interval.low), float(found.confidence_interval.high)]


@pytest.mark.parametrize("images", [2, 5, 27, 300])
def test_the_interval_of_a_mean_is_scipys(images: int) -> None:
    values = np.random.default_rng(images).random(images) ** 4  # skewed, or there would be nothing to correct
    found = bootstrap.of_mean(values, seed=1)
    assert found == pytest.approx(reference((values,), np.mean, seed=1), rel=1e-12)
    percentile = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=2000, rng=np.random.default_rng(1)
    )
    if images == 27:
        assert found != pytest.approx(list(percentile.confidence_interval), rel=1e-3)


def test_the_interval_repeats_with_its_seed() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap.of_mean(values, seed=1) == bootstrap.of_mean(values, seed=1)
    assert bootstrap.of_mean(values, seed=1) != bootstrap.of_mean(values, seed=2)


@pytest.mark.parametrize("images", [1, 3, 27])
def test_a_constant_sample_has_an_interval_without_width(images: int) -> None:
    assert bootstrap.of_mean(np.full(images, 0.1), seed=0) == [0.1, 0.1]
    counts = np.full((images, 2), 7)
    assert bootstrap.of_pooled(counts, lambda sums: sums[:, 0] / sums[:, 1], seed=0) == [1, 1]
    assert bootstrap.of_two_groups(np.full(images, 0.3), np.full(4, 0.3), seed=0) == (0.5, [0.5, 0.5])


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / sums[:, 1]


def test_pooled_counts_are_pooled_again_in_every_sample_and_with_each_image_left_out() -> None:
    counts = np.random.default_rng(0).integers(1, 100, (25, 2)) ** 2

    def of_drawn(drawn: np.ndarray, axis: int) -> np.ndarray:
        return counts[drawn, 0].sum(axis=axis) / counts[drawn, 1].sum(axis=axis)

    expected = reference((np.arange(25),), of_drawn, seed=4)
    assert bootstrap.of_pooled(counts, ratio, seed=4) == pytest.approx(expected, rel=1e-12)


def test_a_pooled_mean_of_equal_sizes_has_the_interval_of_the_mean() -> None:
    values = np.random.default_rng(0).integers(0, 1000, 40)
    pooled = bootstrap.of_pooled(values, lambda sums: sums / 40, seed=3)
    assert pooled == pytest.approx(bootstrap.of_mean(values, seed=3), rel=1e-3)


def test_samples_and_images_left_out_without_a_statistic_do_not_count() -> None:
    counts = np.array([[5, 0], [3, 0], [2, 4], [1, 7]])  # undefined where neither of the last two is drawn

    def statistic(sums: np.ndarray) -> np.ndarray:
        return np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), np.nan)

    low, high = bootstrap.of_pooled(counts, statistic, seed=0)
    assert 0 < low < 1 < high < 8


def area(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean((first[:, None] > second) + 0.5 * (first[:, None] == second)))


def test_the_interval_of_two_groups_draws_both_and_leaves_out_one_of_either() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.7, 1, 30).round(1), random.normal(0, 1, 40).round(1)
    value, interval = bootstrap.of_two_groups(first, second, seed=3)
    assert value == area(first, second)
    of_first, of_second = np.random.default_rng(3), np.random.default_rng([3, 1])
    samples = [(of_first.integers(30, size=30), of_second.integers(40, size=40)) for _ in range(bootstrap.RESAMPLES)]
    sampled = np.array([area(first[ours], second[theirs]) for ours, theirs in samples])
    plain = np.percentile(sampled, [2.5, 97.5])
    expected = reference((first, second), lambda ours, theirs: area(ours, theirs), sampled)
    assert interval == pytest.approx(expected, rel=1e-12)
    assert interval != pytest.approx(plain, rel=1e-4)


def test_a_group_of_one_image_has_an_interval() -> None:
    value, (low, high) = bootstrap.of_two_groups(np.array([0.5]), np.linspace(0, 1, 11), seed=0)
    assert 0 < low < value < high < 1


def test_where_all_samples_lie_above_the_value_the_interval_is_that_of_plain_percentiles() -> None:
    counts = np.random.default_rng(0).integers(-1000, 1000, 20)
    counts[-1] -= counts.sum()  # so that the square of the sum is 0, and in every sample above it
    low, high = bootstrap.of_pooled(counts, lambda sums: sums**2, seed=0)
    sampled = [counts[drawn].sum() ** 2 for drawn in np.random.default_rng(0).integers(20, size=(2000, 20))]
    assert min(sampled) > 0
    assert [low, high] == pytest.approx(np.percentile(sampled, [2.5, 97.5]))


def test_rows_and_their_differences_are_paired_by_the_images_drawn() -> None:
    random = np.random.default_rng(0)
    first, shift = random.random(27), 0.25
    (low, high), (shifted_low, shifted_high) = (bootstrap.of_mean(each, seed=0) for each in (first, first + shift))
    assert (shifted_low, shifted_high) == pytest.approx((low + shift, high + shift), abs=1e-12)


def traced_peak(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call gives, and the most bytes that it held."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_above_ten_thousand_images_it_is_percentiles_in_bounded_memory() -> None:
    images = bootstrap.MOST_CORRECTED + 1
    values = np.random.default_rng(0).random(images) ** 4
    found, peak = traced_peak(lambda: bootstrap.of_mean(values, seed=0))
    assert peak < bootstrap.RESAMPLES * images  # all draws at once, a byte each, would be more
    random = np.random.default_rng(0)
    sampled = [values[random.integers(images, size=images)].mean() for _ in range(bootstrap.RESAMPLES)]
    assert found == pytest.approx(np.percentile(sampled, [2.5, 97.5]), rel=1e-12)


def test_pooled_counts_on_disk_are_never_all_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    counts = np.lib.format.open_memmap(tmp_path / "counts.npy", "w+", np.int32, (2400, 2, 1024))
    counts[:] = np.random.default_rng(0).integers(1, 100, counts.shape)

    def statistic(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0, 0] / sums[:, 1, 0]

    found, peak = traced_peak(lambda: bootstrap.of_pooled(counts, statistic, seed=0))
    assert peak < counts.nbytes
    assert found == bootstrap.of_pooled(counts[..., :1].astype(np.int64), statistic, seed=0)
