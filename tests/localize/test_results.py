"""The overlay."""

import numpy as np
import pytest

from splice_jax.localize.results import TINT, overlay


def test_overlay_tints_and_outlines_the_region_alone():
    grey = np.full((400, 600, 3), 90, np.uint8)
    mask = np.zeros((400, 600), bool)
    mask[100:300, 200:500] = True
    painted = overlay(grey, mask)
    np.testing.assert_array_equal(painted[~mask], grey[~mask])
    assert painted[200, 198:206].tolist() == [[90] * 3] * 2 + [TINT.tolist()] * 2 + [[0] * 3] + [[145, 60, 116]] * 3
    assert (grey == 90).all()
    assert painted[200, 350].tolist() == [145, 60, 116]
    np.testing.assert_array_equal(overlay(grey, np.zeros_like(mask)), grey)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (700, 3)])
def test_overlay_takes_any_size(size):
    painted = overlay(np.zeros((*size, 3), np.uint8), np.ones(size, bool))
    assert painted.shape == (*size, 3)
    assert painted[0, 0].tolist() == TINT.tolist()
