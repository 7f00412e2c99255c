import numpy as np
import pytest
from scipy import ndimage

from splice_jax.data.composing.objects import drawn_object, region_object


def quarters() -> np.ndarray:
    return np.kron([[7, 300], [20, 9]], np.ones((40, 50), int))


@pytest.mark.parametrize("area", [0.25, 0.5])
def test_an_object_is_a_union_of_regions_of_about_the_area(area):
    regions = quarters()
    mask = region_object(regions, area, np.random.default_rng(0))
    assert mask is not None and mask.mean() == area
    for number in np.unique(regions):
        assert mask[regions == number].mean() in (0, 1)


def test_an_object_is_connected_where_its_regions_are():
    rows, columns = np.mgrid[:60, :80]
    regions = rows // 10 * 8 + columns // 10
    for seed in range(20):
        mask = region_object(regions, 0.2, np.random.default_rng(seed))
        assert mask is not None and 0.1 <= mask.mean() <= 0.4
        assert ndimage.label(mask)[1] == 1


def test_no_object_where_no_union_has_the_area():
    assert region_object(np.ones((30, 30), int), 0.3, np.random.default_rng(0)) is None
    assert region_object(quarters(), 0.05, np.random.default_rng(0)) is None


def test_foreground_touches_no_border_but_the_lower_one() -> None:
    rows, columns = np.mgrid[:60, :80]
    regions = rows // 10 * 8 + columns // 10
    touched = np.zeros(4, bool)
    for seed in range(20):
        mask = region_object(regions, 0.2, np.random.default_rng(seed), foreground=True)
        assert mask is not None and 0.1 <= mask.mean() <= 0.4
        touched |= mask[0].any(), mask[:, 0].any(), mask[:, -1].any(), mask[-1].any()
    assert touched.tolist() == [False, False, False, True]


def test_no_foreground_where_every_region_touches_the_border() -> None:
    assert region_object(quarters(), 0.25, np.random.default_rng(0), foreground=True) is None


@pytest.mark.parametrize("area", [0.05, 0.2, 0.4])
def test_drawn_objects_are_one_piece_of_about_the_area(area):
    areas = []
    for seed in range(40):
        mask = drawn_object(120, 160, area, np.random.default_rng(seed))
        assert mask.shape == (120, 160) and ndimage.label(mask)[1] == 1
        areas.append(mask.mean())
    assert max(areas) < 1.2 * area + 0.01
    assert np.median(areas) > 0.85 * area


def test_shapes_differ_with_chance_and_repeat_with_the_seed():
    first, again, other = (drawn_object(60, 60, 0.2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
