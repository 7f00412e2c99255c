"""Against SciPy's filters and NumPy's indexing."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from scipy import ndimage

from splice_jax.models.traces.planes import (
    STRIP,
    around,
    block_means,
    cut_blocks,
    in_strips,
    mean_of_nine,
    median_of_nine,
    shifted,
)

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 256, (24, 32)).astype(np.float32)
eager_and_compiled = pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])


@eager_and_compiled
def test_means_of_blocks(transform: Callable) -> None:
    for side in (2, 8):
        expected = [[PLANE[y : y + side, x : x + side].mean() for x in range(0, 32, side)] for y in range(0, 24, side)]
        found = transform(lambda plane, side=side: block_means(plane, side))(PLANE)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@eager_and_compiled
def test_blocks_are_cut_row_after_row(transform: Callable) -> None:
    cut = transform(cut_blocks)(PLANE)
    assert cut.shape == (3, 4, 64)
    np.testing.assert_array_equal(cut[2, 1], PLANE[16:24, 8:16].ravel())
    np.testing.assert_array_equal(np.block([[each.reshape(8, 8) for each in row] for row in np.asarray(cut)]), PLANE)


@pytest.mark.parametrize("size", [3, 5])
def test_the_mean_around_a_block_is_of_the_picture_s_own(size: int) -> None:
    values: Any = RANDOM.normal(5, 3, (9, 11, 2)).astype(np.float32)
    inside: Any = np.zeros((9, 11), np.float32)
    inside[:5, :7] = 1
    own = ndimage.uniform_filter(values * inside[..., None], (size, size, 1), mode="constant")
    share = ndimage.uniform_filter(inside, size, mode="constant")[..., None]
    expected = np.divide(own, share, out=np.zeros_like(own), where=share > 0.5 / size**2)
    found = jax.jit(lambda values, inside: around(values, inside, size))(values, inside)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not np.any(found[-1, -1])
    one_channel = around(values[..., 0], inside, size)  # not compiled
    np.testing.assert_allclose(one_channel, expected[..., 0], rtol=1e-4, atol=1e-5)


@eager_and_compiled
@pytest.mark.parametrize("step", [(0, 1), (1, 0), (-1, 0), (0, -2), (2, 2), (1, -1)])
def test_a_shifted_plane_repeats_its_border(transform: Callable, step: tuple[int, int]) -> None:
    rows, columns = (np.clip(np.arange(side) + by, 0, side - 1) for side, by in zip(PLANE.shape, step, strict=True))
    np.testing.assert_array_equal(transform(lambda plane: shifted(plane, *step))(PLANE), PLANE[np.ix_(rows, columns)])


@eager_and_compiled
def test_the_mean_of_nine_is_scipy_s(transform: Callable) -> None:
    expected = ndimage.uniform_filter(PLANE.astype(float), 3, mode="nearest")
    np.testing.assert_allclose(transform(mean_of_nine)(PLANE), expected, rtol=1e-5)


@eager_and_compiled
def test_the_median_of_nine_is_scipy_s(transform: Callable) -> None:
    for plane in (PLANE, RANDOM.normal(0, 1, (7, 9)).astype(np.float32)):
        expected = ndimage.median_filter(plane, 3, mode="nearest")
        np.testing.assert_array_equal(transform(median_of_nine)(plane), expected)


def test_the_median_s_network_is_right_for_every_order_of_nine() -> None:
    """By the zero-one principle: a network that is right for all patterns of 0 and 1 is right for all numbers."""
    patterns = np.arange(512)[:, None] >> np.arange(9) & 1
    side_by_side: Any = patterns.reshape(512, 3, 3).transpose(1, 0, 2).reshape(3, -1).astype(np.float32)
    found: Any = median_of_nine(side_by_side)
    np.testing.assert_array_equal(found[1, 1::3], patterns.sum(1) >= 5)


@pytest.mark.parametrize("rows", [2 * STRIP, 3 * STRIP, 3 * STRIP + 1])
def test_a_large_picture_gives_the_same_in_strips(rows: int) -> None:
    picture: Any = np.random.default_rng(0).integers(0, 256, (rows * 8, 16, 2)).astype(np.float32)

    def measure(whole: Any, plane: Any) -> dict[str, Any]:
        far = shifted(shifted(plane, -4, 0), -4, 0) - shifted(plane, 8, 0)  # as far as is allowed, and over the border
        return {"means": block_means(far), "blocks": cut_blocks(whole[..., 1])}

    found = in_strips(measure, picture, picture[..., 0])
    for name, expected in measure(picture, picture[..., 0]).items():
        np.testing.assert_array_equal(found[name], expected)
