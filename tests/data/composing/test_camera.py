import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from splice_jax.data.composing.camera import (
    BAYER_PHASES,
    DEMOSAICERS,
    Camera,
    demosaic,
    draw_camera,
    mosaic,
    photograph,
    sharpen,
)


def flat(level: int, height: int = 64, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("red_site", BAYER_PHASES)
@pytest.mark.parametrize("method", DEMOSAICERS)
def test_demosaicing_keeps_acquired_values_and_reproduces_a_uniform_colour(red_site, method):
    colour = np.array([0.7, 0.4, 0.2], np.float32)
    raw = mosaic(np.broadcast_to(colour, (11, 14, 3)), red_site)
    np.testing.assert_allclose(demosaic(raw, red_site, method), np.broadcast_to(colour, (11, 14, 3)), atol=1e-6)
    noisy = np.random.default_rng(0).random((11, 14), np.float32)
    np.testing.assert_array_equal(mosaic(demosaic(noisy, red_site, method), red_site), noisy)


def test_mosaic_of_rggb_by_hand():
    image = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(mosaic(image, (0, 0)), [[0, 4], [7, 11]])
    np.testing.assert_array_equal(mosaic(image, (1, 1)), [[2, 4], [7, 9]])


@pytest.mark.parametrize("method", DEMOSAICERS)
def test_demosaicing_matches_the_published_kernels(method):
    kernels = {
        "bilinear": ([[0, 1, 0], [1, 0, 1], [0, 1, 0]], 4),
        "gradient": ([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]], 8),
    }
    kernel, norm = kernels[method]
    raw = np.random.default_rng(1).random((16, 18), np.float32)
    expected = ndimage.correlate(raw, np.array(kernel) / norm, mode="mirror")
    green = demosaic(raw, (0, 0), method)[..., 1]
    np.testing.assert_allclose(green[::2, ::2], expected[::2, ::2], atol=1e-6)
    np.testing.assert_allclose(green[1::2, 1::2], expected[1::2, 1::2], atol=1e-6)


def test_gradient_demosaicing_of_red_matches_the_published_kernels():
    diagonal = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    beside = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    raw = np.random.default_rng(2).random((16, 18), np.float32)
    red = demosaic(raw, (0, 0), "gradient")[..., 0]
    for kernel, sites in [
        (diagonal, np.s_[1::2, 1::2]),
        (beside, np.s_[::2, 1::2]),
        (list(zip(*beside, strict=True)), np.s_[1::2, ::2]),
    ]:
        expected = ndimage.correlate(raw, np.array(kernel) / 8, mode="mirror")
        np.testing.assert_allclose(red[sites], expected[sites], atol=1e-5)


def test_a_noiseless_camera_keeps_the_colours_of_a_uniform_scene():
    camera = Camera(white_balance=(2.0, 1.5), lens_blur=0.7, denoise=0.5, sharpen=1.0)
    for level in (0, 40, 128, 255):
        photo = photograph(flat(level), camera, np.random.default_rng(0))
        assert abs(photo.astype(int) - level).max() <= 1


def test_sensor_noise_has_the_stated_variance_and_grows_with_the_signal():
    camera = Camera(read_noise=0.004, shot_noise=0.0002)
    rng = np.random.default_rng(3)
    deviations = {}
    for level in (60, 200):
        photo = photograph(flat(level, 256, 256), camera, rng).astype(float)
        signal = (level / 255) ** 2.2
        slope = 255 / 2.2 * signal ** (1 / 2.2 - 1)  # of the gamma curve, display levels per unit of light
        deviations[level] = photo[::2, ::2, 0].std() / slope  # acquired red
        np.testing.assert_allclose(deviations[level] ** 2, 0.004**2 + 0.0002 * signal, rtol=0.1)
    assert deviations[200] > 1.5 * deviations[60]


def test_noise_is_correlated_by_demosaicing():
    photo = photograph(flat(128, 256, 256), Camera(shot_noise=0.001), np.random.default_rng(4)).astype(float)
    red = photo[..., 0] - photo[..., 0].mean()
    assert (red[:, 1:] * red[:, :-1]).mean() > 0.3 * red.var()


def test_sharpening_leaves_flat_areas_and_steepens_edges():
    image = np.full((20, 20, 3), 100, np.float32)
    image[:, 10:] = 150
    sharpened = sharpen(image, 1.0)
    assert (sharpened[:, :5] == 100).all() and sharpened.max() > 150 and sharpened.min() < 100


def test_the_same_chance_gives_the_same_camera_and_photograph():
    scene = np.random.default_rng(5).integers(0, 256, (32, 40, 3), np.uint8)
    first, second, other = (draw_camera(np.random.default_rng(seed), 0.5) for seed in (6, 6, 7))
    assert dataclasses.asdict(first) == dataclasses.asdict(second) != dataclasses.asdict(other)
    photos = [photograph(scene, first, np.random.default_rng(seed)) for seed in (8, 8, 9)]
    np.testing.assert_array_equal(photos[0], photos[1])
    assert (photos[0] != photos[2]).any()


def test_an_unknown_demosaicer_is_named():
    with pytest.raises(ValueError, match="cubic"):
        demosaic(np.zeros((4, 4), np.float32), (0, 0), "cubic")
