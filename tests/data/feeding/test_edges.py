from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from splice_jax.data import Example
from splice_jax.data.feeding.edge_table import build_table, edge_labels
from splice_jax.data.feeding.edges import BINS, PATCH, canny, find_edges, histograms
from splice_jax.errors import UserError

MIDDLE = np.array([[20, 20]], np.int32)


def counts(histogram: np.ndarray) -> np.ndarray:
    """What was counted, from its logarithm in 255 steps: exact for few, within 3 % for many."""
    return np.expm1(histogram / 255 * np.log(626))


def grey(profile: np.ndarray, rows: int = 41) -> np.ndarray:
    return np.broadcast_to(profile.astype(np.float32), (rows, len(profile)))


def test_a_step_has_two_intensities_and_two_gradients() -> None:
    found = counts(histograms(grey(np.where(np.arange(41) < 20, 50, 150)), MIDDLE)[0])
    expected = np.zeros((BINS, BINS))
    expected[0, 0], expected[0, -1] = PATCH * 11, PATCH  # dark: eleven flat columns and one at the step
    expected[-1, 0], expected[-1, -1] = PATCH * 12, PATCH
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.01)


def test_a_ramp_has_all_intensities_and_one_gradient() -> None:
    found = counts(histograms(grey(3.0 * np.arange(41)), MIDDLE)[0])
    assert not found[:, :-1].any()
    of_columns = np.bincount(np.minimum(np.arange(PATCH) * BINS // (PATCH - 1), BINS - 1), minlength=BINS)
    np.testing.assert_allclose(found[:, -1], PATCH * of_columns, rtol=0.03, atol=0.01)


def test_contrast_and_brightness_change_nothing() -> None:
    profile = ndimage.gaussian_filter1d(np.where(np.arange(41) < 20, 40.0, 168.0), 2)
    one, other = (histograms(grey(scale * profile + offset), MIDDLE) for scale, offset in ((1, 0), (0.5, 64)))
    np.testing.assert_array_equal(one, other)


def test_blur_before_a_gamma_skews_the_arch_and_blur_after_it_does_not() -> None:
    """The trace itself: how bright, on the patch's own scale, the pixels with the steepest gradients are."""
    step = np.where(np.arange(41 * 16) < 20 * 16, 0.04, 0.96)  # sixteen samples per pixel
    natural = 255 * ndimage.gaussian_filter1d(step, 5 * 16)[::16] ** (1 / 2.2)
    forged = ndimage.gaussian_filter1d(255 * step ** (1 / 2.2), 5 * 16)[::16]

    def skew(profile: np.ndarray) -> float:
        arch = counts(histograms(grey(profile), MIDDLE)[0])[:, 3 * BINS // 4 :].sum(axis=1)
        return float((arch * (np.arange(BINS) + 0.5)).sum() / arch.sum() / BINS - 0.5)

    assert abs(skew(forged)) < 0.01 and skew(natural) < -0.04


def test_canny_finds_a_blurred_step_once_and_no_noise() -> None:
    step = ndimage.gaussian_filter(grey(np.where(np.arange(60) < 30, 60.0, 160.0), 50), 1)
    found = canny(step + np.random.default_rng(0).normal(0, 0.5, step.shape).astype(np.float32))
    assert (found.sum(axis=1) == 1).all()
    assert set(np.argwhere(found)[:, 1]) <= {29, 30}


def test_edges_have_a_patch_around_them_one_direction_and_contrast() -> None:
    image = np.full((80, 120, 3), 60, np.uint8)
    image[:, 60:] = 160
    image[:30, 90:] = 60  # a corner, near which no edge runs in one direction
    faint = image // 8 + 100
    edges = find_edges(image)
    rows, columns = edges.positions.T
    assert set(columns) <= set(range(58, 62)) | set(range(88, 108)) and {59, 60} & set(columns)
    assert rows.min() >= PATCH // 2 and rows.max() < 80 - PATCH // 2
    assert not ((rows > 24) & (rows < 36) & (abs(columns - 90) < 6)).any()
    np.testing.assert_array_equal(edges.histograms.shape, (len(edges.positions), BINS, BINS))
    assert len(find_edges(faint).positions) == len(find_edges(image[:20]).positions) == 0
    few = find_edges(image, 5).positions
    assert len(few) == 5 and {tuple(edge) for edge in few.tolist()} <= {tuple(e) for e in edges.positions.tolist()}


def test_forged_is_within_two_pixels_of_the_boundary_authentic_beyond_eight() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:, 20:] = True
    columns = [5, 11, 12, 16, 18, 19, 20, 21, 22, 28, 35]
    positions = np.array([[20, column] for column in columns], np.int32)
    assert edge_labels(mask, positions).tolist() == [0, 0, -1, -1, 1, 1, 1, 1, -1, 0, 0]
    assert edge_labels(np.zeros_like(mask), positions).tolist() == [0] * len(columns)


def test_a_table_holds_edges_of_both_kinds_and_says_where_one_is_missing(tmp_path: Path) -> None:
    image, mask = np.full((80, 160, 3), 60, np.uint8), np.zeros((80, 160), bool)
    image[:, 40:80], mask[:, 110:] = 180, True
    image[:, 110:] = 200
    table = build_table([Example(image, mask, "image", False)], tmp_path / "table")
    assert set(np.unique(table.labels)) == {0, 1} and len(table.histograms) == len(table.labels)
    with pytest.raises(UserError, match="no forged edge in the training images"):
        build_table([Example(image, np.zeros_like(mask), "image", True)], tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
