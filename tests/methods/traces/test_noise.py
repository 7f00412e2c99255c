"""The rows that look at noise: their parts against others' computations, their maps on images made for it."""

import functools

import numpy as np
import pytest
import pywt
from scipy import fft, ndimage, stats

import splice_jax
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.images import read_image, read_mask
from splice_jax.methods.traces import noise
from splice_jax.metrics import auc, curve, f1, quantize

GENERATOR = np.random.default_rng(0)
PATCH = np.s_[64:192, 96:256]
ROWS = "noi1", "noi2", "noi4"


@functools.cache
def light(seed: int) -> np.ndarray:
    """A procedural scene through a soft lens, 256x320."""
    scene, _ = draw_scene(256, 320, np.random.default_rng(seed))
    return ndimage.gaussian_filter(scene.astype(float), (1.5, 1.5, 0))


def noisy_scene(seed: int) -> np.ndarray:
    """What a camera with little noise makes of it, not rounded."""
    return light(seed) + np.random.default_rng(seed).normal(0, 1, (256, 320, 3))


def to_image(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def spliced(mask_of: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((256, 320), bool)
    mask[mask_of] = True
    return mask


@pytest.mark.parametrize(("name", "least"), [("noi1", 0.95), ("noi2", 0.9), ("noi4", 0.9)])
def test_a_patch_with_more_noise_is_found(name, least):
    areas = []
    for seed in range(4):
        values = noisy_scene(seed)
        values[PATCH] += np.random.default_rng(seed).normal(0, 8, values[PATCH].shape)
        areas.append(auc(splice_jax.localizer(name)(to_image(values)).probability, spliced(PATCH)))
    assert min(areas) > least - 0.05 and np.mean(areas) > least, areas


@pytest.mark.parametrize("name", ROWS)
def test_where_noise_is_the_same_everywhere_nothing_is_found(name):
    """Over scenes and places, for what is textured looks noisy too."""
    areas = []
    for seed in range(8):
        probability = splice_jax.localizer(name)(to_image(noisy_scene(seed))).probability
        quarters = [np.s_[top : top + 128, left : left + 160] for top in (0, 128) for left in (0, 160)]
        areas.append(auc(probability, spliced(quarters[seed % 4])))
    assert abs(np.mean(areas) - 0.5) < 0.1, areas


def test_the_finest_diagonal_is_pywt_s_and_lies_where_the_image_does():
    plane = GENERATOR.normal(0, 1, (64, 96)).astype(np.float32)
    full = pywt.wavedec2(plane, "db8", level=1)[1][2]
    assert full.shape == (39, 55)
    np.testing.assert_array_equal(noise.finest_diagonal(plane), full[1:33, 1:49])


def test_coefficients_lie_where_the_image_does():
    offsets = []
    for place in range(20, 40):
        plane = np.zeros((64, 64), np.float32)
        plane[place, 30] = 1
        energy = (noise.finest_diagonal(plane) ** 2).sum(axis=1)
        offsets.append(2 * (energy @ np.arange(32)) / energy.sum() + 0.5 - place)
    assert abs(np.mean(offsets)) < 0.5


def test_noi1_is_the_standard_deviation_of_the_noise():
    """Of luma: that of one channel, by the root of the sum of the squared weights."""
    values = 128 + GENERATOR.normal(0, 5, (256, 256, 3))
    response = noise.WaveletNoise().response(to_image(values))
    assert response.shape == (16, 16)
    expected = 5 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert np.mean(response) == pytest.approx(expected, rel=0.05)
    magnitudes = np.abs(noise.finest_diagonal(noise.luma(to_image(values))))
    assert response[3, 5] == pytest.approx(np.median(magnitudes[24:32, 40:48]) / stats.norm.ppf(0.75), rel=1e-4)


def test_the_bank_is_the_orthonormal_dct_without_its_mean():
    plane = GENERATOR.normal(0, 1, (12, 14)).astype(np.float32)
    bands = list(noise.band_passes(plane))
    assert len(bands) == 15
    window = plane[4:8, 5:9]  # A filter of four pixels is centred on its third.
    expected = fft.dctn(window, norm="ortho").ravel()[1:]
    np.testing.assert_allclose([band[6, 7] for band in bands], expected, rtol=1e-4, atol=1e-6)


def test_local_moments_are_scipy_s():
    plane = GENERATOR.exponential(3, (40, 48))
    variance, kurtosis = noise.local_moments(plane, 17, 4)
    assert variance.shape == kurtosis.shape == (10, 12)
    window = plane[4 * 4 + 2 - 8 : 4 * 4 + 2 + 9, 4 * 6 + 2 - 8 : 4 * 6 + 2 + 9]
    assert variance[4, 6] == pytest.approx(window.var())
    assert kurtosis[4, 6] == pytest.approx(stats.kurtosis(window, axis=None))


def test_moments_of_nothing_are_nothing():
    variance, kurtosis = noise.local_moments(np.full((20, 20), 7.0), 17, 4)
    assert (variance == noise.LEAST_VARIANCE).all() and not kurtosis.any()


def test_the_variance_of_the_noise_is_recovered_where_the_law_holds():
    signal, true = np.array([4.0, 9.0, 30.0, 100.0]), 5.0
    variance = signal + true
    kurtosis = 6 * (signal / variance) ** 2
    assert noise.noise_variance(variance[:, None, None], kurtosis[:, None, None])[0, 0] == pytest.approx(true)


@pytest.mark.parametrize("kurtosis", [(0, 0, 0), (3, 3, 3), (9, 4, 1), (-1, -2, 5)])
def test_the_variance_of_the_noise_stays_between_0_and_that_of_any_band(kurtosis):
    variance = np.array([2.0, 3.0, 4.0])[:, None, None]
    found = noise.noise_variance(variance, np.array(kurtosis, float)[:, None, None])[0, 0]
    assert 0 <= found <= 2


def test_noi4_is_the_mean_residue_of_the_median():
    image = GENERATOR.integers(0, 256, (33, 50, 3), np.uint8)
    response = noise.MedianResidue().response(image)
    assert response.shape == (2, 3)
    residue = [np.abs(image[..., c].astype(float) - ndimage.median_filter(image[..., c], 3)) for c in range(3)]
    assert response[1, 2] == pytest.approx(np.mean([plane[16:32, 32:48].mean() for plane in residue]))


@pytest.mark.real_data
def test_real_splices_are_found_far_better_than_by_any_constant_map_and_not_by_the_opposite(real_data):
    scores, opposite, constant = [], [], []
    for path in sorted((real_data / "real" / "dst" / "images").iterdir()):
        probability = splice_jax.localizer("noi1")(read_image(path)).probability
        mask = read_mask(real_data / "real" / "dst" / "masks" / f"{path.stem}.png")
        scores.append(curve(quantize(probability), mask).best(f1).value)
        opposite.append(curve(quantize(1 - probability), mask).best(f1).value)
        constant.append(2 * mask.mean() / (1 + mask.mean()))
    assert len(scores) == 11
    assert np.mean(scores) > np.mean(constant) + 0.2
    assert np.mean(opposite) < np.mean(constant) + 0.05
