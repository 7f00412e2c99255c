import numpy as np
import pytest
from scipy import stats

from splice_jax.evaluation.scores import bootstrap


def test_the_interval_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).random(30)
    low, high = bootstrap.of_mean(values, seed=1)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=0)
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.005)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.005)


def test_the_interval_repeats_with_its_seed_and_shrinks_to_a_constant() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap.of_mean(values, seed=1) == bootstrap.of_mean(values, seed=1)
    assert bootstrap.of_mean(values, seed=1) != bootstrap.of_mean(values, seed=2)
    assert bootstrap.of_mean(np.array([0.5]), seed=0) == [0.5, 0.5]


def test_pooled_counts_are_pooled_again_in_every_sample() -> None:
    counts = np.random.default_rng(0).integers(1, 100, (25, 2))

    def ratio(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0] / sums[:, 1]

    reference = stats.bootstrap(
        (np.arange(25),),
        lambda drawn, axis: counts[drawn, 0].sum(axis=axis) / counts[drawn, 1].sum(axis=axis),
        method="percentile",
        n_resamples=20000,
        rng=0,
    )
    low, high = bootstrap.of_pooled(counts, ratio, seed=0)
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.03)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.03)


def test_a_pooled_mean_of_equal_sizes_has_the_interval_of_the_mean() -> None:
    values = np.random.default_rng(0).integers(0, 1000, 40)
    pooled = bootstrap.of_pooled(values, lambda sums: sums / 40, seed=3)
    assert pooled == pytest.approx(bootstrap.of_mean(values, seed=3))


def test_the_interval_of_two_groups_draws_both() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.7, 1, 30), random.normal(0, 1, 40)
    wins = (first[:, None] > second) + 0.5 * (first[:, None] == second)
    low, high = bootstrap.of_two_groups(wins, seed=0)
    reference = stats.bootstrap(
        (first, second),
        lambda a, b: np.mean(a[:, None] > b),
        method="percentile",
        vectorized=False,
        n_resamples=4000,
        rng=0,
    )
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.02)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.02)
