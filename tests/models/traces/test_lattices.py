"""Against SciPy's correlation, and on lattices that are known."""

import io
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.data.composing.camera import demosaic
from splice_jax.models.traces import lattices

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 256, (48, 64)).astype(np.float32)
INSIDE = np.ones((6, 8), np.float32)
INSIDE[5], INSIDE[:, 7] = 0, 0
eager_and_compiled = pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])


def mean_around(values: np.ndarray) -> np.ndarray:
    """Over 5x5 blocks, those inside alone."""
    weight = INSIDE[..., None]
    own = ndimage.uniform_filter(values * weight, (5, 5, 1), mode="constant")
    return own / np.maximum(ndimage.uniform_filter(weight, (5, 5, 1), mode="constant"), 1 / 25)


def test_sites_compare_a_laplacian_between_the_pixels_of_a_cell() -> None:
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    laplacian = np.abs(ndimage.correlate(PLANE.astype(float), kernel, mode="nearest"))
    sites = np.stack([laplacian[y::2, x::2].reshape(6, 4, 8, 4).mean((1, 3)) for y in (0, 1) for x in (0, 1)], -1)
    sites = mean_around(sites) + 0.01
    expected = np.log(sites / sites.mean(-1, keepdims=True))
    diagonals = np.abs(np.log((sites[..., 0] + sites[..., 3]) / (sites[..., 1] + sites[..., 2])))
    found = np.asarray(jax.jit(lattices.filter_sites)(PLANE, INSIDE))
    np.testing.assert_allclose(found[:5, :7, :4], expected[:5, :7], atol=1e-3)
    np.testing.assert_allclose(found[:5, :7, 4], diagonals[:5, :7], atol=1e-3)


@eager_and_compiled
def test_phases_compare_second_differences_between_the_rows_of_a_block(transform: Callable) -> None:
    found = np.asarray(transform(lattices.grid_phases)(PLANE, INSIDE))
    for axis in (0, 1):
        second = np.abs(ndimage.correlate1d(PLANE.astype(float), [1, -2, 1], axis, mode="nearest"))
        along = second if axis == 0 else second.T
        count, other = (side // 8 for side in along.shape)
        phases = along.reshape(count, 8, other, 8).mean(3).swapaxes(1, 2)
        phases = mean_around(phases if axis == 0 else phases.swapaxes(0, 1)) + 0.01
        expected = np.log(phases / phases.mean(-1, keepdims=True))
        np.testing.assert_allclose(found[:5, :7, 8 * axis : 8 * axis + 8], expected[:5, :7], atol=1e-3)


def pairs(plane: Any, inside: Any) -> Any:
    return lattices.pairs(lattices.of_halves(plane), inside)


def test_pairs_compare_differences_that_begin_at_even_and_at_odd_pixels() -> None:
    found = np.asarray(jax.jit(pairs)(PLANE, INSIDE))
    expected = []
    for plane, turned in ((PLANE.astype(float), False), (PLANE.T.astype(float), True)):
        for order in (1, 3):
            padded = np.pad(plane, ((0, 3), (0, 0)), mode="edge")
            magnitude = np.abs(np.diff(padded, order, 0))[: len(plane)]
            halves = [
                magnitude[first::2].reshape(len(plane) // 8, 4, plane.shape[1] // 8, 8).mean((1, 3)) for first in (0, 1)
            ]
            even, odd = (mean_around((half.T if turned else half)[..., None])[..., 0] + 0.01 for half in halves)
            expected.append(np.log(even / odd))
    np.testing.assert_allclose(found[:5, :7], np.stack(expected, -1)[:5, :7], atol=1e-3)


@eager_and_compiled
def test_chroma_enlarged_to_twice_its_size_changes_from_pair_to_pair(transform: Callable) -> None:
    """Libjpeg's triangle filter: within a pair a quarter of the way, to the next pair half; and no third difference."""
    small = RANDOM.normal(128, 20, (48, 48))
    step = np.pad(small, 1, mode="edge")
    rows = np.stack([0.75 * step[1:-1] + 0.25 * step[:-2], 0.75 * step[1:-1] + 0.25 * step[2:]], 1).reshape(96, 50)
    columns = np.stack([0.75 * rows[:, 1:-1] + 0.25 * rows[:, :-2], 0.75 * rows[:, 1:-1] + 0.25 * rows[:, 2:]], 2)
    plane = columns.reshape(96, 96).astype(np.float32)
    inside: Any = np.ones((12, 12), np.float32)
    of_enlarged = np.asarray(transform(pairs)(plane, inside))[2:-2, 2:-2]
    first, third = of_enlarged[..., ::2], of_enlarged[..., 1::2]
    assert first.max() < -0.1 and np.abs(third).min() > 2
    of_noise = np.asarray(transform(pairs)(RANDOM.normal(128, 20, (96, 96)).astype(np.float32), inside))
    assert np.abs(of_noise).max() < 0.25


def test_interpolated_pixels_are_smoother_than_sampled_ones() -> None:
    sites = jax.jit(lattices.filter_sites)
    raw = RANDOM.normal(120, 20, (96, 96)).astype(np.float32)
    green = demosaic(raw, (0, 0))[..., 1]  # sampled beside and below red
    red, beside, below, blue, diagonals = np.asarray(sites(green, np.ones((12, 12), np.float32))).T
    assert max(red.max(), blue.max()) < -1 and min(beside.min(), below.min()) > 0.3
    assert diagonals.min() > 1
    noise = np.asarray(sites(raw, np.ones((12, 12), np.float32)))
    assert np.abs(noise).max() < 0.3


def test_a_jpeg_s_blocks_break_at_their_borders_and_a_moved_grid_elsewhere() -> None:
    smooth = ndimage.gaussian_filter(RANDOM.normal(0, 200, (96, 96)), 4) + np.linspace(60, 190, 96)
    file = io.BytesIO()
    Image.fromarray(smooth.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=30)
    decoded = np.asarray(Image.open(file)).astype(np.float32)
    compute = jax.jit(lattices.grid_phases)
    for moved in (0, 3):
        plane = np.roll(decoded, (moved, moved), (0, 1))
        phases = np.asarray(compute(plane, np.ones((12, 12), np.float32)))[3:-3, 3:-3].mean((0, 1))
        for part in (phases[:8], phases[8:]):
            assert set(np.argsort(part)[-2:]) == {(7 + moved) % 8, moved}
