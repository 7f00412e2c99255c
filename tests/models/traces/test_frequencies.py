"""Against SciPy's DCT and NumPy's histograms."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from scipy import fft, ndimage

from splice_jax.jpeg import ZIGZAG
from splice_jax.models.traces import frequencies

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.normal(120, 40, (40, 48)).astype(np.float32)
INSIDE: Any = np.ones((5, 6), np.float32)
INSIDE[4], INSIDE[:, 5] = 0, 0
ORDER = tuple(np.array(ZIGZAG).T)
eager_and_compiled = pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])


def dct(plane: np.ndarray) -> np.ndarray:
    rows, columns = (side // 8 for side in plane.shape)
    cut = plane.astype(float).reshape(rows, 8, columns, 8).swapaxes(1, 2) - 128
    return fft.dctn(cut, axes=(2, 3), norm="ortho")[:, :, ORDER[0], ORDER[1]]


def mean_around(values: np.ndarray) -> np.ndarray:
    """Over 3x3 blocks, those inside alone."""
    weight = INSIDE[..., None]
    return ndimage.uniform_filter(values * weight, (3, 3, 1), mode="constant") / np.maximum(
        ndimage.uniform_filter(weight, (3, 3, 1), mode="constant"), 1 / 9
    )


@eager_and_compiled
def test_coefficients_are_scipy_s_in_zigzag_order(transform: Callable) -> None:
    np.testing.assert_allclose(transform(frequencies.coefficients)(PLANE), dct(PLANE), atol=2e-3)


def test_the_basis_is_orthonormal() -> None:
    np.testing.assert_allclose(frequencies.BASIS @ frequencies.BASIS.T, np.eye(64), atol=1e-6)


@pytest.mark.parametrize("size", [4, 16])
def test_energies_are_logs_of_mean_magnitudes_without_the_dc(size: int) -> None:
    found = jax.jit(lambda found, inside: frequencies.energies(frequencies.magnitudes(found, size), inside))(
        dct(PLANE), INSIDE
    )
    magnitude = np.abs(dct(PLANE))
    groups = [magnitude[..., first : first + size].mean(-1) for first in range(1, 64, size)]
    expected = np.log(mean_around(np.stack(groups, -1)) + 0.01)
    assert found.shape == (5, 6, -(-63 // size))
    np.testing.assert_allclose(found[:4, :5], expected[:4, :5], atol=1e-4)


@eager_and_compiled
def test_whole_coefficients_are_whole_and_halves_are_not(transform: Callable) -> None:
    compute = transform(frequencies.wholeness)
    whole = RANDOM.integers(-40, 41, (5, 6, 64)).astype(np.float32)
    np.testing.assert_allclose(compute(whole), 1, atol=1e-5)
    np.testing.assert_allclose(compute(whole + 0.5), 0, atol=1e-5)
    anything = RANDOM.uniform(-9, 9, (5, 6, 64)).astype(np.float32)
    expected = np.abs(np.cos(np.pi * anything[..., [1, 2, 3, 4, 6, 10]].astype(float)))
    np.testing.assert_allclose(compute(anything), expected, atol=1e-4)


def log_ratios(values: np.ndarray, known: np.ndarray, levels: int, window: int) -> np.ndarray:
    """Of one place: how much more often than its smoothed neighbourhood each value occurs."""
    heights: dict[int, Any] = {value: np.count_nonzero(values[known] == value) for value in range(-levels + 1, levels)}
    heights[-levels] = heights[levels] = 0
    triangle = [window - abs(away) for away in range(-window + 1, window)]

    def smooth(value: int) -> float:
        return sum(
            weight * heights.get(value + away, 0)
            for away, weight in zip(range(-window + 1, window), triangle, strict=True)
        ) / sum(triangle)

    found = [
        0.0 if abs(value) >= levels or value == 0 else np.log((heights[value] + 1) / (smooth(value) + 1))
        for value in values
    ]
    return np.clip(found, -3, 3) * known


@pytest.mark.parametrize(("levels", "window"), [(20, 5), (30, 13)])
def test_evidence_is_the_histogram_s_against_its_smoothed_self(levels: int, window: int) -> None:
    quantised = RANDOM.laplace(0, 6, (5, 6, 64)).astype(np.float32)
    quantised[..., 1] = np.rint(quantised[..., 1] / 3) * 3
    quantised[0, 0, 2], quantised[0, 1, 2] = 200, -200
    found = np.asarray(jax.jit(evidence, static_argnums=(2, 3))(quantised, INSIDE, levels, window))
    assert found.shape == quantised.shape
    for place in range(0, 64, 3):
        values = np.rint(quantised[..., place]).astype(int).ravel()
        expected = log_ratios(values, INSIDE.ravel() > 0, levels, window)
        np.testing.assert_allclose(found[..., place].ravel(), expected, atol=1e-5)


@eager_and_compiled
def test_levels_are_rounded_and_stop_at_their_ends(transform: Callable) -> None:
    quantised = np.array([[[-300, -60.4, -0.6, 0.4, 1.5, 2.5, 59.6, 1e6]]], np.float32)
    found = np.asarray(transform(lambda values: frequencies.levels(values, 60))(quantised))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, [[[-60, -60, -1, 0, 2, 2, 60, 60]]])


def test_values_that_an_earlier_quantization_left_out_speak_against_a_block() -> None:
    """Multiples of 3 everywhere but in one corner: those blocks' values stand between the occupied ones."""
    steps = RANDOM.integers(1, 15, (24, 24, 64)) * RANDOM.choice([-1, 1], (24, 24, 64))
    quantised = (3 * steps).astype(np.float32)
    quantised[:5, :5] += 1
    inside: Any = np.ones((24, 24), np.float32)
    found = jax.jit(evidence, static_argnums=(2, 3))(quantised, inside, 60, 5)
    pasted = np.zeros((24, 24), bool)
    pasted[:5, :5] = True
    assert found[pasted].max() < 0 < np.quantile(found[~pasted], 0.01)
    grouped = np.asarray(
        jax.jit(grouped_evidence, static_argnums=(2, 3, 4))(quantised, inside, 60, 5, frequencies.GROUPS)
    )
    assert grouped[:4, :4].max() < 0 < grouped[8:, 8:].min()


def evidence(quantised: Any, inside: Any, levels: int, window: int) -> Any:
    return frequencies.evidence(frequencies.levels(quantised, levels), inside, levels, window)


def grouped_evidence(quantised: Any, inside: Any, levels: int, window: int, groups: Any) -> Any:
    values = frequencies.levels(quantised, levels)
    return frequencies.grouped_evidence(frequencies.summed_evidence(values, inside, levels, window, groups), inside)


def quantised_values(places: int) -> np.ndarray:
    """With gaps, so that there is evidence, and zeros, which say nothing."""
    values = np.rint(RANDOM.laplace(0, 6, (5, 6, places)) / 3) * 3
    return values.astype(np.float32)


def test_evidence_is_averaged_where_it_says_something() -> None:
    quantised, groups = quantised_values(64), ((1, 6), (6, 12), (36, 64))
    found = jax.jit(grouped_evidence, static_argnums=(2, 3, 4))(quantised, INSIDE, 60, 5, groups)
    single = np.asarray(jax.jit(evidence, static_argnums=(2, 3))(quantised, INSIDE, 60, 5))
    for group, (first, end) in enumerate(groups):
        part = single[..., first:end]
        total, speaking = (mean_around(each[..., None])[..., 0] for each in (part.sum(-1), (part != 0).sum(-1)))
        np.testing.assert_allclose(found[:4, :5, group], (total / (speaking + 0.05))[:4, :5], atol=1e-4)


def test_all_evidence_is_summed_over_places_and_planes() -> None:
    """Over the root of how many values say something; the DC says nothing."""
    planes, groups = [quantised_values(64), quantised_values(36)], (frequencies.GROUPS, frequencies.CHROMA_GROUPS)

    def total(planes: Any) -> Any:
        each = zip(planes, groups, strict=True)
        levels = [(frequencies.levels(plane, 60), groups) for plane, groups in each]
        sums = [frequencies.summed_evidence(values, INSIDE, 60, 5, groups) for values, groups in levels]
        return frequencies.total_evidence(sums, INSIDE)

    found = jax.jit(total)(planes)
    singles = jax.jit(lambda planes: [evidence(plane, INSIDE, 60, 5) for plane in planes])(planes)
    everything = np.concatenate([np.asarray(single)[..., 1:] for single in singles], -1)
    sums, speaking = (mean_around(each[..., None])[..., 0] for each in (everything.sum(-1), (everything != 0).sum(-1)))
    np.testing.assert_allclose(found[:4, :5, 0], (sums / np.sqrt(speaking + 0.3))[:4, :5], atol=1e-4)
