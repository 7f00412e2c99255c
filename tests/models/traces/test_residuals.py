"""Against SciPy's filters, and against what theory says of noise."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from scipy import ndimage

from splice_jax.models.traces import residuals

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 256, (24, 32)).astype(np.float32)
NOISE = RANDOM.normal(0, 5, (160, 160)).astype(np.float32)
eager_and_compiled = pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])


def means(plane: np.ndarray, side: int = 8) -> np.ndarray:
    rows, columns = (length // side for length in plane.shape)
    return plane.astype(float).reshape(rows, side, columns, side).mean((1, 3))


@eager_and_compiled
def test_the_residual_and_its_magnitude_are_scipy_s(transform: Callable) -> None:
    expected = PLANE - ndimage.uniform_filter(PLANE.astype(float), 3, mode="nearest")
    found = transform(residuals.residual)(PLANE)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(transform(residuals.magnitude)(found), np.log(means(np.abs(expected)) + 0.01), atol=1e-5)


@eager_and_compiled
def test_the_distance_from_the_median_is_scipy_s(transform: Callable) -> None:
    expected = np.log(means(np.abs(PLANE - ndimage.median_filter(PLANE, 3, mode="nearest"))) + 0.01)
    np.testing.assert_allclose(transform(residuals.median_magnitude)(PLANE), expected, atol=1e-5)


@eager_and_compiled
def test_the_least_magnitude_is_of_the_quietest_quarter(transform: Callable) -> None:
    quarters = means(np.abs(PLANE), 4)
    expected = [[quarters[y : y + 2, x : x + 2].min() for x in range(0, 8, 2)] for y in range(0, 6, 2)]
    np.testing.assert_allclose(
        transform(residuals.least_magnitude)(PLANE), np.log(np.array(expected) + 0.01), atol=1e-5
    )


def test_autocorrelation_by_hand() -> None:
    found = jax.jit(lambda plane: residuals.autocorrelation(plane, residuals.LAGS))(PLANE)
    variance = means(PLANE**2) + 0.05
    for index, (down, right) in enumerate(residuals.LAGS):
        moved = np.pad(PLANE, ((0, down), (0, right)), mode="edge")[down:, right:]
        np.testing.assert_allclose(found[..., index], means(PLANE * moved) / variance, rtol=1e-4)


def test_a_residual_of_whole_waves_correlates_as_waves_do() -> None:
    wave = np.broadcast_to(np.cos(np.pi * np.arange(32) / 4), (24, 32)).astype(np.float32) * 10
    found = jax.jit(lambda plane: residuals.autocorrelation(plane, ((0, 1), (1, 0), (0, 2)), 8))(wave)
    expected = np.cos(np.pi / 4), 1, 0
    np.testing.assert_allclose(found[:, :3], np.broadcast_to(expected, (3, 3, 3)), atol=2e-3)


def test_peakedness_is_the_kurtosis() -> None:
    compute = jax.jit(residuals.peakedness)
    fourth, square = means(PLANE**4.0), means(PLANE**2.0)
    np.testing.assert_allclose(compute(PLANE), np.log((fourth + 0.05) / (square**2 + 0.05)), atol=1e-4)
    uniform = RANDOM.uniform(-20, 20, (160, 160)).astype(np.float32)
    assert np.mean(compute(NOISE)) == pytest.approx(np.log(3), abs=0.1)
    assert np.mean(compute(uniform)) == pytest.approx(np.log(1.8), abs=0.05)


@eager_and_compiled
def test_channels_that_are_tied_differ_less_than_their_noise(transform: Callable) -> None:
    compute = transform(residuals.colour_tie)
    other = RANDOM.normal(0, 5, NOISE.shape).astype(np.float32)
    expected = np.log((means(np.abs(other - NOISE)) + 0.01) / (means(np.abs(NOISE)) + 0.01))
    np.testing.assert_allclose(compute(other, NOISE), expected, atol=1e-5)
    assert np.mean(expected) == pytest.approx(np.log(2) / 2, abs=0.02)  # the deviation of a difference
    assert np.max(compute(NOISE, NOISE)) < -5
    assert np.mean(compute(NOISE + other / 10, NOISE)) == pytest.approx(np.log(0.1), abs=0.05)


@eager_and_compiled
def test_half_the_resolution(transform: Callable) -> None:
    np.testing.assert_allclose(transform(residuals.halved)(PLANE), means(PLANE, 2), rtol=1e-6)
