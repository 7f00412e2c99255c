"""The rows that look at the colour filter array: their parts on constructed arrays, their maps on simulated photos."""

import functools
import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import splice_jax
from splice_jax.data.composing.camera import BAYER_PHASES, Camera, photograph
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.images import resize
from splice_jax.methods import Undefined
from splice_jax.methods.traces import cfa
from splice_jax.metrics import auc
from tests.methods.traces.judged import or_half

ROWS = "cfa1", "cfa2"
PATCH = np.s_[64:192, 96:256]
MASK = np.zeros((256, 320), bool)
MASK[PATCH] = True


@functools.cache
def photo(seed: int, red_site: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Of a procedural scene, through a soft lens, demosaiced bilinearly; not to be changed."""
    generator = np.random.default_rng(seed)
    camera = Camera(red_site=red_site, lens_blur=1.5, read_noise=0.004, shot_noise=0.001)
    return photograph(draw_scene(256, 320, generator)[0], camera, generator)


@functools.cache
def with_resampled_patch(seed: int, red_site: tuple[int, int] = (0, 0)) -> np.ndarray:
    image = photo(seed, red_site).copy()
    image[PATCH] = resize(photo(seed + 3, red_site), (333, 416))[PATCH]
    return image


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def areas(name: str, images) -> np.ndarray:
    row = splice_jax.localizer(name)
    return np.array([or_half(lambda image=image: auc(row(image).probability, MASK)) for image in images])


@pytest.mark.parametrize("name", ROWS)
def test_a_resampled_patch_is_found_whatever_the_phase(name):
    found = areas(name, [with_resampled_patch(seed, BAYER_PHASES[seed]) for seed in range(4)])
    assert found.min() > 0.9, found


@pytest.mark.parametrize("name", ROWS)
def test_a_white_half_is_neither_marked_nor_counted(name):
    image = jpeg(np.where(np.arange(320)[:, None] < 160, np.uint8(255), photo(0)), 85)
    found = splice_jax.localizer(name)(image)
    assert not found.mask[:, :136].any() and not found.valid[:, :136].any()
    assert found.valid[:, 184:].mean() > 0.9


@pytest.mark.parametrize("name", ROWS)
def test_a_patch_at_an_odd_offset_is_found(name):
    image = photo(0).copy()
    image[PATCH] = photo(1)[PATCH[0], 97:257]
    assert areas(name, [image]) > 0.9


@pytest.mark.parametrize("name", ROWS)
def test_jpeg_wipes_the_trace_out(name):
    found = areas(name, [jpeg(with_resampled_patch(seed), 75) for seed in range(6)])
    assert abs(found.mean() - 0.5) < 0.1, found


@pytest.mark.parametrize("name", ROWS)
def test_where_everything_has_the_trace_nothing_is_found(name):
    found = areas(name, [photo(seed) for seed in range(6)])
    assert abs(found.mean() - 0.5) < 0.1, found


@pytest.mark.parametrize("name", ROWS)
def test_a_grey_image_is_undefined(name):
    grey = np.repeat(photo(0)[..., :1], 3, axis=2)
    with pytest.raises(Undefined, match=f"row {name} needs a colour image; this one is grey"):
        splice_jax.localizer(name)(grey)


def interpolated_green(height: int = 32, width: int = 48) -> np.ndarray:
    """Random on the chessboard's first squares, multiples of four so that means are whole; interpolated on others."""
    plane = 4.0 * np.random.default_rng(0).integers(0, 64, (height, width))
    first = cfa.chessboard(height, width)
    padded = np.pad(plane, 1, mode="reflect")
    means = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    return np.where(first, plane, means).astype(np.float32)


def test_the_chessboard_is_that_of_a_bayer_array():
    np.testing.assert_array_equal(cfa.chessboard(2, 3), [[True, False, True], [False, True, False]])


def test_neighbours_predict_interpolated_pixels_and_no_others():
    error = cfa.prediction_error(interpolated_green())
    first = cfa.chessboard(*error.shape)
    assert not error[~first].any()
    assert (np.abs(error[first]) > 1).mean() > 0.9


def test_local_variance_is_that_of_one_kind_of_pixel():
    values = np.random.default_rng(0).normal(3, 2, (20, 30)).astype(np.float32)
    among = cfa.chessboard(20, 30)
    y, x = np.mgrid[-3:4, -3:4]
    weights = np.exp(-(x**2 + y**2) / 2) * among[7:14, 9:16]
    expected = np.cov(values[7:14, 9:16].ravel(), aweights=weights.ravel(), ddof=0)
    assert cfa.local_variance(values, among)[10, 12] == pytest.approx(float(expected), rel=1e-4)


def test_the_ratio_of_a_known_array():
    generator = np.random.default_rng(0)
    first = cfa.chessboard(160, 160)
    error = generator.normal(0, np.where(first, 8, 2), first.shape).astype(np.float32)
    ratio = cfa.log_variance_ratio(error, 8)
    assert ratio.shape == (20, 20)
    assert ratio.mean() == pytest.approx(np.log(8**2 / 2**2), rel=0.05)
    np.testing.assert_allclose(cfa.log_variance_ratio(error[:, 1:], 8)[:, 1:-1].mean(), -ratio.mean(), rtol=0.1)


def test_of_flat_blocks_nothing_is_told():
    error = np.zeros((16, 32), np.float32)
    error[:, 20:] = np.random.default_rng(0).normal(0, 5, (16, 12))
    np.testing.assert_array_equal(np.isnan(cfa.log_variance_ratio(error, 8)), [[True, True, False, False]] * 2)


def test_the_mixture_is_found_again():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0, 0.4, 1500), generator.normal(2.5, 0.7, 3500)])
    mixture = cfa.fit_mixture(values)
    np.testing.assert_allclose(mixture, (2.5, 0.4, 0.7, 0.7), atol=0.05)
    ratio = mixture.log_likelihood_ratio(np.array([0.5, 1.5]))
    without = stats.norm.logpdf([0.5, 1.5], 0, mixture.without_std)
    np.testing.assert_allclose(ratio, without - stats.norm.logpdf([0.5, 1.5], mixture.mean, mixture.with_std))


def test_beyond_the_means_the_ratio_does_not_turn_round():
    ratio = cfa.Mixture(1.0, 0.05, 0.5, 0.9).log_likelihood_ratio(np.array([-5.0, 0, 0.5, 1, 9]))
    assert ratio[0] == ratio[1] > ratio[2] > ratio[3] == ratio[4]


@pytest.mark.parametrize("values", [np.zeros(5), np.full(4, 3.0), np.array([0.0]), np.array([-2.0, -1.0])])
def test_no_values_are_too_few_or_too_equal_for_a_mixture(values):
    assert np.isfinite(cfa.fit_mixture(values)).all()


def test_cfa2_is_the_share_of_the_error_at_interpolated_pixels():
    image = np.repeat(interpolated_green()[..., None], 3, axis=2).astype(np.uint8)
    image[..., 0] = 0
    row = cfa.GreenErrorShare()
    assert row.response(image).shape == (2, 3)
    np.testing.assert_allclose(row.response(image), 0, atol=1e-3)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert row.response(noise).mean() == pytest.approx(0.5, abs=0.1)
