"""`nadq`: coefficients on every grid, quantised densities, the stray grid of a pasted JPEG."""

import numpy as np
import pytest

import splice_jax
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.images import read_image
from splice_jax.jpeg import ZIGZAG, block_dct
from splice_jax.methods.traces.shifted_jpeg import REACH, mixture, quantized, sliding_coefficient, stray_grid
from tests.methods.traces.judged import or_half

GENERATOR = np.random.default_rng(0)


def localized(file: bytes) -> np.ndarray:
    return splice_jax.localizer("nadq").localize_encoded(read_image(file), file).probability


@pytest.mark.parametrize("place", ZIGZAG[:6])
def test_sliding_coefficients_are_those_of_the_blocks(place):
    plane = GENERATOR.integers(0, 256, (37, 45), np.uint8)
    sliding = sliding_coefficient(plane, place)
    assert sliding.shape == (30, 38)
    for origin in ((0, 0), (3, 5), (7, 1)):
        blocks = block_dct(plane, origin=origin)[:, :, *place]
        strided = sliding[origin[0] :: 8, origin[1] :: 8]
        assert strided.shape == blocks.shape and np.abs(strided - blocks).max() <= 0.501


def test_a_quantised_density_is_that_of_quantised_samples():
    samples = GENERATOR.laplace(0, 40, 400_000)
    density = np.bincount(np.rint(samples).astype(int).clip(-REACH, REACH) + REACH, minlength=2 * REACH + 1)
    found = quantized(density / density.sum(), np.array([9]), 1.0)[0]
    again = np.rint(np.rint(samples / 9) * 9 + GENERATOR.normal(0, 1, samples.size)).astype(int).clip(-REACH, REACH)
    wanted = np.bincount(again + REACH, minlength=2 * REACH + 1) / samples.size
    np.testing.assert_allclose(found, wanted, atol=0.004)
    assert found.sum() == pytest.approx(1)


def test_step_and_grid_of_a_known_mixture():
    everywhere = GENERATOR.laplace(0, 40, (400, 400))
    quantised = everywhere[3::8, 5::8]
    part = GENERATOR.random(quantised.shape) < 0.3
    quantised[part] = np.rint(quantised[part] / 13) * 13
    found = mixture(np.rint(everywhere + GENERATOR.normal(0, 0.6, everywhere.shape)).astype(int), 2, 20)
    grid = stray_grid(found.gain)
    assert grid == 3 * 8 + 5
    assert 2 + found.step[grid] == 13


def test_no_grid_stands_out_where_none_was_quantised():
    everywhere = np.rint(GENERATOR.laplace(0, 40, (400, 400))).astype(int)
    assert stray_grid(mixture(everywhere, 2, 20).gain) is None


def test_the_file_s_own_grid_is_no_stray():
    gains = np.ones(64)
    gains[0] = 1000
    assert stray_grid(gains) is None
    gains[9] = 50
    assert stray_grid(gains) == 9


@pytest.mark.parametrize("grid", [(3, 5), (6, 2), (4, 4)])
@pytest.mark.parametrize("first", [60, 70])
def test_a_pasted_jpeg_off_the_grid_is_found(trial, compressed, grid, first):
    case = trial(0)
    assert case.area(localized(encode_jpeg(case.spliced(donor=compressed(case.donor, first, grid)), 95))) > 0.9


@pytest.mark.parametrize("quality", [75, 90, 95])
def test_where_all_is_compressed_on_one_grid_nothing_is_found(trial, quality):
    cases = [trial(seed) for seed in range(4)]
    areas = [or_half(lambda case=case: case.area(localized(encode_jpeg(case.spliced(), quality)))) for case in cases]
    assert all(abs(area - 0.5) < 0.1 for area in areas), areas
